namespace Tilt.OfflineRl.Data;

/// <summary>How a data file is opened.</summary>
public sealed record OpenOptions
{
    /// <summary>Which arrays or columns hold what.</summary>
    public StepFields Fields { get; init; } = new();

    /// <summary>Whether to keep a float32 form beside the file and to map it.</summary>
    /// <value>True. Without it the data are read anew into plain memory.</value>
    public bool Cache { get; init; } = true;

    /// <summary>Whether NaN and infinities are errors.</summary>
    /// <value>True. Only an inspection turns it off, in order to count them; no cache is kept then.</value>
    public bool ExpectFinite { get; init; } = true;

    /// <summary>Threads that read.</summary>
    /// <value>One for each processor.</value>
    public int Workers { get; init; } = Environment.ProcessorCount;
}
