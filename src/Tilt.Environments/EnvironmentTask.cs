namespace Tilt.Environments;

/// <summary>The returns that D4RL calls 0 and 100.</summary>
/// <param name="Random">The lower one, from a random policy.</param>
/// <param name="Expert">The upper one, from an expert.</param>
public sealed record ScoreRange(double Random, double Expert);

/// <summary>A row of the catalogue: what a task is and how to make it.</summary>
public sealed record EnvironmentTask
{
    /// <summary>Such as <c>hopper</c> or <c>antmaze-medium-play</c>.</summary>
    public required string Name { get; init; }

    /// <summary>One line on what is to be done.</summary>
    public required string Summary { get; init; }

    /// <summary>S.</summary>
    public required int ObservationSize { get; init; }

    /// <summary>A. Policies act in [−1, 1] per component, in every task.</summary>
    public required int ActionSize { get; init; }

    /// <summary>Steps until an episode is truncated.</summary>
    public required int MaximumSteps { get; init; }

    /// <summary>Simulated seconds of one control step.</summary>
    public required double ControlSeconds { get; init; }

    /// <summary>D4RL's constants for this task; null where it has none.</summary>
    public ScoreRange? Score { get; init; }

    /// <summary>How an environment of this task is made.</summary>
    public required Func<EnvironmentTask, IEnvironment> Maker { get; init; }

    /// <summary>An environment of this task, to be reset before its first step.</summary>
    /// <exception cref="EnvironmentException">The physics library cannot be used here; the message has the remedy.</exception>
    public IEnvironment Create() => Maker(this);

    /// <summary>D4RL's normalized score as a fraction: 0 for random, 1 for expert. Papers print 100 times this.</summary>
    /// <param name="episodeReturn">Undiscounted sum of an episode's rewards, or a mean of such sums.</param>
    /// <remarks>(return − random) / (expert − random).</remarks>
    /// <exception cref="EnvironmentException">D4RL has no constants for this task.</exception>
    public double NormalizedScore(double episodeReturn) =>
        Score is { } range
            ? (episodeReturn - range.Random) / (range.Expert - range.Random)
            : throw EnvironmentException.Usage(
                $"task {Name}: D4RL has no reference returns for it, so it has no normalized score; report the return itself."
            );

    /// <inheritdoc/>
    public override string ToString() => Name;
}
