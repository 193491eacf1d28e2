using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Networks;

public class ActivationKernelsTests
{
    // Half a unit in the last of bf16's 8 binary digits, with a little room for float32's own rounding.
    private const double BFloat16Rounding = 1.01 / 256;

    public static TheoryData<Activation, ScalarType, ScalarType, int> Cases()
    {
        var data = new TheoryData<Activation, ScalarType, ScalarType, int>();
        foreach (var activation in Enum.GetValues<Activation>())
        {
            // 37 columns leave a tail that the vectors do not cover, 5 leave nothing else.
            foreach (var columns in new[] { 64, 37, 5 })
            {
                data.Add(activation, ScalarType.Float32, ScalarType.Float32, columns);
                data.Add(activation, ScalarType.Float32, ScalarType.BFloat16, columns);
                data.Add(activation, ScalarType.BFloat16, ScalarType.BFloat16, columns);
                data.Add(activation, ScalarType.BFloat16, ScalarType.Float32, columns);
            }
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Values_and_slopes_are_those_of_torch(Activation activation, ScalarType from, ScalarType to, int columns)
    {
        using var scope = NewDisposeScope();
        var z = (4 * randn([19, columns], generator: new Generator(1))).to(from);
        var bias = randn([columns], generator: new Generator(2));
        var h = empty(z.shape, dtype: to);
        var slope = empty(z.shape, dtype: ScalarType.BFloat16);

        ActivationKernels.Activate(activation, z, bias, h, slope);

        var leaf = (z.to(ScalarType.Float64) + bias).requires_grad_();
        var expected = activation == Activation.Silu ? nn.functional.silu(leaf) : nn.functional.relu(leaf);
        expected.sum().backward();
        var rounding = to == ScalarType.BFloat16 ? BFloat16Rounding : 1e-5;
        Near(expected.detach(), h, rounding);
        // Near its zero the slope of SiLU is a difference of numbers of order one, float32's rounding of which stays.
        Near(leaf.grad!, slope, BFloat16Rounding, 1e-5);
    }

    [Theory]
    [InlineData(64)]
    [InlineData(37)]
    public void Extreme_values_saturate_and_a_NaN_stays_one(int columns)
    {
        using var scope = NewDisposeScope();
        var z = zeros([4, columns], dtype: ScalarType.BFloat16);
        z[0] = 1e4;
        z[1] = -1e4;
        z[2] = float.NaN;
        z[3] = -100;
        var h = empty(z.shape, dtype: ScalarType.BFloat16);
        var slope = empty(z.shape, dtype: ScalarType.BFloat16);

        ActivationKernels.Activate(Activation.Silu, z, null, h, slope);

        Near(full([columns], 1e4), h[0], BFloat16Rounding);
        Near(ones(columns), slope[0], BFloat16Rounding);
        Assert.Equal(0, h[1].abs().max().ToDouble());
        Assert.Equal(0, slope[1].abs().max().ToDouble());
        Assert.True(h[2].isnan().all().ToBoolean());
        Assert.True(slope[2].isnan().all().ToBoolean());
        Assert.True(h[3].abs().max().ToDouble() < 1e-38);
    }

    [Theory]
    [InlineData(ScalarType.Float32, ScalarType.Float32, 37)]
    [InlineData(ScalarType.Float32, ScalarType.BFloat16, 64)]
    [InlineData(ScalarType.BFloat16, ScalarType.BFloat16, 37)]
    [InlineData(ScalarType.BFloat16, ScalarType.Float32, 64)]
    public void Gradients_are_scaled_and_summed(ScalarType from, ScalarType to, int columns)
    {
        using var scope = NewDisposeScope();
        var g = randn([301, columns], generator: new Generator(1)).to(from);
        var slope = randn([301, columns], generator: new Generator(2)).to(ScalarType.BFloat16);
        var dz = empty(g.shape, dtype: to);
        var sums = empty([columns], dtype: ScalarType.Float32);

        ActivationKernels.Backward(g, slope, dz, sums);

        var expected = g.to(ScalarType.Float64) * slope.to(ScalarType.Float64);
        Near(expected, dz, to == ScalarType.BFloat16 ? BFloat16Rounding : 1e-6);
        // Sums are taken in float32 before anything is rounded to bf16.
        Near(expected.sum([0]), sums, 0, 301 * 1e-6);
    }

    [Fact]
    public void Sums_do_not_depend_on_the_number_of_threads()
    {
        using var scope = NewDisposeScope();
        var g = randn([1003, 96], generator: new Generator(1));
        var one = empty([96], dtype: ScalarType.Float32);
        var several = empty([96], dtype: ScalarType.Float32);
        var dz = empty(g.shape, dtype: ScalarType.BFloat16);

        Workers.Run(1, _ => { });
        ActivationKernels.Backward(g, null, dz, several, threads: 4);
        ActivationKernels.Backward(g, null, dz, one, threads: 1);

        Assert.True(one.equal(several).all().ToBoolean());
    }

    private static void Near(Tensor expected, Tensor found, double relative, double absolute = 1e-30)
    {
        var truth = expected.to(ScalarType.Float64);
        var error = (found.to(ScalarType.Float64) - truth).abs();
        Assert.True(
            (error <= relative * truth.abs() + absolute).all().ToBoolean(),
            $"off by {error.max().ToDouble():g3}"
        );
    }
}
