using System.Text.Json;
using Tilt.Metrics;
using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Tests.Golden;

/// <summary>Toy data against the authors' generators (group G7).</summary>
public class ToyGoldenTests
{
    private const string File = "g7_toy_data.npz";
    private const string StatisticsFile = "g7_stats.json";

    /// <summary>Standard errors that a difference may reach: about one false alarm in 10⁶ comparisons, of which there are hundreds.</summary>
    private const double Sigmas = 5;

    private static readonly string[] Names = ["8gaussians", "rings", "moons", "swissroll", "2spirals", "checkerboard"];

    private static readonly string[] Maps =
    [
        "map_8gaussians__randn",
        "map_8gaussians__idx",
        "map_8gaussians__x",
        "map_8gaussians__e",
        "map_checkerboard__u1",
        "map_checkerboard__u2",
        "map_checkerboard__bit",
        "map_checkerboard__x",
        "map_checkerboard__e",
        "map_2spirals__u_n",
        "map_2spirals__u_dx",
        "map_2spirals__u_dy",
        "map_2spirals__randn",
        "map_2spirals__x",
        "map_2spirals__e",
        "map_swissroll__u",
        "map_swissroll__normal_x",
        "map_swissroll__normal_z",
        "map_swissroll__x",
        "map_swissroll__e",
    ];

    public static TheoryData<string> Sets => [.. Names];

    [Fact]
    public void No_array_and_no_statistic_is_missing()
    {
        var arrays = GoldenSet.Arrays(File);
        Assert.All(Maps, name => Assert.True(arrays.Has(name), name));
        Assert.All(Names, name => Assert.True(arrays.Has($"{name}__x") && arrays.Has($"{name}__e"), name));
        using var statistics = GoldenSet.Document(StatisticsFile);
        Assert.All(Names, name => Assert.True(statistics.RootElement.TryGetProperty(name, out _), name));
        Assert.All(
            Names,
            name =>
                Assert.All(
                    ["0", "1", "3", "5", "10", "20"],
                    beta => Assert.True(Guided(statistics, name).TryGetProperty(beta, out _), $"{name} {beta}")
                )
        );
    }

    [Fact]
    public void Eight_Gaussians_places_recorded_draws_where_the_authors_do()
    {
        using var scope = NewDisposeScope();
        var index = Map("8gaussians__idx").to(ScalarType.Int64);
        Near(EightGaussians.Place(index, Map("8gaussians__randn")), Map("8gaussians__x"));
        Near(index.to(ScalarType.Float64) / 7, Map("8gaussians__e"));
    }

    [Fact]
    public void Checkerboard_places_recorded_draws_where_the_authors_do()
    {
        using var scope = NewDisposeScope();
        var x = Checkerboard.Place(Map("checkerboard__u1"), Map("checkerboard__u2"), Map("checkerboard__bit"));
        Near(x, Map("checkerboard__x"));
        Near(Checkerboard.LabelsBy(x.select(1, 0)), Map("checkerboard__e"));
    }

    [Fact]
    public void Two_spirals_places_recorded_draws_where_the_authors_do()
    {
        using var scope = NewDisposeScope();
        var u = Map("2spirals__u_n").flatten();
        var (uX, uY) = (Map("2spirals__u_dx").flatten(), Map("2spirals__u_dy").flatten());
        Near(TwoSpirals.Place(u, uX, uY, Map("2spirals__randn")), Map("2spirals__x"));
        var labels = TwoSpirals.LabelsBy(u.sqrt() * (3 * Math.PI));
        Near(cat([labels, labels], 0), Map("2spirals__e"));
    }

