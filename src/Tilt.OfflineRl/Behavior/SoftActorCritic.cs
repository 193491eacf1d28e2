using System.Runtime.InteropServices;
using Tilt.Environments;
using Tilt.Inference;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Training;
using Activation = Tilt.Networks.Activation;

namespace Tilt.OfflineRl.Behavior;

/// <summary>Soft actor-critic: learns, by acting, a policy that earns much and stays as random as it can afford.</summary>
/// <remarks>
/// Haarnoja et al. 2018 ("Soft Actor-Critic Algorithms and Applications", with automatic temperature): it maximizes the expected
/// sum of γᵗ·(r + α·H(π(·|s))). The behavior policies of D4RL's locomotion data were trained so. Each step of the training is one step
/// of an environment, and after <see cref="SoftActorCriticOptions.RandomSteps"/> of them one update: critics toward the soft
/// Bellman target, actor uphill in min(Q₁, Q₂) + α·entropy, temperature toward the target entropy, target critics a little
/// way behind. A truncated episode bootstraps like any other step; only a terminated one does not.
/// Departures: several environments take turns; hidden products may run in bf16 (master weights, losses and optimizer are float32);
/// docs/algorithms/sac.md has the list.
/// </remarks>
public sealed class SoftActorCritic : IDisposable
{
    private readonly SoftActorCriticOptions _options;
    private readonly RandomStreams _streams;
    private readonly Rollouts _rollouts;
    private readonly ReplayMemory _memory;
    private readonly SoftActorCriticUpdate _update;
    private readonly GaussianActor _acting;
    private long _episodes;

    /// <summary>A training at its start.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="replayFile">Where the steps are kept so that a run can go on; null for nowhere.</param>
    public SoftActorCritic(SoftActorCriticOptions options, string? replayFile = null)
    {
        options.Check();
        _options = options;
        Task = Tasks.Find(options.Task);
        _streams = new(options.Seed);
        _rollouts = new(Task, options.Environments, _streams.SeedOf("rollouts"));
        _memory = new(Task.ObservationSize, Task.ActionSize, options.ReplayCapacity, replayFile);
        _update = new(Task.ObservationSize, Task.ActionSize, options, _streams["weights"]);
        _acting = _update.Actor();
        State = new TrainingState(_streams)
            .AddModule("actor", _update.ActorNetwork)
            .AddModule("critics", _update.Critics)
            .AddModule("targets", _update.Targets)
            .AddModel("logTemperature", _update.LogTemperature)
            .AddOptimizer("adam-actor", _update.ActorAdam)
            .AddOptimizer("adam-critics", _update.CriticAdam)
            .AddOptimizer("adam-temperature", _update.TemperatureAdam)
            .AddOptimizer("rollouts", _rollouts)
            .AddCounter("episodes", () => _episodes, value => _episodes = value)
            .AddCounter("replayChecksum", () => _memory.Checksum, value => _restoredChecksum = value)
            // Read when a checkpoint is about to be written: the rows that it counts on have to be on the disk before it.
            .AddCounter("replayRows", FlushedRows, value => _memory.Restore(value, _restoredChecksum));
        State.Metadata["algorithm"] = "soft actor-critic";
        State.Metadata["task"] = Task.Name;
        Stages = [new("explore", options.RandomSteps, Explore), new("train", options.Steps, Train)];
    }

    private long _restoredChecksum;

    /// <summary>What is acted in.</summary>
    public EnvironmentTask Task { get; }

    /// <summary>What a checkpoint carries.</summary>
    public TrainingState State { get; }

    /// <summary>The stages: <c>explore</c>, random actions only, then <c>train</c>. Their steps are environment steps.</summary>
    public IReadOnlyList<Stage> Stages { get; }

    /// <summary>A copy of the actor as it is now.</summary>
    public GaussianActor Actor() => _update.Actor();

    /// <inheritdoc/>
    public void Dispose()
    {
        _rollouts.Join();
        _rollouts.Dispose();
        _memory.Dispose();
        _update.Dispose();
        _streams.Dispose();
    }

