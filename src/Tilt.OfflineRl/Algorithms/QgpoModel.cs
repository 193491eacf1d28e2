using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Networks;
using Tilt.OfflineRl.Data;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Training;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>The networks of a QGPO run: behavior, critic, one energy per method that learns one; with normalizer and action box.</summary>
public sealed class QgpoModel : IDisposable
{
    // Rows that pass through the critic at a time when all support actions are labelled.
    private const int LabelStates = 1024;

    private readonly Dictionary<string, Network> _energies = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, ExponentialMovingAverage> _averages = new(StringComparer.Ordinal);
    private PackedCritic? _packedTarget;
    private readonly Tensor _mean;
    private readonly Tensor _deviation;
    private readonly Tensor _low;
    private readonly Tensor _high;

    /// <summary>What the run was asked for.</summary>
    public QgpoOptions Options { get; }

    /// <summary>S.</summary>
    public int ObservationSize { get; }

    /// <summary>A.</summary>
    public int ActionSize { get; }

    /// <summary>What noises actions.</summary>
    public NoiseSchedule Schedule { get; } = new LinearSchedule();

    /// <summary>The network of μ_θ.</summary>
    public ResidualScoreNetwork Behavior { get; }

    /// <summary>μ_θ: ε(a_t, t | s).</summary>
    public NoiseModel NoiseModel { get; }

    /// <summary>Q, the pair that trains.</summary>
    public TwinQ Critic { get; }

    /// <summary>The pair that follows it slowly: gives backups, labels and values.</summary>
    public TwinQ TargetCritic { get; }

    /// <summary>Networks with drawn weights.</summary>
    /// <param name="options">What to build.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="actionSize">A.</param>
    /// <param name="guidances">How energies are had.</param>
    /// <param name="streams">Weights are drawn from its streams <c>weights/…</c>.</param>
    public QgpoModel(
        QgpoOptions options,
        int observationSize,
        int actionSize,
        IReadOnlyList<ActionGuidance> guidances,
        RandomStreams streams
    )
    {
        (Options, ObservationSize, ActionSize) = (options, observationSize, actionSize);
        Behavior = new(actionSize, observationSize, options.BehaviorNetwork, streams["weights/behavior"]);
        NoiseModel = new(Behavior, Schedule, Parametrization.Score, options.FirstTime);
        Average("behavior", Behavior);
        Critic = new(actionSize, observationSize, streams["weights/critic"]);
        TargetCritic = new(actionSize, observationSize, streams["weights/target"]);
        TargetCritic.CopyFrom(Critic);
        foreach (var parameter in TargetCritic.parameters())
        {
            parameter.requires_grad_(false);
        }
        foreach (var guidance in guidances.Where(guidance => guidance.Loss is not null))
        {
            var generator = streams[$"weights/{guidance.Name}"];
            Network energy = options.BetaMax is { } most
                ? new EnergyNetwork(
                    new()
                    {
                        Dimensions = actionSize,
                        ConditionDimensions = observationSize,
                        Width = 256,
                        Depth = 4,
                        MaximumBeta = most,
                    },
                    generator
                )
                : new ConditionalEnergyNetwork(actionSize, observationSize, generator);
            _energies.Add(guidance.Name, energy);
            Average(guidance.Name, energy);
        }
        using var scope = NewDisposeScope();
        _mean = zeros([observationSize]).DetachFromDisposeScope();
        _deviation = ones([observationSize]).DetachFromDisposeScope();
        _low = full([actionSize], -1f).DetachFromDisposeScope();
        _high = full([actionSize], 1f).DetachFromDisposeScope();
    }

