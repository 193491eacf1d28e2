using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Networks;
using Tilt.Training;

namespace Tilt.Images;

/// <summary>Learns intermediate energies of images: of the six hues, of classes, or of the caller's own energy functions.</summary>
/// <remarks>
/// A step draws a batch from the pool, noises each image to a time of its own, and compares within the batch: K is the batch
/// (images.md §2, §3.2). For energies, labels are exp(−β·E) of the clean images, for each head and each of several β from one evaluation of
/// the network; for classes, class-conditional CEP holds each image's class against all images, and the classifier each image against all classes.
/// No noise model takes part.
/// </remarks>
public sealed class ImageEnergyExperiment : IDisposable
{
    private readonly RandomStreams _streams;
    private readonly ImagePool _pool;
    private readonly ImageDescent _descent;
    private readonly EnergyDial _dial;
    private readonly Tensor? _energies; // [N, H]
    private readonly LogNormalizerCurve[] _logZ = [];
    private readonly Dictionary<string, Tensor> _classes = new(StringComparer.Ordinal);

    /// <summary>A training at its start.</summary>
    /// <param name="options">What to do. Its precision is resolved.</param>
    /// <param name="pool">The images. Stays the caller's.</param>
    /// <param name="energies">For <see cref="ImageEnergyKind.Custom"/>, the caller's; else null.</param>
    public ImageEnergyExperiment(ImageEnergyOptions options, ImagePool pool, ImageEnergies? energies = null)
    {
        options.Check();
        if ((energies is not null) != (options.Energy == ImageEnergyKind.Custom))
        {
            throw TiltException.Usage(
                $"option 'energy': found {options.Energy} {(energies is null ? "without" : "with")} energy functions; expected Custom with them, "
                    + "or Color or Class without."
            );
        }
        _streams = new(options.Seed);
        _pool = pool;
        _dial = new(0, options.BetaMax);
        (IReadOnlyList<double>, IReadOnlyList<double>)? range = null;
        var names = energies?.Names ?? ImageEnergyModel.NamesOf(options);
        if (options.Energy == ImageEnergyKind.Class)
        {
            foreach (var attribute in options.Attributes)
            {
                var labels = pool.Labels(attribute);
                _classes[labels.Name] = labels.Classes.DetachFromDisposeScope();
            }
        }
        else
        {
            using var scope = NewDisposeScope();
            _energies = pool.Map((energies ?? ImageEnergies.Color).Of).to(ScalarType.Float32).DetachFromDisposeScope();
            RequireFinite(_energies, names);
            var (low, high) = (_energies.min(0).values, _energies.max(0).values);
            range = (Doubles(low), Doubles(high));
            _logZ =
            [
                .. Enumerable
                    .Range(0, names.Count)
                    .Select(head => new LogNormalizerCurve(_energies.select(1, head), 0, 2 * options.BetaMax, 257)),
            ];
        }
        Model = new(options, names, range, _streams);
        State = Model.Register(new TrainingState(_streams));
        _descent = new(Model.Network, options.Training, Model.Average, State);
        Stages = [new("energy", options.Training.Steps, Step)];

        static IReadOnlyList<double> Doubles(Tensor row) => row.to(ScalarType.Float64).data<double>().ToArray();
    }

    /// <summary>The model in training.</summary>
    public ImageEnergyModel Model { get; }

    /// <summary>What a checkpoint carries.</summary>
    public TrainingState State { get; }

    /// <summary>One stage, <c>energy</c>.</summary>
    public IReadOnlyList<Stage> Stages { get; }

    /// <summary>How many images of the pool a head's target rests on at β, as a share: Kish's effective sample size over N.</summary>
    /// <param name="head">A head of energies.</param>
    /// <param name="beta">β.</param>
    public double EffectiveShare(string head, double beta)
    {
        using var scope = NewDisposeScope();
        var index = Model.Heads.ToList().IndexOf(head);
        return EnergyDial.EffectiveSampleSize(_energies!.select(1, index), beta) / _pool.Count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        _descent.Dispose();
        _energies?.Dispose();
        foreach (var labels in _classes.Values)
        {
            labels.Dispose();
        }
        _streams.Dispose();
    }

