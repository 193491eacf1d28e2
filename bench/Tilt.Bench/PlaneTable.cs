using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Metrics;
using Tilt.Runs;
using Tilt.Toys;
using Tilt.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>What one training seed reached on one data set at one β: sliced W1 of 5000 samples, 25 evaluations.</summary>
public sealed record PlaneResult
{
    public required string Task { get; init; }
    public required long Seed { get; init; }
    public required double Beta { get; init; }
    public required double Floor { get; init; }
    public required double Bound { get; init; }

    /// <summary>Exact noise and exact guidance, 25 and 50 evaluations: the solver alone.</summary>
    public required double Oracle { get; init; }
    public required double Oracle50 { get; init; }

    /// <summary>Whether every metric of the certificate is within its bound with 50 evaluations.</summary>
    public required bool Oracle50Passed { get; init; }
    public required double Cep { get; init; }
    public required double Mse { get; init; }
    public required double Dps { get; init; }

    /// <summary>CEP by a network trained for this β alone, on the same noise model.</summary>
    public required double CepOneBeta { get; init; }
    public required double TotalVariation { get; init; }
    public required double TotalVariationBound { get; init; }
    public required bool Certified { get; init; }
}

/// <summary>The table of the 2-D experiment: six data sets, several seeds, each method beside the noise floor.</summary>
/// <remarks>Results are appended one by one to a file; what is there already is not computed again.</remarks>
public static class PlaneTable
{
    private const long Points = 5000;
    private static readonly double[] Betas = [3, 10];

    /// <summary>Runs what is missing and prints the table.</summary>
    /// <param name="args">The results file, then the number of seeds, then tasks; or the file alone to print it.</param>
    public static int Run(IReadOnlyList<string> args)
    {
        var file = args.Count > 0 ? args[0] : "docs/results/cep2d.jsonl";
        var seeds = args.Count > 1 ? long.Parse(args[1], CultureInfo.InvariantCulture) : 0;
        var tasks = args.Count > 2 ? args.Skip(2) : ToyDatasets.Paper.Select(set => set.Name);
        // Products this small are no faster on two threads, and the other core is free for another run.
        set_num_threads(1);
        for (long seed = 0; seed < seeds; seed++)
        {
            foreach (var task in tasks)
            {
                if (!Read(file).Any(result => result.Task == task && result.Seed == seed))
                {
                    Append(file, Measure(task, seed));
                }
            }
        }
        Console.Write(Markdown(Read(file)));
        return 0;
    }

    private static List<PlaneResult> Measure(string task, long seed)
    {
        Console.Error.WriteLine($"{task}, seed {seed}");
        using var scope = NewDisposeScope();
        var options = Cep2dOptions.For("quick", task) with
        {
            Methods = [GuidanceMethod.Cep, GuidanceMethod.Mse],
            Seed = seed,
        };
        using var dial = Trained(options, "dial");
        var betas = Betas.Where(beta => beta <= options.BetaMax).ToList();
        using var certifier = new Cep2dCertifier(
            dial.Model,
            new CertificateOptions
            {
                Betas = betas,
                Points = Points,
                Seed = 1_000_003 + seed,
            }
        );
        var certificate = certifier.Certify([GuidanceMethod.Cep, GuidanceMethod.Mse, GuidanceMethod.Dps]);
        var results = new List<PlaneResult>();
        foreach (var beta in betas)
        {
            using var one = Trained(
                options with
                {
                    Methods = [GuidanceMethod.Cep],
                    Beta = beta,
                    NoiseSteps = 0,
                },
                $"beta-{beta}"
            );
            MetricCheck Of(string noise, string guidance, string metric = "sliced W1") =>
                certificate
                    .Rows.Single(row => row.Noise == noise && row.Guidance == guidance && row.Beta == beta)
                    .Metric(metric);
            IReadOnlyList<MetricCheck> Checks(NoisePredictor noise, int evaluations)
            {
                using var streams = new RandomStreams(1_000_003 + seed);
                var sampler = options.Sampler.Spending(evaluations);
                using var samples = dial.Model.Sample(noise, Points, streams[$"samples/{beta}"], sampler);
                return certifier.Measure(samples, beta);
            }
            static double Sliced(IEnumerable<MetricCheck> checks) =>
                checks.Single(check => check.Name == "sliced W1").Value;
            var oracle50 = Checks(certifier.ExactAt(beta).Target.Noise, 50);
            var oneBeta = dial.Model.Noise.GuidedBy(one.Model.Energy(GuidanceMethod.Cep, beta, true));
            results.Add(
                new()
                {
                    Task = task,
                    Seed = seed,
                    Beta = beta,
                    Floor = Of("learned", "cep").Floor.Mean,
                    Bound = Of("learned", "cep").Floor.Bound,
                    Oracle = Of("exact", "exact").Value,
                    Oracle50 = Sliced(oracle50),
                    Oracle50Passed = oracle50.All(check => check.Passed),
                    Cep = Of("learned", "cep").Value,
                    Mse = Of("learned", "mse").Value,
                    Dps = Of("learned", "dps").Value,
                    CepOneBeta = Sliced(Checks(oneBeta, options.Sampler.Spent)),
                    TotalVariation = Of("learned", "cep", "bin total variation").Value,
                    TotalVariationBound = Of("learned", "cep", "bin total variation").Floor.Bound,
                    Certified = certificate
                        .Rows.Single(row => row is { Noise: "learned", Guidance: "cep" } && row.Beta == beta)
                        .Passed,
                }
            );
        }
        return results;
    }

