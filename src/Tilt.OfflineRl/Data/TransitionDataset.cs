namespace Tilt.OfflineRl.Data;

/// <summary>Transitions (s, a, r, s′, terminated) out of recorded steps: a struct of arrays, float32, immutable.</summary>
/// <remarks>
/// Observations and actions stay where the steps keep them, usually in a mapped file; a transition is the number of its step. So
/// 2·10⁶ transitions of 111 dimensions cost 0.9 GB of mapped file, once, for s and s′ together. The steps must outlive it.
/// </remarks>
public sealed class TransitionDataset
{
    private readonly int[] _steps;
    private readonly float[] _rewards;
    private readonly float[] _terminated;

    private TransitionDataset(
        RecordedSteps recorded,
        TransitionOptions options,
        int[] steps,
        float[] rewards,
        float[] terminated
    )
    {
        (Recorded, Options, _steps, _rewards, _terminated) = (recorded, options, steps, rewards, terminated);
    }

    /// <summary>The steps they were made of.</summary>
    public RecordedSteps Recorded { get; }

    /// <summary>How they were made.</summary>
    public TransitionOptions Options { get; }

    /// <summary>The number of transitions.</summary>
    public int Count => _steps.Length;

    /// <summary>S, the size of an observation.</summary>
    public int ObservationSize => Recorded.ObservationSize;

    /// <summary>A, the size of an action.</summary>
    public int ActionSize => Recorded.ActionSize;

    /// <summary>Rewards, tuned or not, [Count].</summary>
    public ReadOnlySpan<float> Rewards => _rewards;

    /// <summary>1 where the task's own rule ended the episode, so that nothing is bootstrapped, else 0; [Count].</summary>
    public ReadOnlySpan<float> Terminated => _terminated;

    /// <summary>The step that each transition starts from, [Count].</summary>
    public ReadOnlySpan<int> Steps => _steps;

    /// <summary>Makes transitions as D4RL's <c>qlearning_dataset</c> does.</summary>
    /// <param name="recorded">The steps.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <remarks>
    /// Step i of 0 … N − 2 becomes (s_i, a_i, r_i, s_{i+1}, terminal_i). Where it is the last of a cut-off episode it is dropped, even if it is
    /// terminal too. A terminal step keeps the next episode's first observation as s′, which terminated masks. Without marks the step
    /// count decides; it starts at 0, but at 1 after a terminal step, as in D4RL. <see cref="TransitionOptions.TerminateOnEnd"/> keeps cut-off
    /// steps without setting terminated, again as D4RL's code does.
    /// Departure: where next observations are recorded (and were read), every step becomes a transition with its own s′.
    /// </remarks>
    /// <exception cref="DataException">No transition can be made, or nothing says where episodes are cut off.</exception>
    public static TransitionDataset FromSteps(RecordedSteps recorded, TransitionOptions? options = null)
    {
        options ??= new();
        if (!recorded.HasTruncated && !recorded.HasNextObservations && options.EpisodeSteps is null)
        {
            throw new DataException(
                recorded.Source,
                "timeouts",
                "no field that marks where episodes were cut off",
                "such a field, or the task's step limit",
                "Give the step limit (EpisodeSteps, --episode-steps), or record timeouts."
            );
        }
        var (count, steps) = Kept(recorded, options);
        if (count == 0)
        {
            throw new DataException(
                recorded.Source,
                "the steps",
                $"{recorded.Count} steps that make no transition",
                "at least two steps in a row of one episode",
                "Record more steps, or check the flags that end episodes."
            );
        }
        Array.Resize(ref steps, count);
        var (rewards, terminated) = (new float[count], new float[count]);
        for (var k = 0; k < count; k++)
        {
            rewards[k] = recorded.Rewards[steps[k]];
            terminated[k] = recorded.Terminated(steps[k]) ? 1 : 0;
        }
        return new(recorded, options, steps, rewards, terminated);
    }

    /// <summary>The same transitions with rewards changed by a tuning, such as <see cref="RewardTunings.IqlLocomotion"/>.</summary>
    public TransitionDataset Tuned(RewardTuning tuning)
    {
        var rewards = tuning(this);
        if (rewards.Length != Count)
        {
            throw new ArgumentException($"The tuning made {rewards.Length} rewards of {Count}.", nameof(tuning));
        }
        return new(Recorded, Options, _steps, rewards, _terminated);
    }

