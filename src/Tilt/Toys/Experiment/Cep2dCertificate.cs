using System.Text.Json.Serialization;
using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Metrics;

namespace Tilt.Toys;

/// <summary>What a certificate looks at.</summary>
public sealed record CertificateOptions
{
    /// <summary>The β to certify.</summary>
    /// <value>3 and 10.</value>
    public IReadOnlyList<double> Betas { get; init; } = [3, 10];

    /// <summary>Samples of each kind, and true samples to compare them with.</summary>
    /// <value>5000.</value>
    public long Points { get; init; } = 5000;

    /// <summary>Points of p_t at which gradients are compared.</summary>
    /// <value>2000.</value>
    public long GradientPoints { get; init; } = 2000;

    /// <summary>Pairs of true draws behind each noise floor.</summary>
    /// <value>10.</value>
    public int Repetitions { get; init; } = 10;

    /// <summary>The seed of all draws; apart from the run's, so that nothing certifies itself.</summary>
    /// <value>1 000 003.</value>
    public long Seed { get; init; } = 1_000_003;

    /// <summary>Times at which gradients are compared, with the largest relative error that passes.</summary>
    public static IReadOnlyList<(double Time, double Bound)> GradientBounds { get; } =
    [(0.05, 0.4), (0.1, 0.25), (0.2, 0.2), (0.4, 0.2), (0.6, 0.25), (0.8, 0.3)];

    /// <summary>An error below this share of the score of p_t passes too: where the exact guidance vanishes, nothing is relative to it.</summary>
    public const double ScoreBound = 0.05;

    /// <summary>The most samples of a kind: metrics compare every pair.</summary>
    public const long MostPoints = 100_000;

    /// <summary>Throws unless the options make sense.</summary>
    public void Check()
    {
        if (Points is < 100 or > MostPoints || GradientPoints is < 100 or > MostPoints || Repetitions is < 3 or > 1000)
        {
            throw TiltException.Usage(
                $"certificate: found {Points} points, {GradientPoints} gradient points and {Repetitions} repetitions; expected "
                    + $"100 to {MostPoints}, 100 to {MostPoints} and 3 to 1000."
            );
        }
        if (!Betas.Any(beta => beta > 0) || Betas.Any(beta => !(beta >= 0 && double.IsFinite(beta))))
        {
            throw TiltException.Usage(
                $"certificate: found beta {(Betas.Count == 0 ? "none" : string.Join(", ", Betas))}; expected finite numbers, at least "
                    + "one of them above 0: at 0 there is no guidance to certify."
            );
        }
    }
}

/// <summary>∇E_t against the exact one at one time.</summary>
/// <param name="Time">t.</param>
/// <param name="RelativeError">√(E‖learned − exact‖² / E‖exact‖²) under p_t.</param>
/// <param name="ShareOfScore">√(E‖learned − exact‖² / E‖∇ log p_t‖²) under p_t: the error beside what it is added to.</param>
/// <param name="Bound">The largest relative error that passes.</param>
public sealed record GradientCheck(double Time, double RelativeError, double ShareOfScore, double Bound)
{
    /// <summary>Whether it passes: a small error of the guidance, or one too small beside the score to matter.</summary>
    public bool Passed => RelativeError <= Bound || ShareOfScore <= CertificateOptions.ScoreBound;
}

/// <summary>One metric of samples against the truth.</summary>
/// <param name="Name">The metric.</param>
/// <param name="Value">Its value; ∞ where samples are not finite, because the sampler diverged.</param>
/// <param name="Floor">The same for true samples against true samples.</param>
public sealed record MetricCheck(string Name, double Value, NoiseFloor Floor)
{
    /// <summary>Whether it is within max(2·floor, floor + 6 standard deviations).</summary>
    public bool Passed => Value <= Floor.Bound;
}

/// <summary>One way of sampling, measured at one β.</summary>
/// <param name="Noise"><c>learned</c> or <c>exact</c>: where ε comes from.</param>
/// <param name="Guidance">A method's name, <c>exact</c>, or <c>none</c>.</param>
/// <param name="Beta">β.</param>
/// <param name="Mark">What has to be said of it, such as that the data limit it; else null.</param>
/// <param name="Metrics">Its samples against the truth.</param>
/// <param name="Gradients">Its ∇E_t against the exact one; empty where the guidance is exact or none.</param>
public sealed record CertificateRow(
    string Noise,
    string Guidance,
    double Beta,
    string? Mark,
    IReadOnlyList<MetricCheck> Metrics,
    IReadOnlyList<GradientCheck> Gradients
)
{
    /// <summary>Whether everything passes.</summary>
    public bool Passed => Metrics.All(metric => metric.Passed) && Gradients.All(gradient => gradient.Passed);

    /// <summary>The metric of that name.</summary>
    public MetricCheck Metric(string name) => Metrics.First(metric => metric.Name == name);
}