    [Fact]
    public void Swissroll_places_recorded_draws_where_the_authors_do()
    {
        using var scope = NewDisposeScope();
        var normals = stack([Map("swissroll__normal_x").flatten(), Map("swissroll__normal_z").flatten()], 1);
        var x = SwissRoll.Place(Map("swissroll__u").flatten(), normals);
        Near(x, Map("swissroll__x"));
        Near(SwissRoll.LabelsBy(x), Map("swissroll__e"));
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public void A_draw_has_the_authors_moments_and_labels(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(71);
        using var document = GoldenSet.Document(StatisticsFile);
        var golden = document.RootElement.GetProperty(name);
        const long N = 200_000;
        var draw = ToyDatasets.Find(name).Sample(N, generator);
        var (x, e) = (draw.X.to(ScalarType.Float64), draw.Labels.to(ScalarType.Float64));

        var (mean, error) = (Numbers(golden, "mean"), Numbers(golden, "mean_se"));
        var found = x.mean([0]);
        for (var d = 0; d < 2; d++)
        {
            Within(found[d].item<double>(), mean[d], Math.Sqrt(2) * error[d], $"{name} mean {d}");
        }
        var centred = x - found;
        for (var i = 0; i < 2; i++)
        {
            for (var j = 0; j < 2; j++)
            {
                var product = centred.select(1, i) * centred.select(1, j);
                Within(
                    product.mean().item<double>(),
                    golden.GetProperty("cov")[i][j].GetDouble(),
                    product.std().item<double>() * Math.Sqrt(2.0 / N),
                    $"{name} cov {i}{j}"
                );
            }
        }
        Within(
            e.mean().item<double>(),
            golden.GetProperty("energy_mean").GetDouble(),
            e.std().item<double>() * Math.Sqrt(2.0 / N),
            $"{name} label mean"
        );
        // A quantile q is off by q's own binomial error in probability: compare shares below the recorded quantile.
        var levels = Numbers(golden.GetProperty("x_quantiles"), "q");
        foreach (var (axis, d) in new[] { ("x", 0), ("y", 1) })
        {
            var quantiles = Numbers(golden.GetProperty("x_quantiles"), axis);
            for (var q = 0; q < levels.Length; q++)
            {
                var share = x.select(1, d).le(quantiles[q]).to(ScalarType.Float64).mean().item<double>();
                var deviation = Math.Sqrt(2 * levels[q] * (1 - levels[q]) / N);
                Within(share, levels[q], deviation, $"{name} quantile {axis} {levels[q]}");
            }
        }
        if (golden.TryGetProperty("energy_levels", out var shares))
        {
            foreach (var level in shares.EnumerateObject())
            {
                var share = (e - double.Parse(level.Name)).abs().lt(1e-5).to(ScalarType.Float64).mean().item<double>();
                var p = level.Value.GetDouble();
                Within(share, p, Math.Sqrt(2 * p * (1 - p) / N), $"{name} level {level.Name}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public void A_draw_of_2000_is_as_near_to_the_authors_points_as_their_own_draws_are(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(72);
        using var document = GoldenSet.Document(StatisticsFile);
        var arrays = GoldenSet.Arrays(File);
        var bounds = document.RootElement.GetProperty(name).GetProperty("two_draws_n2000");
        double Bound(string metric) => bounds.GetProperty(metric).GetProperty("reject_if_above").GetDouble();

        var draw = ToyDatasets.Find(name).Sample(2000, generator);
        var x = draw.X.to(ScalarType.Float64);
        // The 2spirals file lists one arm after the other; every n-th row takes from both.
        var stored = arrays[$"{name}__x"].ToTensor();
        var rows = arange(0, 2000, ScalarType.Int64) * (stored.shape[0] / 2000);
        var truth = stored.index_select(0, rows);
        var labels = arrays[$"{name}__e"].ToTensor().index_select(0, rows);

        Assert.InRange(SlicedWasserstein.Distance(x, truth), 0, Bound("sliced_w1"));
        Assert.InRange(EnergyDistance.Distance(x, truth), 0, Bound("energy_distance"));
        Assert.InRange(MaximumMeanDiscrepancy.Distance(x, truth), 0, Bound("mmd"));
        var withLabels = EnergyDistance.Distance(
            cat([x, 3 * draw.Labels.to(ScalarType.Float64).unsqueeze(1)], 1),
            cat([truth, 3 * labels], 1)
        );
        Assert.InRange(withLabels, 0, Bound("energy_distance_with_3e"));
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public void Exact_tilted_moments_and_masses_agree_with_the_authors_reweighted_points(string name)
    {
        using var document = GoldenSet.Document(StatisticsFile);
        var set = ToyDatasets.Find(name);
        var compared = 0;
        foreach (var entry in Guided(document, name).EnumerateObject())
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator(73);
            var (beta, golden) = (double.Parse(entry.Name), entry.Value);
            // Self-normalized weights are biased by about 1/ESS; below 1000 their standard errors cannot be trusted either.
            var effective = golden.GetProperty("ess").GetDouble();
            if (effective < 1000)
            {
                continue;
            }
            compared++;
            using var latents = set.Latents(beta);
            var (mean, covariance) = (latents.Mean(), latents.Covariance());
            var draw = set.SampleTilted(beta, 100_000, generator);
            var x = draw.X.to(ScalarType.Float64);
            var centred = x - tensor(mean);
            for (var i = 0; i < 2; i++)
            {
                Within(
                    Numbers(golden, "mean")[i],
                    mean[i],
                    Numbers(golden, "mean_se")[i],
                    $"{name} beta {beta} mean {i}"
                );
                Within(
                    x.select(1, i).mean().item<double>(),
                    mean[i],
                    x.select(1, i).std().item<double>() / Math.Sqrt(draw.Count),
                    $"{name} beta {beta} drawn mean {i}"
                );
                for (var j = 0; j < 2; j++)
                {
                    var product = centred.select(1, i) * centred.select(1, j);
                    var spread = product.std().item<double>();
                    Within(
                        golden.GetProperty("cov")[i][j].GetDouble(),
                        covariance[i, j],
                        spread / Math.Sqrt(effective),
                        $"{name} beta {beta} cov {i}{j}"
                    );
                    Within(
                        product.mean().item<double>(),
                        covariance[i, j],
                        spread / Math.Sqrt(draw.Count),
                        $"{name} beta {beta} drawn cov {i}{j}"
                    );
                }
            }
            // Weights concentrate unevenly, so the error of the mean label is not below its worth at the effective size.
            var labelError = draw.Labels.std().item<float>() / Math.Sqrt(effective);
            Within(
                golden.GetProperty("mean_energy").GetDouble(),
                set.MeanLabel(beta),
                Math.Max(golden.GetProperty("mean_energy_se").GetDouble(), labelError),
                $"{name} beta {beta} mean label"
            );
            Within(
                golden.GetProperty("ess_fraction").GetDouble(),
                set.EffectiveFraction(beta),
                set.EffectiveFraction(beta) * EffectiveFractionError(set, beta, 200_000),
                $"{name} beta {beta} effective fraction"
            );
            CheckLevels(set, beta, golden, draw);
            CheckExactWeights(latents, set, beta, golden);
        }
        Assert.True(compared >= 5, $"{name}: only {compared} values of beta could be compared.");
    }

    /// <summary>Relative standard error of the effective fraction of n points, from the exact moments m_k = E[e^(kβe)] by the delta method.</summary>
    private static double EffectiveFractionError(ToyDataset set, double beta, double n)
    {
        var log = Enumerable.Range(0, 5).Select(k => set.LogPartition(k * beta)).ToArray();
        var (aa, ab, bb) = (
            Math.Exp(log[2] - 2 * log[1]),
            Math.Exp(log[3] - log[1] - log[2]),
            Math.Exp(log[4] - 2 * log[2])
        );
        return Math.Sqrt(Math.Max(4 * aa - 4 * ab + bb - 1, 0) / n) + 1e-9;
    }

    private static void CheckLevels(ToyDataset set, double beta, JsonElement golden, LabelledPoints draw)
    {
        if (!golden.TryGetProperty("energy_level_mass", out var levels))
        {
            return;
        }
        var effective = golden.GetProperty("ess").GetDouble();
        var labels = draw.Labels.to(ScalarType.Float64);
        foreach (var level in levels.EnumerateObject())
        {
            var value = double.Parse(level.Name);
            var drawn = (labels - value).abs().lt(1e-5).to(ScalarType.Float64).mean().item<double>();
            var mass = ExactLevelMass(set, beta, value);
            var what = $"{set.Name} beta {beta} level {level.Name}";
            Within(drawn, mass, Math.Sqrt(mass * (1 - mass) / draw.Count) + 1e-6, $"{what} drawn");
            // Each of the 200 000 points carries at most e^(β(level)) of weight: error of a reweighted share.
            var base0 = Math.Sqrt(mass * (1 - mass) / effective) + mass * 5e-3;
            Within(level.Value.GetDouble(), mass, base0, what);
        }
    }

    private static double ExactLevelMass(ToyDataset set, double beta, double value)
    {
        using var latents = set.Latents(beta);
        var (logWeights, labels, _, _) = latents.Components.Moments();
        using var scope = NewDisposeScope();
        var mass = (logWeights + beta * labels - set.LogPartition(beta)).exp();
        return (mass * (labels - value).abs().lt(1e-5)).sum().item<double>();
    }

    private static void CheckExactWeights(LatentMixture latents, ToyDataset set, double beta, JsonElement golden)
    {
        if (!golden.TryGetProperty("exact_mode_weights", out var weights))
        {
            return;
        }
        var masses = set.Bins.Masses(beta);
        Assert.All(
            weights.EnumerateArray().Select((w, k) => (Golden: w.GetDouble(), Ours: masses[k])),
            pair => Assert.Equal(pair.Golden, pair.Ours, 1e-12)
        );
        Assert.Equal(golden.GetProperty("exact_mean_energy").GetDouble(), set.MeanLabel(beta), 1e-12);
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(Numbers(golden, "exact_mean")[i], latents.Mean()[i], 1e-12);
            for (var j = 0; j < 2; j++)
            {
                Assert.Equal(golden.GetProperty("exact_cov")[i][j].GetDouble(), latents.Covariance()[i, j], 1e-12);
            }
        }
    }

    private static JsonElement Guided(JsonDocument document, string name) =>
        document.RootElement.GetProperty(name).GetProperty("guided_exp(+beta*e)");

    private static double[] Numbers(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(value => value.GetDouble())];

    private static Tensor Map(string name) => GoldenSet.Arrays(File)[$"map_{name}"].ToTensor();

    private static void Near(Tensor found, Tensor expected)
    {
        var difference = (found - expected.reshape(found.shape)).abs().max().item<double>();
        Assert.True(difference <= 1e-6, $"off by {difference}");
    }

    private static void Within(double found, double expected, double standardError, string what) =>
        Assert.True(
            Math.Abs(found - expected) <= Sigmas * standardError,
            $"{what}: {found} is {Math.Abs(found - expected) / standardError:F1} standard errors from {expected}"
        );
}
