using System.Text.Json.Serialization;
using Tilt.Energy;
using Tilt.Metrics;

namespace Tilt.Images.Certificate;

/// <summary>One number of samples beside what true samples come to.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Value">Its value.</param>
/// <param name="Floor">The same of true samples.</param>
public sealed record ImageCheck(string Name, double Value, NoiseFloor Floor)
{
    /// <summary>The largest multiple of the floor that passes.</summary>
    public const double MostFloors = 2;

    /// <summary>Value over the floor's mean.</summary>
    public double Ratio => Value / Floor.Mean;

    /// <summary>Whether it is within twice the floor.</summary>
    public bool Passed => Value <= MostFloors * Floor.Mean;
}

/// <summary>Samples of one method, tilted by one energy at one β, beside the truth.</summary>
/// <param name="Method">How they were made, such as <c>cep</c>, <c>exact</c> or <c>none</c>.</param>
/// <param name="Energy">What they were tilted by.</param>
/// <param name="Beta">β of the target.</param>
/// <param name="Scale">The guidance scale they were made with.</param>
/// <param name="EffectiveSize">(Σw)²/Σw² of the reference: how many draws of the target it is worth.</param>
/// <param name="EffectiveShare">The same as a share of all its draws.</param>
/// <param name="Marginals">Total variation of the marginals, one for every reading.</param>
/// <param name="Distances">Distances in feature space; empty without features.</param>
/// <param name="Novelty">Distance to the training pictures; null without any.</param>
/// <param name="MeanEnergy">Mean E of the samples.</param>
/// <param name="TrueMeanEnergy">Mean E of the target.</param>
public sealed record ImageCertificateRow(
    string Method,
    string Energy,
    double Beta,
    double Scale,
    double EffectiveSize,
    double EffectiveShare,
    IReadOnlyList<ImageCheck> Marginals,
    IReadOnlyList<ImageCheck> Distances,
    Novelty? Novelty,
    double MeanEnergy,
    double TrueMeanEnergy
)
{
    /// <summary>The marginal or distance of that name.</summary>
    public ImageCheck Check(string name) => Marginals.Concat(Distances).First(check => check.Name == name);
}

/// <summary>How often samples of a class are told to be of it.</summary>
/// <param name="Method"><c>cep</c> or <c>classifier</c>.</param>
/// <param name="Class">The class, such as <c>background-hue=red</c>.</param>
/// <param name="Scale">The guidance scale.</param>
/// <param name="Accuracy">The share of samples that the judge takes for the class.</param>
/// <param name="Judge">The judge: <c>pixels</c>, which do not err on true pictures, or <c>classifier</c>.</param>
public sealed record ClassRow(string Method, string Class, double Scale, double Accuracy, string Judge);