    /// <summary>s of a transition, [S].</summary>
    public ReadOnlySpan<float> Observation(int transition) => Recorded.Observation(_steps[transition]);

    /// <summary>a of a transition, [A], as recorded.</summary>
    public ReadOnlySpan<float> Action(int transition) => Recorded.Action(_steps[transition]);

    /// <summary>s′ of a transition, [S].</summary>
    public ReadOnlySpan<float> NextObservation(int transition) =>
        Recorded.HasNextObservations
            ? Recorded.NextObservation(_steps[transition])
            : Recorded.Observation(_steps[transition] + 1);

    /// <summary>Copies s of consecutive transitions, as for computing something for all states once.</summary>
    /// <param name="first">The first transition.</param>
    /// <param name="into">Room for a whole number of observations, row after row.</param>
    public void CopyObservations(int first, Span<float> into)
    {
        for (var k = first; into.Length > 0; k++)
        {
            Observation(k).CopyTo(into);
            into = into[ObservationSize..];
        }
    }

    /// <summary>Copies s′ of consecutive transitions.</summary>
    /// <param name="first">The first transition.</param>
    /// <param name="into">Room for a whole number of observations, row after row.</param>
    public void CopyNextObservations(int first, Span<float> into)
    {
        for (var k = first; into.Length > 0; k++)
        {
            NextObservation(k).CopyTo(into);
            into = into[ObservationSize..];
        }
    }

    /// <summary>Mean and standard deviation of every dimension of s over all transitions.</summary>
    /// <returns>Two arrays of S numbers. The deviation divides by the number of transitions, as numpy does by default.</returns>
    /// <remarks>Accumulated in float64 by Welford's recurrence.</remarks>
    public (double[] Mean, double[] Deviation) ObservationMoments()
    {
        var (mean, squares) = (new double[ObservationSize], new double[ObservationSize]);
        for (var k = 0; k < Count; k++)
        {
            var observation = Observation(k);
            for (var j = 0; j < mean.Length; j++)
            {
                var away = observation[j] - mean[j];
                mean[j] += away / (k + 1);
                squares[j] += away * (observation[j] - mean[j]);
            }
        }
        return (mean, Array.ConvertAll(squares, sum => Math.Sqrt(sum / Count)));
    }

    /// <summary>Copies transitions by number into rows: what a batch does. Allocates nothing.</summary>
    internal void Gather(
        ReadOnlySpan<long> transitions,
        Span<float> observations,
        Span<float> actions,
        Span<float> rewards,
        Span<float> nextObservations,
        Span<float> terminated
    )
    {
        var storage = Recorded.Storage;
        storage.ExpectOpen();
        var (s, a) = (ObservationSize, ActionSize);
        var successors = Recorded.HasNextObservations
            ? storage.NextObservations
            : storage.Observations.Slice(1, Recorded.Count - 1);
        for (var i = 0; i < transitions.Length; i++)
        {
            var k = transitions[i];
            var step = _steps[k];
            storage.Observations[step].CopyTo(observations.Slice(i * s, s));
            storage.Actions[step].CopyTo(actions.Slice(i * a, a));
            successors[step].CopyTo(nextObservations.Slice(i * s, s));
            rewards[i] = _rewards[k];
            terminated[i] = _terminated[k];
        }
    }

    private static (int Count, int[] Steps) Kept(RecordedSteps recorded, TransitionOptions options)
    {
        var steps = new int[recorded.Count];
        if (recorded.HasNextObservations)
        {
            for (var i = 0; i < steps.Length; i++)
            {
                steps[i] = i;
            }
            return (steps.Length, steps);
        }
        var (count, step) = (0, 0);
        for (var i = 0; i + 1 < recorded.Count; i++)
        {
            var final = recorded.HasTruncated ? recorded.Truncated(i) : step == options.EpisodeSteps - 1;
            if (final && !options.TerminateOnEnd)
            {
                step = 0;
                continue;
            }
            if (final || recorded.Terminated(i))
            {
                step = 0;
            }
            steps[count++] = i;
            step++;
        }
        return (count, steps);
    }
}
