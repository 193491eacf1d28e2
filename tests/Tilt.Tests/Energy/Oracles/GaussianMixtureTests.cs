using Tilt.Energy;
using Tilt.Energy.Oracles;
using Tilt.Tests.Golden;
using Tilt.Tests.Oracles;
using static TorchSharp.torch;

namespace Tilt.Tests.Energy.Oracles;

public class GaussianMixtureTests
{
    public static TheoryData<double, double> TimesAndBetas
    {
        get
        {
            var data = new TheoryData<double, double>();
            foreach (var time in new[] { 0.01, 0.1, 0.2, 0.4, 0.7, 1.0 })
            {
                foreach (var beta in new[] { 3.0, 10, 20 })
                {
                    data.Add(time, beta);
                }
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(TimesAndBetas))]
    public void Eight_gaussians_with_labels_match_the_closed_form(double time, double beta)
    {
        using var scope = NewDisposeScope();
        var level = new LinearSchedule().At(time);
        var oracle = new EightGaussians(beta);
        using var mixture = EightGaussiansMixture();
        using var tilted = new TiltedMixture(mixture, [.. EightGaussians.Labels.Select(e => -e)], beta);
        var points = Points();
        var x = tensor(points);

        Assert.Equal(oracle.LogNormalizer, tilted.LogNormalizer, 1e-12);
        var logDensity = mixture.LogDensity(x, level);
        var score = mixture.Score(x, level);
        var exact = Together(tilted.Exact, x, level);
        var mse = Together(tilted.Mse, x, level);
        for (var i = 0; i < points.GetLength(0); i++)
        {
            var (px, py) = (points[i, 0], points[i, 1]);
            Assert.Equal(oracle.LogDensity(px, py, level), logDensity[i].item<double>(), 1e-10);
            var (sx, sy) = oracle.Score(px, py, level);
            Assert.Equal(sx, score[i, 0].item<double>(), 1e-9 * Math.Max(1, Math.Abs(sx)));
            Assert.Equal(sy, score[i, 1].item<double>(), 1e-9 * Math.Max(1, Math.Abs(sy)));
            AssertSame(oracle.Exact(px, py, level), exact, i);
            AssertSame(oracle.Mse(px, py, level), mse, i);
        }
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.3)]
    [InlineData(0.6)]
    public void One_gaussian_with_a_quadratic_energy_matches_the_closed_form_of_all_three_methods(double time)
    {
        using var scope = NewDisposeScope();
        var level = new LinearSchedule().At(time);
        double[] centre = [2, -1];
        foreach (var (s, k, beta) in new[] { (1.0, 1.0, 4.0), (0.7, 2.5, 3.0) })
        {
            var oracle = new GaussianWithQuadratic(s, k, centre, beta);
            using var mixture = GaussianMixture.Equal(zeros(1, 2, dtype: ScalarType.Float64), s);
            using var tilted = new TiltedMixture(mixture, QuadraticEnergy.Around(centre, k), beta);
            double[][] points =
            [
                [0.5, 0.3],
                [-1, 0.4],
                [0, 0],
            ];
            foreach (var point in points)
            {
                var x = tensor(point).unsqueeze(0);
                AssertSame(oracle.Exact(point, level), Together(tilted.Exact, x, level));
                AssertSame(oracle.Mse(point, level), Together(tilted.Mse, x, level));
                AssertSame(oracle.Dps(point, level), Together(tilted.Dps, x, level));
            }
            Close.Absolute(tensor(oracle.TargetMean), tilted.Target.Means[0], 1e-12, "target mean");
            var variance = oracle.TargetVariance * eye(2, dtype: ScalarType.Float64);
            Close.Absolute(variance, tilted.Target.Covariances[0], 1e-12, "target covariance");
        }
    }

    [Theory]
    [InlineData(0.05)]
    [InlineData(0.3)]
    [InlineData(0.6)]
    public void Exact_energy_is_the_log_ratio_of_the_marginals_and_the_inexact_ones_are_not(double time)
    {
        using var scope = NewDisposeScope();
        var level = new LinearSchedule().At(time);
        using var mixture = Skewed();
        var energy = new QuadraticEnergy(
            new[,]
            {
                { 1.2, 0.3 },
                { 0.3, -0.1 },
            },
            [0.4, -0.2],
            [0.5, 1]
        );
        using var tilted = new TiltedMixture(mixture, energy, 2);
        var x = tensor(Points());

        var expected = mixture.LogDensity(x, level) - tilted.Target.LogDensity(x, level) - tilted.LogNormalizer;
        Close.Relative(expected, tilted.Exact(x, level), 1e-10, "E_t = log q_t − log p_t − log Z");
        // Up to a constant, which guidance does not see.
        foreach (var wrong in new[] { tilted.Mse, tilted.Dps })
        {
            var gap = wrong(x, level) - expected;
            Assert.True((gap - gap.mean()).abs().max().item<double>() > 0.02, "MSE and DPS are not exact");
        }
    }

