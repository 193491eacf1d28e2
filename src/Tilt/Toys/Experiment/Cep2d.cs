using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.Toys;

/// <summary>The paper's 2-D experiment: learn to denoise, then learn the intermediate energy.</summary>
/// <remarks>
/// One noise model serves all methods, and its stage comes first. Each method that learns an energy has a stage of its own, on the
/// same data. With the compact networks one training covers every β up to <see cref="Cep2dOptions.BetaMax"/>:
/// CEP and exp-MSE draw β anew for each contrast set or point, and MSE, whose optimum is linear in β, learns its slope.
/// Departures of the preset <c>quick</c>: everything that differs from <see cref="Cep2dOptions.Paper"/>; docs/algorithms/cep2d.md
/// lists them with the reasons. The authors alternate passes for noise and energy; neither sees the other, so the order of the
/// stages changes nothing.
/// </remarks>
public sealed class Cep2d : IDisposable
{
    // Enough to know the range of the labels and log Z to a percent.
    private const long LabelPoints = 200_000;

    private readonly Cep2dOptions _options;
    private readonly RandomStreams _streams;
    private readonly EnergyDial _dial;
    private readonly LabelledPoints? _pool;
    private readonly LogNormalizerCurve _logZ;
    private readonly List<IDisposable> _owned = [];

    /// <summary>The networks in training.</summary>
    public Cep2dModel Model { get; }

    /// <summary>What a checkpoint carries.</summary>
    public TrainingState State { get; }

    /// <summary>The stages: <c>noise</c>, then one per method that learns.</summary>
    public IReadOnlyList<Stage> Stages { get; }

    /// <summary>An experiment at its start.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="device">Where the networks go; null for the CPU.</param>
    public Cep2d(Cep2dOptions options, Device? device = null)
    {
        options.Check();
        (_options, _dial) = (options, options.Dial);
        _streams = new(options.Seed);
        var dataset = Cep2dOptions.FindTask(options.Task);
        _pool = options.Pool > 0 ? Own(Draw(dataset, options.Pool, "pool")) : null;
        using (var seen = Draw(dataset, LabelPoints, "labels"))
        {
            using var scope = NewDisposeScope();
            _logZ = new(seen.Energies, 0, Math.Max(2 * _dial.Max, 1e-9), 257);
            var range = (seen.Labels.min().item<float>(), seen.Labels.max().item<float>());
            Model = new(options, range, _streams, device);
        }
        State = Model.Register(new TrainingState(_streams));
        Stages =
        [
            NoiseStage(dataset),
            .. options
                .Methods.Where(method => method != GuidanceMethod.Dps)
                .Select(method => EnergyStage(dataset, method)),
        ];
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

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        foreach (var owned in _owned)
        {
            owned.Dispose();
        }
        _streams.Dispose();
    }

    private Stage NoiseStage(ToyDataset dataset)
    {
        var points = Own(new PointSource(dataset, "noise", _options.NoiseBatch, _pool, _streams));
        var references = References(dataset, "noise");
        var descent = Descent("noise", Model.NoiseModel.Network, _options.NoiseLearningRate, _options.NoiseSteps);
        return new("noise", _options.NoiseSteps, NoiseStep);

        void NoiseStep(StepContext step)
        {
            var x0 = points.Batch(step.Step).X.to(Model.Device);
            var time = DrawTimes(x0.shape[0], _options.NoiseFirstTime, step.Streams["noise/times"]);
            var noise = ForwardProcess.DrawNoise(x0, step.Streams["noise/noise"]);

            using var precision = MixedPrecision.Use(_options.Precision);
            var loss = references is null
                ? DenoisingLoss.Loss(Model.NoiseModel, x0, time, noise)
                : DenoisingLoss.AveragedLoss(
                    Model.NoiseModel,
                    x0,
                    time,
                    noise,
                    references.Batch(step.Step).X.to(Model.Device)
                );
            descent(step, loss);
        }
    }

    private Stage EnergyStage(ToyDataset dataset, GuidanceMethod method)
    {
        var name = Cep2dModel.NameOf(method);
        // One name for all methods: they see the same points.
        var points = Own(new PointSource(dataset, "energy", _options.EnergyBatch, _pool, _streams));
        var references = References(dataset, "energy");
        var network = Model.EnergyNetwork(method);
        var descent = Descent(name, network, _options.EnergyLearningRate, _options.EnergySteps);
        Func<EnergyBatch, Tensor> loss = method switch
        {
            GuidanceMethod.Cep => batch => ContrastiveLoss(network, batch),
            GuidanceMethod.Mse => batch => RegressionLoss(network, batch),
            _ => batch => ExponentialLoss(network, batch),
        };
        return new(name, _options.EnergySteps, EnergyStep);

        void EnergyStep(StepContext step)
        {
            var batch = Noised(points, references, name, step);
            using var precision = MixedPrecision.Use(_options.Precision);
            descent(step, loss(batch));
        }
    }

