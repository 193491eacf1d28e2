using Tilt.Images.Avatars;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.Images;

/// <summary>A frozen classifier of clean images: judges what samples show, and gives the features that distances are measured in.</summary>
/// <remarks>Distances in its features are comparable within Tilt only, and only for one and the same classifier.</remarks>
public sealed class ImageClassifier : IImageModel
{
    /// <summary>What its checkpoints and files call it.</summary>
    public const string Kind = "images-classifier";

    // The classifier sees clean images: what it is told of the time is always the same.
    private static readonly NoiseSchedule Schedule = NoiseSchedules.Parse("discrete-linear");

    private readonly ImageClassNetwork _network;
    private readonly List<(AvatarAttribute Attribute, int First, int Count)> _groups = [];

    internal ImageClassifier(ImageClassifierOptions options, RandomStreams streams)
    {
        options.Check();
        Options = options;
        var classes = 0;
        foreach (var attribute in options.Attributes.Select(AvatarAttributes.Parse))
        {
            var count = attribute.Values().Count;
            _groups.Add((attribute, classes, count));
            classes += count;
        }
        _network = new(3, options.Data.Size, classes, Schedule, options.Network, streams["weights/classifier"]);
        if (options.Training.AverageDecay > 0)
        {
            Average = new(_network, options.Training.AverageDecay, AverageStart.BiasCorrected);
        }
    }

    /// <summary>What it was asked for.</summary>
    public ImageClassifierOptions Options { get; }

    /// <summary>The attributes it tells.</summary>
    public IReadOnlyList<AvatarAttribute> Attributes => [.. _groups.Select(group => group.Attribute)];

    /// <summary>The width of <see cref="Features"/>.</summary>
    public long FeatureWidth => _network.Features;

    internal Network Network => _network;

    internal ExponentialMovingAverage? Average { get; }

    /// <summary>The classifier of a run's latest checkpoint, or of a file of weights.</summary>
    /// <param name="path">The run's folder, or the file.</param>
    /// <param name="notes">Told what is remarkable.</param>
    /// <exception cref="TiltException">No run, no checkpoint, or one of another kind.</exception>
    public static ImageClassifier Load(string path, Action<string>? notes = null) =>
        ImageWeights.Open(
            path,
            Kind,
            ImagesJson.Default.ImageClassifierOptions,
            notes,
            (options, _, streams) => new ImageClassifier(options, streams)
        );

    /// <summary>What images show of an attribute.</summary>
    /// <param name="images">Clean images, [B, 3, H, W].</param>
    /// <param name="attribute">One of <see cref="Attributes"/>.</param>
    /// <returns>Classes, [B], int64.</returns>
    public Tensor Classify(Tensor images, AvatarAttribute attribute)
    {
        using var scope = NewDisposeScope();
        return Probabilities(images, attribute).argmax(1).MoveToOuterDisposeScope();
    }

    /// <summary>The probability of each class of an attribute.</summary>
    /// <param name="images">Clean images, [B, 3, H, W].</param>
    /// <param name="attribute">One of <see cref="Attributes"/>.</param>
    /// <returns>[B, M].</returns>
    public Tensor Probabilities(Tensor images, AvatarAttribute attribute)
    {
        var at = _groups.FindIndex(group => group.Attribute == attribute);
        if (at < 0)
        {
            throw Suggest.Unknown(
                "attribute of the classifier",
                attribute.Name(),
                [.. Attributes.Select(known => known.Name())]
            );
        }
        var (_, first, count) = _groups[at];
        return InParts(images, part => nn.functional.softmax(Logits(part).narrow(1, first, count), 1));
    }

    /// <summary>The features of images, [B, <see cref="FeatureWidth"/>].</summary>
    /// <param name="images">Clean images, [B, 3, H, W].</param>
    public Tensor Features(Tensor images) => InParts(images, part => _network.Pooled(part, Told(part)));

    /// <summary>The share of images that it tells right, by attribute.</summary>
    /// <param name="pool">Labelled images that it was not trained on.</param>
    public IReadOnlyDictionary<AvatarAttribute, double> Accuracy(ImagePool pool)
    {
        using var scope = NewDisposeScope();
        var logits = pool.Map(images => InParts(images, Logits));
        var found = new Dictionary<AvatarAttribute, double>();
        foreach (var (attribute, first, count) in _groups)
        {
            var told = logits.narrow(1, first, count).argmax(1);
            var labels = pool.Labels(attribute.Name()).Classes;
            found[attribute] = told.eq(labels).to(ScalarType.Float64).mean().item<double>();
        }
        return found;
    }