/// <summary>What was measured of an image run.</summary>
/// <param name="Reference">What the truth is made of.</param>
/// <param name="Draws">Draws of the reference.</param>
/// <param name="Samples">Samples of each row.</param>
/// <param name="Solver">What drew them.</param>
/// <param name="Evaluations">Network calls per sample.</param>
/// <param name="Rows">The rows.</param>
/// <param name="Oracle">Errors against the posterior of the finite training set, where they were measured.</param>
/// <param name="Classes">Class-wise accuracy, for runs of classes.</param>
/// <param name="Classifiers">Held-out accuracy of the frozen classifier, by attribute.</param>
public sealed record ImageCertificate(
    string Reference,
    long Draws,
    long Samples,
    string Solver,
    int Evaluations,
    IReadOnlyList<ImageCertificateRow> Rows,
    IReadOnlyList<OracleRow> Oracle,
    IReadOnlyList<ClassRow> Classes,
    IReadOnlyDictionary<string, double> Classifiers
)
{
    /// <summary>How many energies a method serves within twice the floor of the mean-hue histogram at a β, and how many were measured.</summary>
    public (int Passed, int Measured) MeanHue(string method, double beta)
    {
        var rows = Rows.Where(row => row.Method == method && row.Beta == beta).ToList();
        return (rows.Count(row => row.Check(PictureReading.OfMeanHue.Name).Passed), rows.Count);
    }

    private const string Comparison = "dps";

    /// <summary>The least accuracy of a class at scale 1 that passes.</summary>
    public const double LeastAccuracy = 0.95;

    /// <summary>
    /// Whether everything that decides passes: mean hues within twice their floors; accuracies of classes at scale 1. DPS, which is not
    /// exact and stands there for comparison, decides only where there is nothing else.
    /// </summary>
    public bool Passed
    {
        get
        {
            var deciding = Rows.Where(row => row.Method != Comparison).ToList();
            return (deciding.Count > 0 ? deciding : Rows).All(row => row.Check(PictureReading.OfMeanHue.Name).Passed)
                && Classes.Where(row => row.Scale == 1).All(row => row.Accuracy >= LeastAccuracy);
        }
    }

    /// <summary>This certificate, and of an earlier one what was measured in the same way and is not in this.</summary>
    /// <param name="earlier">Of the same checkpoint. Nothing is taken where reference, draws, samples or solver differ.</param>
    public ImageCertificate With(ImageCertificate earlier)
    {
        if (
            (Reference, Draws, Samples, Solver, Evaluations)
            != (earlier.Reference, earlier.Draws, earlier.Samples, earlier.Solver, earlier.Evaluations)
        )
        {
            return this;
        }
        return this with
        {
            Rows = [.. earlier.Rows.ExceptBy(Rows.Select(Key), Key), .. Rows],
            Oracle =
            [
                .. earlier.Oracle.ExceptBy(Oracle.Select(row => (row.Energy, row.Beta)), row => (row.Energy, row.Beta)),
                .. Oracle,
            ],
            Classes =
            [
                .. earlier.Classes.ExceptBy(
                    Classes.Select(row => (row.Class, row.Scale)),
                    row => (row.Class, row.Scale)
                ),
                .. Classes,
            ],
        };

        static (string, string, double, double) Key(ImageCertificateRow row) =>
            (row.Method, row.Energy, row.Beta, row.Scale);
    }

    /// <summary>The outcome in a sentence or two.</summary>
    public string Verdict
    {
        get
        {
            var parts = Rows.GroupBy(row => (row.Method, row.Beta))
                .Select(group =>
                {
                    var (passed, measured) = MeanHue(group.Key.Method, group.Key.Beta);
                    return group.Key.Beta == 0
                        ? $"mean hues of unguided samples are {(passed == measured ? "" : "not ")}within twice the noise floor"
                        : $"{MethodTitles.Of(group.Key.Method)} at β = {group.Key.Beta:0.###}: {passed} of {measured} within twice the noise floor of mean hues";
                })
                .ToList();
            parts.AddRange(
                Classes
                    .Where(row => row.Scale == 1)
                    .GroupBy(row => (row.Method, Attribute: row.Class.Split('=')[0]))
                    .Select(group =>
                        $"{MethodTitles.Of(group.Key.Method)}, {group.Key.Attribute}: {100 * group.Average(row => row.Accuracy):0.0} % of samples are of their class, "
                        + $"{100 * group.Min(row => row.Accuracy):0.0} % of the worst one"
                    )
            );
            var text = string.Join("; ", parts);
            return text.Length == 0 ? "Nothing was measured." : $"{char.ToUpperInvariant(text[0])}{text[1..]}.";
        }
    }
}

/// <summary>What the certifier looks at.</summary>
public sealed record ImageCertifierOptions
{
    /// <summary>Samples of each row, and true samples they are compared with.</summary>
    /// <value>2000.</value>
    public long Samples { get; init; } = 2000;

    /// <summary>Draws behind the floors of marginals.</summary>
    /// <value>100.</value>
    public int MarginalRepetitions { get; init; } = 100;

