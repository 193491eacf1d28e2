using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tilt.Inference;

/// <summary>How a layer's weights are stored. Sums are float32 always.</summary>
public enum WeightStorage
{
    /// <summary>As trained.</summary>
    Float32,

    /// <summary>Rounded to bfloat16: half the memory to stream, 8 bits of fraction.</summary>
    BFloat16,
}

/// <summary>A linear layer, y = x·Wᵀ + b, packed so that a processor's arithmetic, not its memory, is the limit.</summary>
/// <remarks>
/// A <i>panel</i> is as many outputs as fit two vectors (32 with AVX-512). Its weights lie as [inputs][panel], so the kernel reads
/// them front to back, two vectors per input, and multiplies both with one input of up to 12 rows: 24 sums, two weight
/// vectors and one broadcast input are 27 of the 32 registers, and each weight that is loaded does 12 multiplications. The inputs
/// of a block of rows are read again for each panel, from the first-level cache. Fewer rows than 12 go in blocks of 4, 2 and 1; a
/// single row does one multiplication per weight and is as fast as memory is. Every block size adds an output's products in the
/// order of the inputs, so a row's result does not depend on the rows beside it.
/// A block's sums are stored and finished (activation, skip connection, slopes) while they are in the first-level cache.
/// Outputs are padded to whole panels: <see cref="Padded"/> columns are written.
/// The same kernels run on narrower vectors; which width is used follows from <see cref="Processor.Lanes"/>.
/// </remarks>
internal sealed unsafe class PackedLinear
{
    private readonly AlignedFloats _panels;
    private readonly AlignedFloats _bias;
    private readonly LaneWidth _lanes;
    private readonly WeightStorage _storage;