    /// <summary>The model of a run's latest checkpoint, with averaged weights where the run keeps them.</summary>
    /// <param name="run">The run's folder.</param>
    /// <param name="say">Told of damaged checkpoints that were passed over.</param>
    /// <exception cref="TiltException">No run, no checkpoint, or one of another kind.</exception>
    public static QgpoModel Load(string run, Action<string>? say = null)
    {
        var reader = RunReader.Open(run);
        var options = reader.Options(QgpoJson.Default.QgpoOptions);
        var checkpoint = reader.Checkpoint(say);
        int s,
            a;
        using (var file = SafetensorsReader.Open(checkpoint.ModelFile))
        {
            s = (int)file["observationMean"].Shape[0];
            a = (int)file["actionLow"].Shape[0];
        }
        using var streams = new RandomStreams(options.Seed);
        var model = new QgpoModel(options, s, a, [.. options.Methods.Select(ActionGuidance.Named)], streams);
        try
        {
            model.Register(new TrainingState(streams)).LoadModel(checkpoint);
            model.UseAverages();
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Names of the methods that have an energy network, in alphabetical order.</summary>
    public IEnumerable<string> Learned => _energies.Keys.Order(StringComparer.Ordinal);

    /// <summary>f_φ of a method.</summary>
    /// <exception cref="TiltException">The run has none.</exception>
    public Network Energy(string method) =>
        _energies.TryGetValue(method, out var network)
            ? network
            : throw TiltException.Usage(
                $"the run has no energy for method '{method}'; it was trained for {string.Join(", ", Options.Methods)}."
            );

    /// <summary>Observations as the networks see them: (s − mean)/deviation.</summary>
    /// <param name="observations">As recorded, [B, S].</param>
    public Tensor Seen(Tensor observations)
    {
        using var scope = NewDisposeScope();
        return ((observations - _mean) / _deviation).MoveToOuterDisposeScope();
    }

    /// <summary>min(Q₁, Q₂) of the target critic for several actions of each state, [B, K]: what backups and labels need most.</summary>
    /// <param name="support">Actions, [B, K, A].</param>
    /// <param name="seen">Observations as the networks see them, [B, S].</param>
    /// <remarks>No gradient. By the float32 kernels that act, on weights packed whenever the target has moved.</remarks>
    public Tensor TargetValues(Tensor support, Tensor seen)
    {
        _packedTarget ??= new(TargetCritic, Options.Kernels);
        return _packedTarget.Values(support, seen);
    }

    /// <summary>Moves the target critic toward the critic: θ′ ← θ′ + rate·(θ − θ′).</summary>
    /// <param name="rate">The share.</param>
    public void MoveTarget(double rate)
    {
        TargetCritic.Follow(Critic, rate);
        _packedTarget = null;
    }

    /// <summary>E(s, aⱼ) = −Q of the target critic, [B, K].</summary>
    /// <param name="support">Actions, [B, K, A].</param>
    /// <param name="seen">Observations as the networks see them, [B, S].</param>
    public Tensor SupportEnergies(Tensor support, Tensor seen)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        // Paper and code turn the sign here: an energy is low where the value is high.
        return (-TargetValues(support, seen)).MoveToOuterDisposeScope();
    }

    /// <summary>E of all support actions of many states, [U, K].</summary>
    /// <param name="support">Actions, [U, K, A].</param>
    /// <param name="states">The states.</param>
    /// <param name="stop">Asks to give up.</param>
    internal Tensor SupportEnergies(Tensor support, UniqueStates states, CancellationToken stop = default)
    {
        using var scope = NewDisposeScope();
        var energies = empty([support.shape[0], support.shape[1]], dtype: ScalarType.Float32);
        var room = new float[LabelStates * ObservationSize];
        for (var first = 0; first < states.Count; first += LabelStates)
        {
            stop.ThrowIfCancellationRequested();
            using var turn = NewDisposeScope();
            var count = Math.Min(LabelStates, states.Count - first);
            var rows = room.AsSpan(0, count * ObservationSize);
            states.Copy(first, rows);
            var observations = tensor(rows.ToArray(), [count, ObservationSize]);
            energies
                .narrow(0, first, count)
                .copy_(SupportEnergies(support.narrow(0, first, count), Seen(observations)));
        }
        return energies.MoveToOuterDisposeScope();
    }

    /// <summary>E_t of a method for given observations.</summary>
    /// <param name="method">One of the run's methods, or dps, which every critic has.</param>
    /// <param name="observations">As recorded, [B, S] or [1, S].</param>
    /// <param name="beta">β; other than the run's own only where there is a dial, or nothing is learned.</param>
    /// <exception cref="TiltException">The run has no such method, or was not trained for that β.</exception>
    public IntermediateEnergy EnergyGiven(string method, Tensor observations, double beta)
    {
        if (ActionGuidance.Named(method).Loss is null)
        {
            var noise = NoiseGiven(observations);
            var critic = Seen(observations).DetachFromDisposeScope();
            return DiffusionPosteriorSampling.Energy(noise, action => -TargetCritic.call(action, critic), beta);
        }
        var network = Energy(method);
        if (network is EnergyNetwork { MaximumBeta: not null } dial)
        {
            var told = dial.Dial(beta, Seen(observations)).DetachFromDisposeScope();
            return (xt, level) => dial.At(xt, level, told);
        }
        if (beta != Options.Beta)
        {
            throw TiltException.Usage(
                $"beta {beta}: the energy of method '{method}' was trained for beta {Options.Beta} alone. Vary the guidance scale, or "
                    + "train with a dial (--beta-max)."
            );
        }
        var seen = Seen(observations).DetachFromDisposeScope();
        return (xt, level) => network.At(xt, level, seen);
    }

    /// <summary>ε(a_t, t | s) of μ_θ for given observations.</summary>
    /// <param name="observations">As recorded, [B, S] or [1, S].</param>
    public NoisePredictor NoiseGiven(Tensor observations) =>
        NoiseModel.Given(Seen(observations).DetachFromDisposeScope());

    /// <summary>Actions by tensors: the reference for saved policies, and the only way for methods that cannot be saved.</summary>
    /// <param name="method">One of the run's methods; null for the behavior model.</param>
    /// <param name="observations">As recorded, [B, S].</param>
    /// <param name="beta">β.</param>
    /// <param name="scale">The guidance scale s; exact at 1 only.</param>
    /// <param name="xT">Starting noise, [B, A].</param>
    /// <returns>[B, A], clipped to the box.</returns>
    public Tensor Act(string? method, Tensor observations, double beta, double scale, Tensor xT)
    {
        using var scope = NewDisposeScope();
        var noise = NoiseGiven(observations);
        if (method is not null && scale != 0)
        {
            noise = noise.GuidedBy(EnergyGiven(method, observations, beta), scale);
        }
        var actions = Sampler.Sample(noise, xT, Schedule, Options.Sampler, null);
        return actions.clamp(_low, _high).MoveToOuterDisposeScope();
    }

    /// <summary>Q of the target critic for recorded observations, [B].</summary>
    /// <param name="observations">As recorded, [B, S].</param>
    /// <param name="actions">[B, A].</param>
    public Tensor Value(Tensor observations, Tensor actions)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        return TargetCritic.call(actions, Seen(observations)).MoveToOuterDisposeScope();
    }

