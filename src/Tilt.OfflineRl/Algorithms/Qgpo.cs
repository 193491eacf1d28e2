using System.Text.Json.Serialization;
using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Inference;
using Tilt.Networks;
using Tilt.OfflineRl.Data;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Training;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>Q-guided policy optimization (Lu et al. 2023): the behavior of the data, tilted by a critic, sampled by guided diffusion.</summary>
/// <remarks>
/// The policy that maximizes E[Q] − KL(π ‖ μ)/β is π ∝ μ·exp(β·Q). μ is learned as a diffusion model. Q is learned without ever asking
/// about an action that the data would not hold: the backup is a softmax over support actions drawn from μ. The intermediate energy
/// E_t = −log E[exp(β·Q) | a_t, s] is learned by comparing noised support actions, and its gradient guides the sampler. The steps are
/// numbered as in qgpo.md §2. docs/algorithms/qgpo.md explains the metrics and lists the departures.
/// </remarks>
public sealed class Qgpo : IDisposable
{
    private readonly QgpoOptions _options;
    private readonly RandomStreams _streams;
    private readonly TransitionDataset _data;
    private readonly UniqueStates _states;
    private readonly string? _cache;
    private readonly string? _partFile;
    private readonly Tensor _current;
    private readonly Tensor _next;
    private readonly EnergyDial? _dial;
    private readonly List<IDisposable> _owned = [];
    private SupportActions? _support;
    private Tensor? _energies;

    /// <summary>The networks.</summary>
    public QgpoModel Model { get; }

    /// <summary>What a checkpoint carries.</summary>
    public TrainingState State { get; }

    /// <summary>behavior, support, then critic and one stage per method that learns; or critic-guidance, where they are interleaved.</summary>
    public IReadOnlyList<Stage> Stages { get; }

    /// <summary>R_max/(1 − γ): no value can be larger. After reward tuning.</summary>
    public double ValueBound { get; }

    /// <summary>A training at its start.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="data">Transitions with rewards as recorded. Kept; must outlive this.</param>
    /// <param name="guidances">How energies are had, the policy's first; null for those that the options name.</param>
    /// <param name="box">The range of actions; null for the data's own.</param>
    /// <param name="cache">The folder that keeps support actions for other runs; null for none.</param>
    /// <param name="runFolder">Where support actions are kept while they are being drawn; null for nowhere.</param>
    public Qgpo(
        QgpoOptions options,
        TransitionDataset data,
        IReadOnlyList<ActionGuidance>? guidances = null,
        ActionBox? box = null,
        string? cache = null,
        string? runFolder = null
    )
    {
        options.Check();
        guidances ??= [.. options.Methods.Select(ActionGuidance.Named)];
        _options = options;
        _streams = new(options.Seed);
        _cache = cache;
        _partFile = runFolder is null ? null : Path.Combine(runFolder, "support.part");

        // Steps 0 and 1: data, rewards.
        _data = data.Tuned(RewardTunings.Named(options.RewardTuning));
        _states = new(_data);
        using var scope = NewDisposeScope();
        _current = tensor(_states.Current).DetachFromDisposeScope();
        _next = tensor(_states.Next).DetachFromDisposeScope();
        var highest = 0f;
        foreach (var reward in _data.Rewards)
        {
            highest = Math.Max(highest, reward);
        }
        ValueBound = options.Discount < 1 ? highest / (1 - options.Discount) : double.PositiveInfinity;

        Model = new(options, data.ObservationSize, data.ActionSize, guidances, _streams);
        if (options.BehaviorFrom is not null)
        {
            QgpoPolicies.TakeBehavior(Model, options.BehaviorFrom, options.BehaviorSha256, data.Recorded.Sha256);
        }
        Model.Box(box ?? ActionBox.Of(data));
        if (options.NormalizeObservations)
        {
            Model.Normalize(data.ObservationMoments());
        }
        _dial = options.BetaMax is { } most ? new(0, most) : null;
        State = Model.Register(new TrainingState(_streams));

        var learned = guidances.Where(guidance => guidance.Loss is not null).ToList();
        Stages = [BehaviorStage(), SupportStage(), .. options.Interleaved ? Interleaved(learned) : Successive(learned)];
    }

    /// <summary>Trains to the end and puts the averaged weights into <see cref="Model"/>.</summary>
    /// <param name="run">Where to log and save; null for nowhere.</param>
    /// <param name="trainer">How often.</param>
    /// <param name="progress">Where to tell; null for nowhere.</param>
    /// <param name="hooks">What to do besides.</param>
    /// <param name="stop">Asks to stop between two steps.</param>
    public TrainingResult Train(
        RunFolder? run = null,
        TrainerOptions? trainer = null,
        ITrainingProgress? progress = null,
        IReadOnlyList<TrainingHook>? hooks = null,
        CancellationToken stop = default
    )
    {
        var result = new Trainer(State, Stages, trainer, run, progress, hooks).Run(stop);
        Model.UseAverages();
        return result;
    }

