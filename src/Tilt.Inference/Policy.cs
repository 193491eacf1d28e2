using System.Collections.Concurrent;
using Tilt.Model;

namespace Tilt.Inference;

/// <summary>How a policy computes; what it computes is in its file.</summary>
public sealed record PolicyOptions
{
    /// <summary>How the weights are stored in memory.</summary>
    /// <value>Float32. BFloat16 acts faster and moves actions a little.</value>
    public WeightStorage Storage { get; init; } = WeightStorage.Float32;

    /// <summary>Threads that one call may use. Two go through a single action in step; more share large batches.</summary>
    /// <value>Two where the machine has them.</value>
    public int Threads { get; init; } = Math.Min(2, Environment.ProcessorCount);

    /// <summary>The vectors to use; null for the processor's widest.</summary>
    public LaneWidth? Lanes { get; init; }
}

/// <summary>A saved policy that acts, without libtorch: observations in, actions out.</summary>
/// <remarks>
/// An action is a function of observation and seed: the same bits alone or in a batch, on one thread or two, at any time. Any number of threads
/// may call one policy at once; each call takes working memory from a pool, and a call that finds the helper thread taken
/// works alone. Results may differ in their last bits between processors of different vector widths.
/// </remarks>
public sealed class Policy
{
    // Rows of a chunk pass together through the layers: a multiple of 12, the rows of the largest block of the kernels.
    private const int ChunkRows = 144;

    private readonly PolicyWeights _weights;
    private readonly PolicySetting _setting;
    private readonly PolicyOptions _options;
    private readonly Team _team;
    private readonly float[] _mean;
    private readonly float[] _inverseDeviation;
    private readonly ConcurrentDictionary<(int Capacity, int Candidates), ConcurrentBag<PolicyProgram>> _programs =
        new();

    /// <summary>A policy from a file that has been read.</summary>
    /// <param name="file">The saved policy.</param>
    /// <param name="options">How to compute; null for the defaults.</param>
    /// <param name="where">What to call the file in messages.</param>
    /// <exception cref="TiltException">Its tensors do not fit its record.</exception>
    public Policy(PolicyFile file, PolicyOptions? options = null, string where = "the policy")
    {
        _options = options ?? new();
        if (_options.Threads < 1)
        {
            throw TiltException.Usage($"threads is {_options.Threads}; expected 1 or more.");
        }
        file.Record.Validate(where);
        Record = file.Record;
        _weights = new(file, where, _options.Storage, _options.Lanes ?? Processor.Lanes);
        _setting = Set();
        _team = new();
        _mean = Narrow(Record.ObservationMean, 0);
        _inverseDeviation = [.. Narrow(Record.ObservationDeviation, 1).Select(deviation => 1 / deviation)];

        float[] Narrow(IReadOnlyList<double>? values, float otherwise) =>
            values is null
                ? [.. Enumerable.Repeat(otherwise, ObservationDimensions)]
                : [.. values.Select(value => (float)value)];
    }

    private Policy(Policy from, PolicyRecord record)
    {
        Record = record;
        (_options, _weights, _team) = (from._options, from._weights, from._team);
        (_mean, _inverseDeviation) = (from._mean, from._inverseDeviation);
        _setting = Set();
    }

    /// <summary>Loads a saved policy.</summary>
    /// <param name="path">The file, or the folder of a run that holds <c>policy.safetensors</c>.</param>
    /// <param name="options">How to compute; null for the defaults.</param>
    /// <exception cref="TiltException">It is missing, damaged, or no policy.</exception>
    public static Policy Load(string path, PolicyOptions? options = null)
    {
        if (Directory.Exists(path))
        {
            var inside = Path.Combine(path, PolicyFile.DefaultName);
            path = File.Exists(inside)
                ? inside
                : throw new TiltException(
                    $"{path}: holds no {PolicyFile.DefaultName}; expected the folder of a run whose policy has been saved. Let the training "
                        + "finish, or export the run."
                );
        }
        return new(PolicyFile.Read(path), options, path);
    }

    /// <summary>What the policy is and how it is set.</summary>
    public PolicyRecord Record { get; }

    /// <summary>S.</summary>
    public int ObservationDimensions => Record.ObservationDimensions;

    /// <summary>A.</summary>
    public int ActionDimensions => Record.ActionDimensions;

    /// <summary>The same policy with another guidance scale. Shares the weights.</summary>
    /// <param name="scale">The factor of ∇E_t; 1 is exact, 0 is <see cref="Behavior"/>.</param>
    /// <exception cref="TiltException">The policy has no guidance, or the scale is not finite.</exception>
    public Policy Guided(double scale) =>
        new(this, Record with { Guidance = Guidance() with { Scale = Finite(scale, "scale") } });

