namespace Tilt.Environments;

/// <summary>Why an episode ended.</summary>
public enum EndCause
{
    /// <summary>It goes on.</summary>
    None,

    /// <summary>The task's own rule: the robot fell, the goal was reached.</summary>
    Rule,

    /// <summary>The limit of steps.</summary>
    TimeLimit,

    /// <summary>The simulation left the finite numbers; see <see cref="IEnvironment.Divergence"/>.</summary>
    Divergence,
}

/// <summary>What a step brought.</summary>
/// <param name="Reward">r(s, a, s′).</param>
/// <param name="Terminated">No future follows: a value of s′ must not be added to the reward.</param>
/// <param name="Truncated">The trajectory ends here although a future would follow. Never together with Terminated.</param>
/// <param name="Cause">Why it ended, if it did.</param>
public readonly record struct StepResult(double Reward, bool Terminated, bool Truncated, EndCause Cause)
{
    /// <summary>Reset before the next step.</summary>
    public bool Ended => Terminated || Truncated;
}

/// <summary>A task to act in. Belongs to one thread at a time; steps allocate nothing.</summary>
public interface IEnvironment : IDisposable
{
    /// <summary>What the task is: name, sizes, limits, scores.</summary>
    EnvironmentTask Task { get; }

    /// <summary>s, as the last reset or step left it, [S]. The memory is the environment's and changes with the next step.</summary>
    ReadOnlySpan<double> Observation { get; }

    /// <summary>Steps since the last reset.</summary>
    int Steps { get; }

    /// <summary>Where and why the simulation left the finite numbers; null while it has not.</summary>
    string? Divergence { get; }

    /// <summary>Begins an episode.</summary>
    /// <param name="random">Draws the start, and the goal where the task draws one.</param>
    void Reset(RandomStream random);

    /// <summary>Acts for one control step.</summary>
    /// <param name="action">a, [A]; components beyond the task's box are clipped as the task does.</param>
    /// <remarks>
    /// Stepping on after the end is allowed and judged by the same rules, except after divergence.
    /// </remarks>
    /// <exception cref="EnvironmentException">Wrong length, a component that is not a number, or a diverged simulation.</exception>
    StepResult Step(ReadOnlySpan<double> action);

    /// <summary>Acts for one control step; the action is mapped to the motors in float32, as numpy does with float32 actions.</summary>
    /// <param name="action">a, [A].</param>
    /// <exception cref="EnvironmentException">Wrong length, a component that is not a number, or a diverged simulation.</exception>
    StepResult Step(ReadOnlySpan<float> action);

    /// <summary>Numbers that <see cref="SaveState"/> writes.</summary>
    int StateSize { get; }

    /// <summary>Writes all that decides the future, so that <see cref="RestoreState"/> continues to the bit.</summary>
    /// <param name="state">[StateSize].</param>
    void SaveState(Span<double> state);

    /// <summary>Continues from a saved state.</summary>
    /// <param name="state">What <see cref="SaveState"/> wrote for the same task, [StateSize].</param>
    void RestoreState(ReadOnlySpan<double> state);
}