    /// <summary>A packed copy of a layer.</summary>
    /// <param name="weight">W, [outputs, inputs], row-major.</param>
    /// <param name="bias">b, [outputs]; empty for none.</param>
    /// <param name="outputs">Rows of W.</param>
    /// <param name="inputs">Columns of W.</param>
    /// <param name="storage">How to keep the weights.</param>
    /// <param name="lanes">The vectors to use; null for the processor's.</param>
    public PackedLinear(
        ReadOnlySpan<float> weight,
        ReadOnlySpan<float> bias,
        int outputs,
        int inputs,
        WeightStorage storage = WeightStorage.Float32,
        LaneWidth? lanes = null
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(outputs, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(inputs, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(weight.Length, outputs * inputs);
        (Inputs, Outputs, _storage, _lanes) = (inputs, outputs, storage, lanes ?? Processor.Lanes);
        Panel = 2 * (int)_lanes;
        Panels = (outputs + Panel - 1) / Panel;

        _bias = new(Padded);
        bias.CopyTo(_bias.Span);
        var perWord = storage == WeightStorage.BFloat16 ? 2 : 1;
        _panels = new((nint)Padded * inputs / perWord);
        for (var panel = 0; panel < Panels; panel++)
        {
            for (var k = 0; k < inputs; k++)
            {
                var at = ((nint)panel * inputs + k) * Panel;
                for (var i = 0; i < Panel; i++)
                {
                    var n = panel * Panel + i;
                    var w = n < outputs ? weight[n * inputs + k] : 0;
                    if (storage == WeightStorage.Float32)
                    {
                        _panels.Start[at + i] = w;
                    }
                    else
                    {
                        // Pairs: lane i of a word vector holds outputs i and i + lanes of the panel.
                        var half = (ushort*)_panels.Start + at;
                        half[2 * (i % (int)_lanes) + i / (int)_lanes] = BFloat16(w);
                    }
                }
            }
        }
    }

    /// <summary>Width of x.</summary>
    public int Inputs { get; }

    /// <summary>Width of y.</summary>
    public int Outputs { get; }

    /// <summary>Outputs in a panel.</summary>
    public int Panel { get; }

    /// <summary>How many panels there are.</summary>
    public int Panels { get; }

    /// <summary>Columns of y that are written: outputs, rounded up to whole panels.</summary>
    public int Padded => Panels * Panel;

    /// <summary>The layer that takes gradients backward, x = y·W, of the same weights: [inputs, outputs], without bias.</summary>
    public static PackedLinear Transposed(
        ReadOnlySpan<float> weight,
        int outputs,
        int inputs,
        WeightStorage storage = WeightStorage.Float32,
        LaneWidth? lanes = null
    )
    {
        var turned = new float[weight.Length];
        for (var n = 0; n < outputs; n++)
        {
            for (var k = 0; k < inputs; k++)
            {
                turned[k * outputs + n] = weight[n * inputs + k];
            }
        }
        return new(turned, [], inputs, outputs, storage, lanes);
    }

    /// <summary>Nearest bfloat16, ties to even.</summary>
    public static ushort BFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)0x7fc0 : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Multiplies rows, all panels or some.</summary>
    /// <param name="x">Inputs: row r begins at x + r·xStride and has <see cref="Inputs"/> numbers.</param>
    /// <param name="xStride">Floats from row to row.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="y">Receives <see cref="Padded"/> numbers a row. Not x.</param>
    /// <param name="yStride">Floats from row to row.</param>
    /// <param name="epilogue">What happens to the sums.</param>
    /// <param name="firstPanel">The first panel to do.</param>
    /// <param name="endPanel">One past the last; negative for all.</param>
    public void Multiply(
        float* x,
        nint xStride,
        int rows,
        float* y,
        nint yStride,
        in Epilogue epilogue,
        int firstPanel = 0,
        int endPanel = -1
    )
    {
        var all = new Job
        {
            X = x,
            XStride = xStride,
            Rows = rows,
            Y = y,
            YStride = yStride,
            Start = epilogue.Start.Exist ? epilogue.Start : new(_bias.Start, 0),
        };
        endPanel = endPanel < 0 ? Panels : endPanel;
        switch (_lanes)
        {
            case LaneWidth.Sixteen:
                Run<Lanes16, Vector512<float>>(all, epilogue, firstPanel, endPanel);
                break;
            case LaneWidth.Eight:
                Run<Lanes8, Vector256<float>>(all, epilogue, firstPanel, endPanel);
                break;
            case LaneWidth.Four:
                Run<Lanes4, Vector128<float>>(all, epilogue, firstPanel, endPanel);
                break;
            default:
                Run<Lanes1, float>(all, epilogue, firstPanel, endPanel);
                break;
        }
        GC.KeepAlive(this);
    }

    /// <summary>A product on its way through the kernels: where rows come from and where they go.</summary>
    private struct Job
    {
        public float* X;
        public nint XStride;
        public int Rows;
        public float* Y;
        public nint YStride;
        public RowValues Start;
    }

    private void Run<TLanes, V>(in Job job, in Epilogue epilogue, int firstPanel, int endPanel)
        where TLanes : ILanes<V>
        where V : unmanaged
    {
        if (_storage == WeightStorage.Float32)
        {
            Run<TLanes, V, Float32Weights>(job, epilogue, firstPanel, endPanel);
        }
        else
        {
            Run<TLanes, V, BFloat16Weights>(job, epilogue, firstPanel, endPanel);
        }
    }

    private void Run<TLanes, V, TWeights>(in Job job, in Epilogue epilogue, int firstPanel, int endPanel)
        where TLanes : ILanes<V>
        where V : unmanaged
        where TWeights : IWeights
    {
        for (var panel = firstPanel; panel < endPanel; panel++)
        {
            var weights = (byte*)_panels.Start + (nint)panel * Panel * Inputs * TWeights.Bytes;
            var column = (nint)panel * Panel;
            if (job.Rows == 1 && panel + 1 < endPanel)
            {
                OneByTwo<TLanes, V, TWeights>(job, column, weights, Inputs);
                Finish<TLanes, V>(job, epilogue, 0, 1, column);
                Finish<TLanes, V>(job, epilogue, 0, 1, column + Panel);
                panel++;
                continue;
            }
            for (var row = 0; row < job.Rows; )
            {
                int done;
                switch (job.Rows - row)
                {
                    case >= 12 when TLanes.Count == Lanes16.Count:
                        Twelve<TWeights>(job, row, column, weights, Inputs);
                        done = 12;
                        break;
                    case >= 4:
                        Four<TLanes, V, TWeights>(job, row, column, weights, Inputs);
                        done = 4;
                        break;
                    case >= 2:
                        Two<TLanes, V, TWeights>(job, row, column, weights, Inputs);
                        done = 2;
                        break;
                    default:
                        One<TLanes, V, TWeights>(job, row, column, weights, Inputs);
                        done = 1;
                        break;
                }
                Finish<TLanes, V>(job, epilogue, row, done, column);
                row += done;
            }
        }
    }

    /// <summary>One row by two panels: four sums hide that each multiplication waits for the one before.</summary>
    private static void OneByTwo<TLanes, V, TWeights>(in Job job, nint column, byte* weights, int inputs)
        where TLanes : ILanes<V>
        where V : unmanaged
        where TWeights : IWeights
    {
        var x = job.X;
        var (a, b) = Begin<TLanes, V>(job, 0, column);
        var (c, d) = Begin<TLanes, V>(job, 0, column + 2 * TLanes.Count);
        var bytes = 2 * TLanes.Count * TWeights.Bytes;
        var next = weights + (nint)bytes * inputs;
        for (var k = 0; k < inputs; k++)
        {
            var (v, w) = TWeights.Load<TLanes, V>(weights);
            var input = TLanes.All(x[k]);
            a = TLanes.MultiplyAdd(input, v, a);
            b = TLanes.MultiplyAdd(input, w, b);
            (v, w) = TWeights.Load<TLanes, V>(next);
            c = TLanes.MultiplyAdd(input, v, c);
            d = TLanes.MultiplyAdd(input, w, d);
            weights += bytes;
            next += bytes;
        }
        Put<TLanes, V>(job.Y + column, a, b);
        Put<TLanes, V>(job.Y + column + 2 * TLanes.Count, c, d);
    }

    /// <summary>One row by one panel. Memory is the limit: one multiplication per weight that is loaded.</summary>
    private static void One<TLanes, V, TWeights>(in Job job, int row, nint column, byte* weights, int inputs)
        where TLanes : ILanes<V>
        where V : unmanaged
        where TWeights : IWeights
    {
        var x = job.X + row * job.XStride;
        var (a, b) = Begin<TLanes, V>(job, row, column);
        var bytes = 2 * TLanes.Count * TWeights.Bytes;
        for (var k = 0; k < inputs; k++)
        {
            var (v, w) = TWeights.Load<TLanes, V>(weights);
            var input = TLanes.All(x[k]);
            a = TLanes.MultiplyAdd(input, v, a);
            b = TLanes.MultiplyAdd(input, w, b);
            weights += bytes;
        }
        Put<TLanes, V>(job.Y + row * job.YStride + column, a, b);
    }

    /// <summary>Two rows by one panel.</summary>
    private static void Two<TLanes, V, TWeights>(in Job job, int row, nint column, byte* weights, int inputs)
        where TLanes : ILanes<V>
        where V : unmanaged
        where TWeights : IWeights
    {
        var x0 = job.X + row * job.XStride;
        var x1 = x0 + job.XStride;
        var (a0, b0) = Begin<TLanes, V>(job, row, column);
        var (a1, b1) = Begin<TLanes, V>(job, row + 1, column);
        var bytes = 2 * TLanes.Count * TWeights.Bytes;
        for (var k = 0; k < inputs; k++)
        {
            var (v, w) = TWeights.Load<TLanes, V>(weights);
            var input = TLanes.All(x0[k]);
            a0 = TLanes.MultiplyAdd(input, v, a0);
            b0 = TLanes.MultiplyAdd(input, w, b0);
            input = TLanes.All(x1[k]);
            a1 = TLanes.MultiplyAdd(input, v, a1);
            b1 = TLanes.MultiplyAdd(input, w, b1);
            weights += bytes;
        }
        var y = job.Y + row * job.YStride + column;
        Put<TLanes, V>(y, a0, b0);
        Put<TLanes, V>(y + job.YStride, a1, b1);
    }

    /// <summary>Four rows by one panel: 8 sums, which suits 16 registers.</summary>
    private static void Four<TLanes, V, TWeights>(in Job job, int row, nint column, byte* weights, int inputs)
        where TLanes : ILanes<V>
        where V : unmanaged
        where TWeights : IWeights
    {
        var x0 = job.X + row * job.XStride;
        var x1 = x0 + job.XStride;
        var x2 = x1 + job.XStride;
        var x3 = x2 + job.XStride;
        var (a0, b0) = Begin<TLanes, V>(job, row, column);
        var (a1, b1) = Begin<TLanes, V>(job, row + 1, column);
        var (a2, b2) = Begin<TLanes, V>(job, row + 2, column);
        var (a3, b3) = Begin<TLanes, V>(job, row + 3, column);
        var bytes = 2 * TLanes.Count * TWeights.Bytes;
        for (var k = 0; k < inputs; k++)
        {
            var (v, w) = TWeights.Load<TLanes, V>(weights);
            var input = TLanes.All(x0[k]);
            a0 = TLanes.MultiplyAdd(input, v, a0);
            b0 = TLanes.MultiplyAdd(input, w, b0);
            input = TLanes.All(x1[k]);
            a1 = TLanes.MultiplyAdd(input, v, a1);
            b1 = TLanes.MultiplyAdd(input, w, b1);
            input = TLanes.All(x2[k]);
            a2 = TLanes.MultiplyAdd(input, v, a2);
            b2 = TLanes.MultiplyAdd(input, w, b2);
            input = TLanes.All(x3[k]);
            a3 = TLanes.MultiplyAdd(input, v, a3);
            b3 = TLanes.MultiplyAdd(input, w, b3);
            weights += bytes;
        }
        var y = job.Y + row * job.YStride + column;
        Put<TLanes, V>(y, a0, b0);
        Put<TLanes, V>(y + job.YStride, a1, b1);
        Put<TLanes, V>(y + 2 * job.YStride, a2, b2);
        Put<TLanes, V>(y + 3 * job.YStride, a3, b3);
    }

    /// <summary>Twelve rows by one panel of 32: the block that large batches run through.</summary>
    /// <remarks>
    /// Rows are addressed as base, base + s, base + 2s and base + 4s from four bases three rows apart, which are addressing modes
    /// of the processor: twelve pointers would not fit its registers.
    /// </remarks>
    private static void Twelve<TWeights>(in Job job, int row, nint column, byte* weights, int inputs)
        where TWeights : IWeights
    {
        var s = job.XStride * sizeof(float);
        var (s2, s4) = (2 * s, 4 * s);
        var x0 = (byte*)(job.X + row * job.XStride);
        var x3 = x0 + 3 * s;
        var x6 = x3 + 3 * s;
        var x9 = x6 + 3 * s;
        var (a0, b0) = Begin<Lanes16, Vector512<float>>(job, row, column);
        var (a1, b1) = Begin<Lanes16, Vector512<float>>(job, row + 1, column);
        var (a2, b2) = Begin<Lanes16, Vector512<float>>(job, row + 2, column);
        var (a3, b3) = Begin<Lanes16, Vector512<float>>(job, row + 3, column);
        var (a4, b4) = Begin<Lanes16, Vector512<float>>(job, row + 4, column);
        var (a5, b5) = Begin<Lanes16, Vector512<float>>(job, row + 5, column);
        var (a6, b6) = Begin<Lanes16, Vector512<float>>(job, row + 6, column);
        var (a7, b7) = Begin<Lanes16, Vector512<float>>(job, row + 7, column);
        var (a8, b8) = Begin<Lanes16, Vector512<float>>(job, row + 8, column);
        var (a9, b9) = Begin<Lanes16, Vector512<float>>(job, row + 9, column);
        var (a10, b10) = Begin<Lanes16, Vector512<float>>(job, row + 10, column);
        var (a11, b11) = Begin<Lanes16, Vector512<float>>(job, row + 11, column);
        for (var k = 0; k < inputs; k++)
        {
            var (v, w) = TWeights.Load<Lanes16, Vector512<float>>(weights);
            var input = Vector512.Create(*(float*)x0);
            a0 = Vector512.MultiplyAddEstimate(input, v, a0);
            b0 = Vector512.MultiplyAddEstimate(input, w, b0);
            input = Vector512.Create(*(float*)(x0 + s));
            a1 = Vector512.MultiplyAddEstimate(input, v, a1);
            b1 = Vector512.MultiplyAddEstimate(input, w, b1);
            input = Vector512.Create(*(float*)(x0 + s2));
            a2 = Vector512.MultiplyAddEstimate(input, v, a2);
            b2 = Vector512.MultiplyAddEstimate(input, w, b2);
            input = Vector512.Create(*(float*)x3);
            a3 = Vector512.MultiplyAddEstimate(input, v, a3);
            b3 = Vector512.MultiplyAddEstimate(input, w, b3);
            input = Vector512.Create(*(float*)(x0 + s4));
            a4 = Vector512.MultiplyAddEstimate(input, v, a4);
            b4 = Vector512.MultiplyAddEstimate(input, w, b4);
            input = Vector512.Create(*(float*)(x3 + s2));
            a5 = Vector512.MultiplyAddEstimate(input, v, a5);
            b5 = Vector512.MultiplyAddEstimate(input, w, b5);
            input = Vector512.Create(*(float*)x6);
            a6 = Vector512.MultiplyAddEstimate(input, v, a6);
            b6 = Vector512.MultiplyAddEstimate(input, w, b6);
            input = Vector512.Create(*(float*)(x6 + s));
            a7 = Vector512.MultiplyAddEstimate(input, v, a7);
            b7 = Vector512.MultiplyAddEstimate(input, w, b7);
            input = Vector512.Create(*(float*)(x6 + s2));
            a8 = Vector512.MultiplyAddEstimate(input, v, a8);
            b8 = Vector512.MultiplyAddEstimate(input, w, b8);
            input = Vector512.Create(*(float*)x9);
            a9 = Vector512.MultiplyAddEstimate(input, v, a9);
            b9 = Vector512.MultiplyAddEstimate(input, w, b9);
            input = Vector512.Create(*(float*)(x6 + s4));
            a10 = Vector512.MultiplyAddEstimate(input, v, a10);
            b10 = Vector512.MultiplyAddEstimate(input, w, b10);
            input = Vector512.Create(*(float*)(x9 + s2));
            a11 = Vector512.MultiplyAddEstimate(input, v, a11);
            b11 = Vector512.MultiplyAddEstimate(input, w, b11);
            weights += 2 * Lanes16.Count * TWeights.Bytes;
            x0 += sizeof(float);
            x3 += sizeof(float);
            x6 += sizeof(float);
            x9 += sizeof(float);
        }
        var y = job.Y + row * job.YStride + column;
        Put<Lanes16, Vector512<float>>(y, a0, b0);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a1, b1);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a2, b2);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a3, b3);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a4, b4);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a5, b5);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a6, b6);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a7, b7);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a8, b8);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a9, b9);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a10, b10);
        Put<Lanes16, Vector512<float>>(y += job.YStride, a11, b11);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (V A, V B) Begin<TLanes, V>(in Job job, int row, nint column)
        where TLanes : ILanes<V>
        where V : unmanaged
    {
        var start = job.Start.Row(row) + column;
        return (TLanes.Load(start), TLanes.Load(start + TLanes.Count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TLanes, V>(float* y, V a, V b)
        where TLanes : ILanes<V>
        where V : unmanaged
    {
        TLanes.Store(a, y);
        TLanes.Store(b, y + TLanes.Count);
    }

    /// <summary>Turns stored sums of a block into the layer's values.</summary>
    private static void Finish<TLanes, V>(in Job job, in Epilogue epilogue, int firstRow, int rows, nint column)
        where TLanes : ILanes<V>
        where V : unmanaged
    {
        var plain = epilogue.Activation == Activation.Identity && !epilogue.Plus.Exist && !epilogue.Times.Exist;
        if (plain && epilogue.Slopes == null)
        {
            return;
        }
        var one = TLanes.All(1);
        for (var row = firstRow; row < firstRow + rows; row++)
        {
            var at = row * job.YStride + column;
            for (var half = 0; half < 2; half++, at += TLanes.Count)
            {
                var offset = column + half * TLanes.Count;
                var z = TLanes.Load(job.Y + at);
                var slope = one;
                switch (epilogue.Activation)
                {
                    case Activation.Silu or Activation.SiluSlope:
                        // f = z·σ and f′ = σ + f·(1 − σ).
                        var sigmoid = Smooth<TLanes, V>.Sigmoid(z);
                        z = TLanes.Multiply(z, sigmoid);
                        slope = TLanes.MultiplyAdd(z, TLanes.MultiplyAdd(sigmoid, TLanes.All(-1), one), sigmoid);
                        if (epilogue.Activation == Activation.SiluSlope)
                        {
                            z = slope;
                        }
                        break;
                    case Activation.Relu:
                        slope = TLanes.Step(z);
                        z = TLanes.Max(TLanes.All(0), z);
                        break;
                }
                if (epilogue.Slopes != null)
                {
                    TLanes.Store(slope, epilogue.Slopes + at);
                }
                if (epilogue.Plus.Exist)
                {
                    z = TLanes.Add(z, TLanes.Load(epilogue.Plus.Row(row) + offset));
                }
                if (epilogue.Times.Exist)
                {
                    z = TLanes.Multiply(z, TLanes.Load(epilogue.Times.Row(row) + offset));
                }
                TLanes.Store(z, job.Y + at);
            }
        }
    }

    /// <summary>How the kernels read the two vectors of weights that belong to one input.</summary>
    private interface IWeights
    {
        /// <summary>Bytes of a weight.</summary>
        static abstract int Bytes { get; }

        static abstract (V First, V Second) Load<TLanes, V>(byte* from)
            where TLanes : ILanes<V>
            where V : unmanaged;
    }

    private readonly struct Float32Weights : IWeights
    {
        public static int Bytes => sizeof(float);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (V First, V Second) Load<TLanes, V>(byte* from)
            where TLanes : ILanes<V>
            where V : unmanaged => (TLanes.Load((float*)from), TLanes.Load((float*)from + TLanes.Count));
    }

    private readonly struct BFloat16Weights : IWeights
    {
        public static int Bytes => sizeof(ushort);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (V First, V Second) Load<TLanes, V>(byte* from)
            where TLanes : ILanes<V>
            where V : unmanaged => TLanes.LoadPairs((uint*)from);
    }
}
