using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Training;

namespace Tilt.Toys;

/// <summary>The networks of a 2-D run: one noise model, and an energy for each method that learns one.</summary>
/// <remarks>β is chosen at sampling time wherever the run's dial has a range (<see cref="Cep2dOptions.Dial"/>).</remarks>
public sealed class Cep2dModel : IDisposable
{
    /// <summary>Points that are sampled at a time, so that any number fits into memory.</summary>
    private const long ChunkPoints = 1 << 17;

    private readonly Dictionary<GuidanceMethod, Network> _energies = [];
    private readonly Dictionary<string, ExponentialMovingAverage> _averages = new(StringComparer.Ordinal);

    /// <summary>What the run was asked for.</summary>
    public Cep2dOptions Options { get; }

    /// <summary>The data set.</summary>
    public ToyDataset Dataset { get; }

    /// <summary>What noises the data.</summary>
    public NoiseSchedule Schedule { get; } = new LinearSchedule();

    /// <summary>The noise model.</summary>
    public NoiseModel NoiseModel { get; }

    /// <summary>ε of the untilted model.</summary>
    public NoisePredictor Noise => NoiseModel.Noise;

    /// <summary>Where the networks are.</summary>
    public Device Device { get; }

    /// <summary>Networks with drawn weights.</summary>
    /// <param name="options">What to build.</param>
    /// <param name="labels">The lowest and the highest label, where the atoms of compact energies start.</param>
    /// <param name="streams">Weights are drawn from its streams <c>weights/…</c>.</param>
    /// <param name="device">Where to; null for the CPU.</param>
    public Cep2dModel(
        Cep2dOptions options,
        (double Lowest, double Highest) labels,
        RandomStreams streams,
        Device? device = null
    )
    {
        options.Check();
        (Options, Dataset, Device) = (options, Cep2dOptions.FindTask(options.Task), device ?? CPU);
        var compact = options.Networks == PlaneNetworks.Compact;
        var generator = streams["weights/noise"];
        Network noise = compact
            ? new CompactNoiseNetwork(2, Schedule, options.NoiseNetwork, generator)
            : new ScoreNetwork2d(generator);
        noise.to(Device);
        NoiseModel = new(
            noise,
            Schedule,
            compact ? Parametrization.Noise : Parametrization.Score,
            options.NoiseFirstTime
        );
        Average("noise", noise);
        foreach (var method in options.Methods.Where(method => method != GuidanceMethod.Dps))
        {
            generator = streams[$"weights/{NameOf(method)}"];
            Network energy = compact
                ? new CumulantEnergyNetwork(
                    2,
                    Schedule,
                    options.EnergyNetwork,
                    labels.Lowest,
                    labels.Highest,
                    generator
                )
                : new EnergyNetwork2d(generator);
            _energies[method] = energy;
            energy.to(Device);
            Average(NameOf(method), energy);
        }
    }