    private void Explore(StepContext step)
    {
        _rollouts.Step(actor: null);
        Remember(step);
    }

    private void Train(StepContext step)
    {
        _update.CopyActorTo(_acting);
        if (_options.ParallelRollouts)
        {
            _rollouts.Begin(_acting);
        }
        else
        {
            _rollouts.Step(_acting);
        }
        if (step.Step % _options.StepsPerUpdate == 0)
        {
            _update.Step(_memory, step);
        }
        _rollouts.Join();
        Remember(step);
    }

    private void Remember(StepContext step)
    {
        var result = _rollouts.Result;
        _memory.Add(
            _rollouts.Observation,
            _rollouts.Action,
            (float)result.Reward,
            result.Terminated,
            _rollouts.NextObservation
        );
        if (_rollouts.Finished is { } episode)
        {
            _episodes++;
            step.Record("episodeReturn", episode.Return);
            step.Record("episodeLength", episode.Length);
        }
    }

    private long FlushedRows()
    {
        _memory.Flush();
        return _memory.Count;
    }
}

/// <summary>The networks of soft actor-critic and how a minibatch changes them.</summary>
/// <remarks>
/// Gradients are written out, for with networks this small a recorded graph costs more than the products (docs/algorithms/sac.md has
/// the figures); tests hold them against automatic differentiation in float64.
/// </remarks>
internal sealed class SoftActorCriticUpdate : IDisposable
{
    private readonly SoftActorCriticOptions _options;
    private readonly int _observations;
    private readonly int _actions;
    private readonly double _targetEntropy;
    private readonly ReluStack _actor;
    private readonly ReluStack[] _critics;
    private readonly ReluStack[] _targets;
    private readonly TanhGaussian _policy;
    private readonly (Tensor Target, Tensor Source)[] _followed;
    private readonly Tensor _observation;
    private readonly Tensor _stateAction;
    private readonly Tensor _reward;
    private readonly Tensor _terminated;
    private readonly Tensor _next;
    private readonly Tensor _proposed;
    private readonly Tensor _headGradient;
    private readonly Tensor[] _valueGradients;
    private readonly Tensor _temperatureGradient;
    private readonly float[] _logDensity;
    private readonly float[] _target;

    public SoftActorCriticUpdate(int observations, int actions, SoftActorCriticOptions options, Generator generator)
    {
        (_observations, _actions, _options) = (observations, actions, options);
        _targetEntropy = options.TargetEntropy ?? -actions;
        ActorNetwork = new([observations, options.Width, options.Width, 2 * actions], Activation.Relu, generator);
        Critics = new(observations + actions, options.Width, generator);
        Targets = new(observations + actions, options.Width, generator);
        Targets.CopyFrom(Critics);
        LogTemperature = full([1], Math.Log(options.InitialTemperature), dtype: ScalarType.Float32)
            .requires_grad_(true)
            .DetachFromDisposeScope();
        var adam = new AdamOptions { LearningRate = options.LearningRate };
        ActorAdam = new(ActorNetwork.NamedParameters(), adam);
        CriticAdam = new(Critics.NamedParameters(), adam);
        TemperatureAdam = new([("logTemperature", LogTemperature)], adam);
        _followed =
        [
            .. Targets
                .NamedParameters()
                .Zip(Critics.NamedParameters(), (target, source) => (target.Value, source.Value)),
        ];

        var batch = options.BatchSize;
        Tensor Room(int columns) => zeros([batch, columns]).DetachFromDisposeScope();
        ReluStack Through(Mlp network) => new(network, batch, options.Precision);
        _actor = Through(ActorNetwork);
        _critics = [Through(Critics.First), Through(Critics.Second)];
        _targets = [Through(Targets.First), Through(Targets.Second)];
        _policy = new(batch, actions);
        (_observation, _next, _headGradient) = (Room(observations), Room(observations), Room(2 * actions));
        (_stateAction, _proposed) = (Room(observations + actions), Room(observations + actions));
        (_reward, _terminated) = (Room(1), Room(1));
        _valueGradients = [Room(1), Room(1)];
        _temperatureGradient = zeros([1]).DetachFromDisposeScope();
        (_logDensity, _target) = (new float[batch], new float[batch]);
        LogTemperature.grad = _temperatureGradient;
    }