    /// <summary>Writes the weights as one file, in bf16.</summary>
    /// <param name="path">The file.</param>
    public void Save(string path) =>
        ImageWeights.Save(
            path,
            Kind,
            OptionRecords.ToJson(Options, ImagesJson.Default.ImageClassifierOptions),
            [],
            _network
        );

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
        state.Metadata["attributes"] = string.Join('\n', Options.Attributes);
        state.AddModule("classifier", _network);
        if (Average is not null)
        {
            state.AddModel("classifier-average", Average);
        }
        return state;
    }

    /// <summary>All attributes' logits side by side.</summary>
    internal Tensor Logits(Tensor images)
    {
        using var scope = NewDisposeScope();
        return _network.call(images, Told(images)).MoveToOuterDisposeScope();
    }

    internal Tensor Loss(Tensor logits, IReadOnlyList<Tensor> labels)
    {
        using var scope = NewDisposeScope();
        var total = zeros(1, dtype: logits.dtype);
        foreach (var ((_, first, count), classes) in _groups.Zip(labels))
        {
            total = total + Energy.ClassifierGuidance.Loss(logits.narrow(1, first, count), classes);
        }
        return total.squeeze(0).MoveToOuterDisposeScope();
    }

    private static Tensor Told(Tensor images) =>
        full([1], Schedule.NetworkTime(Schedule.SamplingEnd), dtype: images.dtype, device: images.device);

    private static Tensor InParts(Tensor images, Func<Tensor, Tensor> function)
    {
        const long Part = 512;
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var parts = new List<Tensor>();
        for (var first = 0L; first < images.shape[0] || parts.Count == 0; first += Part)
        {
            using var turn = NewDisposeScope();
            var part = images.narrow(0, first, Math.Min(Part, images.shape[0] - first));
            parts.Add(function(part).MoveToOuterDisposeScope());
        }
        return cat(parts, 0).MoveToOuterDisposeScope();
    }
}

/// <summary>Trains the classifier of clean images.</summary>
public sealed class ImageClassifierExperiment : IDisposable
{
    private readonly RandomStreams _streams;
    private readonly ImagePool _pool;
    private readonly ImageDescent _descent;
    private readonly List<Tensor> _labels = [];

    /// <summary>A training at its start.</summary>
    /// <param name="options">What to do. Its precision is resolved.</param>
    /// <param name="pool">Labelled images. Stays the caller's.</param>
    public ImageClassifierExperiment(ImageClassifierOptions options, ImagePool pool)
    {
        _streams = new(options.Seed);
        _pool = pool;
        Model = new(options, _streams);
        foreach (var attribute in Model.Attributes)
        {
            _labels.Add(pool.Labels(attribute.Name()).Classes.DetachFromDisposeScope());
        }
        State = Model.Register(new TrainingState(_streams));
        _descent = new(Model.Network, options.Training, Model.Average, State);
        Stages = [new("classifier", options.Training.Steps, Step)];
    }

    /// <summary>The classifier in training.</summary>
    public ImageClassifier Model { get; }

    /// <summary>What a checkpoint carries.</summary>
    public TrainingState State { get; }

    /// <summary>One stage, <c>classifier</c>.</summary>
    public IReadOnlyList<Stage> Stages { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        _descent.Dispose();
        foreach (var labels in _labels)
        {
            labels.Dispose();
        }
        _streams.Dispose();
    }

    private void Step(StepContext step)
    {
        var options = Model.Options;
        var places = _pool.Places("classifier", step.Step, options.Training.Batch, _streams);
        var images = _pool.Images(places);
        images = images + options.Noise * randn(images.shape, generator: step.Streams["classifier/noise"]);
        using var precision = MixedPrecision.Use(options.Precision);
        var labels = _labels.ConvertAll(all => all.index_select(0, places));
        _descent.Step(step, Model.Loss(Model.Logits(images), labels));
    }
}
