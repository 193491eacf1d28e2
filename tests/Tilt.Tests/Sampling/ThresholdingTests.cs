using Tilt.Sampling;
using Tilt.Tests.Oracles;
using static TorchSharp.torch;

namespace Tilt.Tests.Sampling;

public class ThresholdingTests
{
    private static Tensor Row(params double[] values) => tensor(values).reshape(1, values.Length);

    [Fact]
    public void Static_thresholding_clips()
    {
        using var scope = NewDisposeScope();
        var clipped = new Thresholding(ThresholdingKind.Static, 0.5).Apply(Row(-2, 0.25, 0.75));
        Assert.True(clipped.allclose(Row(-0.5, 0.25, 0.5)));
    }

    [Fact]
    public void Dynamic_thresholding_divides_by_the_quantile_of_each_sample()
    {
        using var scope = NewDisposeScope();
        var clean = tensor(
            new double[,]
            {
                { 4, -2, 1, 0 },
                { 0.4, -0.2, 0.1, 0 },
            }
        );
        // |x| of the first row: 0, 1, 2, 4; its median 1.5. The second row stays under the floor.
        var found = new Thresholding(ThresholdingKind.Dynamic, 1, 0.5).Apply(clean);
        var expected = tensor(
            new double[,]
            {
                { 1, -1, 1 / 1.5, 0 },
                { 0.4, -0.2, 0.1, 0 },
            }
        );
        Assert.True(found.allclose(expected));
    }

    [Fact]
    public void The_two_dynamic_forms_differ_in_what_the_limit_means()
    {
        using var scope = NewDisposeScope();
        var clean = Row(8, -2, 1, 0.5);
        var current = new Thresholding(ThresholdingKind.Dynamic, 2, 1).Apply(clean);
        var older = new Thresholding(ThresholdingKind.DynamicCepCopy, 2, 1).Apply(clean);
        Assert.True(current.allclose(Row(1, -0.25, 0.125, 0.0625)));
        Assert.True(older.allclose(Row(2, -0.5, 0.25, 0.125)));
        // Below one, the current form's floor is the limit, the older one's is 1.
        Assert.True(new Thresholding(ThresholdingKind.Dynamic, 2, 1).Apply(Row(1, 0.5)).allclose(Row(0.5, 0.25)));
        Assert.True(new Thresholding(ThresholdingKind.DynamicCepCopy, 2, 1).Apply(Row(0.8, 0.5)).allclose(Row(1.6, 1)));
    }

    [Fact]
    public void A_batch_is_the_sum_of_its_samples()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var images = 3 * Sampler.Normal([4, 3, 5, 5], ScalarType.Float64, null, generator);
        foreach (var kind in Enum.GetValues<ThresholdingKind>())
        {
            var rule = new Thresholding(kind);
            var apart = cat([.. Enumerable.Range(0, 4).Select(i => rule.Apply(images[i..(i + 1)]))]);
            Assert.True(rule.Apply(images).equal(apart).all().item<bool>());
        }
    }

    [Theory]
    [InlineData("ddim")]
    [InlineData("ddpm")]
    [InlineData("dpm-solver++-2m")]
    [InlineData("dpm-solver++-2s")]
    [InlineData("dpm-solver++-23")]
    [InlineData("sde-dpm-solver++-2m")]
    public void Thresholded_samples_stay_in_range(string solver)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var data = new GaussianFlow(2, 0.5); // mostly beyond 1
        var options = new SamplerOptions
        {
            Solver = solver,
            Evaluations = 12,
            Thresholding = new(ThresholdingKind.Static, 1),
            DenoiseToZero = true,
        };
        var x = Sampler.Normal([64, 2], ScalarType.Float64, null, generator);
        var end = Sampler.Sample(data.Noise, x, new LinearSchedule(), options, generator);
        Assert.True(end.abs().max().item<double>() <= 1);
    }
}