/// <summary>The exactness certificate of a 2-D run: every number beside its noise floor, errors told apart by their source.</summary>
/// <param name="Task">The data set.</param>
/// <param name="Solver">The solver that drew the samples.</param>
/// <param name="Evaluations">Its evaluations.</param>
/// <param name="Points">Samples of each kind.</param>
/// <param name="Rows">What was measured.</param>
/// <param name="Methods">The methods that were certified.</param>
public sealed record Certificate(
    string Task,
    string Solver,
    int Evaluations,
    long Points,
    IReadOnlyList<CertificateRow> Rows,
    IReadOnlyList<string> Methods
)
{
    /// <summary>Names of the metrics, in the order of tables.</summary>
    public static IReadOnlyList<string> MetricNames { get; } =
    ["sliced W1", "energy distance", "MMD", "bin total variation", "mean label error"];

    /// <summary>Whether a method's own guidance on the learned noise model passes at every β that the data can represent.</summary>
    /// <param name="method">Its name.</param>
    /// <returns>False too where no β was left to decide on: what was not tested is not certified.</returns>
    public bool Passed(string method)
    {
        var deciding = Own(method).Where(row => row.Mark is null).ToList();
        return deciding.Count > 0 && deciding.TrueForAll(row => row.Passed);
    }

    /// <summary>Whether every certified method passes.</summary>
    public bool AllPassed => Methods.All(Passed);

    /// <summary>The sentence at the top of a report.</summary>
    public string Verdict => string.Join("; ", Methods.Select(VerdictOn)) + ".";

    private IEnumerable<CertificateRow> Own(string method) =>
        Rows.Where(row => row.Noise == "learned" && row.Guidance == method);

    private string VerdictOn(string method)
    {
        var marked = Own(method).Where(row => row.Mark is not null).ToList();
        var word =
            Passed(method) ? "is certified exact within the noise floor"
            : marked.Count > 0 && marked.Count == Own(method).Count() ? "cannot be certified"
            : "is not exact";
        var marks = marked.Select(row => $"β = {row.Beta:0.###} is {row.Mark}").ToList();
        return $"{MethodTitles.Of(method)} {word}{(marks.Count > 0 ? $" ({string.Join(", ", marks)})" : "")}";
    }
}

/// <summary>Measures a trained 2-D run against the closed forms.</summary>
/// <remarks>
/// Three questions, so that errors stand apart. Is the learned gradient the exact one? Do samples of the learned model follow the
/// target? And which part is to blame when they do not: with exact noise and exact guidance only the solver errs, with one of
/// them learned only that one and the solver do.
/// </remarks>
public sealed class Cep2dCertifier : IDisposable
{
    private const string Learned = "learned";
    private const string Exact = "exact";
    private const int CountRepetitions = 200;

    private readonly Cep2dModel _model;
    private readonly CertificateOptions _options;
    private readonly Dictionary<double, ExactTilt> _exact = [];
    private readonly Dictionary<double, Truth> _truths = [];

    private sealed record Truth(
        Tensor Points,
        IReadOnlyDictionary<string, SampleMetric> Metrics,
        IReadOnlyDictionary<string, NoiseFloor> Floors
    );

    /// <summary>A certifier of the given model.</summary>
    /// <param name="model">The model. Stays the caller's.</param>
    /// <param name="options">What to look at.</param>
    public Cep2dCertifier(Cep2dModel model, CertificateOptions options)
    {
        options.Check();
        (_model, _options) = (model, options);
    }

    /// <summary>Certifies methods of the run.</summary>
    /// <param name="methods">Which; DPS is possible for every run.</param>
    /// <param name="say">Told what is being measured; may be null.</param>
    public Certificate Certify(IReadOnlyList<GuidanceMethod> methods, Action<string>? say = null)
    {
        var rows = new List<CertificateRow>();
        say?.Invoke("beta 0: the noise model alone");
        rows.Add(Row(Learned, "none", 0, null, _model.Noise, null));
        foreach (var beta in _options.Betas.Where(beta => beta > 0))
        {
            var exact = ExactAt(beta);
            say?.Invoke($"beta {beta}: exact guidance");
            rows.Add(Row(Exact, Exact, beta, null, exact.Target.Noise, null));
            rows.Add(Row(Learned, Exact, beta, null, _model.Noise.GuidedBy(exact.Energy), null));
            foreach (var method in methods)
            {
                var name = Cep2dModel.NameOf(method);
                say?.Invoke($"beta {beta}: {name}");
                var energy = _model.Energy(method, beta, beyondPool: true);
                var mark = method == GuidanceMethod.Dps ? null : _model.Options.Dial.Mark(beta);
                var gradients = Gradients(energy, beta);
                rows.Add(Row(Learned, name, beta, mark, _model.Noise.GuidedBy(energy), gradients));
                if (method != GuidanceMethod.Dps)
                {
                    // DPS differentiates through the noise model, so it has no guidance apart from it.
                    rows.Add(Row(Exact, name, beta, mark, exact.Data.Noise.GuidedBy(energy), null));
                }
            }
        }
        var sampler = _model.Options.Sampler;
        return new(
            _model.Options.Task,
            sampler.Solver,
            sampler.Spent,
            _options.Points,
            rows,
            [.. methods.Select(Cep2dModel.NameOf)]
        );
    }

