using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tilt.Networks;

/// <summary>How the kernels read and write 32 numbers of a storage type.</summary>
internal unsafe interface IStorage
{
    static abstract (Vector512<float> Low, Vector512<float> High) Load(void* from, nint at);
    static abstract void Store(void* to, nint at, Vector512<float> low, Vector512<float> high);
    static abstract float LoadOne(void* from, nint at);
    static abstract void StoreOne(void* to, nint at, float value);
}

/// <summary>float32.</summary>
internal readonly unsafe struct AsFloat32 : IStorage
{
    public static (Vector512<float> Low, Vector512<float> High) Load(void* from, nint at) =>
        (Vector512.Load((float*)from + at), Vector512.Load((float*)from + at + 16));

    public static void Store(void* to, nint at, Vector512<float> low, Vector512<float> high)
    {
        low.Store((float*)to + at);
        high.Store((float*)to + at + 16);
    }

    public static float LoadOne(void* from, nint at) => ((float*)from)[at];

    public static void StoreOne(void* to, nint at, float value) => ((float*)to)[at] = value;
}

/// <summary>bfloat16: the upper half of a float32, rounded to nearest, ties away from zero.</summary>
internal readonly unsafe struct AsBFloat16 : IStorage
{
    public static (Vector512<float> Low, Vector512<float> High) Load(void* from, nint at)
    {
        var halves = Vector512.Load((ushort*)from + at);
        var (low, high) = Vector512.Widen(halves);
        return ((low << 16).AsSingle(), (high << 16).AsSingle());
    }

    public static void Store(void* to, nint at, Vector512<float> low, Vector512<float> high) =>
        Vector512.Narrow(Round(low), Round(high)).Store((ushort*)to + at);

    public static float LoadOne(void* from, nint at) =>
        BitConverter.UInt32BitsToSingle((uint)((ushort*)from)[at] << 16);

    public static void StoreOne(void* to, nint at, float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        ((ushort*)to)[at] = (ushort)((bits + HalfUnit) >> 16);
    }

    private const uint HalfUnit = 0x8000;

    // A NaN keeps being one: those that arise here have a fraction whose lower half is zero, so nothing carries into the sign.
    private static Vector512<uint> Round(Vector512<float> value) =>
        (value.AsUInt32() + Vector512.Create(HalfUnit)) >> 16;
}

/// <summary>Activations with their derivatives, and products with them, in one pass over memory each.</summary>
/// <remarks>
/// Written with portable vectors: correct on every processor, fast where they are 512 bits wide. Work is cut into a fixed
/// number of row blocks whatever the number of threads, so sums do not depend on it. The blocks hold raw memory only, no
/// tensors, hence may run on other threads.
/// </remarks>
internal static unsafe class ActivationKernels
{
    private const int Step = 32;
    private const int Blocks = 16;

    /// <summary>h = f(z + b) and slope = f′(z + b).</summary>
    /// <param name="activation">f.</param>
    /// <param name="z">[B, N], contiguous, float32 or bf16.</param>
    /// <param name="bias">b, [N], or [G, N] for G groups of successive rows, contiguous, float32; null for none.</param>
    /// <param name="h">The shape of z, float32 or bf16; overwritten.</param>
    /// <param name="slope">The shape of z, bf16; overwritten. May be z itself. Null where no gradient is wanted.</param>
    public static void Activate(Activation activation, Tensor z, Tensor? bias, Tensor h, Tensor? slope)
    {
        switch (z.dtype, h.dtype)
        {
            case (ScalarType.Float32, ScalarType.BFloat16):
                Activate<AsFloat32, AsBFloat16>(activation, z, bias, h, slope);
                break;
            case (ScalarType.Float32, ScalarType.Float32):
                Activate<AsFloat32, AsFloat32>(activation, z, bias, h, slope);
                break;
            case (ScalarType.BFloat16, ScalarType.BFloat16):
                Activate<AsBFloat16, AsBFloat16>(activation, z, bias, h, slope);
                break;
            case (ScalarType.BFloat16, ScalarType.Float32):
                Activate<AsBFloat16, AsFloat32>(activation, z, bias, h, slope);
                break;
            default:
                throw new NotSupportedException($"Activation from {z.dtype} to {h.dtype}.");
        }
        KeepAlive(z, bias, h, slope);
    }