    /// <summary>Step 2: μ_θ by denoising, on the data's actions.</summary>
    private Stage BehaviorStage()
    {
        var batches = Batches("behavior", _options.BehaviorBatch);
        var descend = Descent("behavior", Model.Behavior, _options.BehaviorLearningRate, _options.BehaviorSteps);
        return new("behavior", _options.BehaviorSteps, UpdateBehavior);

        void UpdateBehavior(StepContext step)
        {
            var batch = batches.Next();
            using var precision = MixedPrecision.Use(_options.Precision);
            var loss = DenoisingLoss.Draw(
                Model.NoiseModel,
                batch.Actions,
                Model.Seen(batch.Observations),
                step.Streams["behavior/noise"]
            );
            descend(loss, step.Step);
            step.Record("loss", loss.detach());
        }
    }

    /// <summary>Step 3: K actions of μ_θ for every state, once per unique state.</summary>
    private Stage SupportStage()
    {
        return new("support", Algorithms.SupportActions.ChunksOf(_states.Count), DrawSupport) { Prepare = Begin };

        void Begin(StageStart start)
        {
            _support = NewSupport();
            if (_support.TryLoad(_cache, start.Progress.Say))
            {
                start.Progress.Say("support actions: found in the cache, drawn by an earlier run");
                return;
            }
            _support.Resume((int)start.Done, start.Stop);
        }

        void DrawSupport(StepContext step)
        {
            if (!_support!.IsComplete)
            {
                _support.Draw((int)step.Step);
                if (_support.IsComplete)
                {
                    _support.Store(_cache);
                }
            }
            step.Record("outsideShare", _support.OutsideShare);
        }
    }

    /// <summary>Step 4: TwinQ by the in-support softmax backup.</summary>
    private Action<StepContext> CriticUpdate()
    {
        var batches = Batches("critic", _options.Batch);
        var adam = Own(new Adam(Model.Critic.NamedParameters(), new() { LearningRate = _options.CriticLearningRate }));
        State.AddOptimizer("adam-critic", adam);
        return UpdateCritic;

        void UpdateCritic(StepContext step)
        {
            var batch = batches.Next();
            var target = InSupportSoftmax.Target(
                batch.Rewards,
                batch.Terminated,
                NextValue(batch, step),
                _options.Discount
            );
            var (first, second) = Model.Critic.Both(batch.Actions, Model.Seen(batch.Observations));
            var loss = ((first - target).square().mean() + (second - target).square().mean()) / 2;
            adam.ZeroGradients();
            loss.backward();
            adam.Step();
            Model.MoveTarget(_options.TargetRate);

            step.Record("loss", loss.detach());
            step.Record("meanQ", first.detach().mean());
            step.Record("maxTargetQ", target.max());
        }
    }

