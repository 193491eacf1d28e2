using System.Text.Json;
using Tilt.Metrics;
using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Tests.Golden;

/// <summary>Metrics recomputed from recorded samples (group G8).</summary>
public class MetricGoldenTests
{
    private const string SamplesFile = "g8_samples.npz";
    private const string ResultsFile = "g8_results.json";

    /// <summary>What the golden set promises for recomputed metrics.</summary>
    private const double Tolerance = 1e-6;

    private static readonly (string Set, string Method, int Beta)[] Runs =
    [
        .. from set in new[] { "8gaussians", "swissroll" }
        from run in new[] { ("unguided", 0), ("CEP", 3), ("CEP", 10), ("mse", 3), ("mse", 10) }
        select (set, run.Item1, run.Item2),
    ];

    [Fact]
    public void No_samples_and_no_result_are_missing()
    {
        var arrays = GoldenSet.Arrays(SamplesFile);
        using var results = GoldenSet.Document(ResultsFile);
        var evaluations = results.RootElement.GetProperty("eval");
        foreach (var (set, method, beta) in Runs)
        {
            Assert.True(arrays.Has(SamplesName(set, method, beta)));
            Assert.True(arrays.Has(TruthName(set, beta)));
            Assert.True(evaluations.TryGetProperty($"{set}/{method}/beta{beta}/steps15", out _));
            Assert.True(evaluations.TryGetProperty($"{set}/{method}/beta{beta}/steps25", out _));
        }
    }

    [Fact]
    public void Distances_of_recorded_samples_come_out_as_recorded()
    {
        using var results = GoldenSet.Document(ResultsFile);
        var compared = new List<string>();
        foreach (var (set, method, beta) in Runs)
        {
            using var scope = NewDisposeScope();
            var (samples, truth, evaluation) = Read(results, set, method, beta);
            // A subset may hold fewer rows than the recorded metric was computed on; MSE runs were measured against another truth.
            if (method == "mse" || samples.shape[0] < 5000 || truth.shape[0] < 5000)
            {
                continue;
            }
            compared.Add($"{set}/{method}/{beta}");
            var (firstSamples, firstTruth) = (samples.narrow(0, 0, 4000), truth.narrow(0, 0, 4000));
            Assert.Equal(
                evaluation.GetProperty("sliced_w1").GetDouble(),
                SlicedWasserstein.Distance(samples, truth),
                Tolerance
            );
            Assert.Equal(
                evaluation.GetProperty("energy_distance").GetDouble(),
                EnergyDistance.Distance(firstSamples, firstTruth),
                Tolerance
            );
            Assert.Equal(
                evaluation.GetProperty("mmd").GetDouble(),
                MaximumMeanDiscrepancy.Distance(firstSamples, firstTruth),
                Tolerance
            );
        }
        Assert.True(compared.Count >= 4, $"only {compared.Count} runs have all their rows");
        Assert.Contains("8gaussians/CEP/10", compared);
        Assert.Contains("swissroll/CEP/10", compared);
    }

    [Fact]
    public void Distances_of_the_MSE_runs_agree_to_the_noise_of_another_truth()
    {
        using var results = GoldenSet.Document(ResultsFile);
        foreach (var (set, method, beta) in Runs.Where(run => run.Method == "mse"))
        {
            using var scope = NewDisposeScope();
            var (samples, _, evaluation) = Read(results, set, method, beta);
            using var generator = new Generator(81);
            var truth = ToyDatasets.Find(set).SampleTilted(beta, 5000, generator).X;
            var recorded = evaluation.GetProperty("sliced_w1").GetDouble();
            // 5 % for another truth draw, and the noise of however many samples are stored.
            var noise = 3 * Math.Sqrt(2.0 / samples.shape[0]);
            Assert.Equal(recorded, SlicedWasserstein.Distance(samples, truth), 0.05 * recorded + noise);
        }
    }

    [Fact]
    public void Bin_shares_and_their_total_variation_come_out_as_recorded()
    {
        using var results = GoldenSet.Document(ResultsFile);
        var compared = 0;
        foreach (var (set, method, beta) in Runs)
        {
            using var scope = NewDisposeScope();
            var (samples, _, evaluation) = Read(results, set, method, beta);
            var toy = ToyDatasets.Find(set);
            var truth = Numbers(evaluation, "true_bins");
            var masses = toy.Bins.Masses(beta);
            // Recorded to four decimals; swissroll's masses come from a pool whose effective size is 400 000 times the fraction.
            for (var k = 0; k < truth.Length; k++)
            {
                var error = Math.Sqrt(truth[k] * (1 - truth[k]) / (400_000 * toy.EffectiveFraction(beta)));
                Assert.Equal(truth[k], masses[k], 0.00006 + (set == "swissroll" ? 5 * error : 0));
            }
            if (samples.shape[0] < 5000)
            {
                continue;
            }
            compared++;
            Assert.All(
                Numbers(evaluation, "bins").Zip(toy.Bins.Shares(samples)),
                pair => Assert.Equal(pair.First, pair.Second, 1e-9)
            );
            var recorded = evaluation.GetProperty("bins_tv").GetDouble();
            var slack = set == "8gaussians" ? Tolerance : 0.01;
            Assert.Equal(recorded, BinTotalVariation.Distance(samples, toy.Bins, beta), slack);
            if (evaluation.TryGetProperty("mean_energy_|x|^2/9", out var label))
            {
                Assert.Equal(label.GetDouble(), MeanLabel.Of(samples, toy.EffectiveLabels), Tolerance);
            }
        }
        Assert.True(compared >= 4);
    }

    private static (Tensor Samples, Tensor Truth, JsonElement Evaluation) Read(
        JsonDocument results,
        string set,
        string method,
        int beta
    )
    {
        var arrays = GoldenSet.Arrays(SamplesFile);
        var evaluation = results.RootElement.GetProperty("eval").GetProperty($"{set}/{method}/beta{beta}/steps25");
        return (arrays[SamplesName(set, method, beta)].ToTensor(), arrays[TruthName(set, beta)].ToTensor(), evaluation);
    }

    private static string SamplesName(string set, string method, int beta) => $"{set}__{method}__beta{beta}__samples";

    private static string TruthName(string set, int beta) => $"{set}__beta{beta}__truth";

    private static double[] Numbers(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(value => value.GetDouble())];
}
