using System.Text.Json.Nodes;
using Tilt.Environments;
using Tilt.Inference;
using Tilt.OfflineRl.Algorithms;
using Tilt.Runs;

namespace Tilt.OfflineRl.Evaluation;

/// <summary>Which policy of a run acts, and how it is set.</summary>
/// <param name="Method">A method of the run, or <see cref="Behavior"/>.</param>
/// <param name="Beta">β.</param>
/// <param name="Scale">The guidance scale s; exact at 1 only.</param>
public sealed record PolicyChoice(string Method, double Beta, double Scale)
{
    /// <summary>The name of the behavior model as a policy: diffusion behavior cloning.</summary>
    public const string Behavior = "behavior";

    /// <summary>The behavior model.</summary>
    public static PolicyChoice Cloning { get; } = new(Behavior, 0, 0);

    /// <summary>The same, with what does not matter set to zero: guidance by 0 of anything is the behavior model.</summary>
    public PolicyChoice Plain => Method == Behavior || Scale == 0 || Beta == 0 ? Cloning : this;

    /// <inheritdoc/>
    public override string ToString() =>
        this == Cloning ? Behavior : FormattableString.Invariant($"{Method} β={Beta} s={Scale}");
}

/// <summary>Evaluates the policies of a QGPO run, episode by episode, and keeps every episode in evaluation.jsonl.</summary>
/// <remarks>
/// An evaluation that is there already, of the same weights with the same seed and number of episodes, is read, not repeated. So a
/// table that was interrupted goes on.
/// </remarks>
public sealed class RunEvaluation : IDisposable
{
    private readonly string _run;
    private readonly EpisodeRunner _runner;
    private readonly EnvironmentTask _task;
    private readonly long _seed;
    private readonly Dictionary<string, Policy> _saved = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _hashes = new(StringComparer.Ordinal);
    private QgpoModel? _model;

    /// <summary>Evaluations of a run.</summary>
    /// <param name="run">The run's folder.</param>
    /// <param name="task">The environment.</param>
    /// <param name="seed">Decides starts and noise; the same for all that shall be compared.</param>
    /// <param name="threads">Threads that step environments and act; 0 for one per processor.</param>
    public RunEvaluation(string run, EnvironmentTask task, long seed, int threads = 0)
    {
        (_run, _task, _seed) = (run, task, seed);
        Threads = threads == 0 ? Math.Min(2, Environment.ProcessorCount) : threads;
        _runner = new(task, seed, Threads);
        Options = RunReader.Open(run).Options(QgpoJson.Default.QgpoOptions);
    }

    /// <summary>What the run was asked for.</summary>
    public QgpoOptions Options { get; }

    /// <summary>Threads that are used.</summary>
    public int Threads { get; }

    /// <summary>Whether each evaluation is made anew although it is there.</summary>
    public bool Again { get; init; }

    /// <summary>Plays episodes 0 to count − 1, or reads them where they have been played.</summary>
    /// <param name="choice">Who acts.</param>
    /// <param name="count">How many episodes.</param>
    /// <param name="progress">Told of steps done and episodes over; may be null.</param>
    /// <param name="stop">Asks to give up; nothing is written then.</param>
    public IReadOnlyList<EpisodeResult> Evaluate(
        PolicyChoice choice,
        int count,
        Action<int, int>? progress = null,
        CancellationToken stop = default
    )
    {
        ArgumentNullException.ThrowIfNull(choice);
        choice = choice.Plain;
        var hash = HashOf(choice);
        if (!Again && Recorded(choice, hash, count) is { } known)
        {
            return known;
        }
        var results = _runner.Run(ActorOf(choice), count, progress, stop);
        Record(choice, hash, results);
        return results;
    }

    /// <summary>Plays one episode again.</summary>
    /// <param name="choice">Who acts.</param>
    /// <param name="number">The episode.</param>
    /// <param name="look">Called with the environment before the first step and after each.</param>
    public EpisodeResult Replay(PolicyChoice choice, int number, Action<IEnvironment> look) =>
        _runner.Replay(ActorOf(choice.Plain), number, look);

