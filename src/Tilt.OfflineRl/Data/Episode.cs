namespace Tilt.OfflineRl.Data;

/// <summary>A run of recorded steps from a reset to an end.</summary>
/// <param name="Start">Its first step.</param>
/// <param name="Length">How many steps it has, the last one included.</param>
/// <param name="Terminated">Whether the task's own rule ended it.</param>
/// <param name="Truncated">Whether it was cut off: by a mark in the data, or by the step limit where the data have none.</param>
/// <param name="Return">The sum of its rewards, undiscounted.</param>
public readonly record struct Episode(int Start, int Length, bool Terminated, bool Truncated, double Return);