    /// <summary>dz = g·slope, and the sum of its rows, which is the gradient of a bias.</summary>
    /// <param name="g">Gradient of h, [B, N], contiguous, float32 or bf16.</param>
    /// <param name="slope">[B, N], bf16; null stands for ones.</param>
    /// <param name="dz">[B, N], bf16 or float32; overwritten. May be g itself where the types agree.</param>
    /// <param name="sums">[N], or [G, N] for G groups of successive rows, float32; overwritten. Null where it is not wanted.</param>
    /// <param name="threads">How many threads at most; 0 for libtorch's number.</param>
    public static void Backward(Tensor g, Tensor? slope, Tensor dz, Tensor? sums, int threads = 0)
    {
        switch (g.dtype, dz.dtype)
        {
            case (ScalarType.Float32, ScalarType.BFloat16):
                Backward<AsFloat32, AsBFloat16>(g, slope, dz, sums, threads);
                break;
            case (ScalarType.Float32, ScalarType.Float32):
                Backward<AsFloat32, AsFloat32>(g, slope, dz, sums, threads);
                break;
            case (ScalarType.BFloat16, ScalarType.BFloat16):
                Backward<AsBFloat16, AsBFloat16>(g, slope, dz, sums, threads);
                break;
            case (ScalarType.BFloat16, ScalarType.Float32):
                Backward<AsBFloat16, AsFloat32>(g, slope, dz, sums, threads);
                break;
            default:
                throw new NotSupportedException($"Gradient from {g.dtype} to {dz.dtype}.");
        }
        KeepAlive(g, slope, dz, sums);
    }

    private static void Activate<TFrom, TTo>(Activation activation, Tensor z, Tensor? bias, Tensor h, Tensor? slope)
        where TFrom : IStorage
        where TTo : IStorage
    {
        var columns = (nint)z.shape[^1];
        var rows = (nint)z.numel() / columns;
        var from = (nint)Address(z);
        var biases = bias is null ? 0 : (nint)Address(bias);
        var groupRows = bias is { } grouped && grouped.dim() == 2 ? rows / (nint)grouped.shape[0] : nint.MaxValue;
        var to = (nint)Address(h);
        var slopes = slope is null ? 0 : (nint)Address(slope);
        var perBlock = (rows + Blocks - 1) / Blocks;
        Workers.Run(
            Blocks,
            block =>
            {
                var first = Math.Min(block * perBlock, rows);
                var last = Math.Min(first + perBlock, rows);
                for (var row = first; row < last; row++)
                {
                    var at = row * columns;
                    var own = biases == 0 ? null : (float*)biases + row / groupRows * columns;
                    if (activation == Activation.Silu)
                    {
                        Silu<TFrom, TTo>((void*)from, own, (void*)to, (void*)slopes, at, columns);
                    }
                    else
                    {
                        Relu<TFrom, TTo>((void*)from, own, (void*)to, (void*)slopes, at, columns);
                    }
                }
            }
        );
    }