    public Mlp ActorNetwork { get; }

    public TwinCritics Critics { get; }

    public TwinCritics Targets { get; }

    /// <summary>log α, [1].</summary>
    public Tensor LogTemperature { get; }

    public Adam ActorAdam { get; }

    public Adam CriticAdam { get; }

    public Adam TemperatureAdam { get; }

    /// <summary>Draws a minibatch and updates everything.</summary>
    public void Step(ReplayMemory memory, StepContext step)
    {
        using var constant = no_grad();
        Draw(memory, step.Streams["minibatches"]);
        var alpha = MathF.Exp(Numbers(LogTemperature)[0]);

        // Critics, down ½Σᵢ(Qᵢ(s, a) − y)²·2/B: y = r + γ·(1 − d)·(min Q′(s′, a′) − α·log π(a′|s′)), a′ ~ π(·|s′).
        var nextValues = Propose(_next, step.Streams["nextActions"], _targets);
        SoftTargets(alpha, nextValues);
        var (criticLoss, value) = (0.0, 0.0);
        for (var i = 0; i < _critics.Length; i++)
        {
            var q = Numbers(_critics[i].Forward(_stateAction));
            var gradient = Numbers(_valueGradients[i]);
            for (var b = 0; b < q.Length; b++)
            {
                var error = q[b] - _target[b];
                gradient[b] = 2 * error / q.Length;
                criticLoss += error * error / q.Length;
                value += q[b] / (2 * q.Length);
            }
            _critics[i].Backward(_valueGradients[i]);
        }
        CriticAdam.Step();

        // Actor, down α·log π(a|s) − min Q(s, a): only the smaller critic of a row passes a gradient on.
        var (first, second) = Propose(_observation, step.Streams["actions"], _critics);
        var firstGradient = Numbers(_valueGradients[0]);
        var secondGradient = Numbers(_valueGradients[1]);
        var (actorLoss, meanLogDensity) = (0.0, 0.0);
        for (var b = 0; b < first.Length; b++)
        {
            var takesFirst = first[b] <= second[b];
            firstGradient[b] = takesFirst ? -1f / first.Length : 0;
            secondGradient[b] = takesFirst ? 0 : -1f / first.Length;
            actorLoss += (alpha * _logDensity[b] - (takesFirst ? first[b] : second[b])) / first.Length;
            meanLogDensity += _logDensity[b] / first.Length;
        }
        var actionGradient = _critics[0].InputGradient(_valueGradients[0], _observations);
        actionGradient.add_(_critics[1].InputGradient(_valueGradients[1], _observations));
        _policy.Backward(Numbers(actionGradient), _actions, alpha / first.Length, Numbers(_headGradient));
        _actor.Backward(_headGradient);
        ActorAdam.Step();

        // Temperature, down −log α·(log π + H̄): up while the entropy is below H̄.
        Numbers(_temperatureGradient)[0] = (float)-(meanLogDensity + _targetEntropy);
        TemperatureAdam.Step();

        foreach (var (target, source) in _followed)
        {
            target.lerp_(source, _options.TargetRate);
        }
        step.Record("criticLoss", criticLoss);
        step.Record("actorLoss", actorLoss);
        step.Record("q", value);
        step.Record("entropy", -meanLogDensity);
        step.Record("temperature", alpha);
    }

    /// <summary>A copy of the actor as it is now.</summary>
    public GaussianActor Actor()
    {
        var layers = ActorNetwork
            .NamedParameters()
            .Chunk(2)
            .Select(pair => new LinearWeights(new float[pair[0].Value.numel()], new float[pair[1].Value.numel()]));
        var actor = new GaussianActor([.. layers]);
        CopyActorTo(actor);
        return actor;
    }

