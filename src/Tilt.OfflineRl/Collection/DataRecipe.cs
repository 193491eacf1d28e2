namespace Tilt.OfflineRl.Collection;

/// <summary>Told how far a collection is. Calls come one at a time.</summary>
/// <param name="stage">What is being done: collecting, writing.</param>
/// <param name="done">Steps done.</param>
/// <param name="total">Steps there will be.</param>
public delegate void CollectionProgress(string stage, long done, long total);

/// <summary>What is asked of a recipe.</summary>
public sealed record CollectionRequest
{
    /// <summary>N, the number of steps to collect.</summary>
    public required int Size { get; init; }

    /// <summary>Where all randomness comes from.</summary>
    /// <value>0.</value>
    public long Seed { get; init; }

    /// <summary>Threads to collect with. They change the time, never the data.</summary>
    /// <value>1.</value>
    public int Threads { get; init; } = 1;

    /// <summary>A policy file to act with, for recipes that take one instead of what ships with Tilt.</summary>
    public string? PolicyFile { get; init; }

    /// <summary>Told how far the collection is.</summary>
    public CollectionProgress? Progress { get; init; }

    /// <summary>Asks to give up.</summary>
    public CancellationToken Stop { get; init; }
}

/// <summary>A data set that Tilt can make: what it is like, and how.</summary>
/// <remarks>
/// A recipe follows the protocol of one of D4RL's data sets (Fu et al. 2020) on Tilt's environments. What it makes is named
/// <c>tilt-NAME</c>, for it is not D4RL's data: other policies, another version of the physics, other random numbers.
/// </remarks>
public sealed record DataRecipe
{
    /// <summary>D4RL's name of the data set without a version, such as <c>hopper-medium-replay</c>.</summary>
    public required string Name { get; init; }

    /// <summary>One line on what is collected.</summary>
    public required string Summary { get; init; }

    /// <summary>The task it is collected on, one of <see cref="Tilt.Environments.Tasks"/>.</summary>
    public required string Task { get; init; }

    /// <summary>N where nothing else is asked for.</summary>
    /// <value>D4RL's own size.</value>
    public required int DefaultSize { get; init; }

    /// <summary>The protocol in a few sentences, for the manifest.</summary>
    public required string Protocol { get; init; }

    /// <summary>Whether a user may bring the acting policy (<see cref="CollectionRequest.PolicyFile"/>).</summary>
    public bool TakesPolicyFile { get; init; }

    /// <summary>What is missing to make it here, with the remedy; null when nothing is.</summary>
    /// <value>Nothing.</value>
    public Func<string?> Missing { get; init; } = () => null;

    /// <summary>SHA-256 of the shipped policies that a collection of so many steps acts with; none where nothing learned acts.</summary>
    /// <value>None.</value>
    public Func<int, IReadOnlyList<string>> PolicyHashes { get; init; } = _ => [];

    /// <summary>Collects. The same request, threads aside, gives the same data, bit for bit.</summary>
    public required Func<CollectionRequest, CollectedSteps> Make { get; init; }

    /// <summary>The row of the results table of Lu et al. (2023) that is about D4RL's data set; null where it has none.</summary>
    public string? PaperRow => PaperRows.Of(Name);

    /// <inheritdoc/>
    public override string ToString() => Name;
}