    /// <summary>Pairs of true draws behind the floors of distances.</summary>
    /// <value>5.</value>
    public int DistanceRepetitions { get; init; } = 5;

    /// <summary>The seed of all draws.</summary>
    /// <value>1 000 003.</value>
    public long Seed { get; init; } = 1_000_003;

    /// <summary>The largest part of the reference's effective size that samples may be: beyond it, the same true pictures come again and again.</summary>
    /// <value>1.</value>
    public double MostOfEffectiveSize { get; init; } = 1;

    /// <summary>Throws unless the options make sense.</summary>
    public void Check()
    {
        if (
            Samples is < 50 or > 100_000
            || MarginalRepetitions is < 2 or > 10_000
            || DistanceRepetitions is < 2 or > 1000
        )
        {
            throw TiltException.Usage(
                $"certificate: found {Samples} samples, {MarginalRepetitions} and {DistanceRepetitions} repetitions; expected 50 to "
                    + "100000, 2 to 10000 and 2 to 1000."
            );
        }
    }
}

/// <summary>Holds samples of pictures against the reweighted reference.</summary>
public sealed class ImageCertifier : IDisposable
{
    private readonly TiltedReference _reference;
    private readonly ImageCertifierOptions _options;
    private readonly Func<Tensor, Tensor>? _features;
    private readonly PictureSet? _training;
    private readonly RandomStreams _streams;
    private readonly Dictionary<(string, double), Truth> _truths = [];

    private sealed record Truth(
        double EffectiveSize,
        double MeanEnergy,
        IReadOnlyList<(PictureReading Reading, double[] Masses, NoiseFloor Floor)> Marginals,
        PictureSet? Pictures,
        Tensor? Features,
        IReadOnlyDictionary<string, NoiseFloor> Floors
    );

    /// <summary>A certifier.</summary>
    /// <param name="reference">The truth.</param>
    /// <param name="options">What to look at.</param>
    /// <param name="features">Features to measure distances in, [B, 3, H, W] in [−1, 1] → [B, D]; null for none.</param>
    /// <param name="training">The training pictures, for novelty; null for none.</param>
    public ImageCertifier(
        TiltedReference reference,
        ImageCertifierOptions options,
        Func<Tensor, Tensor>? features = null,
        PictureSet? training = null
    )
    {
        options.Check();
        (_reference, _options, _features, _training) = (reference, options, features, training);
        _streams = new RandomStreams(options.Seed);
    }

    /// <summary>Names of the distances, in the order of tables.</summary>
    public static IReadOnlyList<string> DistanceNames { get; } = ["polynomial MMD", "Fréchet distance"];

    /// <summary>Measures samples against the target.</summary>
    /// <param name="method">How they were made.</param>
    /// <param name="energy">What they were tilted by, a name of the reference's energies; any where β is 0.</param>
    /// <param name="beta">β of the target; 0 for the data themselves.</param>
    /// <param name="samples">N pictures.</param>
    /// <param name="scale">The guidance scale they were made with.</param>
    /// <remarks>Floors are of <see cref="ImageCertifierOptions.Samples"/> true pictures: N should be that many.</remarks>
    /// <exception cref="TiltException">The number of samples differs from the floors'.</exception>
    public ImageCertificateRow Measure(string method, string energy, double beta, PictureSet samples, double scale = 1)
    {
        if (samples.Count != _options.Samples)
        {
            throw new TiltException(
                $"certificate: found {samples.Count} samples of {method}; expected {_options.Samples}, as its floors have."
            );
        }
        var truth = TruthAt(energy, beta);
        using var scope = NewDisposeScope();
        var marginals = truth.Marginals.Select(marginal => new ImageCheck(
            marginal.Reading.Name,
            BinTotalVariation.Distance(marginal.Reading.Shares(samples), marginal.Masses),
            marginal.Floor
        ));
        var distances = new List<ImageCheck>();
        if (_features is not null)
        {
            var found = FeatureDistances.Of(samples, _features);
            distances.AddRange(
                DistanceNames.Select(name => new ImageCheck(
                    name,
                    Distance(name, found, truth.Features!),
                    truth.Floors[name]
                ))
            );
        }
        var novelty =
            _training is null ? null
            : _reference.Law.IsTraining ? Novelty.LeavingOneOut(samples, _training)
            : Novelty.Of(samples, truth.Pictures!, _training);
        var kinds = _reference.Energies.Names.Count;
        var kind = _reference.Energies.Index(energy);
        var mean = _reference.Energies.Of(samples).Where((_, i) => i % kinds == kind).Average();
        return new(
            method,
            energy,
            beta,
            scale,
            truth.EffectiveSize,
            truth.EffectiveSize / _reference.Count,
            [.. marginals],
            distances,
            novelty,
            mean,
            truth.MeanEnergy
        );
    }

