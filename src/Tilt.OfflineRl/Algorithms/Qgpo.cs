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

/// <summary>Everything that decides a run of QGPO. The defaults are the authors' (code); <see cref="For"/> applies presets and tasks.</summary>
public sealed record QgpoOptions : ICheckedOptions
{
    /// <summary>The data set's name, such as <c>hopper-medium-replay</c>; it also names the environment, where there is one.</summary>
    public string Task { get; init; } = "data";

    /// <summary>The preset that these options started from.</summary>
    public string Preset { get; init; } = "paper";

    /// <summary>The ways to get the energy, after the one behavior model and the one critic that they share; the first is the policy's.</summary>
    /// <value>cep.</value>
    public IReadOnlyList<string> Methods { get; init; } = ["cep"];

    /// <summary>The seed of all random streams.</summary>
    public long Seed { get; init; }

    /// <summary>What is done to rewards first, a name of <see cref="RewardTunings"/>.</summary>
    /// <value>iql-locomotion for locomotion, iql-antmaze for AntMaze (code); quick and demo: episode-range for locomotion.</value>
    public string RewardTuning { get; init; } = "none";

    /// <summary>Whether networks see (s − mean)/deviation of the data.</summary>
    /// <value>False (code). quick and demo: true.</value>
    public bool NormalizeObservations { get; init; }

    /// <summary>Widths of the behavior network.</summary>
    /// <value>512, 256, 128 (code). quick and demo: half of each.</value>
    public ResidualScoreShape BehaviorNetwork { get; init; } = new();

    /// <summary>Gradient steps of the behavior model.</summary>
    /// <value>600 000 (code). quick: 30 000, demo: 6 000.</value>
    public long BehaviorSteps { get; init; } = 600_000;

    /// <summary>Transitions per step of the behavior model.</summary>
    /// <value>4096 (code). quick: 1024, demo: 512.</value>
    public int BehaviorBatch { get; init; } = 4096;

    /// <summary>Learning rate of the behavior model: the highest, where it decays.</summary>
    /// <value>1e-4 (code). quick and demo: 1e-3.</value>
    public double BehaviorLearningRate { get; init; } = 1e-4;

    /// <summary>The earliest t that is trained, by the behavior model and by energies; where sampling ends.</summary>
    /// <value>1e-3 (code).</value>
    public double FirstTime { get; init; } = 1e-3;

    /// <summary>Whether learning rates of behavior and energies fall to 0 along half a cosine, or stay.</summary>
    /// <value>False (code). quick and demo: true.</value>
    public bool LearningRateDecay { get; init; }

    /// <summary>Decay of the averaged weights that are sampled from, of behavior and energies; 0 samples from the weights themselves.</summary>
    /// <value>0 (code). quick: 0.999, demo: 0.995.</value>
    public double AverageDecay { get; init; }

    /// <summary>K, the support actions drawn per state from the behavior model, once, before the critic trains.</summary>
    /// <value>16; AntMaze tasks use 32 (code).</value>
    public int SupportActions { get; init; } = 16;

    /// <summary>How support actions are drawn.</summary>
    /// <value>DPM-Solver++ singlestep, order 2, 15 evaluations, uniform in t (code). quick and demo: 10 evaluations.</value>
    public SamplerOptions SupportSampler { get; init; } = SamplerOptions.CepRl;

    /// <summary>Whether support actions are moved into the action box before anything looks at them.</summary>
    /// <value>False (code). quick and demo: true.</value>
    public bool ClipSupport { get; init; }

    /// <summary>How many of the K support actions a backup looks at, drawn anew each step.</summary>
    /// <value>All of them (code). quick and demo: half.</value>
    public int BackupActions { get; init; } = 16;

    /// <summary>β_Q of the in-support softmax backup.</summary>
    /// <value>1 for locomotion (the authors' example), 3 for AntMaze (code's default: the same as β).</value>
    public double CriticBeta { get; init; } = 1;

    /// <summary>γ.</summary>
    /// <value>0.99 (code).</value>
    public double Discount { get; init; } = 0.99;

    /// <summary>The share that the target critic moves toward the critic at every step.</summary>
    /// <value>0.005 (code).</value>
    public double TargetRate { get; init; } = 0.005;

    /// <summary>Gradient steps of the critic.</summary>
    /// <value>500 000 (code). quick: 40 000, demo: 8 000.</value>
    public long CriticSteps { get; init; } = 500_000;

