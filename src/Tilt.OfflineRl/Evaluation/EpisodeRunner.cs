using System.Buffers.Binary;
using System.Security.Cryptography;
using Tilt.Environments;

namespace Tilt.OfflineRl.Evaluation;

/// <summary>Chooses actions for a batch of observations, one seed each.</summary>
/// <param name="observations">[rows, S], as the environments give them.</param>
/// <param name="seeds">[rows]: an action is a function of observation and seed, whatever stands in the other rows.</param>
/// <param name="actions">Receives [rows, A].</param>
public delegate void Actor(ReadOnlySpan<float> observations, ReadOnlySpan<long> seeds, Span<float> actions);

/// <summary>What became of one episode.</summary>
/// <param name="Number">Its number: it decides the start and the noise, the same for every policy.</param>
/// <param name="Return">The sum of its rewards, undiscounted.</param>
/// <param name="Length">Steps.</param>
/// <param name="Terminated">Whether the task's own rule ended it.</param>
/// <param name="Score">D4RL's normalized score in percent; null where the task has none.</param>
public readonly record struct EpisodeResult(int Number, double Return, int Length, bool Terminated, double? Score);

/// <summary>Runs whole episodes of a policy, many side by side.</summary>
/// <remarks>
/// Episode i starts in the state, and draws the noise, that its number and the seed decide: whichever policy acts and whatever else
/// runs beside it. So policies are compared on pairs, and an episode can be played again alone, bit for bit, to be drawn.
/// </remarks>
public sealed class EpisodeRunner
{
    private const string Starts = "evaluation";

    private readonly EnvironmentTask _task;
    private readonly long _seed;
    private readonly int _threads;

    /// <summary>A runner of episodes of a task.</summary>
    /// <param name="task">What to do.</param>
    /// <param name="seed">Decides starts and noise.</param>
    /// <param name="threads">Threads that step environments; 0 for one per processor.</param>
    public EpisodeRunner(EnvironmentTask task, long seed, int threads = 0)
    {
        (_task, _seed, _threads) = (task, seed, threads);
    }

    /// <summary>Plays episodes 0 to count − 1, each once.</summary>
    /// <param name="actor">Who acts.</param>
    /// <param name="count">How many.</param>
    /// <param name="progress">Told of steps done and of episodes over; may be null.</param>
    /// <param name="stop">Asks to give up.</param>
    /// <exception cref="EnvironmentException">An action is not a number, or the physics cannot be used here.</exception>
    public IReadOnlyList<EpisodeResult> Run(
        Actor actor,
        int count,
        Action<int, int>? progress = null,
        CancellationToken stop = default
    )
    {
        ArgumentNullException.ThrowIfNull(actor);
        using var environments = new VectorEnvironment(_task, count, _threads, _seed, Starts) { AutoReset = false };
        environments.Reset();
        var results = new EpisodeResult[count];
        var running = Enumerable.Range(0, count).ToArray();
        var (s, a) = (_task.ObservationSize, _task.ActionSize);
        var (observations, chosen, actions) = (new float[count * s], new float[count * a], new float[count * a]);
        var seeds = new long[count];
        for (var step = 0; running.Length > 0; step++)
        {
            stop.ThrowIfCancellationRequested();
            for (var row = 0; row < running.Length; row++)
            {
                environments.Observations.Slice(running[row] * s, s).CopyTo(observations.AsSpan(row * s));
                seeds[row] = SeedOf(running[row], step);
            }
            actor(
                observations.AsSpan(0, running.Length * s),
                seeds.AsSpan(0, running.Length),
                chosen.AsSpan(0, running.Length * a)
            );
            for (var row = 0; row < running.Length; row++)
            {
                chosen.AsSpan(row * a, a).CopyTo(actions.AsSpan(running[row] * a));
            }
            environments.Step(actions);
            foreach (var i in running)
            {
                if (environments.Terminated[i] || environments.Truncated[i])
                {
                    results[i] = Result(
                        i,
                        environments.Returns[i],
                        environments.Lengths[i],
                        environments.Terminated[i]
                    );
                }
            }
            if (running.Any(i => environments.Waiting[i]))
            {
                running = Array.FindAll(running, i => !environments.Waiting[i]);
            }
            progress?.Invoke(step + 1, count - running.Length);
        }
        return results;
    }

    /// <summary>Plays one episode again, with a look at every step.</summary>
    /// <param name="actor">Who acts.</param>
    /// <param name="number">The episode.</param>
    /// <param name="look">Called with the environment before the first step and after each.</param>
    public EpisodeResult Replay(Actor actor, int number, Action<IEnvironment> look)
    {
        ArgumentNullException.ThrowIfNull(actor);
        ArgumentNullException.ThrowIfNull(look);
        using var environment = _task.Create();
        environment.Reset(new RandomStream(_seed, $"{Starts}/{number}"));
        look(environment);
        var (observation, action) = (new float[_task.ObservationSize], new float[_task.ActionSize]);
        Span<long> seed = stackalloc long[1];
        var total = 0.0;
        while (true)
        {
            for (var i = 0; i < observation.Length; i++)
            {
                observation[i] = (float)environment.Observation[i];
            }
            seed[0] = SeedOf(number, environment.Steps);
            actor(observation, seed, action);
            var result = environment.Step(action);
            total += result.Reward;
            look(environment);
            if (result.Ended)
            {
                return Result(number, total, environment.Steps, result.Terminated);
            }
        }
    }

    private EpisodeResult Result(int number, double total, int length, bool terminated) =>
        new(number, total, length, terminated, _task.Score is null ? null : 100 * _task.NormalizedScore(total));

    /// <summary>The seed of an action's noise. Non-negative.</summary>
    private long SeedOf(int episode, int step)
    {
        Span<byte> text = stackalloc byte[16];
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        BinaryPrimitives.WriteInt64LittleEndian(text, _seed);
        BinaryPrimitives.WriteInt32LittleEndian(text[8..], episode);
        BinaryPrimitives.WriteInt32LittleEndian(text[12..], step);
        SHA256.HashData(text, digest);
        return BinaryPrimitives.ReadInt64LittleEndian(digest) & long.MaxValue;
    }
}