    /// <summary>Noised points with their times, energies and β, in contrast sets: rows of K.</summary>
    private sealed record EnergyBatch(Tensor Xt, RowLevels Levels, Tensor Energies, Tensor Betas, long Sets)
    {
        /// <summary>What else could be behind each x_t, or null.</summary>
        public PosteriorAverage? Average { get; init; }

        /// <summary>E of the references, [R]; null where there are none.</summary>
        public Tensor? Others { get; init; }

        /// <summary>β·E of each point, [B].</summary>
        public Tensor Tilts => Betas * Energies;

        /// <summary>β of each set, [sets].</summary>
        public Tensor SetBetas => InSets(Betas).select(1, 0);

        /// <summary>[B] as [sets, K].</summary>
        public Tensor InSets(Tensor perPoint) => perPoint.reshape(Sets, -1);

        /// <summary>The mean given x_t, as far as the references tell, of a function of β·E and of a number of the set.</summary>
        /// <param name="function">Of β·E and of the number, element by element.</param>
        /// <param name="perSet">[sets].</param>
        /// <returns>[B].</returns>
        public Tensor Mean(Func<Tensor, Tensor, Tensor> function, Tensor perSet)
        {
            var own = function(InSets(Tilts), perSet.unsqueeze(1)).reshape(-1);
            return Average is { } average
                ? average.SetNumbers(own, function(SetBetas.unsqueeze(1) * Others!, perSet.unsqueeze(1)))
                : own;
        }
    }

    private EnergyBatch Noised(PointSource points, PointSource? references, string name, StepContext step)
    {
        var (x, labels) = points.Batch(step.Step);
        var sets = _options.ContrastSets;
        var each = x.shape[0] / sets;
        var x0 = x.narrow(0, 0, sets * each).to(Model.Device);
        var energies = -labels.narrow(0, 0, sets * each).to(Model.Device);

        var betas = _options.Beta is { } only
            ? full([sets], only, dtype: ScalarType.Float64)
            : _dial.Draw(sets, step.Streams[$"{name}/betas"]);
        var times = DrawTimes(
            _options.OneTimePerSet ? sets : sets * each,
            _options.EnergyFirstTime,
            step.Streams[$"{name}/times"]
        );
        if (_options.OneTimePerSet)
        {
            times = times.repeat_interleave(each);
        }
        if (_options.WeighLevels)
        {
            times = times.sort().Values;
        }
        var noise = ForwardProcess.DrawNoise(x0, step.Streams[$"{name}/noise"]);
        var levels = ForwardProcess.Levels(Model.Schedule, times, x0);
        var xt = ForwardProcess.Noised(levels, x0, noise);
        var spread = betas.repeat_interleave(each).to(x0.dtype).to(x0.device);
        var batch = new EnergyBatch(xt, levels, energies, spread, sets);
        if (references is null)
        {
            return batch;
        }
        var (others, otherLabels) = references.Batch(step.Step);
        return batch with
        {
            Average = PosteriorAverage.Of(levels, xt, noise, others.to(Model.Device)),
            Others = -otherLabels.to(Model.Device),
        };
    }

    private Tensor ContrastiveLoss(Network network, EnergyBatch batch)
    {
        var predicted = batch.InSets(Predicted(network, batch));
        if (_options.Labels == ContrastiveLabels.SelfNormalized)
        {
            return ContrastiveEnergyPrediction.Loss(batch.InSets(batch.Tilts), predicted);
        }
        // The shift log Z(β) makes the weights 1 on average; any other that does not depend on the draw would do.
        var (betas, shift) = (batch.SetBetas, _logZ.At(batch.SetBetas));
        var weights = batch.InSets(batch.Mean((tilts, log) => (-tilts - log).exp(), shift));
        // A set whose weights rest on few points has a noisy gradient. Counting each by the root of its effective share Z(β)²/Z(2β), the
        // inverse of the scatter, keeps the largest β from drowning the others; by the share itself, the inverse of the variance, the
        // largest would hardly be learned where the data thin out (swissroll at β = 10: three times the error). It is the same for all
        // points of a set, so it moves no optimum.
        var share = (shift - 0.5 * _logZ.At(2 * betas)).exp();
        if (_options.WeighLevels)
        {
            share /= TellsOfData(batch);
        }
        // Only the proportions matter; this way the loss stays in nats.
        share /= share.mean();
        var labels = weights * share.unsqueeze(1);
        // The least value of the loss for these labels, a constant for the gradient: what is logged is the divergence above it, which
        // shows learning where the cross-entropy itself mostly shows which labels were drawn.
        var least = ContrastiveEnergyPrediction.WeightedLoss(labels, -weights.clamp_min(1e-30).log());
        return ContrastiveEnergyPrediction.WeightedLoss(labels, predicted) - least.detach();
    }