    /// <summary>True pictures of the target, as many as are measured: what a gallery shows beside a method's.</summary>
    public PictureSet TruePictures(string energy, double beta) =>
        _reference.DrawPictures(energy, beta, _options.Samples, _streams.SeedOf($"truth/{energy}/{beta}"));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var truth in _truths.Values)
        {
            truth.Features?.Dispose();
        }
        _streams.Dispose();
    }

    private Truth TruthAt(string energy, double beta)
    {
        if (_truths.TryGetValue((energy, beta), out var truth))
        {
            return truth;
        }
        var n = _options.Samples;
        var size = _reference.EffectiveSize(energy, beta);
        if (n > _options.MostOfEffectiveSize * size)
        {
            throw new TiltException(
                $"certificate: at beta {beta} of '{energy}' the reference of {_reference.Count} pictures is worth {size:0} draws of the "
                    + $"target, fewer than the {n} samples to be measured. Take more pictures, fewer samples or a smaller beta."
            );
        }
        var marginals = _reference
            .Readings.Select(reading =>
                (
                    reading,
                    _reference.Masses(reading, energy, beta),
                    _reference.Floor(reading, energy, beta, n, _options.MarginalRepetitions, _streams)
                )
            )
            .ToList();
        var needed = _features is not null || _training is not null;
        var pictures = needed ? TruePictures(energy, beta) : null;
        using var scope = NewDisposeScope();
        Tensor? features = null;
        var floors = new Dictionary<string, NoiseFloor>();
        if (_features is not null)
        {
            features = FeatureDistances.Of(pictures!, _features).DetachFromDisposeScope();
            var values = DistanceNames.ToDictionary(name => name, _ => new double[_options.DistanceRepetitions]);
            for (var r = 0; r < _options.DistanceRepetitions; r++)
            {
                using var turn = NewDisposeScope();
                var (one, other) = (Again($"{r}/one"), Again($"{r}/other"));
                foreach (var name in DistanceNames)
                {
                    values[name][r] = Distance(name, one, other);
                }
            }
            foreach (var (name, found) in values)
            {
                var mean = found.Average();
                var variance = found.Sum(value => (value - mean) * (value - mean)) / (found.Length - 1);
                floors[name] = new(mean, Math.Sqrt(variance), found.Length, n);
            }
        }
        truth = new(size, _reference.MeanEnergy(energy, beta), marginals, pictures, features, floors);
        _truths.Add((energy, beta), truth);
        return truth;

        Tensor Again(string name) =>
            FeatureDistances.Of(
                _reference.DrawPictures(energy, beta, n, _streams.SeedOf($"floor/{energy}/{beta}/{name}")),
                _features!
            );
    }

    private static double Distance(string name, Tensor samples, Tensor truth) =>
        name == DistanceNames[0]
            ? FeatureDistances.PolynomialMmd(samples, truth)
            : FeatureDistances.Frechet(samples, truth);
}

/// <summary>How image certificates are written as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    WriteIndented = true
)]
[JsonSerializable(typeof(ImageCertificate))]
public sealed partial class ImageCertificateJson : JsonSerializerContext;