    /// <summary>The policy to save: guided by a method's energy.</summary>
    /// <param name="method">A method that learns an energy; null for the behavior model.</param>
    /// <param name="notes">Texts for people.</param>
    /// <remarks>Weights are the averaged ones where the run keeps averages, also before <see cref="UseAverages"/>.</remarks>
    public PolicyFile PolicyFile(string? method, IReadOnlyDictionary<string, string>? notes = null) =>
        QgpoPolicies.Save(this, method, Options.Sampler, clip: true, notes);

    /// <summary>What tells this behavior model from others: SHA-256 of its weights and of what they mean.</summary>
    public string BehaviorHash => QgpoPolicies.Save(this, null, Options.SupportSampler, clip: false).Hash();

    /// <summary>Puts another's weights into the behavior network; its average begins anew.</summary>
    internal void TakeBehavior(Network source)
    {
        Behavior.CopyFrom(source);
        if (_averages.Remove("behavior", out var average))
        {
            average.Dispose();
            Average("behavior", Behavior);
        }
    }

    /// <summary>Mean and deviation that observations are normalized by; null where they are not.</summary>
    internal (double[] Mean, double[] Deviation)? Normalizer =>
        Options.NormalizeObservations ? (Numbers(_mean), Numbers(_deviation)) : null;

    /// <summary>The range of actions.</summary>
    public ActionBox ActionBox => new(Numbers(_low), Numbers(_high));

    /// <summary>Puts the averaged weights in the networks' place. Training cannot go on from there.</summary>
    public void UseAverages()
    {
        foreach (var (name, average) in _averages)
        {
            average.CopyTo(name == "behavior" ? Behavior : _energies[name]);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Behavior.Dispose();
        Critic.Dispose();
        TargetCritic.Dispose();
        foreach (var network in _energies.Values)
        {
            network.Dispose();
        }
        foreach (var average in _averages.Values)
        {
            average.Dispose();
        }
        _mean.Dispose();
        _deviation.Dispose();
        _low.Dispose();
        _high.Dispose();
    }

    /// <summary>Sets the normalizer. A component that never changes is only shifted.</summary>
    internal void Normalize((double[] Mean, double[] Deviation) moments)
    {
        using var scope = NewDisposeScope();
        _mean.copy_(tensor(Array.ConvertAll(moments.Mean, x => (float)x)));
        _deviation.copy_(tensor(Array.ConvertAll(moments.Deviation, x => x > 1e-6 ? (float)x : 1f)));
    }

    /// <summary>Sets the action box.</summary>
    internal void Box(ActionBox box)
    {
        using var scope = NewDisposeScope();
        _low.copy_(tensor(box.Low.Select(x => (float)x).ToArray()));
        _high.copy_(tensor(box.High.Select(x => (float)x).ToArray()));
    }

    /// <summary>The averages of a network's weights, or null where the run keeps none.</summary>
    internal ExponentialMovingAverage? AverageOf(string name) => _averages.GetValueOrDefault(name);

    /// <summary>Registers everything that acting and evaluation need.</summary>
    internal TrainingState Register(TrainingState state)
    {
        state.Metadata["algorithm"] = "qgpo";
        state.Metadata["diffusion"] = NoiseModel.Record.ToJson();
        state.AddModule("behavior", Behavior);
        state.AddModule("critic", Critic);
        state.AddModule("target", TargetCritic);
        foreach (var (name, network) in _energies)
        {
            state.AddModule(name, network);
        }
        foreach (var (name, average) in _averages)
        {
            state.AddModel($"{name}-average", average);
        }
        state.AddModel("observationMean", _mean);
        state.AddModel("observationDeviation", _deviation);
        state.AddModel("actionLow", _low);
        return state.AddModel("actionHigh", _high);
    }

    private void Average(string name, Network network)
    {
        if (Options.AverageDecay > 0)
        {
            _averages.Add(name, new(network, Options.AverageDecay, AverageStart.BiasCorrected));
        }
    }

    private static double[] Numbers(Tensor values) => Array.ConvertAll(values.data<float>().ToArray(), x => (double)x);
}