    [Fact]
    public void Exact_guidance_is_a_difference_of_posterior_means()
    {
        using var scope = NewDisposeScope();
        using var mixture = Skewed();
        using var tilted = new TiltedMixture(mixture, QuadraticEnergy.Around([1, 1], 0.8), 3);
        var x = tensor(Points());
        foreach (var time in new[] { 0.1, 0.5, 0.9 })
        {
            var level = new LinearSchedule().At(time);
            var means = mixture.PosteriorMean(x, level) - tilted.Target.PosteriorMean(x, level);
            var expected = level.Alpha / (level.Sigma * level.Sigma) * means;
            Close.Relative(expected, tilted.Exact.Gradient(x, level), 1e-9, $"t={time}");
        }
    }

    [Fact]
    public void Exact_energy_starts_at_beta_times_E_and_ends_at_minus_log_Z()
    {
        using var scope = NewDisposeScope();
        using var mixture = Skewed();
        var energy = QuadraticEnergy.Around([1, 1], 0.8);
        using var tilted = new TiltedMixture(mixture, energy, 3);
        var x = tensor(Points());
        var schedule = new LinearSchedule();

        Close.Relative(3 * energy.At(x), tilted.Exact(x, schedule.At(0)), 1e-12, "t = 0");
        var end = tilted.Exact(x, schedule.At(1) with { Alpha = 0, Sigma = 1 });
        Close.Absolute(full_like(end, -tilted.LogNormalizer), end, 1e-12, "no signal left");
        var gradients = new[] { 0.5, 0.7, 1.0 }
            .Select(t => tilted.Exact.Gradient(x, schedule.At(t)).abs().max().item<double>())
            .ToArray();
        Assert.True(gradients[0] > gradients[1] && gradients[1] > gradients[2] && gradients[2] < 0.05);
    }

    [Fact]
    public void Score_is_the_gradient_of_the_log_density_and_the_posterior_mean_follows_from_it()
    {
        using var scope = NewDisposeScope();
        using var mixture = Skewed();
        var level = new LinearSchedule().At(0.3);
        var x = tensor(Points());

        IntermediateEnergy logDensity = mixture.LogDensity;
        var score = mixture.Score(x, level);
        Close.Relative(score, logDensity.Gradient(x, level), 1e-10, "score");
        var mean = (x + level.Sigma * level.Sigma * score) / level.Alpha;
        Close.Relative(mean, mixture.PosteriorMean(x, level), 1e-10, "posterior mean");
        Close.Relative(mean, (x - level.Sigma * mixture.Noise(x, level)) / level.Alpha, 1e-12, "clean estimate");
    }

    [Fact]
    public void Single_precision_input_gives_single_precision_output_of_double_precision_quality()
    {
        using var scope = NewDisposeScope();
        using var mixture = Skewed();
        using var tilted = new TiltedMixture(mixture, QuadraticEnergy.Around([1, 1], 0.8), 3);
        var level = new LinearSchedule().At(0.2);
        var x = tensor(Points()).to(ScalarType.Float32);

        foreach (
            var (half, whole) in new (Tensor, Tensor)[]
            {
                (mixture.Noise(x, level), mixture.Noise(x.to(ScalarType.Float64), level)),
                (tilted.Exact.Gradient(x, level), tilted.Exact.Gradient(x.to(ScalarType.Float64), level)),
            }
        )
        {
            Assert.Equal(ScalarType.Float32, half.dtype);
            Close.Relative(whole, half.to(ScalarType.Float64), 1e-6, "float32");
        }
    }

    [Fact]
    public void Draws_have_the_mixture_moments_and_repeat_by_seed()
    {
        using var scope = NewDisposeScope();
        using var mixture = Skewed();
        using var generator = new Generator(5);
        var (samples, components) = mixture.Sample(200_000, generator);
        var (mean, covariance) = mixture.Moments();

        // Five standard errors of 200 000 draws.
        Close.Absolute(mean, samples.mean([0]), 5 * Math.Sqrt(3 / 200_000.0), "mean");
        var centred = samples - mean;
        Close.Absolute(covariance, centred.t().matmul(centred) / 200_000, 0.05, "covariance");
        var share = components.bincount(null, 3).to(ScalarType.Float64) / 200_000;
        Close.Absolute(mixture.Weights, share, 5 * Math.Sqrt(0.25 / 200_000), "weights");
        using var again = new Generator(5);
        Assert.True(mixture.Sample(200_000, again).Samples.equal(samples).all().item<bool>());
    }

