using System.Text.Json.Serialization;
using Tilt.Runs;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Training;

/// <summary>Options of the toy training below.</summary>
public sealed record ToyOptions
{
    [MayChangeOnResume]
    public long Steps { get; init; } = 60;

    public long SecondSteps { get; init; } = 20;

    public double LearningRate { get; init; } = 0.05;

    public long Seed { get; init; } = 7;

    /// <summary>Milliseconds that a step sleeps, so that a signal finds it at work.</summary>
    [MayChangeOnResume]
    public int Pause { get; init; }

    /// <summary>The step whose loss is NaN; −1 for none.</summary>
    [MayChangeOnResume]
    public long NanAt { get; init; } = -1;

    /// <summary>Whether to record the process's memory.</summary>
    [MayChangeOnResume]
    public bool Watch { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ToyOptions))]
public sealed partial class ToyJson : JsonSerializerContext;

/// <summary>Gradient descent with momentum, with a lazy host copy of its step count as real optimizers have.</summary>
public sealed class ToyMomentum : IStateful, IDisposable
{
    private readonly List<(string Name, TorchSharp.Modules.Parameter Parameter, Tensor Velocity)> _slots = [];
    private readonly Tensor _steps = zeros([], dtype: ScalarType.Int64).DetachFromDisposeScope();

    public ToyMomentum(nn.Module module)
    {
        foreach (var (name, parameter) in module.named_parameters())
        {
            _slots.Add((name, parameter, zeros_like(parameter).detach().DetachFromDisposeScope()));
        }
    }

    /// <summary>Kept on the host; <see cref="StateLoaded"/> has to bring it back.</summary>
    public long Steps { get; private set; }

    public void Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        using var recording = no_grad();
        Steps++;
        _steps.fill_(Steps);
        foreach (var (_, parameter, velocity) in _slots)
        {
            // The rate falls with the steps, so a lost count shows in the weights.
            velocity.mul_(0.9).add_(parameter.grad!);
            parameter.add_(velocity, alpha: -learningRate / (1 + 0.01 * Steps));
            parameter.grad!.zero_();
        }
    }

    public IEnumerable<(string Name, Tensor Value)> NamedState() =>
        _slots.Select(slot => (slot.Name, slot.Velocity)).Append(("steps", _steps));

    public void StateLoaded() => Steps = _steps.item<long>();

    public void Dispose()
    {
        _slots.ForEach(slot => slot.Velocity.Dispose());
        _steps.Dispose();
    }
}

/// <summary>A regression of a few hundred weights in two stages: as small as a training can be and have every kind of state.</summary>
public sealed class ToyTraining : IDisposable
{
    private readonly ToyOptions _options;
    private readonly RandomStreams _streams;
    private readonly nn.Module<Tensor, Tensor> _network;
    private readonly ToyMomentum _optimizer;
    private readonly Tensor _average;
    private Tensor? _prepared;
    private long _seen;

    public ToyTraining(ToyOptions options)
    {
        _options = options;
        _streams = new RandomStreams(options.Seed);
        _network = nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 1));
        using (no_grad())
        {
            foreach (var parameter in _network.parameters())
            {
                parameter.uniform_(-0.4, 0.4, _streams["weights"]);
            }
        }
        _optimizer = new ToyMomentum(_network);
        _average = zeros([], dtype: ScalarType.Float64).DetachFromDisposeScope();
        State = new TrainingState(_streams)
            .AddModule("network", _network)
            .AddOptimizer("momentum", _optimizer)
            .AddModel("average", _average)
            .AddCounter("seen", () => _seen, value => _seen = value);
        State.Metadata["parametrization"] = "toy";
    }

    public TrainingState State { get; }

    public IReadOnlyList<Stage> Stages =>
        [
            new Stage("first", _options.Steps, FirstStep),
            new Stage("second", _options.SecondSteps, SecondStep) { Prepare = PrepareSecond },
        ];

    /// <summary>All weights and optimizer state and counters in one text: equal texts are equal bits.</summary>
    public string Fingerprint()
    {
        using var scope = NewDisposeScope();
        var hashes = State
            .ModelTensors.Concat(State.OptimizerTensors)
            .Select(tensor => $"{tensor.Name}={ContentHash.Of(tensor.Value)}")
            .Concat(_streams.States().Select(stream => $"{stream.Key}={ContentHash.Of(stream.Value)}"))
            .Append($"seen={_seen}");
        return string.Join("\n", hashes);
    }

    /// <summary>Trains in a folder and gives the fingerprint.</summary>
    public static string TrainIn(
        string? folder,
        ToyOptions options,
        TrainerOptions? trainer = null,
        CancellationToken stop = default,
        ITrainingProgress? progress = null,
        IReadOnlyList<TrainingHook>? hooks = null
    )
    {
        using var toy = new ToyTraining(options);
        using var run = folder is null
            ? null
            : RunFolder.Start(folder, options, ToyJson.Default.ToyOptions, RunManifest.Collect(options.Seed));
        new Trainer(toy.State, toy.Stages, trainer ?? Often, run, progress, hooks).Run(stop);
        return toy.Fingerprint();
    }

    /// <summary>Logs every 7 steps and saves every 10, so that the two fall apart.</summary>
    public static TrainerOptions Often { get; } = new() { LogEvery = 7, CheckpointEvery = 10 };

    public void Dispose()
    {
        _network.Dispose();
        _optimizer.Dispose();
        _average.Dispose();
        _prepared?.Dispose();
        _streams.Dispose();
    }

    private void FirstStep(StepContext context)
    {
        // 33 normals: an odd number, so the generator holds half a pair between steps.
        var x = randn([11, 3], generator: _streams["minibatches"]);
        Update(context, x, x.sum(-1).sin());
        if (context.TotalStep == _options.NanAt)
        {
            context.Record("loss", double.NaN);
        }
    }

    private void PrepareSecond(StageStart start) =>
        _prepared = randn([64, 3], generator: start.Streams["pool"]).DetachFromDisposeScope();

    private void SecondStep(StepContext context)
    {
        var rows = randint(64, [11], dtype: ScalarType.Int64, generator: _streams["rows"]);
        var x = _prepared!.index_select(0, rows);
        Update(context, x, x.square().sum(-1));
    }

    private void Update(StepContext context, Tensor x, Tensor y)
    {
        if (_options.Pause > 0)
        {
            Thread.Sleep(_options.Pause);
        }
        var loss = (_network.call(x).squeeze(-1) - y).square().mean();
        loss.backward();
        _optimizer.Step(_options.LearningRate);
        using (no_grad())
        {
            _average.mul_(0.99).add_(loss, alpha: 0.01);
        }
        _seen += x.shape[0];
        context.Record("loss", loss);
        context.Record("rate", _options.LearningRate);
        if (_options.Watch && context.TotalStep % 50 == 0)
        {
            context.Record("megabytes", Environment.WorkingSet / 1048576.0);
        }
    }
}