    /// <summary>V(s′), the softmax-weighted mean of the target critic over support actions of s′, [B].</summary>
    private Tensor NextValue(Minibatch batch, StepContext step)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var support = SupportOf(_next, batch.Transitions);
        if (_options.BackupActions < _options.SupportActions)
        {
            var order = randperm(
                _options.SupportActions,
                dtype: ScalarType.Int64,
                generator: step.Streams["critic/backup"]
            );
            support = support.index_select(1, order.narrow(0, 0, _options.BackupActions));
        }
        var values = Model.TargetValues(support, Model.Seen(batch.NextObservations));
        return InSupportSoftmax.Value(values, _options.CriticBeta).MoveToOuterDisposeScope();
    }

    /// <summary>Step 5: f_φ by comparing the support actions of s. Takes one step; told how many it has taken.</summary>
    private Action<StepContext, long> GuidanceUpdate(ActionGuidance guidance)
    {
        var name = guidance.Name;
        var network = Model.Energy(name);
        // One stream for all methods: they see the same states.
        var batches = Batches(name, _options.Batch, "guidance");
        var descend = Descent(name, network, _options.GuidanceLearningRate, _options.GuidanceSteps);
        return UpdateGuidance;

        void UpdateGuidance(StepContext step, long taken)
        {
            var batch = batches.Next();
            var observations = Model.Seen(batch.Observations);
            var support = SupportOf(_current, batch.Transitions);
            var energies = EnergiesOf(batch, support, observations);
            var betas = _dial is null
                ? energies.new_full([_options.Batch], _options.Beta)
                : _dial.Draw(_options.Batch, step.Streams[$"{name}/betas"]).to(energies.dtype);

            using var precision = MixedPrecision.Use(_options.Precision);
            var loss = guidance.Loss!(
                new()
                {
                    Network = network,
                    Schedule = Model.Schedule,
                    FirstTime = _options.FirstTime,
                    Observations = observations,
                    Support = support,
                    Energies = energies,
                    Actions = batch.Actions,
                    ActionEnergies = () => Model.SupportEnergies(batch.Actions.unsqueeze(1), observations).squeeze(1),
                    Betas = betas,
                    HasDial = _dial is not null,
                    Generator = step.Streams[$"{name}/noise"],
                }
            );
            descend(loss, taken);
            step.Record("loss", loss.detach());
            step.Record("labelEss", QgpoDiagnostics.EffectiveActions(_options.Beta * energies).mean());
        }
    }

    /// <summary>Step 6: critic first, then each energy on labels of the finished critic.</summary>
    private IEnumerable<Stage> Successive(IReadOnlyList<ActionGuidance> learned)
    {
        yield return new("critic", _options.CriticSteps, CriticUpdate()) { Prepare = RequireSupport };
        foreach (var guidance in learned)
        {
            var update = GuidanceUpdate(guidance);
            yield return new(guidance.Name, _options.GuidanceSteps, step => update(step, step.Step))
            {
                Prepare = RequireLabels,
            };
        }
    }

    /// <summary>Step 6, the authors' order: critic and energies side by side, then the energies alone.</summary>
    private IEnumerable<Stage> Interleaved(IReadOnlyList<ActionGuidance> learned)
    {
        var critic = CriticUpdate();
        var updates = learned.Select(GuidanceUpdate).ToList();
        yield return new("critic-guidance", _options.CriticSteps, Both) { Prepare = RequireSupport };
        foreach (var (guidance, update) in learned.Zip(updates))
        {
            yield return new(
                guidance.Name,
                _options.GuidanceSteps - _options.CriticSteps,
                step => update(step, _options.CriticSteps + step.Step)
            )
            {
                Prepare = RequireLabels,
            };
        }

        void Both(StepContext step)
        {
            critic(step);
            foreach (var update in updates)
            {
                update(step, step.Step);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        _support?.Dispose();
        _energies?.Dispose();
        _current.Dispose();
        _next.Dispose();
        foreach (var owned in _owned)
        {
            owned.Dispose();
        }
        _streams.Dispose();
    }

    /// <summary>The support actions, drawn or found; for what looks at a finished training.</summary>
    /// <param name="progress">Told what takes long.</param>
    /// <param name="stop">Asks to give up.</param>
    public SupportActions Support(ITrainingProgress progress, CancellationToken stop = default)
    {
        if (_support is not null)
        {
            return _support;
        }
        var support = NewSupport();
        if (!support.TryLoad(_cache, progress.Say))
        {
            progress.Say("support actions: not in the cache any more, drawing them again");
            support.Resume(support.Chunks, stop);
            support.Store(_cache);
        }
        return _support = support;
    }

    /// <summary>E of the support actions of a batch's states, [B, K], by the target critic.</summary>
    internal Tensor EnergiesOf(Minibatch batch)
    {
        using var scope = NewDisposeScope();
        var support = SupportOf(_current, batch.Transitions);
        return Model.SupportEnergies(support, Model.Seen(batch.Observations)).MoveToOuterDisposeScope();
    }

    private SupportActions NewSupport()
    {
        _support?.Dispose();
        var (sampler, identity) = QgpoPolicies.BehaviorSampler(Model, _options.SupportSampler, _options.SupportActions);
        return new(
            sampler,
            identity,
            _states,
            _data.ObservationSize,
            _options.SupportActions,
            _streams.SeedOf("support"),
            Model.ActionBox,
            _options.ClipSupport,
            _partFile
        );
    }

    private void RequireSupport(StageStart start) => Support(start.Progress, start.Stop);

    /// <summary>Labels all support actions with the critic, which trains no more: energies then cost nothing per step.</summary>
    private void RequireLabels(StageStart start)
    {
        RequireSupport(start);
        if (_energies is not null)
        {
            return;
        }
        _energies = Model.SupportEnergies(_support!.Actions, _states, start.Stop).DetachFromDisposeScope();
        if (QgpoDiagnostics.LabelWarning(_energies, _options.Beta) is { } warning)
        {
            start.Progress.Say(warning);
        }
    }

    private Tensor EnergiesOf(Minibatch batch, Tensor support, Tensor observations) =>
        _energies is { } known
            ? known.index_select(0, _current.index_select(0, batch.Transitions))
            : Model.SupportEnergies(support, observations);

    private Tensor SupportOf(Tensor stateOfTransition, Tensor transitions) =>
        _support!.Actions.index_select(0, stateOfTransition.index_select(0, transitions));

    private MinibatchSampler Batches(string name, int size, string? stream = null)
    {
        var batches = Own(new MinibatchSampler(_data, size, _streams, $"{stream ?? name}/minibatches"));
        State.AddOptimizer($"minibatches-{name}", batches);
        return batches;
    }

    /// <summary>A step of gradient descent for a network that is sampled from: loss in, weights and their average updated.</summary>
    private Action<Tensor, long> Descent(string name, Network network, double rate, long steps)
    {
        var adam = Own(new Adam(network.NamedParameters(), new() { LearningRate = rate }));
        State.AddOptimizer($"adam-{name}", adam);
        var rates =
            _options.LearningRateDecay && steps > 0 ? LearningRates.Cosine(rate, steps) : LearningRates.Constant(rate);
        var average = Model.AverageOf(name);
        return (loss, taken) =>
        {
            adam.LearningRate = rates(taken);
            adam.ZeroGradients();
            loss.backward();
            adam.Step();
            average?.Update();
        };
    }

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }
}