    [Fact]
    public void Nothing_leaks_and_the_input_is_left_alone()
    {
        using var mixture = Skewed();
        using var tilted = new TiltedMixture(mixture, QuadraticEnergy.Around([1, 1], 0.8), 3);
        using var x = tensor(Points());
        using var copy = x.clone();
        var level = new LinearSchedule().At(0.2);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (var i = 0; i < 3; i++)
        {
            tilted.Exact.Gradient(x, level).Dispose();
            tilted.Dps.Gradient(x, level).Dispose();
            tilted.Mse(x, level).Dispose();
            mixture.Noise(x, level).Dispose();
            mixture.LogDensity(x, level).Dispose();
            mixture.PosteriorMean(x, level).Dispose();
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.True(x.equal(copy).all().item<bool>());
        Assert.False(x.requires_grad);
    }

    [Fact]
    public void Bad_mixtures_and_energies_are_refused_with_their_reason()
    {
        using var scope = NewDisposeScope();
        var means = zeros(2, 2, dtype: ScalarType.Float64);
        var one = ones(2, dtype: ScalarType.Float64);
        Assert.Contains(
            "weights",
            Assert.Throws<ArgumentException>(() => GaussianMixture.Isotropic(-one, means, one)).Message
        );
        Assert.Contains(
            "variance",
            Assert.Throws<ArgumentException>(() => GaussianMixture.Isotropic(one, means, -one)).Message
        );
        Assert.Throws<ArgumentException>(() => GaussianMixture.Isotropic(one, means, ones(3)));
        using var mixture = GaussianMixture.Isotropic(one, means, one);
        Assert.Contains(
            "Lower β",
            Assert
                .Throws<ArgumentException>(() => new TiltedMixture(mixture, QuadraticEnergy.Around([0, 0], -1), 1.5))
                .Message
        );
        Assert.Throws<ArgumentException>(() => new TiltedMixture(mixture, [1.0], 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TiltedMixture(mixture, [1.0, 2], double.NaN));
        Assert.Contains(
            "symmetric",
            Assert
                .Throws<ArgumentException>(() =>
                    QuadraticEnergy.Around(
                        [0, 0],
                        new[,]
                        {
                            { 1.0, 2 },
                            { 0, 1 },
                        }
                    )
                )
                .Message
        );
    }

    internal static GaussianMixture EightGaussiansMixture() =>
        GaussianMixture.Equal(tensor(EightGaussians.Centres), EightGaussians.Deviation);

    internal static double[,] Points() =>
        new[,]
        {
            { 1.0, 1.0 },
            { 0.5, 0.5 },
            { -1.0, 0.5 },
            { 0.3, -0.2 },
            { 2.5, -1.5 },
        };

    private static GaussianMixture Skewed() =>
        new(
            tensor(new[] { 0.5, 0.3, 0.2 }),
            tensor(
                new[,]
                {
                    { 1.0, 0.5 },
                    { -1.5, 1.0 },
                    { 0.2, -1.2 },
                }
            ),
            tensor(
                new[,,]
                {
                    {
                        { 0.3, 0.1 },
                        { 0.1, 0.2 },
                    },
                    {
                        { 0.1, 0.0 },
                        { 0.0, 0.4 },
                    },
                    {
                        { 0.5, -0.2 },
                        { -0.2, 0.3 },
                    },
                }
            )
        );

    internal static (Tensor Value, Tensor Gradient) Together(IntermediateEnergy energy, Tensor x, NoiseLevel level) =>
        (energy(x, level), energy.Gradient(x, level));

    private static void AssertSame(
        (double Value, double X, double Y) expected,
        (Tensor Value, Tensor Gradient) found,
        int i
    )
    {
        Assert.Equal(expected.Value, found.Value[i].item<double>(), 1e-10 * Math.Max(1, Math.Abs(expected.Value)));
        Assert.Equal(expected.X, found.Gradient[i, 0].item<double>(), 1e-9 * Math.Max(1, Math.Abs(expected.X)));
        Assert.Equal(expected.Y, found.Gradient[i, 1].item<double>(), 1e-9 * Math.Max(1, Math.Abs(expected.Y)));
    }

    private static void AssertSame((double Value, double[] Gradient) expected, (Tensor Value, Tensor Gradient) found) =>
        AssertSame((expected.Value, expected.Gradient[0], expected.Gradient[1]), found, 0);
}