    /// <summary>Learning rate of the critic.</summary>
    /// <value>3e-4 (code).</value>
    public double CriticLearningRate { get; init; } = 3e-4;

    /// <summary>Transitions per step of critic and energies.</summary>
    /// <value>256 (code).</value>
    public int Batch { get; init; } = 256;

    /// <summary>
    /// Whether energies train beside the critic, on its moving labels, and then go on alone; or after it, on labels computed once.
    /// </summary>
    /// <value>True (code). quick and demo: false, since steps on a moving critic teach what is forgotten later.</value>
    public bool Interleaved { get; init; } = true;

    /// <summary>Gradient steps of each energy; where interleaved, <see cref="CriticSteps"/> of them beside the critic.</summary>
    /// <value>1 000 000 (code). quick: 15 000, demo: 4 000.</value>
    public long GuidanceSteps { get; init; } = 1_000_000;

    /// <summary>Learning rate of the energies: the highest, where it decays.</summary>
    /// <value>3e-4 (code). quick and demo: 1e-3.</value>
    public double GuidanceLearningRate { get; init; } = 3e-4;

    /// <summary>β that the policy tilts the behavior by: π ∝ μ·exp(β·Q). Where there is a dial, what it is set to unless told otherwise.</summary>
    /// <value>3 (code).</value>
    public double Beta { get; init; } = 3;

    /// <summary>The end of the β dial: energies are told β, drawn uniformly from 0 to this; null trains for <see cref="Beta"/> alone.</summary>
    /// <value>null (code).</value>
    public double? BetaMax { get; init; }

    /// <summary>How actions are sampled.</summary>
    /// <value>DPM-Solver++ singlestep, order 2, 15 evaluations, uniform in t (code).</value>
    public SamplerOptions Sampler { get; init; } = SamplerOptions.CepRl;

    /// <summary>Number format of the products of hidden layers while behavior and energies train and support is drawn; critics are float32.</summary>
    /// <value>bf16 where the processor multiplies it natively. Resolved when a run begins and kept on resume.</value>
    public Precision Precision { get; init; } = Precision.Auto;

    /// <summary>The vectors of the float32 kernels that draw support actions and act; null for the processor's widest.</summary>
    /// <value>Resolved when a run begins and kept on resume, for other vectors sum in another order.</value>
    public LaneWidth? Kernels { get; init; }

    /// <summary>The names of the presets.</summary>
    public static IReadOnlyList<string> Presets { get; } = ["quick", "demo", "paper"];

    /// <summary>The options of a preset for a task, with precision and kernels resolved for this processor.</summary>
    /// <param name="preset">One of <see cref="Presets"/>.</param>
    /// <param name="task">The data set's name.</param>
    /// <exception cref="TiltException">There is no such preset; the message suggests the nearest.</exception>
    public static QgpoOptions For(string preset, string task)
    {
        var options = TaskDefaults.Apply(new QgpoOptions { Task = task, Preset = preset }, task);
        options = preset switch
        {
            "paper" => options,
            "quick" => Smaller(options, 30_000, 1024, 40_000, 15_000, 0.999),
            "demo" => Smaller(options, 6_000, 512, 8_000, 4_000, 0.995),
            _ => throw Suggest.Unknown("preset", preset, Presets),
        };
        return options with { Precision = options.Precision.Resolve(), Kernels = Inference.Processor.Lanes };
    }

    /// <summary>What the small presets change; docs/algorithms/qgpo.md gives the reasons.</summary>
    private static QgpoOptions Smaller(
        QgpoOptions paper,
        long behaviorSteps,
        int behaviorBatch,
        long criticSteps,
        long guidanceSteps,
        double averageDecay
    ) =>
        paper with
        {
            RewardTuning = paper.RewardTuning == "iql-locomotion" ? "episode-range" : paper.RewardTuning,
            NormalizeObservations = true,
            BehaviorNetwork = ResidualScoreShape.Half,
            BehaviorSteps = behaviorSteps,
            BehaviorBatch = behaviorBatch,
            BehaviorLearningRate = 1e-3,
            LearningRateDecay = true,
            AverageDecay = averageDecay,
            SupportSampler = SamplerOptions.CepRl with { Evaluations = 10 },
            ClipSupport = true,
            BackupActions = paper.SupportActions / 2,
            CriticSteps = criticSteps,
            Interleaved = false,
            GuidanceSteps = guidanceSteps,
            GuidanceLearningRate = 1e-3,
        };

