using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Tests.Toys;

public class ToyDatasetTests
{
    /// <summary>Standard errors that a sampled mean may be off: a false alarm in 2·10⁶ comparisons.</summary>
    private const double Sigmas = 5;

    public static TheoryData<string> All => [.. ToyDatasets.All.Select(set => set.Name)];

    public static TheoryData<string> Labelled => [.. ToyDatasets.Labelled.Select(set => set.Name)];

    [Fact]
    public void The_catalogue_has_ten_sets_seven_of_them_labelled()
    {
        Assert.Equal(
            [
                "8gaussians",
                "rings",
                "moons",
                "swissroll",
                "2spirals",
                "checkerboard",
                "pinwheel",
                "circles",
                "line",
                "cos",
            ],
            ToyDatasets.All.Select(set => set.Name)
        );
        Assert.Equal(7, ToyDatasets.Labelled.Count);
        Assert.Equal(6, ToyDatasets.Paper.Count);
        Assert.DoesNotContain(ToyDatasets.Paper, set => set.Name == "pinwheel");
        Assert.Same(ToyDatasets.All[1], ToyDatasets.Find("RINGS"));
    }

    [Fact]
    public void An_unknown_name_is_answered_with_the_nearest()
    {
        var error = Assert.Throws<TiltException>(() => ToyDatasets.Find("swisroll"));
        Assert.Contains("swissroll", error.Message);
        Assert.Equal(2, error.ExitCode);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Draws_of_any_size_have_the_right_shape_and_finite_points(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var set = ToyDatasets.Find(name);
        foreach (var n in new long[] { 0, 1, 2, 3, 4, 7, 11, 1000 })
        {
            foreach (var draw in new[] { set.Sample(n, generator), set.SampleTilted(0, n, generator) })
            {
                Assert.Equal([n, 2], draw.X.shape);
                Assert.Equal([n], draw.Labels.shape);
                Assert.Equal(n, draw.Count);
                Assert.Equal(ScalarType.Float32, draw.X.dtype);
                Assert.Equal(ScalarType.Float32, draw.Labels.dtype);
                Assert.True((draw.X.isfinite().all() & draw.Labels.isfinite().all()).item<bool>());
                Assert.True(
                    draw.X.abs().le(set.AxisLimit * 1.1).to(ScalarType.Float32).mean().item<float>() is not < 0.99f
                );
            }
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void The_same_seed_gives_the_same_points_and_another_seed_others(string name)
    {
        using var scope = NewDisposeScope();
        var set = ToyDatasets.Find(name);
        Tensor Draw(ulong seed)
        {
            using var generator = new Generator(seed);
            return cat([set.Sample(50, generator).X, set.SampleTilted(0, 50, generator).X], 0);
        }
        Assert.True(Draw(5).equal(Draw(5)).all().item<bool>());
        Assert.False(Draw(5).equal(Draw(6)).all().item<bool>());
    }

    [Fact]
    public void A_draw_larger_than_one_chunk_is_seamless()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2);
        var draw = ToyDatasets.Find("rings").Sample(ToyDataset.ChunkPoints + 5, generator);
        var radius = draw.X.square().sum(1).sqrt();
        Assert.True(radius.gt(0.2).all().item<bool>());
        Assert.True(radius[^5..].lt(3.6).all().item<bool>());
        Assert.Equal(0.5, draw.Labels.to(ScalarType.Float64).mean().item<double>(), 1e-5);
    }

    [Fact]
    public void A_draw_that_cannot_fit_is_refused_with_what_it_would_take()
    {
        using var generator = new Generator(3);
        var set = ToyDatasets.Find("moons");
        var huge = Assert.Throws<TiltException>(() => set.Sample(1_000_000_000_000, generator));
        Assert.Contains("GiB", huge.Message);
        Assert.Contains("at most", huge.Message);
        Assert.Equal(2, huge.ExitCode);
        Assert.Contains("-1", Assert.Throws<TiltException>(() => set.SampleTilted(3, -1, generator)).Message);
    }

    [Theory]
    [InlineData("8gaussians", -1)]
    [InlineData("rings", double.NaN)]
    [InlineData("moons", double.PositiveInfinity)]
    [InlineData("swissroll", 112.5)]
    [InlineData("swissroll", 500)]
    [InlineData("circles", 3)]
    public void A_beta_that_makes_no_sense_is_refused(string name, double beta)
    {
        using var generator = new Generator(4);
        var set = ToyDatasets.Find(name);
        foreach (
            var use in new Action[]
            {
                () => set.SampleTilted(beta, 1, generator),
                () => set.LogPartition(beta),
                () => set.MeanLabel(beta),
                () => set.EffectiveFraction(beta),
                () => set.Latents(beta),
                () => set.Exact(beta),
                () => set.EffectiveEnergy(beta),
            }
        )
        {
            var error = Assert.Throws<TiltException>(use);
            Assert.Contains(name, error.Message);
            Assert.Contains("beta", error.Message);
            Assert.Equal(2, error.ExitCode);
        }
    }

    [Fact]
    public void A_set_without_labels_says_which_sets_have_them()
    {
        var error = Assert.Throws<TiltException>(() => ToyDatasets.Find("circles").EffectiveEnergy(0));
        Assert.Contains("8gaussians", error.Message);
        Assert.Throws<TiltException>(() => ToyDatasets.Find("line").Bins);
    }

    // Documented values of the data sets' closed forms, to the digits given there.
    [Theory]
    [InlineData("8gaussians", 3, "0.0179355 0.0275322 0.0422636 0.0648773 0.0995908 0.152878 0.234678 0.360245")]
    [InlineData(
        "8gaussians",
        10,
        "3.45202e-05 0.000144043 0.000601055 0.00250804 0.0104654 0.0436693 0.18222 0.760357"
    )]
    [InlineData(
        "8gaussians",
        20,
        "1.94278e-09 3.38271e-08 5.88987e-07 1.02553e-05 0.000178562 0.00310906 0.0541341 0.942567"
    )]
    [InlineData("rings", 3, "0.237084 0.0870442 0.643818 0.0320538")]
    [InlineData("rings", 10, "0.0345125 0.00122302 0.964221 4.37756e-05")]
    [InlineData("rings", 20, "0.00127951 1.60677e-06 0.998719 2.05851e-09")]
    [InlineData("moons", 3, "0.047426 0.952574")]
    [InlineData("moons", 10, "4.54e-05 0.9999546")]
    [InlineData("moons", 20, "2.1e-09 0.999999998")]
    [InlineData("2spirals", 0, "0.0278 0.0833 0.1389 0.1944 0.2500 0.3056")]
    [InlineData("2spirals", 3, "0.1055 0.2088 0.2195 0.1927 0.1551 0.1185")]
    [InlineData("2spirals", 10, "0.4660 0.3558 0.1278 0.0378 0.0102 0.0026")]
    [InlineData("2spirals", 20, "0.8210 0.1654 0.0128 0.0008 0.0000 0.0000")]
    public void Bin_masses_are_the_documented_ones(string name, double beta, string expected)
    {
        var masses = ToyDatasets.Find(name).Bins.Masses(beta);
        Digits(expected, masses);
    }

    [Theory]
    [InlineData(0, "0.1667 0.1667 0.1667 0.1667 0.1667 0.1667")]
    [InlineData(3, "0.0524 0.0688 0.0967 0.1453 0.2339 0.4029")]
    [InlineData(10, "0.0005 0.0014 0.0049 0.0215 0.1197 0.8519")]
    [InlineData(20, "0.0000 0.0000 0.0000 0.0002 0.0119 0.9878")]
    public void Sixths_of_the_swissroll_have_the_documented_masses(double beta, string expected) =>
        Digits(expected, ToyDatasets.Find("swissroll").Partitions[1].Masses(beta));

    [Theory]
    [InlineData(3, "0.047426 0.952574")]
    [InlineData(10, "4.54e-05 0.9999546")]
    [InlineData(20, "2.1e-09 0.999999998")]
    public void Columns_of_the_checkerboard_have_the_documented_masses(double beta, string expected) =>
        Digits(expected, ToyDatasets.Find("checkerboard").Partitions[1].Masses(beta));

    [Theory]
    [InlineData("8gaussians", 0, ".5")]
    [InlineData("8gaussians", 3, ".771318")]
    [InlineData("8gaussians", 10, ".954986")]
    [InlineData("8gaussians", 20, ".991295")]
    [InlineData("rings", 0, ".5")]
    [InlineData("rings", 3, ".830939")]
    [InlineData("rings", 10, ".987648")]
    [InlineData("rings", 20, ".999573")]
    [InlineData("2spirals", 0, ".371681")]
    [InlineData("2spirals", 3, ".537148")]
    [InlineData("2spirals", 10, ".800717")]
    [InlineData("2spirals", 20, ".900000")]
    [InlineData("swissroll", 0, ".436572")]
    [InlineData("swissroll", 3, ".634776")]
    [InlineData("swissroll", 10, ".962222")]
    [InlineData("swissroll", 20, "1.262298")]
    public void Mean_labels_are_the_documented_ones(string name, double beta, string expected) =>
        Digits(expected, [ToyDatasets.Find(name).MeanLabel(beta)]);

    [Fact]
    public void Mean_latent_parameters_are_the_documented_ones()
    {
        var betas = new double[] { 0, 3, 10, 20 };
        Digits("6.28319 4.62852 1.99283 0.99999884", [.. betas.Select(TwoSpirals.MeanParameter)]);
        Digits("9.42478 11.29147 13.30732 13.79273", [.. betas.Select(SwissRoll.MeanParameter)]);
    }

    [Fact]
    public void Log_partitions_are_the_documented_ones()
    {
        var eight = ToyDatasets.Find("8gaussians");
        Assert.Equal(1.94152979680419, eight.LogPartition(3), 1e-12);
        Assert.Equal(8.194525366628781, eight.LogPartition(10), 1e-12);
        Assert.Equal(17.979706328923907, eight.LogPartition(20), 1e-12);
        var roll = ToyDatasets.Find("swissroll");
        Digits("1.60294 7.33778 18.46617", [roll.LogPartition(3), roll.LogPartition(10), roll.LogPartition(20)]);
    }

    [Theory]
    [InlineData("8gaussians", "0.555 0.204 0.140")]
    [InlineData("rings", "0.522 0.269 0.251")]
    [InlineData("moons", "0.550 0.500 0.500")]
    [InlineData("checkerboard", "0.550 0.500 0.500")]
    [InlineData("2spirals", "0.613 0.0899 0.0225")]
    [InlineData("swissroll", "0.564 0.0226 5.8e-7")]
    public void Effective_fractions_are_the_documented_ones(string name, string expected)
    {
        var set = ToyDatasets.Find(name);
        Digits(expected, [set.EffectiveFraction(3), set.EffectiveFraction(10), set.EffectiveFraction(20)]);
        Assert.Equal(1, set.EffectiveFraction(0), 1e-12);
    }

    [Fact]
    public void The_largest_beta_of_a_pool_is_where_its_effective_size_falls_to_the_threshold()
    {
        var roll = ToyDatasets.Find("swissroll");
        var beta = roll.LargestBeta(1_000_000, 1000);
        Assert.Equal(1000, 1e6 * roll.EffectiveFraction(beta), 1.0);
        Assert.InRange(beta, 10, 20);
        Assert.InRange(ToyDatasets.Find("2spirals").LargestBeta(1_000_000), 20, 200);
        Assert.Equal(double.PositiveInfinity, ToyDatasets.Find("moons").LargestBeta(1_000_000));
        Assert.Equal(0, roll.LargestBeta(500));
        Assert.Equal(0, roll.EffectiveFraction(60));
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void Masses_sum_to_one_and_the_mean_label_is_the_slope_of_log_Z(string name)
    {
        var set = ToyDatasets.Find(name);
        foreach (var beta in new[] { 0, 0.01, 0.3, 1, 3, 9.9, 10.1, 20, 50, 100 })
        {
            foreach (var bins in set.Partitions)
            {
                var masses = bins.Masses(beta);
                Assert.Equal(bins.BinNames.Count, masses.Length);
                Assert.Equal(1, masses.Sum(), 1e-12);
                Assert.All(masses, mass => Assert.InRange(mass, 0, 1 + 1e-12));
            }
            var h = 1e-4 * Math.Max(beta, 0.1);
            var slope =
                (set.LogPartition(beta + h) - set.LogPartition(Math.Max(beta - h, 0)))
                / (beta + h - Math.Max(beta - h, 0));
            // Third derivatives grow where the swissroll nears its limit.
            Assert.Equal(slope, set.MeanLabel(beta == 0 ? h / 2 : beta), 1e-5 * Math.Max(1, slope));
        }
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void Tilted_draws_have_the_exact_label_mean_and_moments(string name)
    {
        using var generator = new Generator(6);
        var set = ToyDatasets.Find(name);
        foreach (var beta in new[] { 0, 0.5, 3, 10, 20, 60 })
        {
            using var scope = NewDisposeScope();
            const long N = 100_000;
            var draw = set.SampleTilted(beta, N, generator);
            var (x, e) = (draw.X.to(ScalarType.Float64), draw.Labels.to(ScalarType.Float64));
            // The variance of the label is the slope of its mean; rare labels would hide it from a sample's own variance.
            var h = 1e-3 * Math.Max(beta, 0.1);
            var variance =
                (set.MeanLabel(beta + h) - set.MeanLabel(Math.Max(beta - h, 0))) / (beta + h - Math.Max(beta - h, 0));
            var spread = Math.Sqrt(Math.Max(variance, 0) / N) + 1e-6;
            Assert.InRange(Math.Abs(e.mean().item<double>() - set.MeanLabel(beta)) / spread, 0, Sigmas);
            using var latents = set.Latents(beta);
            var (mean, covariance) = (latents.Mean(), latents.Covariance());
            for (var i = 0; i < 2; i++)
            {
                var along = x.select(1, i);
                Assert.InRange(Deviations(along, mean[i]), 0, Sigmas);
                for (var j = 0; j < 2; j++)
                {
                    var product = (along - mean[i]) * (x.select(1, j) - mean[j]);
                    Assert.InRange(Deviations(product, covariance[i, j]), 0, Sigmas);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void Tilted_draws_agree_with_importance_resampling_of_a_large_pool(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(7);
        var set = ToyDatasets.Find(name);
        const long Pool = 150_000;
        const long N = 50_000;
        var pool = set.Sample(Pool, generator);
        var compared = 0;
        foreach (var beta in new double[] { 0, 1, 3, 10, 20 })
        {
            // Where the pool has fewer than 1000 effective points it no longer represents the target.
            if (set.EffectiveFraction(beta) * Pool < 1000)
            {
                continue;
            }
            compared++;
            using var turn = NewDisposeScope();
            var draw = set.SampleTilted(beta, N, generator);
            var weights = (beta * pool.Labels.to(ScalarType.Float64)).softmax(0).unsqueeze(1);
            var (ours, theirs) = (Probes(draw), Probes(pool));
            var expected = (weights * theirs).sum([0]);
            // Error of a self-normalized mean by the delta method, and of our own mean.
            var error = (weights.square() * (theirs - expected).square()).sum([0]) + ours.var([0]) / N;
            var deviations = (ours.mean([0]) - expected).abs() / error.sqrt().clamp_min(1e-7);
            Assert.InRange(deviations.max().item<double>(), 0, Sigmas);
        }
        Assert.True(compared >= 4);
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void Points_fall_into_the_bins_of_their_latent_events(string name)
    {
        using var generator = new Generator(8);
        var set = ToyDatasets.Find(name);
        // Noise carries points over to a neighbouring bin: 3σ of noise lie between most neighbours, less between sixths of a curve
        // and between the blades' inner ends.
        var leak = name switch
        {
            "2spirals" => 0.05,
            "pinwheel" => 0.03,
            _ => 0.003,
        };
        foreach (var beta in new double[] { 0, 3, 10, 20 })
        {
            using var scope = NewDisposeScope();
            const long N = 20_000;
            var draw = set.SampleTilted(beta, N, generator);
            var (shares, masses) = (set.Bins.Shares(draw.X), set.Bins.Masses(beta));
            for (var k = 0; k < masses.Length; k++)
            {
                var noise = Sigmas * Math.Sqrt(masses[k] * (1 - masses[k]) / N);
                Assert.True(
                    Math.Abs(shares[k] - masses[k]) <= noise + leak,
                    $"{name} beta {beta} bin {set.Bins.BinNames[k]}: {shares[k]} for {masses[k]}"
                );
            }
            var mean = set.EffectiveLabels(draw.X).mean().item<double>();
            Assert.Equal(set.MeanLabel(beta), mean, 0.01);
        }
    }

    [Fact]
    public void The_swissrolls_radius_bins_have_exact_masses()
    {
        using var generator = new Generator(9);
        var set = ToyDatasets.Find("swissroll");
        foreach (var beta in new double[] { 0, 3, 10, 20, 60 })
        {
            using var scope = NewDisposeScope();
            const long N = 200_000;
            var shares = set.Bins.Shares(set.SampleTilted(beta, N, generator).X);
            var masses = set.Bins.Masses(beta);
            for (var k = 0; k < masses.Length; k++)
            {
                var error = Math.Sqrt(masses[k] * (1 - masses[k]) / N) + 1e-6;
                Assert.InRange(Math.Abs(shares[k] - masses[k]) / error, 0, Sigmas);
            }
        }
    }

    [Fact]
    public void Evenly_spaced_rings_are_as_the_authors_make_them()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(10);
        var draw = ToyDatasets.Find("rings").Sample(403, generator);
        var counts = new[] { 0.667f, 0.333f, 1f, 0f }.Select(e => (draw.Labels - e).abs().lt(1e-6).sum().item<long>());
        Assert.Equal([100, 100, 100, 103], counts);
    }

    [Fact]
    public void Checkerboard_squares_are_where_they_belong()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(11);
        var set = ToyDatasets.Find("checkerboard");
        foreach (var draw in new[] { set.Sample(5000, generator), set.SampleTilted(0, 5000, generator) })
        {
            var x = draw.X;
            // A black square: the parities of column and row differ from one square to the next.
            var (column, row) = ((x.select(1, 0) / 2).floor(), (x.select(1, 1) / 2).floor());
            Assert.True(((column + row).remainder(2)).eq(0).all().item<bool>());
            Assert.True(draw.Labels.eq(1 - column.remainder(2)).all().item<bool>());
            Assert.True(x.abs().le(4).all().item<bool>());
        }
    }

    [Fact]
    public void Drawing_leaves_no_tensors_behind()
    {
        using var generator = new Generator(12);
        foreach (var set in ToyDatasets.All)
        {
            set.Sample(100, generator).Dispose();
        }
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        foreach (var set in ToyDatasets.All)
        {
            set.Sample(100, generator).Dispose();
            set.SampleTilted(0, 100, generator).Dispose();
            if (set.HasLabels)
            {
                set.SampleTilted(3, 100, generator).Dispose();
                using var points = rand(10, 2);
                set.EffectiveLabels(points).Dispose();
                foreach (var bins in set.Partitions)
                {
                    _ = bins.Masses(2);
                    _ = bins.Shares(points);
                }
            }
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    /// <summary>Smooth and oscillating functions of points and labels, [N, 9].</summary>
    private static Tensor Probes(LabelledPoints points)
    {
        var p = points.X.to(ScalarType.Float64);
        var (x, y) = (p.select(1, 0), p.select(1, 1));
        return stack(
            [
                x,
                y,
                x * x,
                y * y,
                x * y,
                (2 * x).cos(),
                (2 * y).sin(),
                (x + 2 * y).sin(),
                points.Labels.to(ScalarType.Float64),
            ],
            1
        );
    }

    private static double Deviations(Tensor values, double expected) =>
        Math.Abs(values.mean().item<double>() - expected)
        / (values.std().item<double>() / Math.Sqrt(values.shape[0]) + 1e-7);

    /// <summary>Equal to within one unit of the last digit that was written.</summary>
    private static void Digits(string expected, IReadOnlyList<double> found)
    {
        var texts = expected.Split(' ');
        Assert.Equal(texts.Length, found.Count);
        foreach (var (text, value) in texts.Zip(found))
        {
            var mantissa = text.Split('e')[0];
            var decimals = mantissa.Contains('.') ? mantissa.Length - mantissa.IndexOf('.') - 1 : 0;
            var exponent = text.Contains('e') ? int.Parse(text.Split('e')[1]) : 0;
            Assert.Equal(double.Parse(text), value, Math.Pow(10, exponent - decimals));
        }
    }
}