    private void Step(StepContext step)
    {
        var options = Model.Options;
        var batch = options.Training.Batch;
        var places = _pool.Places("energy", step.Step, batch, _streams);
        var x0 = _pool.Images(places);
        var time = ImageDescent.Times(Model.Schedule, batch, step.Streams["energy/times"]);
        var noise = ForwardProcess.DrawNoise(x0, step.Streams["energy/noise"]);
        var levels = ForwardProcess.Levels(Model.Schedule, time, x0);
        var xt = ForwardProcess.Noised(levels, x0, noise);

        using var precision = MixedPrecision.Use(options.Precision);
        if (options.Energy == ImageEnergyKind.Class)
        {
            _descent.Step(step, ClassLoss(step, Model.Network.call(xt, levels.NetworkTime), places));
            return;
        }
        var network = (ImageEnergyNetwork)Model.Network;
        var energies = _energies!.index_select(0, places); // [K, H]
        if (options.Method == ImageMethod.Mse)
        {
            // The optimum is β·E[E | x_t] for every β, so its slope teaches all; in units of the largest β, to be in nats.
            var mean = network.MeanEnergies(xt, levels.NetworkTime).reshape(-1);
            var scale = options.BetaMax;
            _descent.Step(step, MseEnergyPrediction.Loss(scale * energies.reshape(-1), scale * mean));
            return;
        }
        var betas = _dial.Draw(options.Betas, step.Streams["energy/betas"]);
        var predicted = network.Energies(xt, levels.NetworkTime, betas.to(ScalarType.Float32)); // [β, K, H]
        var tilts = betas.to(ScalarType.Float32).view(-1, 1, 1) * energies;
        var shift = LogZ(betas, 1); // [β, H]
        _descent.Step(
            step,
            options.Method == ImageMethod.Emse
                ? ExponentialLoss(tilts, predicted, shift)
                : ContrastiveLoss(tilts, predicted, shift, betas)
        );
    }

    private Tensor ContrastiveLoss(Tensor tilts, Tensor predicted, Tensor shift, Tensor betas)
    {
        // A contrast set for each β and head: rows of K.
        var (sets, f) = (Rows(tilts), Rows(predicted));
        if (!Model.Options.Unbiased)
        {
            return ContrastiveEnergyPrediction.Loss(sets, f);
        }
        var weights = (-sets - shift.reshape(-1, 1)).exp();
        // Weights that rest on few images have noisy gradients. Each β counts by the root of its effective share, Z(β)/√Z(2β), as in
        // the plane (docs/algorithms/cep2d.md); it is the same for all images of a set, so it moves no optimum.
        var share = (shift - 0.5 * LogZ(betas, 2)).exp().reshape(-1, 1);
        weights = weights * (share / share.mean());
        // The least value of the loss for these labels, a constant for the gradient: what is logged is the divergence above it.
        var least = ContrastiveEnergyPrediction.WeightedLoss(weights, -weights.clamp_min(1e-30).log());
        return ContrastiveEnergyPrediction.WeightedLoss(weights, f) - least.detach();

        static Tensor Rows(Tensor values) => values.transpose(1, 2).reshape(-1, values.shape[1]);
    }

    /// <summary>exp(−f) against exp(−β·E), both in units of Z(β): weights of 1 on average.</summary>
    private static Tensor ExponentialLoss(Tensor tilts, Tensor predicted, Tensor shift)
    {
        var reference = (-shift).unsqueeze(1).expand_as(tilts).reshape(-1);
        return ExpMseEnergyPrediction.Loss(
            tilts.reshape(-1),
            predicted.reshape(-1) - reference,
            reference,
            ExpMseBounds.Plane
        );
    }

    private Tensor ClassLoss(StepContext step, Tensor scores, Tensor places)
    {
        var total = zeros(1, dtype: scores.dtype);
        foreach (var (attribute, (first, count)) in Model.Groups)
        {
            var mine = scores.narrow(1, first, count);
            var classes = _classes[attribute].index_select(0, places);
            total =
                total
                + (
                    Model.Options.Method == ImageMethod.Cep
                        ? ClassConditionalCep.Loss(mine, classes)
                        : ClassifierGuidance.Loss(mine, classes)
                );
        }
        return total.squeeze(0);
    }

    /// <summary>log Z(factor·β) of every head, [β, H] float32.</summary>
    private Tensor LogZ(Tensor betas, double factor) =>
        stack(_logZ.Select(curve => curve.At(factor * betas)).ToArray(), 1).to(ScalarType.Float32);

    private static void RequireFinite(Tensor energies, IReadOnlyList<string> names)
    {
        using var scope = NewDisposeScope();
        var bad = energies.isfinite().logical_not().sum([0]);
        for (var head = 0; head < names.Count; head++)
        {
            var count = bad[head].item<long>();
            if (count > 0)
            {
                throw new TiltException(
                    $"energy '{names[head]}': {count} of {energies.shape[0]} images have an energy that is NaN or infinite; expected finite "
                        + "numbers. Check the energy function, such as for a division by 0 on black images."
                );
            }
        }
    }
}