    /// <inheritdoc/>
    public void Check()
    {
        _ = RewardTunings.Named(RewardTuning);
        Require(Methods.Count > 0, "methods", "none", $"at least one of {string.Join(", ", ActionGuidance.Names)}");
        Require(Methods.Distinct().Count() == Methods.Count, "methods", string.Join(", ", Methods), "each method once");
        foreach (var method in Methods)
        {
            _ = ActionGuidance.Named(method);
        }
        Count(BehaviorSteps, "behaviorSteps", 0);
        Count(CriticSteps, "criticSteps", 0);
        Count(GuidanceSteps, "guidanceSteps", 0);
        Count(BehaviorBatch, "behaviorBatch", 1);
        Count(Batch, "batch", 1);
        Count(SupportActions, "supportActions", 1, 4096);
        Count(BackupActions, "backupActions", 1, SupportActions);
        Require(
            SupportActions >= 2 || !Methods.Contains("cep"),
            "supportActions",
            "1",
            "at least 2 for method cep, which compares the support actions of a state with each other"
        );
        Require(
            SupportActions >= 4 && SupportActions % 2 == 0 || !Methods.Contains("cep-unbiased"),
            "supportActions",
            $"{SupportActions}",
            "an even number of at least 4 for method cep-unbiased, which labels each half by the other"
        );
        Require(Beta is >= 0 and <= 1e4, "beta", $"{Beta}", "a number from 0 to 10000");
        Require(CriticBeta is >= 0 and <= 1e6, "criticBeta", $"{CriticBeta}", "a number from 0 to 1000000");
        Require(
            BetaMax is null || (BetaMax > 0 && BetaMax <= 1e4 && BetaMax >= Beta),
            "betaMax",
            $"{BetaMax}",
            $"a number from beta, {Beta}, to 10000"
        );
        Require(Discount is >= 0 and <= 1, "discount", $"{Discount}", "a number from 0 to 1");
        Require(TargetRate is > 0 and <= 1, "targetRate", $"{TargetRate}", "a number above 0 and up to 1");
        Require(AverageDecay is >= 0 and < 1, "averageDecay", $"{AverageDecay}", "a number in [0, 1)");
        Require(FirstTime is > 0 and < 1, "firstTime", $"{FirstTime}", "a number between 0 and 1");
        Require(
            BehaviorLearningRate > 0 && CriticLearningRate > 0 && GuidanceLearningRate > 0,
            "learning rates",
            $"{BehaviorLearningRate}, {CriticLearningRate}, {GuidanceLearningRate}",
            "numbers above 0"
        );
        Require(
            !Interleaved || GuidanceSteps >= CriticSteps,
            "guidanceSteps",
            $"{GuidanceSteps}",
            $"at least criticSteps, {CriticSteps}, when interleaved"
        );
        Require(
            new[]
            {
                BehaviorNetwork.Wide,
                BehaviorNetwork.Middle,
                BehaviorNetwork.Narrow,
                BehaviorNetwork.Embedding,
            }.All(width => width is >= 1 and <= 8192)
                && BehaviorNetwork.Wide >= BehaviorNetwork.Middle
                && BehaviorNetwork.Middle >= BehaviorNetwork.Narrow,
            "behaviorNetwork",
            $"{BehaviorNetwork.Wide}, {BehaviorNetwork.Middle}, {BehaviorNetwork.Narrow}, {BehaviorNetwork.Embedding}",
            "wide ≥ middle ≥ narrow, all widths from 1 to 8192"
        );
        var schedule = new LinearSchedule();
        Sampler.Validate(schedule);
        SupportSampler.Validate(schedule);

        void Count(long found, string option, long least, long most = 1_000_000_000) =>
            Require(found >= least && found <= most, option, $"{found}", $"a whole number from {least} to {most}");

        static void Require(bool fine, string option, string found, string expected)
        {
            if (!fine)
            {
                throw TiltException.Usage($"option '{option}': found {found}; expected {expected}.");
            }
        }
    }
}

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
        var (sampler, identity) = Model.BehaviorSampler(_options.SupportSampler, _options.SupportActions);
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

/// <summary>How <see cref="QgpoOptions"/> are written as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    UseStringEnumConverter = true,
    WriteIndented = true
)]
[JsonSerializable(typeof(QgpoOptions))]
public sealed partial class QgpoJson : JsonSerializerContext;
