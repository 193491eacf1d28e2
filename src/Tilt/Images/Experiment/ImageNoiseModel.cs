using Tilt.Diffusion;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Training;

namespace Tilt.Images;

/// <summary>A noise model of images, and the way to draw from it, guided or not.</summary>
public sealed class ImageNoiseModel : IImageModel
{
    /// <summary>What its checkpoints and files call it.</summary>
    public const string Kind = "images-noise";

    // Enough to keep two cores busy; the activations of so many images stay near 100 MB.
    private const long ChunkImages = 64;

    private readonly ImageUNet _network;

    /// <summary>A model with drawn weights.</summary>
    /// <param name="options">What to build.</param>
    /// <param name="streams">Weights are drawn from its stream <c>weights/noise</c>.</param>
    public ImageNoiseModel(ImageNoiseOptions options, RandomStreams streams)
    {
        options.Check();
        (Options, Schedule) = (options, NoiseSchedules.Parse(options.Schedule));
        _network = new(3, options.Data.Size, Schedule, options.Network, streams["weights/noise"]);
        NoiseModel = new(_network, Schedule, options.Parametrization, Schedule.SamplingEnd);
        if (options.Training.AverageDecay > 0)
        {
            Average = new(_network, options.Training.AverageDecay, AverageStart.BiasCorrected);
        }
    }

    /// <summary>What it was asked for.</summary>
    public ImageNoiseOptions Options { get; }

    /// <summary>What noises the images.</summary>
    public NoiseSchedule Schedule { get; }

    /// <summary>The network and what its output means.</summary>
    public NoiseModel NoiseModel { get; }

    /// <summary>ε of the unguided model.</summary>
    public NoisePredictor Noise => NoiseModel.Noise;

    /// <summary>[3, H, W].</summary>
    public IReadOnlyList<long> Shape => _network.SampleShape;

    internal ExponentialMovingAverage? Average { get; }

    /// <summary>The model of a run's latest checkpoint, with its averaged weights, or of a file of weights.</summary>
    /// <param name="path">The run's folder, or the file.</param>
    /// <param name="notes">Told what is remarkable, such as a damaged checkpoint that was passed over.</param>
    /// <exception cref="TiltException">No run, no checkpoint, or one of another kind.</exception>
    public static ImageNoiseModel Load(string path, Action<string>? notes = null) =>
        ImageWeights.Open(
            path,
            Kind,
            ImagesJson.Default.ImageNoiseOptions,
            notes,
            (options, _, streams) => new ImageNoiseModel(options, streams)
        );

    /// <summary>Writes the weights that are sampled from as one file, in bf16.</summary>
    /// <param name="path">The file.</param>
    public void Save(string path) =>
        ImageWeights.Save(
            path,
            Kind,
            OptionRecords.ToJson(Options, ImagesJson.Default.ImageNoiseOptions),
            [],
            _network
        );

    /// <summary>Draws images.</summary>
    /// <param name="noise">ε(x_t, t), <see cref="Noise"/> or a guided one.</param>
    /// <param name="n">How many; 0 is allowed.</param>
    /// <param name="generator">Starting noise and, for stochastic solvers, theirs.</param>
    /// <param name="sampler">How; null for the run's own.</param>
    /// <param name="precision">bf16 is faster where the processor has it and moves samples by less than a grey level.</param>
    /// <param name="hook">Sees each chunk of at most 64 images after each step; may be null.</param>
    /// <param name="progress">Told how many images are done; may be null.</param>
    /// <param name="stop">Asks to give up, which happens between two evaluations.</param>
    /// <returns>[n, 3, H, W], float32, in about [−1, 1].</returns>
    public Tensor Sample(
        NoisePredictor noise,
        long n,
        Generator generator,
        SamplerOptions? sampler = null,
        Precision precision = Precision.Float32,
        StateHook? hook = null,
        Action<long>? progress = null,
        CancellationToken stop = default
    )
    {
        if (n is < 0 or > int.MaxValue)
        {
            throw TiltException.Usage($"number of samples: found {n}; expected 0 to {int.MaxValue}.");
        }
        var how = sampler ?? Options.Sampler;
        how.Validate(Schedule);
        using var scope = NewDisposeScope();
        using var inner = MixedPrecision.Use(precision);
        var all = empty([n, .. Shape], dtype: ScalarType.Float32);
        for (var first = 0L; first < n; first += ChunkImages)
        {
            using var turn = NewDisposeScope();
            var count = Math.Min(ChunkImages, n - first);
            var xT = Sampler.Normal([count, .. Shape], ScalarType.Float32, null, generator);
            var drawn = Sampler.Sample(Stoppable, xT, Schedule, how, hook, generator);
            all.narrow(0, first, count).copy_(drawn);
            progress?.Invoke(first + count);
        }
        return all.MoveToOuterDisposeScope();

        Tensor Stoppable(Tensor xt, NoiseLevel level)
        {
            stop.ThrowIfCancellationRequested();
            return noise(xt, level);
        }
    }