    /// <summary>How much of the variance of x_t is the data's, in each set of neighboring times, [sets].</summary>
    /// <remarks>
    /// k² = α_t²·s²/(α_t²·s² + σ_t²). What x_t tells of its label, and with it E_t, shrinks like k as noise grows, the loss like k²; so the
    /// levels where most of the mass is decided would count for almost nothing. Dividing by k² makes them count alike. It is the same for
    /// all points of a set, and sets hold neighboring times for this reason.
    /// </remarks>
    private Tensor TellsOfData(EnergyBatch batch)
    {
        const double Least = 0.0025;
        var signal = (batch.Levels.Alpha * _options.EnergyNetwork.DataScale).square();
        var share = signal / (signal + batch.Levels.Sigma.square());
        return batch.InSets(share).mean([1]).clamp_min(Least);
    }

    private static Tensor RegressionLoss(Network network, EnergyBatch batch)
    {
        if (network is CumulantEnergyNetwork compact)
        {
            // The optimum is β·E[E | x_t] for every β, so β = 1 teaches all.
            var mean = batch.Average is { } average ? average.Numbers(batch.Energies, batch.Others!) : batch.Energies;
            return MseEnergyPrediction.Loss(mean, compact.MeanEnergy(batch.Xt, batch.Levels.NetworkTime));
        }
        return MseEnergyPrediction.Loss(batch.Tilts, Predicted(network, batch));
    }

    private static Tensor ExponentialLoss(Network network, EnergyBatch batch)
    {
        // A label of 1 gets weight 1 (code).
        var reference = -batch.Betas;
        var predicted = Predicted(network, batch);
        // The compact network has no constant to learn: its value is E_t itself, so the reference comes off here.
        var shifted = network is CumulantEnergyNetwork ? predicted - reference : predicted;
        var bounds = ExpMseBounds.Plane;
        var target = batch.Mean(
            (tilts, from) => (from - tilts).clamp(bounds.Floor, bounds.Ceiling).exp(),
            -batch.SetBetas
        );
        // The mean of the target, as an energy: −log of it comes back through the exponential.
        return ExpMseEnergyPrediction.Loss(-target.log(), shifted, zeros_like(target), bounds);
    }

    private static Tensor Predicted(Network network, EnergyBatch batch) =>
        network.call(
            batch.Xt,
            batch.Levels.NetworkTime,
            network.ConditionDimensions == 0 ? null : batch.Betas.unsqueeze(1)
        );

    /// <summary>A step of gradient descent for one network: loss in, weights, average and log updated.</summary>
    private Action<StepContext, Tensor> Descent(string name, Network network, double rate, long steps)
    {
        var adam = Own(new Adam(network.NamedParameters(), new AdamOptions { LearningRate = rate }));
        State.AddOptimizer($"adam-{name}", adam);
        var rates =
            _options.LearningRateDecay && steps > 0
                ? LearningRates.Cosine(rate, steps, Cep2dOptions.WarmUpSteps)
                : LearningRates.Constant(rate);
        var average = Model.AverageOf(name);
        return (step, loss) =>
        {
            adam.LearningRate = rates(step.Step);
            adam.ZeroGradients();
            loss.backward();
            adam.Step();
            average?.Update();
            step.Record("loss", loss.detach());
        };
    }

    /// <summary>Times uniform in t or, for a share of them, uniform in λ; [count] float64 on the CPU.</summary>
    private Tensor DrawTimes(long count, double first, Generator generator)
    {
        if (_options.LogSnrShare == 0)
        {
            return ForwardProcess.DrawTimes(count, first, Model.Schedule.End, generator);
        }
        using var scope = NewDisposeScope();
        var draws = rand([2, count], dtype: ScalarType.Float64, generator: generator).data<double>().ToArray();
        var (last, noisiest, cleanest) = (
            Model.Schedule.End,
            Model.Schedule.Lambda(Model.Schedule.End),
            Model.Schedule.Lambda(first)
        );
        var times = new double[count];
        for (var i = 0; i < count; i++)
        {
            var u = draws[i];
            times[i] =
                draws[count + i] < _options.LogSnrShare
                    ? Math.Clamp(Model.Schedule.TimeOf(noisiest + u * (cleanest - noisiest)), first, last)
                    : first + u * (last - first);
        }
        return tensor(times, dtype: ScalarType.Float64).MoveToOuterDisposeScope();
    }

    /// <summary>Independent points over which targets are averaged; null where the options want none.</summary>
    private PointSource? References(ToyDataset dataset, string name) =>
        _options.References > 0
            ? Own(new PointSource(dataset, $"{name}/references", _options.References, _pool, _streams))
            : null;

    private LabelledPoints Draw(ToyDataset dataset, long n, string stream)
    {
        using var generator = new Generator((ulong)_streams.SeedOf(stream));
        var drawn = dataset.Sample(n, generator);
        return new(drawn.X.DetachFromDisposeScope(), drawn.Labels.DetachFromDisposeScope());
    }

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }
}