    private static Cep2d Trained(Cep2dOptions options, string name)
    {
        var folder = Path.Combine("runs", options.Task, "table", $"seed-{options.Seed}", name);
        using var run = RunFolder.Start(
            folder,
            options,
            Cep2dJson.Default.Cep2dOptions,
            RunManifest.Collect(options.Seed)
        );
        var experiment = new Cep2d(options);
        experiment.Train(run, new TrainerOptions { KeepCheckpoints = 1 });
        return experiment;
    }

    private static List<PlaneResult> Read(string file) =>
        File.Exists(file)
            ?
            [
                .. File.ReadAllLines(file)
                    .Where(line => line.Length > 0)
                    .Select(line => JsonSerializer.Deserialize(line, PlaneJson.Default.PlaneResult)!),
            ]
            : [];

    private static void Append(string file, List<PlaneResult> results)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        File.AppendAllLines(
            file,
            results.Select(result => JsonSerializer.Serialize(result, PlaneJson.Default.PlaneResult))
        );
    }

    /// <summary>The table as Markdown: means over seeds, the worst seed where that is the claim.</summary>
    private static string Markdown(List<PlaneResult> results)
    {
        var text = new StringBuilder();
        text.Append(
            "| data set | β | seeds | noise floor | exact, 50 eval. | exact certified | CEP | worst seed / floor | CEP, one β | dial / one β | MSE | DPS | MSE / CEP | DPS / CEP | bin TV | certified |\n"
        );
        text.Append("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
        foreach (var group in results.GroupBy(result => (result.Task, result.Beta)))
        {
            double Mean(Func<PlaneResult, double> of) => group.Average(of);
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {group.Key.Task} | {group.Key.Beta:0.#} | {group.Count()} | {Mean(r => r.Floor):0.000} | {Mean(r => r.Oracle50):0.000} "
                    + $"| {group.Count(r => r.Oracle50Passed)} of {group.Count()} | {Mean(r => r.Cep):0.000} | {group.Max(r => r.Cep / r.Floor):0.00} | {Mean(r => r.CepOneBeta):0.000} "
                    + $"| {Mean(r => r.Cep) / Mean(r => r.CepOneBeta):0.00} | {Mean(r => r.Mse):0.000} | {Mean(r => r.Dps):0.000} "
                    + $"| {group.Min(r => r.Mse / r.Cep):0.0} | {group.Min(r => r.Dps / r.Cep):0.0} | {Mean(r => r.TotalVariation):0.000} "
                    + $"| {group.Count(r => r.Certified)} of {group.Count()} |\n"
            );
        }
        return text.ToString();
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PlaneResult))]
internal sealed partial class PlaneJson : JsonSerializerContext;