    /// <summary>The same policy at another β of its dial. Shares the weights.</summary>
    /// <param name="beta">β, in the dial's range.</param>
    /// <exception cref="TiltException">There is no dial, or β is outside its range.</exception>
    public Policy AtBeta(double beta)
    {
        var guidance = Guidance();
        if (guidance.MaximumBeta is not { } largest)
        {
            throw TiltException.Usage(
                $"the policy has no beta dial: it was trained for beta {guidance.Beta}. Train one with a dial, or vary the guidance scale."
            );
        }
        if (!(beta >= 0 && beta <= largest))
        {
            throw TiltException.Usage(
                $"beta {beta} is outside the policy's dial [0, {largest}]. Choose one inside it."
            );
        }
        return new(this, Record with { Guidance = guidance with { Beta = beta } });
    }

    /// <summary>The behavior policy beneath it: guidance off. Shares the weights.</summary>
    public Policy Behavior() => Record.Guidance is null ? this : Guided(0);

    /// <summary>The same policy sampled by another solver. Shares the weights.</summary>
    /// <param name="solver">The solver, its plan made with the policy's own schedule.</param>
    /// <exception cref="TiltException">The plan leaves the times that the networks are trained at.</exception>
    public Policy SolvedBy(PolicySolver solver)
    {
        var record = Record with { Solver = solver };
        record.Validate("the solver");
        return new(this, record);
    }

    /// <summary>The action for one observation.</summary>
    /// <param name="observation">s, [S], as the environment gives it.</param>
    /// <param name="seed">Decides the starting noise: a stochastic policy takes a new one at every step.</param>
    /// <returns>a, [A].</returns>
    public float[] Act(ReadOnlySpan<float> observation, long seed)
    {
        var action = new float[ActionDimensions];
        Act(observation, [seed], action);
        return action;
    }

    /// <summary>The actions for a batch of observations, one each.</summary>
    /// <param name="observations">[states, S], row-major.</param>
    /// <param name="seeds">One per state: <c>seeds[i]</c> gives state i the action that <see cref="Act(ReadOnlySpan{float}, long)"/> gives it.</param>
    /// <param name="actions">Receives [states, A].</param>
    /// <exception cref="TiltException">The lengths do not fit together.</exception>
    public void Act(ReadOnlySpan<float> observations, ReadOnlySpan<long> seeds, Span<float> actions) =>
        Run(observations, seeds.Length, 1, seeds, 0, [], actions);

    /// <summary>Several actions for each of a batch of observations, such as the support of a critic's backup.</summary>
    /// <param name="observations">[states, S], row-major.</param>
    /// <param name="candidates">Actions of each state.</param>
    /// <param name="seed">Candidate c of state i draws from the seed and i·candidates + c.</param>
    /// <param name="actions">Receives [states, candidates, A].</param>
    /// <exception cref="TiltException">The lengths do not fit together.</exception>
    public void Sample(ReadOnlySpan<float> observations, int candidates, long seed, Span<float> actions)
    {
        if (candidates < 1)
        {
            throw TiltException.Usage($"candidates is {candidates}; expected 1 or more.");
        }
        Run(observations, observations.Length / ObservationDimensions, candidates, [], seed, [], actions);
    }

    /// <summary>The actions that given starting noise leads to.</summary>
    /// <param name="observations">[states, S], row-major.</param>
    /// <param name="noise">x_T, [states, candidates, A]; as many candidates as it has room for.</param>
    /// <param name="actions">Receives [states, candidates, A].</param>
    /// <exception cref="TiltException">The lengths do not fit together.</exception>
    public void Denoise(ReadOnlySpan<float> observations, ReadOnlySpan<float> noise, Span<float> actions)
    {
        var states = observations.Length / ObservationDimensions;
        var candidates = states == 0 ? 1 : Math.Max(1, noise.Length / (states * ActionDimensions));
        if (noise.Length != actions.Length)
        {
            throw TiltException.Usage(
                $"{noise.Length} numbers of noise for {actions.Length} of actions; expected as many."
            );
        }
        Run(observations, states, candidates, [], 0, noise, actions);
    }