    Network IImageModel.Network => _network;

    /// <summary>Puts the averaged weights in the network's place. Training cannot go on from there.</summary>
    public void UseAverages() => Average?.CopyTo(_network);

    /// <inheritdoc/>
    public void Dispose()
    {
        _network.Dispose();
        Average?.Dispose();
    }

    TrainingState IImageModel.Register(TrainingState state) => Register(state);

    internal TrainingState Register(TrainingState state)
    {
        state.Metadata[ImageWeights.KindKey] = Kind;
        state.Metadata[TrainingState.DiffusionKey] = NoiseModel.Record.ToJson();
        state.AddModule("noise", _network);
        if (Average is not null)
        {
            state.AddModel("noise-average", Average);
        }
        return state;
    }
}

/// <summary>Trains a noise model of images.</summary>
public sealed class ImageNoiseExperiment : IDisposable
{
    private readonly RandomStreams _streams;
    private readonly ImagePool _pool;
    private readonly ImageDescent _descent;

    /// <summary>A training at its start.</summary>
    /// <param name="options">What to do. Its precision is resolved.</param>
    /// <param name="pool">The images. Stays the caller's.</param>
    public ImageNoiseExperiment(ImageNoiseOptions options, ImagePool pool)
    {
        _streams = new(options.Seed);
        _pool = pool;
        Model = new(options, _streams);
        State = Model.Register(new TrainingState(_streams));
        _descent = new(Model.NoiseModel.Network, options.Training, Model.Average, State);
        Stages = [new("noise", options.Training.Steps, Step)];
    }

    /// <summary>The model in training.</summary>
    public ImageNoiseModel Model { get; }

    /// <summary>What a checkpoint carries.</summary>
    public TrainingState State { get; }

    /// <summary>One stage, <c>noise</c>.</summary>
    public IReadOnlyList<Stage> Stages { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        _descent.Dispose();
        _streams.Dispose();
    }

    private void Step(StepContext step)
    {
        var (options, batch) = (Model.Options, Model.Options.Training.Batch);
        var x0 = _pool.Images(_pool.Places("noise", step.Step, batch, _streams));
        var time = ImageDescent.Times(Model.Schedule, batch, step.Streams["noise/times"]);
        var noise = ForwardProcess.DrawNoise(x0, step.Streams["noise/noise"]);

        using var precision = MixedPrecision.Use(options.Precision);
        _descent.Step(step, DenoisingLoss.Loss(Model.NoiseModel, x0, time, noise, null, Weight));
    }

    /// <summary>1/(σ_t² + c²): errors are counted in units of the noise, down to c.</summary>
    private Tensor Weight(RowLevels levels)
    {
        using var scope = NewDisposeScope();
        var floor = Model.Options.ErrorUnit;
        var weight = floor == 0 ? ones_like(levels.Sigma) : 1 / (levels.Sigma.square() + floor * floor);
        return weight.MoveToOuterDisposeScope();
    }
}