    /// <summary>One row, which begins at <paramref name="at"/>.</summary>
    private static void Silu<TFrom, TTo>(void* z, float* bias, void* h, void* slope, nint at, nint columns)
        where TFrom : IStorage
        where TTo : IStorage
    {
        nint i = 0;
        for (; i + Step <= columns; i += Step)
        {
            var (a, b) = Biased(TFrom.Load(z, at + i), bias, i);
            var (sa, sb) = (Sigmoid(a), Sigmoid(b));
            var (ha, hb) = (a * sa, b * sb);
            if (slope != null)
            {
                // f′ = s·(1 + z·(1 − s)) = s + h·(1 − s).
                var one = Vector512<float>.One;
                AsBFloat16.Store(
                    slope,
                    at + i,
                    Vector512.FusedMultiplyAdd(ha, one - sa, sa),
                    Vector512.FusedMultiplyAdd(hb, one - sb, sb)
                );
            }
            TTo.Store(h, at + i, ha, hb);
        }
        for (; i < columns; i++)
        {
            var a = TFrom.LoadOne(z, at + i) + (bias == null ? 0 : bias[i]);
            var s = 1 / (1 + MathF.Exp(-a));
            if (slope != null)
            {
                AsBFloat16.StoreOne(slope, at + i, s + a * s * (1 - s));
            }
            TTo.StoreOne(h, at + i, a * s);
        }
    }

    /// <summary>One row, which begins at <paramref name="at"/>.</summary>
    private static void Relu<TFrom, TTo>(void* z, float* bias, void* h, void* slope, nint at, nint columns)
        where TFrom : IStorage
        where TTo : IStorage
    {
        var (one, zero) = (Vector512<float>.One, Vector512<float>.Zero);
        nint i = 0;
        for (; i + Step <= columns; i += Step)
        {
            var (a, b) = Biased(TFrom.Load(z, at + i), bias, i);
            if (slope != null)
            {
                AsBFloat16.Store(
                    slope,
                    at + i,
                    Vector512.ConditionalSelect(Vector512.GreaterThan(a, zero), one, zero),
                    Vector512.ConditionalSelect(Vector512.GreaterThan(b, zero), one, zero)
                );
            }
            TTo.Store(h, at + i, Vector512.Max(a, zero), Vector512.Max(b, zero));
        }
        for (; i < columns; i++)
        {
            var a = TFrom.LoadOne(z, at + i) + (bias == null ? 0 : bias[i]);
            if (slope != null)
            {
                AsBFloat16.StoreOne(slope, at + i, a > 0 ? 1 : 0);
            }
            TTo.StoreOne(h, at + i, MathF.Max(a, 0));
        }
    }

    private static (Vector512<float> Low, Vector512<float> High) Biased(
        (Vector512<float> Low, Vector512<float> High) z,
        float* bias,
        nint at
    ) => bias == null ? z : (z.Low + Vector512.Load(bias + at), z.High + Vector512.Load(bias + at + 16));

    private static void Backward<TFrom, TTo>(Tensor g, Tensor? slope, Tensor dz, Tensor? sums, int threads)
        where TFrom : IStorage
        where TTo : IStorage
    {
        var columns = (nint)g.shape[^1];
        var rows = (nint)g.numel() / columns;
        var from = (nint)Address(g);
        var to = (nint)Address(dz);
        var slopes = slope is null ? 0 : (nint)Address(slope);
        if (sums is { } grouped && grouped.dim() == 2)
        {
            // A group is a block: its sums need no adding up.
            var groups = (int)grouped.shape[0];
            var groupRows = rows / groups;
            var groupSums = (nint)Address(grouped);
            Workers.Run(
                groups,
                group =>
                    Scale<TFrom, TTo>(
                        (void*)from,
                        (void*)slopes,
                        (void*)to,
                        (float*)groupSums + group * columns,
                        group * groupRows,
                        (group + 1) * groupRows,
                        columns
                    ),
                threads
            );
            return;
        }
        var perBlock = (rows + Blocks - 1) / Blocks;
        var partial = sums is null ? [] : GC.AllocateUninitializedArray<float>(checked((int)(Blocks * columns)));
        fixed (float* pinned = partial)
        {
            var sumsAt = (nint)pinned;
            Workers.Run(
                Blocks,
                block =>
                {
                    var first = Math.Min(block * perBlock, rows);
                    var last = Math.Min(first + perBlock, rows);
                    var blockSums = sumsAt == 0 ? null : (float*)sumsAt + block * columns;
                    Scale<TFrom, TTo>((void*)from, (void*)slopes, (void*)to, blockSums, first, last, columns);
                },
                threads
            );
            if (sums is not null)
            {
                Add(pinned, (float*)Address(sums), columns);
            }
        }
    }

