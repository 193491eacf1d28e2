using Tilt.Inference;

namespace Tilt.Tests.Inference;

public sealed unsafe class PackedLinearTests
{
    public static TheoryData<LaneWidth> Widths() => [LaneWidth.One, LaneWidth.Four, LaneWidth.Eight, LaneWidth.Sixteen];

    [Theory, MemberData(nameof(Widths))]
    public void Products_equal_those_in_double(LaneWidth lanes)
    {
        var random = new Random(1);
        foreach (var (outputs, inputs) in new[] { (1, 1), (6, 17), (31, 40), (33, 5), (64, 128), (100, 7) })
        {
            foreach (var rows in new[] { 1, 2, 3, 4, 5, 11, 12, 13, 25, 37 })
            {
                var (w, b, x) = (Draw(random, outputs * inputs), Draw(random, outputs), Draw(random, rows * inputs));
                var layer = new PackedLinear(w, b, outputs, inputs, lanes: lanes);
                var y = Multiply(layer, x, rows, default);
                for (var r = 0; r < rows; r++)
                {
                    for (var n = 0; n < outputs; n++)
                    {
                        // γ_K of K products in float32.
                        var (exact, sizes) = Exact(w, b, x, r, n, inputs);
                        Assert.True(Math.Abs(y[r * layer.Padded + n] - exact) <= sizes * (inputs + 1) * 6e-8);
                    }
                    for (var n = outputs; n < layer.Padded; n++)
                    {
                        Assert.Equal(0, y[r * layer.Padded + n]);
                    }
                }
            }
        }
    }

    [Theory, MemberData(nameof(Widths))]
    public void A_row_has_the_same_bits_whatever_rows_stand_beside_it(LaneWidth lanes)
    {
        var random = new Random(2);
        var (outputs, inputs, rows) = (70, 50, 31);
        var (w, b, x) = (Draw(random, outputs * inputs), Draw(random, outputs), Draw(random, rows * inputs));
        foreach (var storage in Enum.GetValues<WeightStorage>())
        {
            var layer = new PackedLinear(w, b, outputs, inputs, storage, lanes);
            var all = Multiply(layer, x, rows, Activation.Silu);
            for (var r = 0; r < rows; r++)
            {
                var one = Multiply(layer, x[(r * inputs)..((r + 1) * inputs)], 1, Activation.Silu);
                Assert.Equal(one, all[(r * layer.Padded)..((r + 1) * layer.Padded)]);
            }
        }
    }

    [Theory, MemberData(nameof(Widths))]
    public void Weights_stored_as_bfloat16_are_the_rounded_ones(LaneWidth lanes)
    {
        var random = new Random(3);
        var (outputs, inputs, rows) = (45, 33, 14);
        var (w, b, x) = (Draw(random, outputs * inputs), Draw(random, outputs), Draw(random, rows * inputs));
        var rounded = Array.ConvertAll(w, v => BitConverter.UInt32BitsToSingle((uint)PackedLinear.BFloat16(v) << 16));
        var stored = new PackedLinear(w, b, outputs, inputs, WeightStorage.BFloat16, lanes);
        var plain = new PackedLinear(rounded, b, outputs, inputs, WeightStorage.Float32, lanes);
        Assert.Equal(Multiply(plain, x, rows, Activation.Relu), Multiply(stored, x, rows, Activation.Relu));
        Assert.All(
            w.Zip(rounded),
            pair => Assert.True(Math.Abs(pair.First - pair.Second) <= Math.Abs(pair.First) / 256)
        );
    }

    [Theory, MemberData(nameof(Widths))]
    public void Activations_and_their_slopes_are_right_everywhere(LaneWidth lanes)
    {
        float[] points =
        [
            0,
            -0f,
            1e-30f,
            -1e-30f,
            0.1f,
            -0.1f,
            1,
            -1,
            5,
            -5,
            20,
            -20,
            86,
            -86,
            88,
            -88,
            100,
            -100,
            1e6f,
            -1e6f,
            1e30f,
            -1e30f,
            .. Enumerable.Range(-200, 400).Select(i => i * 0.0371f),
        ];
        var identity = new PackedLinear([1], [], 1, 1, lanes: lanes);
        var slopes = new float[points.Length * identity.Padded];
        var silu = Multiply(identity, points, points.Length, Activation.Silu, slopes);
        for (var i = 0; i < points.Length; i++)
        {
            double x = points[i];
            var sigmoid = 1 / (1 + Math.Exp(-x));
            Near(x * sigmoid, silu[i * identity.Padded]);
            Near(sigmoid * (1 + x * (1 - sigmoid)), slopes[i * identity.Padded]);
        }
        var relu = Multiply(identity, points, points.Length, Activation.Relu, slopes);
        for (var i = 0; i < points.Length; i++)
        {
            Assert.Equal(Math.Max(points[i], 0), relu[i * identity.Padded]);
            Assert.Equal(points[i] > 0 ? 1 : 0, slopes[i * identity.Padded]);
        }
        foreach (var activation in new[] { Activation.Silu, Activation.Relu })
        {
            Assert.True(float.IsNaN(Multiply(identity, [float.NaN], 1, activation)[0]));
            Assert.Equal(float.PositiveInfinity, Multiply(identity, [float.PositiveInfinity], 1, activation)[0]);
        }

        // A few roundings of float32; beyond e^87 the sigmoid stays at 1.6e-38, which a large x makes visible.
        static void Near(double expected, float found) =>
            Assert.True(Math.Abs(found - expected) <= Math.Max(1e-6 * Math.Abs(expected), 2e-8), $"{expected} {found}");
    }

