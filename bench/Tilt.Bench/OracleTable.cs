using System.Globalization;
using Tilt.Metrics;
using Tilt.Model;
using Tilt.Sampling;
using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>Exact noise and exact guidance through the sampler: what the solver alone does to each metric of the certificate.</summary>
/// <remarks>Nothing is learned here, so whatever exceeds its bound is the solver's error.</remarks>
public static class OracleTable
{
    private const long Points = 5000;
    private static readonly double[] Betas = [3, 10];

    /// <summary>Prints a line per data set, β and number of evaluations.</summary>
    /// <param name="args">Evaluations, separated by commas; then <c>name=value</c> of the sampler; then tasks.</param>
    public static int Run(IReadOnlyList<string> args)
    {
        var counts = (args.Count > 0 ? args[0] : "25,50").Split(',').Select(int.Parse).ToList();
        var settings = args.Skip(1).Where(arg => arg.Contains('=', StringComparison.Ordinal)).ToList();
        var seed = settings
            .Where(setting => setting.StartsWith("seed=", StringComparison.Ordinal))
            .Select(Whole)
            .FirstOrDefault();
        var tasks = args.Skip(1).Except(settings).ToList();
        Console.WriteLine(
            "| data set | β | evaluations | " + string.Join(" | ", Certificate.MetricNames) + " | passed |"
        );
        Console.WriteLine("|---|---|---|" + string.Concat(Certificate.MetricNames.Select(_ => "---|")) + "---|");
        foreach (var task in tasks.Count > 0 ? tasks : [.. ToyDatasets.Paper.Select(set => set.Name)])
        {
            var options = Cep2dOptions.For("quick", task);
            using var streams = new RandomStreams(0);
            using var model = new Cep2dModel(options, (0, 1), streams);
            var certification = new CertificateOptions
            {
                Betas = Betas,
                Points = Points,
                Seed = 1_000_003 + seed,
            };
            using var certifier = new Cep2dCertifier(model, certification);
            foreach (var beta in Betas)
            {
                foreach (var count in counts)
                {
                    var sampler = Sampler(options.Sampler, count, settings);
                    using var named = new RandomStreams(certification.Seed);
                    using var samples = model.Sample(
                        certifier.ExactAt(beta).Target.Noise,
                        Points,
                        named[$"samples/{beta}"],
                        sampler
                    );
                    var checks = certifier.Measure(samples, beta);
                    Console.WriteLine(Line(task, beta, count, checks));
                }
            }
        }
        return 0;
    }

    private static long Whole(string setting) => long.Parse(setting.Split('=')[1], CultureInfo.InvariantCulture);

    /// <summary>The preset's sampler with that many evaluations in all, the last estimate of x₀ included.</summary>
    private static SamplerOptions Sampler(SamplerOptions own, int evaluations, IEnumerable<string> settings)
    {
        foreach (var setting in settings)
        {
            var (name, value) = (setting.Split('=')[0], setting.Split('=')[1]);
            own = name switch
            {
                "seed" => own,
                "solver" => own with { Solver = value },
                "denoise" => own with { DenoiseToZero = bool.Parse(value) },
                "end" => own with { EndTime = double.Parse(value, CultureInfo.InvariantCulture) },
                _ => throw TiltException.Usage($"'{name}' is not seed, solver, denoise or end."),
            };
        }
        return own.Spending(evaluations);
    }

    private static string Line(string task, double beta, int count, IReadOnlyList<MetricCheck> checks) =>
        string.Create(CultureInfo.InvariantCulture, $"| {task} | {beta} | {count} | ")
        + string.Join(
            " | ",
            checks.Select(check =>
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{check.Value:0.00000} of {check.Floor.Bound:0.00000}{(check.Passed ? "" : " ✗")}"
                )
            )
        )
        + $" | {(checks.All(check => check.Passed) ? "yes" : "no")} |";
}
