namespace Tilt.OfflineRl.Data;

/// <summary>What recorded steps consist of, before their values are read.</summary>
/// <param name="Count">N steps.</param>
/// <param name="ObservationSize">S numbers in an observation.</param>
/// <param name="ActionSize">A numbers in an action.</param>
/// <param name="HasTruncated">Whether the ends of unfinished episodes are marked.</param>
/// <param name="HasNextObservations">Whether the observation after each step is recorded beside it.</param>
internal readonly record struct StepShape(
    int Count,
    int ObservationSize,
    int ActionSize,
    bool HasTruncated,
    bool HasNextObservations
)
{
    private const int Alignment = 64;

    /// <summary>Where the sections begin in a block of memory: observations, next observations, actions, rewards, flags, end.</summary>
    public (long Observations, long Next, long Actions, long Rewards, long Flags, long End) Sections(long start)
    {
        static long Aligned(long position) => (position + Alignment - 1) / Alignment * Alignment;
        var observations = Aligned(start);
        var next = Aligned(observations + (4L * Count * ObservationSize));
        var actions = Aligned(next + (HasNextObservations ? 4L * Count * ObservationSize : 0));
        var rewards = Aligned(actions + (4L * Count * ActionSize));
        var flags = Aligned(rewards + (4L * Count));
        return (observations, next, actions, rewards, flags, flags + Count);
    }
}
