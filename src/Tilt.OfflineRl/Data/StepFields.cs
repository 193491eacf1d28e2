namespace Tilt.OfflineRl.Data;

/// <summary>Which arrays or columns of a file hold what. What is null is found by its usual names.</summary>
/// <remarks>
/// In .hdf5 and .npz files a field is one array of N rows, so a list has one name. In a table (.csv, or an .npz of single columns) a
/// vector is a list of columns, and <see cref="Episode"/> may name the column that numbers the episodes.
/// </remarks>
public sealed record StepFields
{
    /// <summary>Observations.</summary>
    /// <value>observations; in a table observation_0, observation_1, …</value>
    public IReadOnlyList<string>? Observations { get; init; }

    /// <summary>Observations after each step.</summary>
    /// <value>Not read from .hdf5, as D4RL does not. In other files next_observations; in a table next_observation_0, …</value>
    public IReadOnlyList<string>? NextObservations { get; init; }

    /// <summary>Actions.</summary>
    /// <value>actions; in a table action_0, action_1, …</value>
    public IReadOnlyList<string>? Actions { get; init; }

    /// <summary>Rewards.</summary>
    /// <value>rewards or reward.</value>
    public string? Reward { get; init; }

    /// <summary>Whether the task's own rule ended the episode with this step.</summary>
    /// <value>terminals or terminated.</value>
    public string? Terminated { get; init; }

    /// <summary>Whether the episode was cut off after this step.</summary>
    /// <value>timeouts or truncated.</value>
    public string? Truncated { get; init; }

    /// <summary>A column of a table that changes where an episode ends; the step before a change counts as cut off unless it terminated.</summary>
    /// <value>episode or episode_id, where there is such a column.</value>
    public string? Episode { get; init; }

    /// <summary>The names that <see cref="With"/> knows.</summary>
    public static IReadOnlyList<string> Names { get; } =
    ["observations", "next_observations", "actions", "reward", "terminated", "truncated", "episode"];

    /// <summary>These fields with one of them set by name.</summary>
    /// <param name="field">One of <see cref="Names"/>.</param>
    /// <param name="columns">The array or the columns that hold it.</param>
    /// <exception cref="TiltException">There is no such field, or it takes one name.</exception>
    public StepFields With(string field, IReadOnlyList<string> columns)
    {
        string One() =>
            columns.Count == 1
                ? columns[0]
                : throw TiltException.Usage($"the field {field} is one column, not {string.Join(", ", columns)}.");
        return field switch
        {
            "observations" => this with { Observations = columns },
            "next_observations" => this with { NextObservations = columns },
            "actions" => this with { Actions = columns },
            "reward" => this with { Reward = One() },
            "terminated" => this with { Terminated = One() },
            "truncated" => this with { Truncated = One() },
            "episode" => this with { Episode = One() },
            _ => throw Suggest.Unknown("field", field, Names),
        };
    }

    /// <summary>All names in one text, so that a cache knows how it was read.</summary>
    internal string Key()
    {
        static string List(IReadOnlyList<string>? names) => names is null ? "-" : string.Join('\u001f', names);
        return string.Join(
            '\u001e',
            List(Observations),
            List(NextObservations),
            List(Actions),
            Reward ?? "-",
            Terminated ?? "-",
            Truncated ?? "-",
            Episode ?? "-"
        );
    }

    /// <summary>The only name of a list, for files in which a field is one array.</summary>
    internal static string? Single(string file, string field, IReadOnlyList<string>? names) =>
        names switch
        {
            null => null,
            [var name] => name,
            _ => throw new DataException(
                file,
                field,
                $"{names.Count} names ({string.Join(", ", names.Take(4))})",
                "one array",
                "In .hdf5 and .npz files a field is one array of N rows: name that array."
            ),
        };
}