    /// <summary>The model of a run's latest checkpoint, with averaged weights where the run keeps them.</summary>
    /// <param name="run">The run's folder.</param>
    /// <param name="notes">Told what is remarkable, such as a damaged checkpoint that was passed over.</param>
    /// <param name="device">Where to; null for the CPU.</param>
    /// <exception cref="TiltException">No run, no checkpoint, or one of another kind.</exception>
    public static Cep2dModel Load(string run, Action<string>? notes = null, Device? device = null)
    {
        var reader = RunReader.Open(run);
        var options = reader.Options(Cep2dJson.Default.Cep2dOptions);
        var checkpoint = reader.Checkpoint(notes);
        using var streams = new RandomStreams(options.Seed);
        var model = new Cep2dModel(options, (0, 1), streams, device);
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

    /// <summary>The name of a method on the command line and in files: <c>cep</c>, <c>mse</c>, <c>emse</c>, <c>dps</c>.</summary>
    public static string NameOf(GuidanceMethod method) => method.ToString().ToLowerInvariant();

    /// <summary>The network that a method trains.</summary>
    /// <exception cref="TiltException">The run has none for that method.</exception>
    public Network EnergyNetwork(GuidanceMethod method) =>
        _energies.TryGetValue(method, out var network)
            ? network
            : throw TiltException.Usage(
                $"the run has no energy for method '{NameOf(method)}'; it was trained for "
                    + $"{string.Join(", ", Options.Methods.Select(NameOf))}."
            );

    /// <summary>E_t of a method at β.</summary>
    /// <param name="method">One of the run's methods, or <see cref="GuidanceMethod.Dps"/>, which every noise model has.</param>
    /// <param name="beta">β within the run's dial; 0 gives the energy 0.</param>
    /// <param name="beyondPool">Whether β beyond what the data represent is allowed; then mark outputs.</param>
    /// <exception cref="TiltException">β is out of range, or the run has no such method.</exception>
    public IntermediateEnergy Energy(GuidanceMethod method, double beta, bool beyondPool = false)
    {
        if (method == GuidanceMethod.Dps)
        {
            // Nothing was trained at any β, so only the target itself sets a limit.
            return DiffusionPosteriorSampling.Energy(Noise, Dataset.EffectiveEnergy(beta), beta);
        }
        var network = EnergyNetwork(method);
        return Options.Dial.At((xt, level, b) => Value(network, method, xt, level, b), beta, beyondPool);
    }

    /// <summary>Samples of the tilted model.</summary>
    /// <param name="method">Whose energy guides.</param>
    /// <param name="beta">β; 0 samples the data's own model.</param>
    /// <param name="n">How many; 0 is allowed.</param>
    /// <param name="generator">Starting noise and, for stochastic solvers, theirs.</param>
    /// <param name="sampler">How; null for the run's own.</param>
    /// <param name="scale">The guidance scale s. Exact at 1 only.</param>
    /// <param name="beyondPool">Whether β beyond what the data represent is allowed; then mark outputs.</param>
    /// <returns>[n, 2] float32 on the CPU.</returns>
    public Tensor Sample(
        GuidanceMethod method,
        double beta,
        long n,
        Generator generator,
        SamplerOptions? sampler = null,
        double scale = 1,
        bool beyondPool = false
    )
    {
        return Sample(Guided(method, beta, scale, beyondPool), n, generator, sampler);
    }

    /// <summary>The same points, part by part, so that any number of them fits into memory.</summary>
    /// <param name="method">Whose energy guides.</param>
    /// <param name="beta">β; 0 samples the data's own model.</param>
    /// <param name="n">How many; 0 is allowed.</param>
    /// <param name="generator">Starting noise and, for stochastic solvers, theirs.</param>
    /// <param name="sampler">How; null for the run's own.</param>
    /// <param name="scale">The guidance scale s. Exact at 1 only.</param>
    /// <param name="beyondPool">Whether β beyond what the data represent is allowed; then mark outputs.</param>
    /// <param name="stop">Asks to give up, which happens between two evaluations.</param>
    /// <returns>Parts of [at most 131 072, 2], float32 on the CPU, drawn as they are asked for. The caller disposes each.</returns>
    /// <exception cref="TiltException">β is out of range, or the run has no such method; thrown at once.</exception>
    public IEnumerable<Tensor> SampleParts(
        GuidanceMethod method,
        double beta,
        long n,
        Generator generator,
        SamplerOptions? sampler = null,
        double scale = 1,
        bool beyondPool = false,
        CancellationToken stop = default
    )
    {
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        (sampler ?? Options.Sampler).Validate(Schedule);
        var noise = Guided(method, beta, scale, beyondPool);
        return Parts(Stoppable, n, generator, sampler);

        Tensor Stoppable(Tensor xt, NoiseLevel level)
        {
            stop.ThrowIfCancellationRequested();
            return noise(xt, level);
        }
    }

    /// <summary>Samples of any noise predictor on this model's schedule, such as one with an exact part.</summary>
    /// <param name="noise">ε(x_t, t).</param>
    /// <param name="n">How many; 0 is allowed.</param>
    /// <param name="generator">Starting noise and, for stochastic solvers, theirs.</param>
    /// <param name="sampler">How; null for the run's own.</param>
    /// <returns>[n, 2] float32 on the CPU.</returns>
    public Tensor Sample(NoisePredictor noise, long n, Generator generator, SamplerOptions? sampler = null)
    {
        if (n is < 0 or > int.MaxValue)
        {
            throw TiltException.Usage($"number of samples: found {n}; expected 0 to {int.MaxValue}.");
        }
        using var scope = NewDisposeScope();
        var all = empty([n, 2], dtype: ScalarType.Float32);
        long start = 0;
        foreach (var part in Parts(noise, n, generator, sampler))
        {
            all.narrow(0, start, part.shape[0]).copy_(part);
            start += part.shape[0];
            part.Dispose();
        }
        return all.MoveToOuterDisposeScope();
    }

    /// <summary>Puts the averaged weights in the networks' place. Training cannot go on from there.</summary>
    public void UseAverages()
    {
        Copy("noise", NoiseModel.Network);
        foreach (var (method, network) in _energies)
        {
            Copy(NameOf(method), network);
        }

        void Copy(string name, Network network)
        {
            // An average that has seen no step is the draw it started from, as is the network.
            if (_averages.TryGetValue(name, out var average))
            {
                average.CopyTo(network);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NoiseModel.Network.Dispose();
        foreach (var network in _energies.Values)
        {
            network.Dispose();
        }
        foreach (var average in _averages.Values)
        {
            average.Dispose();
        }
    }

    /// <summary>The averages of a network's weights, or null where the run keeps none.</summary>
    internal ExponentialMovingAverage? AverageOf(string name) => _averages.GetValueOrDefault(name);

    /// <summary>Registers everything that sampling needs.</summary>
    internal TrainingState Register(TrainingState state)
    {
        state.Metadata["experiment"] = "cep2d";
        state.Metadata[TrainingState.DiffusionKey] = NoiseModel.Record.ToJson();
        state.AddModule("noise", NoiseModel.Network);
        foreach (var (method, network) in _energies)
        {
            state.AddModule(NameOf(method), network);
        }
        foreach (var (name, average) in _averages)
        {
            state.AddModel($"{name}-average", average);
        }
        return state;
    }

    private NoisePredictor Guided(GuidanceMethod method, double beta, double scale, bool beyondPool) =>
        beta == 0 ? Noise : Noise.GuidedBy(Energy(method, beta, beyondPool), scale);

    private IEnumerable<Tensor> Parts(NoisePredictor noise, long n, Generator generator, SamplerOptions? sampler)
    {
        for (long start = 0; start < n; start += ChunkPoints)
        {
            yield return Part(Math.Min(ChunkPoints, n - start));
        }

        Tensor Part(long count)
        {
            using var turn = NewDisposeScope();
            var xT = Sampler.Normal([count, 2], ScalarType.Float32, Device, generator);
            return Sampler
                .Sample(noise, xT, Schedule, sampler ?? Options.Sampler, generator)
                .cpu()
                .MoveToOuterDisposeScope();
        }
    }

    private void Average(string name, Network network)
    {
        if (Options.AverageDecay > 0)
        {
            _averages[name] = new(network, Options.AverageDecay, AverageStart.BiasCorrected);
        }
    }

    private static Tensor Value(Network network, GuidanceMethod method, Tensor xt, NoiseLevel level, double beta)
    {
        if (network is not CumulantEnergyNetwork compact)
        {
            return network.At(xt, level);
        }
        using var scope = NewDisposeScope();
        if (method == GuidanceMethod.Mse)
        {
            var time = full([1], level.NetworkTime, dtype: xt.dtype, device: xt.device);
            return (beta * compact.MeanEnergy(xt, time)).MoveToOuterDisposeScope();
        }
        var dial = full([1, 1], beta, dtype: xt.dtype, device: xt.device);
        return compact.At(xt, level, dial).MoveToOuterDisposeScope();
    }
}
