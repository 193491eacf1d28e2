namespace Tilt.Cli.Health;

/// <summary>How a check came out.</summary>
internal enum State
{
    /// <summary>As it should be.</summary>
    Fine,

    /// <summary>Absent, and only some verbs want it.</summary>
    Optional,

    /// <summary>Nothing numeric works without it.</summary>
    Broken,
}

/// <summary>What one check of the surroundings found.</summary>
/// <param name="Name">What was looked at.</param>
/// <param name="State">How it came out.</param>
/// <param name="Found">What is there, in a sentence.</param>
/// <param name="Remedy">The one command that mends it, where there is something to mend.</param>
internal sealed record Finding(string Name, State State, string Found, string? Remedy = null);
