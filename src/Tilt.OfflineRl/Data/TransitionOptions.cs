namespace Tilt.OfflineRl.Data;

/// <summary>How transitions are made of recorded steps.</summary>
public sealed record TransitionOptions
{
    /// <summary>Whether the last step of a cut-off episode is kept, with the next episode's first observation as its successor.</summary>
    /// <value>False, D4RL's default: such a step has no successor in the data and is dropped.</value>
    public bool TerminateOnEnd { get; init; }

    /// <summary>The task's step limit, for data that do not mark where episodes were cut off.</summary>
    /// <value>Null: the data mark it. <see cref="int.MaxValue"/> says that nothing was cut off.</value>
    public int? EpisodeSteps { get; init; }
}
