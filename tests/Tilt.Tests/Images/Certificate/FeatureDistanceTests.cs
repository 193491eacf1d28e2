using Tilt.Images;
using Tilt.Images.Certificate;

namespace Tilt.Tests.Images.Certificate;

public class FeatureDistanceTests
{
    [Fact]
    public void The_Frechet_distance_of_a_stretched_and_moved_set_is_known()
    {
        using var scope = torch.NewDisposeScope();
        var x = Draw(300, 5, 1);
        var y = 2 * x + 3;

        // Σ₂ = 4Σ₁, so that tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) = tr Σ₁; the means differ by μ₁ + 3.
        var trace = x.var(0, unbiased: true).sum().item<double>();
        var moved = (x.mean([0]) + 3).square().sum().item<double>();
        Assert.Equal(trace + moved, FeatureDistances.Frechet(x, y), 1e-9 * (trace + moved));
        Assert.Equal(0, FeatureDistances.Frechet(x, x), 1e-9);
        Assert.Throws<TiltException>(() => FeatureDistances.Frechet(x.narrow(0, 0, 1), y));
    }

    [Fact]
    public void The_Frechet_distance_does_not_turn_with_the_axes()
    {
        using var scope = torch.NewDisposeScope();
        var (x, y) = (Draw(200, 4, 2), Draw(100, 4, 3) * torch.tensor(new[] { 1.0, 2, 3, 4 }));
        var (turn, _) = torch.linalg.qr(Draw(4, 4, 4));

        Assert.Equal(FeatureDistances.Frechet(x, y), FeatureDistances.Frechet(x.matmul(turn), y.matmul(turn)), 1e-8);
    }

    [Fact]
    public void The_polynomial_MMD_is_the_mean_over_all_pairs()
    {
        using var scope = torch.NewDisposeScope();
        var (x, y) = (Draw(7, 3, 5), Draw(5, 3, 6) + 1);
        double Mean(torch.Tensor a, torch.Tensor b)
        {
            var sum = 0.0;
            for (var i = 0; i < a.shape[0]; i++)
            {
                for (var j = 0; j < b.shape[0]; j++)
                {
                    sum += Math.Pow((a[i] * b[j]).sum().item<double>() / 3 + 1, 3);
                }
            }
            return sum / (a.shape[0] * b.shape[0]);
        }

        var expected = Math.Sqrt(Mean(x, x) - 2 * Mean(x, y) + Mean(y, y));
        Assert.Equal(expected, FeatureDistances.PolynomialMmd(x, y), 1e-9 * expected);
    }

    [Fact]
    public void The_nearest_training_picture_is_found_and_copies_are_at_zero()
    {
        var random = new Random(4);
        PictureSet Make(int count)
        {
            var pixels = new byte[count * 48];
            random.NextBytes(pixels);
            return new(pixels, 4, 4);
        }
        var training = Make(700);
        var samples = new PictureSet([.. Make(40).Pixels, .. training[333]], 4, 4);

        var distances = Novelty.Distances(samples, training);
        var brute = Enumerable
            .Range(0, 41)
            .Select(i => Enumerable.Range(0, 700).Min(j => Difference(samples[i].ToArray(), training[j].ToArray())));
        Assert.All(brute.Zip(distances), pair => Assert.Equal(pair.First, pair.Second, 1e-9));
        Assert.Equal(0, distances[40]);
        Assert.Equal(1.0 / 41, Novelty.Of(samples, Make(20), training).Copies, 1e-12);
        // Without itself, a picture is as far as its nearest other; the copy's original is at 0 now from the copy.
        var doubled = new PictureSet([.. training.Pixels, .. training[5]], 4, 4);
        var others = Novelty.Distances(doubled, doubled, leaveOut: true);
        Assert.Equal(0, others[5]);
        Assert.Equal(0, others[700]);
        Assert.All(others[..5], distance => Assert.True(distance > 0));
        Assert.Equal(Difference(training[0].ToArray(), Nearest(0)), others[0], 1e-9);
        byte[] Nearest(int to) =>
            Enumerable
                .Range(0, 700)
                .Where(j => j != to)
                .Select(j => training[j].ToArray())
                .MinBy(picture => Difference(training[to].ToArray(), picture))!;
        Assert.Throws<ArgumentException>(() => Novelty.Distances(new(new byte[12], 2, 2), training));
    }

    private static double Difference(byte[] a, byte[] b) =>
        Math.Sqrt(a.Zip(b).Average(pair => Math.Pow(pair.First - pair.Second, 2)));

    private static torch.Tensor Draw(long n, long d, ulong seed)
    {
        using var generator = new torch.Generator(seed);
        return torch.randn([n, d], generator: generator, dtype: torch.ScalarType.Float64);
    }
}