    /// <summary>Who acts.</summary>
    /// <exception cref="TiltException">The run has no such policy.</exception>
    public Actor ActorOf(PolicyChoice choice)
    {
        ArgumentNullException.ThrowIfNull(choice);
        if (choice.Method != PolicyChoice.Behavior && ActionGuidance.Named(choice.Method).Loss is null)
        {
            return ByTensors(choice);
        }
        var policy = Saved(choice.Method);
        if (choice == PolicyChoice.Cloning)
        {
            return policy.Behavior().Act;
        }
        policy = policy.Record.Guidance!.Beta == choice.Beta ? policy : policy.AtBeta(choice.Beta);
        return policy.Guided(choice.Scale).Act;
    }

    /// <inheritdoc/>
    public void Dispose() => _model?.Dispose();

    /// <summary>Actions by tensors, for what cannot be saved as a policy.</summary>
    private Actor ByTensors(PolicyChoice choice)
    {
        _model ??= QgpoModel.Load(_run);
        var model = _model;
        return (observations, seeds, actions) =>
        {
            using var scope = NewDisposeScope();
            var noise = new float[seeds.Length * model.ActionSize];
            for (var row = 0; row < seeds.Length; row++)
            {
                var random = new RandomStream(seeds[row], "noise");
                for (var i = 0; i < model.ActionSize; i++)
                {
                    noise[row * model.ActionSize + i] = (float)random.Normal();
                }
            }
            var s = tensor(observations.ToArray(), [seeds.Length, model.ObservationSize]);
            var xT = tensor(noise, [seeds.Length, model.ActionSize]);
            model
                .Act(choice.Method, s, choice.Beta, choice.Scale, xT)
                .contiguous()
                .data<float>()
                .ToArray()
                .CopyTo(actions);
        };
    }

    private Policy Saved(string method)
    {
        if (_saved.TryGetValue(method, out var known))
        {
            return known;
        }
        var file = FileOf(method);
        _hashes[method] = file.Hash();
        return _saved[method] = new(file, new() { Threads = Threads, Lanes = Options.Kernels }, _run);
    }

    private PolicyFile FileOf(string method)
    {
        // Any policy of the run holds the behavior model.
        var path =
            method == PolicyChoice.Behavior
                ? Path.Combine(_run, PolicyFile.DefaultName)
                : QgpoRun.PolicyOf(_run, Options, method);
        if (File.Exists(path))
        {
            return PolicyFile.Read(path);
        }
        _model ??= QgpoModel.Load(_run);
        return _model.PolicyFile(method == PolicyChoice.Behavior ? null : method);
    }

    private string HashOf(PolicyChoice choice)
    {
        var method =
            choice.Method == PolicyChoice.Behavior || ActionGuidance.Named(choice.Method).Loss is not null
                ? choice.Method
                : PolicyChoice.Behavior;
        _ = Saved(method);
        return _hashes[method][..16];
    }

    private EpisodeResult[]? Recorded(PolicyChoice choice, string hash, int count)
    {
        var found = new EpisodeResult?[count];
        foreach (var line in RunReader.Open(_run).Evaluations())
        {
            if (
                line.Text("policy") == hash
                && line.Text("method") == choice.Method
                && line.Number("beta") == choice.Beta
                && line.Number("scale") == choice.Scale
                && line.Number("seed") == _seed
                && line.Text("environment") == _task.Name
                && line.Number("episode") is { } number
                && number < count
            )
            {
                found[(int)number] = new(
                    (int)number,
                    line.Number("return")!.Value,
                    (int)line.Number("length")!.Value,
                    line.Fields["terminated"]!.GetValue<bool>(),
                    line.Number("score")
                );
            }
        }
        return found.Any(result => result is null) ? null : [.. found.Select(result => result!.Value)];
    }

    private void Record(PolicyChoice choice, string hash, IReadOnlyList<EpisodeResult> results)
    {
        var step = RunReader.Open(_run).Status()?.Step ?? 0;
        using var run = RunFolder.Attach(_run);
        foreach (var result in results)
        {
            run.Evaluations.Append(
                step,
                [
                    new("environment", _task.Name),
                    new("policy", hash),
                    new("method", choice.Method),
                    new("beta", choice.Beta),
                    new("scale", choice.Scale),
                    new("seed", _seed),
                    new("episode", result.Number),
                    new("return", result.Return),
                    new("length", result.Length),
                    new("terminated", result.Terminated),
                    new("score", result.Score is { } score ? JsonValue.Create(score) : null),
                ]
            );
        }
        run.Evaluations.Force();
    }
}
