using CsCheck;
using Tilt.Metrics;
using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Tests.Metrics;

public class MetricTests
{
    /// <summary>Two small sets of points of the plane, sizes differing.</summary>
    private static readonly Gen<(double[,] First, double[,] Second)> Pairs = Gen.Select(Points(1, 12), Points(1, 12));

    private static readonly IReadOnlyDictionary<string, SampleMetric> Distances = new Dictionary<string, SampleMetric>
    {
        ["sliced W1"] = (a, b) => SlicedWasserstein.Distance(a, b),
        ["energy distance"] = EnergyDistance.Distance,
        ["MMD"] = (a, b) => MaximumMeanDiscrepancy.Distance(a, b),
    };

    public static TheoryData<string> Names => [.. Distances.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_distance_is_symmetric_not_negative_and_zero_between_a_set_and_itself(string name)
    {
        var distance = Distances[name];
        Pairs.Sample(
            (pair) =>
            {
                using var scope = NewDisposeScope();
                var (a, b) = (tensor(pair.First), tensor(pair.Second));
                var (there, back) = (distance(a, b), distance(b, a));
                Assert.Equal(there, back, 1e-12);
                Assert.True(there >= -1e-12);
                // MMD is a root: rounding of 1e-16 under it shows as 1e-8.
                Assert.Equal(0, distance(a, a), 1e-7);
            },
            iter: 100,
            threads: 1
        );
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Order_of_points_and_common_shifts_do_not_matter(string name)
    {
        var distance = Distances[name];
        Pairs
            .Select(Gen.Double[-3, 3])
            .Sample(
                input =>
                {
                    using var scope = NewDisposeScope();
                    var ((first, second), shift) = input;
                    var (a, b) = (tensor(first), tensor(second));
                    var before = distance(a, b);
                    Assert.Equal(before, distance(a.flip(0), b), 1e-7);
                    Assert.Equal(before, distance(a + shift, b + shift), 1e-7);
                },
                iter: 60,
                threads: 1
            );
    }

    [Fact]
    public void Sliced_W1_of_a_shifted_set_is_the_mean_projection_of_the_shift()
    {
        Points(1, 20)
            .Select(Gen.Double[-3, 3], Gen.Double[-3, 3])
            .Sample(
                input =>
                {
                    using var scope = NewDisposeScope();
                    var (points, dx, dy) = input;
                    var a = tensor(points);
                    var expected = Enumerable
                        .Range(0, 64)
                        .Average(j =>
                        {
                            var angle = Math.PI * (j + 0.5) / 64;
                            return Math.Abs(dx * Math.Cos(angle) + dy * Math.Sin(angle));
                        });
                    Assert.Equal(expected, SlicedWasserstein.Distance(a, a + tensor(new[] { dx, dy })), 1e-12);
                },
                iter: 100,
                threads: 1
            );
    }

    [Fact]
    public void Sliced_W1_of_sets_of_different_size_is_that_of_their_repetitions()
    {
        Pairs.Sample(
            pair =>
            {
                using var scope = NewDisposeScope();
                var (a, b) = (tensor(pair.First), tensor(pair.Second));
                // Repeating every point leaves the law alone and makes the sizes equal.
                var (n, m) = (a.shape[0], b.shape[0]);
                var expected = SlicedWasserstein.Distance(a.repeat(m, 1), b.repeat(n, 1));
                Assert.Equal(expected, SlicedWasserstein.Distance(a, b), 1e-12);
            },
            iter: 100,
            threads: 1
        );
    }

    [Fact]
    public void Sliced_W1_takes_other_directions_and_dimensions()
    {
        using var scope = NewDisposeScope();
        var a = tensor(
            new double[,]
            {
                { 0, 0, 0 },
                { 1, 0, 0 },
            }
        );
        var b = a + tensor(new double[] { 0, 2, 0 });
        Assert.Equal(
            0,
            SlicedWasserstein.Distance(
                a,
                b,
                tensor(
                    new double[,]
                    {
                        { 1, 0, 0 },
                    }
                )
            ),
            1e-15
        );
        Assert.Equal(
            2,
            SlicedWasserstein.Distance(
                a,
                b,
                tensor(
                    new double[,]
                    {
                        { 0, 1, 0 },
                    }
                )
            ),
            1e-15
        );
    }

    [Fact]
    public void Energy_distance_and_MMD_are_the_sums_over_all_pairs()
    {
        Gen.Int[1, 5]
            .SelectMany(d => Gen.Select(Gen.Double[-3, 3].Array[d * 13], Gen.Double[-3, 3].Array[d * 9], Gen.Const(d)))
            .Sample(
                input =>
                {
                    using var scope = NewDisposeScope();
                    var (first, second, d) = input;
                    var (a, b) = (tensor(first).reshape(-1, d), tensor(second).reshape(-1, d));
                    static Tensor Squared(Tensor x, Tensor y) => (x.unsqueeze(1) - y.unsqueeze(0)).square().sum(2);
                    double Mean(Func<Tensor, Tensor> f, Tensor x, Tensor y) => f(Squared(x, y)).mean().item<double>();

                    Tensor Norm(Tensor squared) => squared.sqrt();
                    var energy = 2 * Mean(Norm, a, b) - Mean(Norm, a, a) - Mean(Norm, b, b);
                    Assert.Equal(energy, EnergyDistance.Distance(a, b), 1e-12);

                    foreach (var widths in new double[][] { [0.25, 0.5, 1, 2], [0.3, 1.7], [1] })
                    {
                        Tensor Kernel(Tensor squared) =>
                            widths.Select(s => (squared / (-2 * s * s)).exp()).Aggregate((p, q) => p + q)
                            / widths.Length;
                        var mmd = Mean(Kernel, a, a) - 2 * Mean(Kernel, a, b) + Mean(Kernel, b, b);
                        var found = MaximumMeanDiscrepancy.Distance(a, b, widths);
                        Assert.Equal(Math.Max(mmd, 0), found * found, 1e-12);
                    }
                },
                iter: 60,
                threads: 1
            );
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Diverged_or_missing_samples_are_named(string name)
    {
        using var scope = NewDisposeScope();
        var distance = Distances[name];
        var good = zeros(3, 2, ScalarType.Float64);
        var bad = good.clone();
        bad[1, 0] = double.NaN;
        bad[2, 1] = double.PositiveInfinity;
        var error = Assert.Throws<TiltException>(() => distance(bad, good));
        Assert.Contains("2 of 3", error.Message);
        Assert.Contains("true samples", Assert.Throws<TiltException>(() => distance(good, bad)).Message);
        Assert.Contains("at least one", Assert.Throws<TiltException>(() => distance(zeros(0, 2), good)).Message);
        Assert.Throws<ArgumentException>(() => distance(zeros(3, 3), good));
    }

    [Fact]
    public void Total_variation_is_half_the_absolute_difference()
    {
        Assert.Equal(0.3, BinTotalVariation.Distance([0.5, 0.5, 0], [0.2, 0.5, 0.3]), 1e-15);
        Assert.Equal(1, BinTotalVariation.Distance([1, 0], [0, 1]), 1e-15);
        Assert.Throws<ArgumentException>(() => BinTotalVariation.Distance([1], [0, 1]));
    }

    [Fact]
    public void The_noise_floor_repeats_with_the_seed_and_is_that_of_each_metric_alone()
    {
        var set = ToyDatasets.Find("8gaussians");
        PointSampler truth = (n, generator) => set.SampleTilted(3, n, generator).X;
        NoiseFloor Alone(string name)
        {
            using var streams = new RandomStreams(7);
            return NoiseFloor.Estimate(Distances[name], truth, 300, 6, streams);
        }
        using var together = new RandomStreams(7);
        var floors = NoiseFloor.EstimateAll(Distances, truth, 300, 6, together);
        foreach (var (name, floor) in floors)
        {
            Assert.Equal(Alone(name), floor);
            Assert.True(floor.Mean > 0 && floor.StandardDeviation > 0);
            Assert.Equal(Math.Max(2 * floor.Mean, floor.Mean + 6 * floor.StandardDeviation), floor.Bound);
        }
    }

    [Fact]
    public void The_noise_floor_falls_as_the_root_of_the_number_of_points()
    {
        var set = ToyDatasets.Find("moons");
        PointSampler truth = (n, generator) => set.SampleTilted(0, n, generator).X;
        using var streams = new RandomStreams(8);
        var few = NoiseFloor.Estimate(Distances["sliced W1"], truth, 200, 20, streams);
        var many = NoiseFloor.Estimate(Distances["sliced W1"], truth, 1600, 20, streams);
        // 8 times the points: 0.35 of the distance, within the chance of 20 repetitions each.
        Assert.InRange(few.Mean / many.Mean, 1.9, 4.2);
    }

    [Fact]
    public void Metrics_leave_no_tensors_behind()
    {
        using var a = rand(50, 2, ScalarType.Float64);
        using var b = rand(40, 2, ScalarType.Float64);
        var set = ToyDatasets.Find("rings");
        void Use()
        {
            foreach (var distance in Distances.Values)
            {
                _ = distance(a, b);
            }
            _ = BinTotalVariation.Distance(a, set.Bins, 3);
            _ = MeanLabel.Of(a, set.EffectiveLabels);
        }
        Use();
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Use();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static Gen<double[,]> Points(int least, int most) =>
        Gen.Int[least, most]
            .SelectMany(n => Gen.Double[-4, 4].Array[2 * n])
            .Select(values =>
            {
                var points = new double[values.Length / 2, 2];
                Buffer.BlockCopy(values, 0, points, 0, values.Length * sizeof(double));
                return points;
            });
}