    /// <summary>The metrics of any samples against the truth at β, each beside its noise floor.</summary>
    /// <param name="samples">[N, 2] with N = <see cref="CertificateOptions.Points"/>. One that is not finite makes every metric ∞.</param>
    /// <param name="beta">β of the target.</param>
    public IReadOnlyList<MetricCheck> Measure(Tensor samples, double beta)
    {
        var truth = TruthAt(beta);
        using var finite = samples.isfinite().all();
        if (!finite.item<bool>())
        {
            return
            [
                .. Certificate.MetricNames.Select(name => new MetricCheck(
                    name,
                    double.PositiveInfinity,
                    truth.Floors[name]
                )),
            ];
        }
        return
        [
            .. Certificate.MetricNames.Select(name => new MetricCheck(
                name,
                truth.Metrics[name](samples, truth.Points),
                truth.Floors[name]
            )),
        ];
    }

    /// <summary>The exact posteriors and energies at β; kept for the certifier's lifetime.</summary>
    public ExactTilt ExactAt(double beta)
    {
        if (!_exact.TryGetValue(beta, out var exact))
        {
            exact = _model.Dataset.Exact(beta);
            _exact.Add(beta, exact);
        }
        return exact;
    }

    /// <summary>The relative error of ∇E_t under p_t at each certified time.</summary>
    public IReadOnlyList<GradientCheck> Gradients(IntermediateEnergy energy, double beta)
    {
        var checks = new List<GradientCheck>();
        using var streams = new RandomStreams(_options.Seed);
        foreach (var (time, bound) in CertificateOptions.GradientBounds)
        {
            using var scope = NewDisposeScope();
            using var inference = no_grad();
            var level = _model.Schedule.At(time);
            var generator = streams[$"gradients/{beta}/{time}"];
            var x0 = _model.Dataset.SampleTilted(beta, _options.GradientPoints, generator).X;
            var xt = (level.Alpha * x0 + level.Sigma * randn_like(x0, generator)).to(_model.Device);

            var exact = ExactAt(beta).EnergyGradient(xt, level).to(ScalarType.Float64).cpu();
            var learned = energy.Gradient(xt, level).to(ScalarType.Float64).cpu();
            var score = ExactAt(beta).Target.Score(xt, level).to(ScalarType.Float64).cpu();
            var error = (learned - exact).square().sum();
            checks.Add(
                new(
                    time,
                    (error / exact.square().sum()).sqrt().item<double>(),
                    (error / score.square().sum()).sqrt().item<double>(),
                    bound
                )
            );
        }
        return checks;

        static Tensor randn_like(Tensor x, Generator generator) => ForwardProcess.DrawNoise(x, generator);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var exact in _exact.Values)
        {
            exact.Dispose();
        }
        foreach (var truth in _truths.Values)
        {
            truth.Points.Dispose();
        }
    }

    private CertificateRow Row(
        string noise,
        string guidance,
        double beta,
        string? mark,
        NoisePredictor predictor,
        IReadOnlyList<GradientCheck>? gradients
    )
    {
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(_options.Seed);
        // The same starting noise for every kind, so that differences are the kinds'.
        var samples = _model.Sample(predictor, _options.Points, streams[$"samples/{beta}"]);
        return new(noise, guidance, beta, mark, Measure(samples, beta), gradients ?? []);
    }

    private Truth TruthAt(double beta)
    {
        if (_truths.TryGetValue(beta, out var truth))
        {
            return truth;
        }
        var dataset = _model.Dataset;
        var exactLabel = dataset.MeanLabel(beta);
        var distances = new Dictionary<string, SampleMetric>
        {
            ["sliced W1"] = (x, y) => SlicedWasserstein.Distance(x, y),
            ["energy distance"] = EnergyDistance.Distance,
            ["MMD"] = (x, y) => MaximumMeanDiscrepancy.Distance(x, y),
        };
        // Against exact masses and means; where those are almost 0 or 1, only many repetitions see that true samples scatter at all.
        var counts = new Dictionary<string, SampleMetric>
        {
            ["bin total variation"] = BinTotalVariation.Against(dataset.Bins, beta),
            ["mean label error"] = MeanLabel.Against(dataset.EffectiveLabels, exactLabel),
        };
        using var streams = new RandomStreams(_options.Seed);
        Tensor Draw(long n, Generator generator) => dataset.SampleTilted(beta, n, generator).X;
        var floors = NoiseFloor
            .EstimateAll(distances, Draw, _options.Points, _options.Repetitions, streams)
            .Concat(NoiseFloor.EstimateAll(counts, Draw, _options.Points, CountRepetitions, streams))
            .ToDictionary(pair => pair.Key, pair => pair.Value);
        var metrics = distances.Concat(counts).ToDictionary(pair => pair.Key, pair => pair.Value);
        using var scope = NewDisposeScope();
        var points = Draw(_options.Points, streams[$"truth/{beta}"]).DetachFromDisposeScope();
        truth = new(points, metrics, floors);
        _truths.Add(beta, truth);
        return truth;
    }
}

/// <summary>How certificates are written as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    WriteIndented = true
)]
[JsonSerializable(typeof(Certificate))]
public sealed partial class CertificateJson : JsonSerializerContext;