    [Theory, MemberData(nameof(Widths))]
    public void Epilogue_adds_and_multiplies_rows_of_groups(LaneWidth lanes)
    {
        var random = new Random(4);
        var (outputs, inputs, rows, group) = (20, 9, 15, 4);
        var (w, x) = (Draw(random, outputs * inputs), Draw(random, rows * inputs));
        var layer = new PackedLinear(w, [], outputs, inputs, lanes: lanes);
        var groups = (rows + group - 1) / group;
        var start = Draw(random, groups * layer.Padded);
        var plus = Draw(random, rows * layer.Padded);
        var times = Draw(random, layer.Padded);
        var y = new float[rows * layer.Padded];
        fixed (
            float* xs = x,
                ys = y,
                s = start,
                p = plus,
                t = times
        )
        {
            var epilogue = new Epilogue
            {
                Activation = Activation.Relu,
                Start = new(s, layer.Padded, group),
                Plus = new(p, layer.Padded),
                Times = new(t, 0),
            };
            layer.Multiply(xs, inputs, rows, ys, layer.Padded, epilogue);
        }
        for (var r = 0; r < rows; r++)
        {
            for (var n = 0; n < outputs; n++)
            {
                var at = r * layer.Padded + n;
                var (sum, _) = Exact(w, new float[outputs], x, r, n, inputs);
                var z = Math.Max(sum + start[r / group * layer.Padded + n], 0);
                Assert.Equal((z + plus[at]) * times[n], y[at], 1e-5);
            }
        }
    }

    [Fact]
    public void Panels_may_be_done_apart()
    {
        var random = new Random(5);
        var (w, b, x) = (Draw(random, 200 * 30), Draw(random, 200), Draw(random, 3 * 30));
        var layer = new PackedLinear(w, b, 200, 30);
        var whole = Multiply(layer, x, 3, Activation.Silu);
        var parts = new float[whole.Length];
        fixed (
            float* xs = x,
                ys = parts
        )
        {
            var epilogue = new Epilogue { Activation = Activation.Silu };
            layer.Multiply(xs, 30, 3, ys, layer.Padded, epilogue, 2);
            layer.Multiply(xs, 30, 3, ys, layer.Padded, epilogue, 0, 2);
        }
        Assert.Equal(whole, parts);
    }

    [Theory, MemberData(nameof(Widths))]
    public void Gradient_of_two_layers_is_that_of_central_differences_in_double(LaneWidth lanes)
    {
        // f(x) = v·SiLU(W x + b): ∇f = Wᵀ(v ∘ SiLU′).
        var random = new Random(6);
        var (hidden, inputs) = (40, 6);
        var (w, b, v, x) = (
            Draw(random, hidden * inputs),
            Draw(random, hidden),
            Draw(random, hidden),
            Draw(random, inputs)
        );
        var forward = new PackedLinear(w, b, hidden, inputs, lanes: lanes);
        var backward = PackedLinear.Transposed(w, hidden, inputs, lanes: lanes);
        var slopes = new float[forward.Padded];
        Multiply(forward, x, 1, Activation.Silu, slopes);
        for (var n = 0; n < hidden; n++)
        {
            slopes[n] *= v[n];
        }
        var gradient = Multiply(backward, slopes[..hidden], 1, Activation.Identity);
        for (var i = 0; i < inputs; i++)
        {
            const double h = 1e-5;
            Assert.Equal((Value(i, h) - Value(i, -h)) / (2 * h), gradient[i], 1e-5);
        }

        double Value(int moved, double by)
        {
            var f = 0.0;
            for (var n = 0; n < hidden; n++)
            {
                var z = (double)b[n];
                for (var k = 0; k < inputs; k++)
                {
                    z += (double)w[n * inputs + k] * (x[k] + (k == moved ? by : 0));
                }
                f += v[n] * z / (1 + Math.Exp(-z));
            }
            return f;
        }
    }

    private static float[] Multiply(
        PackedLinear layer,
        float[] x,
        int rows,
        Activation activation,
        float[]? slopes = null
    )
    {
        var y = new float[rows * layer.Padded];
        fixed (
            float* xs = x,
                ys = y,
                ss = slopes
        )
        {
            layer.Multiply(xs, layer.Inputs, rows, ys, layer.Padded, new() { Activation = activation, Slopes = ss });
        }
        return y;
    }

    private static (double Value, double Sizes) Exact(float[] w, float[] b, float[] x, int r, int n, int inputs)
    {
        var (sum, sizes) = ((double)b[n], Math.Abs((double)b[n]));
        for (var k = 0; k < inputs; k++)
        {
            var product = (double)w[n * inputs + k] * x[r * inputs + k];
            sum += product;
            sizes += Math.Abs(product);
        }
        return (sum, sizes);
    }

    private static float[] Draw(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(2 * random.NextDouble() - 1))];
}