    /// <summary>Overwrites a copy of the actor.</summary>
    public void CopyActorTo(GaussianActor actor)
    {
        var i = 0;
        foreach (var (_, value) in ActorNetwork.NamedParameters())
        {
            var layer = actor.Layers[i / 2];
            Numbers(value).CopyTo(i % 2 == 0 ? layer.Weight : layer.Bias);
            i++;
        }
    }

    public void Dispose()
    {
        foreach (var stack in (ReluStack[])[_actor, .. _critics, .. _targets])
        {
            stack.Dispose();
        }
        ActorNetwork.Dispose();
        Critics.Dispose();
        Targets.Dispose();
        LogTemperature.Dispose();
        ActorAdam.Dispose();
        CriticAdam.Dispose();
        TemperatureAdam.Dispose();
        foreach (
            var room in (Tensor[])
                [
                    _observation,
                    _stateAction,
                    _reward,
                    _terminated,
                    _next,
                    _proposed,
                    _headGradient,
                    .. _valueGradients,
                    _temperatureGradient,
                ]
        )
        {
            room.Dispose();
        }
    }

    private static Span<float> Numbers(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);

    private void Draw(ReplayMemory memory, Generator generator)
    {
        var indices = randint(0, memory.Drawable, [_options.BatchSize], ScalarType.Int64, generator: generator);
        var stateAction = Numbers(_stateAction);
        memory.Gather(
            MemoryMarshal.Cast<byte, long>(indices.bytes),
            stateAction,
            Numbers(_reward),
            Numbers(_terminated),
            Numbers(_next)
        );
        var observation = Numbers(_observation);
        for (var b = 0; b < _options.BatchSize; b++)
        {
            stateAction.Slice(b * (_observations + _actions), _observations).CopyTo(observation[(b * _observations)..]);
        }
        GC.KeepAlive(indices);
    }

    /// <summary>Draws an action for each observation, with its log-density, and lets two critics judge it.</summary>
    private PairOfValues Propose(Tensor observation, Generator generator, ReluStack[] critics)
    {
        var noise = randn([_options.BatchSize, _actions], generator: generator);
        var proposed = Numbers(_proposed);
        var width = _observations + _actions;
        _policy.Draw(_actor.Forward(observation), noise, proposed[_observations..], width, _logDensity);
        var states = Numbers(observation);
        for (var b = 0; b < _options.BatchSize; b++)
        {
            states.Slice(b * _observations, _observations).CopyTo(proposed[(b * width)..]);
        }
        return new(Numbers(critics[0].Forward(_proposed)), Numbers(critics[1].Forward(_proposed)));
    }

    /// <summary>y of the soft Bellman backup. A truncated episode is not a terminated one: its future counts.</summary>
    private void SoftTargets(float alpha, PairOfValues next)
    {
        var reward = Numbers(_reward);
        var terminated = Numbers(_terminated);
        for (var b = 0; b < _target.Length; b++)
        {
            var value = MathF.Min(next.First[b], next.Second[b]) - alpha * _logDensity[b];
            _target[b] = reward[b] + (float)_options.Discount * (1 - terminated[b]) * value;
        }
    }

    private readonly ref struct PairOfValues(Span<float> first, Span<float> second)
    {
        public readonly Span<float> First = first;
        public readonly Span<float> Second = second;

        public void Deconstruct(out Span<float> first, out Span<float> second)
        {
            first = First;
            second = Second;
        }
    }
}

/// <summary>Q₁ and Q₂ of soft actor-critic: [s, a] → width → width → 1 with ReLU, twice.</summary>
internal sealed class TwinCritics : nn.Module
{
    public TwinCritics(long inputs, long width, Generator generator)
        : base(nameof(TwinCritics))
    {
        First = new([inputs, width, width, 1], Activation.Relu, generator);
        Second = new([inputs, width, width, 1], Activation.Relu, generator);
        register_module("q1", First);
        register_module("q2", Second);
    }

    public Mlp First { get; }

    public Mlp Second { get; }
}
