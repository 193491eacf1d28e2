namespace Tilt.OfflineRl.Data;

/// <summary>Reads recorded steps from one form of file: says what they consist of, then fills the room made for them.</summary>
internal abstract class StepReader : IDisposable
{
    /// <summary>The most steps of a file: rows are numbered by int.</summary>
    public const long MostSteps = int.MaxValue - 64;

    /// <summary>The most numbers in an observation or an action.</summary>
    public const int MostColumns = 1 << 20;

    /// <summary>What the file holds. Known before any memory is taken for the values.</summary>
    public StepShape Shape { get; protected init; }

    /// <summary>Names of the fields as the file calls them, for messages.</summary>
    public StepFieldNames Names { get; protected init; } = new();

    /// <summary>A number of steps as an int, if it is one that can be used.</summary>
    protected static int ExpectCount(string file, string field, long count) =>
        count is > 0 and <= MostSteps
            ? (int)count
            : throw new DataException(
                file,
                field,
                $"{count} rows",
                count == 0 ? "at least two steps, which make one transition" : $"at most {MostSteps} steps",
                count == 0 ? "Record some steps first." : "Split the file."
            );

    /// <summary>Reads the values.</summary>
    public abstract void Fill(StepStorage to);

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>The word for one number of a field, for messages: row and column as the file's user counts them.</summary>
    public virtual string Place(string field, long row, int column, int columns) =>
        columns > 1 ? $"{field}[{row}, {column}]" : $"{field}[{row}]";
}

/// <summary>What the file calls its fields.</summary>
internal sealed record StepFieldNames
{
    public string Observations { get; init; } = "observations";
    public string NextObservations { get; init; } = "next_observations";
    public string Actions { get; init; } = "actions";
    public string Rewards { get; init; } = "rewards";
}