    private void Run(
        ReadOnlySpan<float> observations,
        int states,
        int candidates,
        ReadOnlySpan<long> seeds,
        long seed,
        ReadOnlySpan<float> noise,
        Span<float> actions
    )
    {
        if (
            observations.Length != (long)states * ObservationDimensions
            || actions.Length != (long)states * candidates * ActionDimensions
        )
        {
            throw TiltException.Usage(
                $"{observations.Length} numbers of observations and {actions.Length} of actions for {states} states with {candidates} "
                    + $"actions each; expected {(long)states * ObservationDimensions} and {(long)states * candidates * ActionDimensions}: the "
                    + $"policy takes {ObservationDimensions} and gives {ActionDimensions} coordinates."
            );
        }
        var capacity = states == 1 ? 1 : Math.Max(1, ChunkRows / candidates);
        var chunks = (states + capacity - 1) / capacity;
        if (chunks <= 1 || _options.Threads == 1)
        {
            var together = _options.Threads > 1 && chunks == 1 && _team.TryEnter();
            try
            {
                for (var chunk = 0; chunk < chunks; chunk++)
                {
                    RunChunk(chunk, observations, seeds, noise, actions, together);
                }
            }
            finally
            {
                if (together)
                {
                    _team.Leave();
                }
            }
            return;
        }
        RunChunksApart(observations, seeds, noise, actions);

        void RunChunk(
            int chunk,
            ReadOnlySpan<float> observations,
            ReadOnlySpan<long> seeds,
            ReadOnlySpan<float> noise,
            Span<float> actions,
            bool together
        )
        {
            var first = chunk * capacity;
            var count = Math.Min(capacity, states - first);
            var pool = _programs.GetOrAdd((capacity, candidates), static _ => []);
            if (!pool.TryTake(out var program))
            {
                program = new(_setting, ObservationDimensions, ActionDimensions, capacity, candidates);
            }
            Normalize(
                observations.Slice(first * ObservationDimensions, count * ObservationDimensions),
                program.Observations(count)
            );
            var row = candidates * ActionDimensions;
            var start = program.Noise(count);
            if (!noise.IsEmpty)
            {
                noise.Slice(first * row, count * row).CopyTo(start);
            }
            for (var i = 0; noise.IsEmpty && i < count * candidates; i++)
            {
                var own = start.Slice(i * ActionDimensions, ActionDimensions);
                if (seeds.IsEmpty)
                {
                    Normals.Fill(seed, (long)first * candidates + i, own);
                }
                else
                {
                    Normals.Fill(seeds[first + i], 0, own);
                }
            }
            var sampled = program.Run(count, together ? _team : null);
            Finish(sampled, actions.Slice(first * row, count * row));
            pool.Add(program);
        }

        unsafe void RunChunksApart(
            ReadOnlySpan<float> observations,
            ReadOnlySpan<long> seeds,
            ReadOnlySpan<float> noise,
            Span<float> actions
        )
        {
            fixed (
                float* o = observations,
                    n = noise,
                    a = actions
            )
            fixed (long* s = seeds)
            {
                // Spans cannot enter a lambda, addresses can; all of them outlive the loop.
                var (oAt, nAt, aAt, sAt) = ((nint)o, (nint)n, (nint)a, (nint)s);
                var (oLength, nLength, aLength, sLength) = (
                    observations.Length,
                    noise.Length,
                    actions.Length,
                    seeds.Length
                );
                Parallel.For(
                    0,
                    chunks,
                    new ParallelOptions { MaxDegreeOfParallelism = _options.Threads },
                    chunk =>
                        RunChunk(
                            chunk,
                            new((float*)oAt, oLength),
                            new((long*)sAt, sLength),
                            new((float*)nAt, nLength),
                            new((float*)aAt, aLength),
                            false
                        )
                );
            }
        }
    }

    private void Normalize(ReadOnlySpan<float> observations, Span<float> normalized)
    {
        for (var i = 0; i < observations.Length; i++)
        {
            var k = i % ObservationDimensions;
            normalized[i] = (observations[i] - _mean[k]) * _inverseDeviation[k];
        }
    }

    private void Finish(ReadOnlySpan<float> sampled, Span<float> actions)
    {
        if (!Record.ClipActions)
        {
            sampled.CopyTo(actions);
            return;
        }
        for (var i = 0; i < sampled.Length; i++)
        {
            var k = i % ActionDimensions;
            actions[i] = Math.Clamp(sampled[i], (float)Record.ActionLow[k], (float)Record.ActionHigh[k]);
        }
    }

    private PolicySetting Set() =>
        new(
            _weights,
            Record.Solver.Plan(NoiseSchedules.Parse(Record.Schedule)),
            Record.Parametrization,
            Record.Guidance?.Beta,
            Record.Guidance?.Scale ?? 0
        );

    private PolicyGuidance Guidance() =>
        Record.Guidance
        ?? throw TiltException.Usage(
            "the policy has no guidance: it was saved as a behavior policy. Export the guided one."
        );

    private static double Finite(double value, string what) =>
        double.IsFinite(value)
            ? value
            : throw TiltException.Usage($"the guidance {what} is {value}; expected a finite number.");
}