    /// <summary>One block of rows, 32 columns at a time so that their sums stay in registers.</summary>
    private static void Scale<TFrom, TTo>(
        void* g,
        void* slope,
        void* dz,
        float* sums,
        nint firstRow,
        nint lastRow,
        nint columns
    )
        where TFrom : IStorage
        where TTo : IStorage
    {
        nint column = 0;
        for (; column + Step <= columns; column += Step)
        {
            var (lowSum, highSum) = (Vector512<float>.Zero, Vector512<float>.Zero);
            for (var row = firstRow; row < lastRow; row++)
            {
                var at = row * columns + column;
                var (a, b) = TFrom.Load(g, at);
                if (slope != null)
                {
                    var (sa, sb) = AsBFloat16.Load(slope, at);
                    (a, b) = (a * sa, b * sb);
                }
                TTo.Store(dz, at, a, b);
                lowSum += a;
                highSum += b;
            }
            if (sums != null)
            {
                AsFloat32.Store(sums, column, lowSum, highSum);
            }
        }
        for (; column < columns; column++)
        {
            var sum = 0f;
            for (var row = firstRow; row < lastRow; row++)
            {
                var at = row * columns + column;
                var a = TFrom.LoadOne(g, at) * (slope == null ? 1 : AsBFloat16.LoadOne(slope, at));
                TTo.StoreOne(dz, at, a);
                sum += a;
            }
            if (sums != null)
            {
                sums[column] = sum;
            }
        }
    }

    private static void Add(float* partial, float* sums, nint columns)
    {
        for (nint column = 0; column < columns; column++)
        {
            var sum = 0f;
            for (var block = 0; block < Blocks; block++)
            {
                sum += partial[block * columns + column];
            }
            sums[column] = sum;
        }
    }

    /// <summary>1/(1 + e^(−x)), to about 5e-6 relative, a thousandth of what bf16 resolves.</summary>
    private static Vector512<float> Sigmoid(Vector512<float> x)
    {
        var one = Vector512<float>.One;
        return one / (one + Exp2(x * Vector512.Create(-1.44269504f)));
    }

    /// <summary>2ˣ = 2ⁿ·2^r with n = round(x) and a polynomial in r.</summary>
    /// <remarks>|r| ≤ ½; the Taylor polynomial of degree 5 is off by (r·ln 2)⁶/720 ≤ 2.5e-6 there.</remarks>
    private static Vector512<float> Exp2(Vector512<float> x)
    {
        var n = Vector512.Round(x);
        var r = x - n;
        var p = Vector512.Create(1.33335581e-3f);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(9.61812911e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(5.55041087e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(2.40226507e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(6.93147181e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        if (Avx512F.IsSupported)
        {
            // p·2ⁿ, saturating to 0 and ∞ by itself.
            return Avx512F.Scale(p, n);
        }
        const float limit = 126;
        n = Vector512.Min(Vector512.Max(n, Vector512.Create(-limit)), Vector512.Create(limit));
        return p * ((Vector512.ConvertToInt32(n) + Vector512.Create(127)) << 23).AsSingle();
    }

    private static void* Address(Tensor tensor) => Workers.Address(tensor);

    // The kernels work on bare addresses: what those belong to must not be collected before they return.
    private static void KeepAlive(Tensor a, Tensor? b, Tensor c, Tensor? d)
    {
        GC.KeepAlive(a);
        GC.KeepAlive(b);
        GC.KeepAlive(c);
        GC.KeepAlive(d);
    }
}
