using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tilt.Networks;

/// <summary>The second half of a residual block's layers, in one pass over memory: bias, SiLU, and what is added after it.</summary>
/// <remarks>Portable vectors: correct on every processor, fast where they are 512 bits wide.</remarks>
internal static unsafe class ResidualKernels
{
    private const int Step = 32;
    private const int RowsPerBlock = 64;

    /// <summary>h = SiLU(z + b) + plus, stored as bf16.</summary>
    /// <param name="z">[B, N], float32 or bf16, contiguous.</param>
    /// <param name="bias">b, [N], float32.</param>
    /// <param name="plus">
    /// Added after SiLU: [B/group, N] (row r takes row r/group), float32 or bf16, rows at any stride; an offset of its own is added in
    /// <paramref name="plusBias"/>.
    /// </param>
    /// <param name="plusBias">[N], float32; null for none.</param>
    /// <param name="group">Rows that share a row of <paramref name="plus"/>.</param>
    /// <param name="h">[B, N], bf16, rows at any stride; overwritten.</param>
    public static void Finish(Tensor z, Tensor bias, Tensor plus, Tensor? plusBias, int group, Tensor h)
    {
        switch (z.dtype, plus.dtype)
        {
            case (ScalarType.BFloat16, ScalarType.BFloat16):
                Finish<AsBFloat16, AsBFloat16>(z, bias, plus, plusBias, group, h);
                break;
            case (ScalarType.BFloat16, ScalarType.Float32):
                Finish<AsBFloat16, AsFloat32>(z, bias, plus, plusBias, group, h);
                break;
            case (ScalarType.Float32, ScalarType.Float32):
                Finish<AsFloat32, AsFloat32>(z, bias, plus, plusBias, group, h);
                break;
            case (ScalarType.Float32, ScalarType.BFloat16):
                Finish<AsFloat32, AsBFloat16>(z, bias, plus, plusBias, group, h);
                break;
            default:
                throw new NotSupportedException($"A block of {z.dtype} and {plus.dtype}.");
        }
        GC.KeepAlive(z);
        GC.KeepAlive(bias);
        GC.KeepAlive(plus);
        GC.KeepAlive(plusBias);
        GC.KeepAlive(h);
    }

    private static void Finish<TSum, TPlus>(Tensor z, Tensor bias, Tensor plus, Tensor? plusBias, int group, Tensor h)
        where TSum : IStorage
        where TPlus : IStorage
    {
        var (rows, columns) = ((nint)z.shape[0], (nint)z.shape[1]);
        var (zAt, biasAt) = ((nint)Workers.Address(z), (nint)Workers.Address(bias));
        var (plusAt, plusStride) = (First(plus), (nint)plus.stride(0));
        var plusBiasAt = plusBias is null ? 0 : (nint)Workers.Address(plusBias);
        var (hAt, hStride) = (First(h), (nint)h.stride(0));
        var blocks = (int)((rows + RowsPerBlock - 1) / RowsPerBlock);
        Workers.Run(
            blocks,
            block =>
            {
                var last = Math.Min((block + 1) * (nint)RowsPerBlock, rows);
                for (var row = block * (nint)RowsPerBlock; row < last; row++)
                {
                    Row<TSum, TPlus>(
                        (void*)zAt,
                        row * columns,
                        (float*)biasAt,
                        (void*)plusAt,
                        row / group * plusStride,
                        (float*)plusBiasAt,
                        (void*)hAt,
                        row * hStride,
                        columns
                    );
                }
            }
        );
    }

    private static void Row<TSum, TPlus>(
        void* z,
        nint zRow,
        float* bias,
        void* plus,
        nint plusRow,
        float* plusBias,
        void* h,
        nint hRow,
        nint columns
    )
        where TSum : IStorage
        where TPlus : IStorage
    {
        nint i = 0;
        for (; i + Step <= columns; i += Step)
        {
            var (a, b) = TSum.Load(z, zRow + i);
            var (pa, pb) = TPlus.Load(plus, plusRow + i);
            if (plusBias != null)
            {
                pa += Vector512.Load(plusBias + i);
                pb += Vector512.Load(plusBias + i + 16);
            }
            a += Vector512.Load(bias + i);
            b += Vector512.Load(bias + i + 16);
            AsBFloat16.Store(
                h,
                hRow + i,
                Vector512.FusedMultiplyAdd(a, Sigmoid(a), pa),
                Vector512.FusedMultiplyAdd(b, Sigmoid(b), pb)
            );
        }
        for (; i < columns; i++)
        {
            var a = TSum.LoadOne(z, zRow + i) + bias[i];
            var p = TPlus.LoadOne(plus, plusRow + i) + (plusBias == null ? 0 : plusBias[i]);
            AsBFloat16.StoreOne(h, hRow + i, a / (1 + MathF.Exp(-a)) + p);
        }
    }

    /// <summary>1/(1 + e^(−x)) to about 1e-4 relative, a fortieth of a rounding to bf16.</summary>
    /// <remarks>
    /// 2ˣ = 2ⁿ·2^r with |r| ≤ ½: the Taylor polynomial of degree 4 is off by (r·ln 2)⁵/120 ≤ 4e-5. The reciprocal is the processor's
    /// 14-bit one, 6e-5.
    /// </remarks>
    private static Vector512<float> Sigmoid(Vector512<float> x)
    {
        var one = Vector512<float>.One;
        var y = Vector512.Min(x * Vector512.Create(-1.44269504f), Vector512.Create(126f));
        var n = Vector512.Round(y);
        var r = y - n;
        var p = Vector512.Create(9.61812911e-3f);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(5.55041087e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(2.40226507e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(6.93147181e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, one);
        if (Avx512F.IsSupported)
        {
            return Avx512F.Reciprocal14(one + Avx512F.Scale(p, n));
        }
        n = Vector512.Max(n, Vector512.Create(-126f));
        return one / (one + p * ((Vector512.ConvertToInt32(n) + Vector512.Create(127)) << 23).AsSingle());
    }

    /// <summary>The address of a tensor's first number; rows lie apart by its stride, columns side by side.</summary>
    private static nint First(Tensor tensor)
    {
        if (tensor.device_type != DeviceType.CPU || tensor.stride(1) != 1)
        {
            throw new ArgumentException("The kernels take tensors on the CPU whose rows are contiguous.");
        }
        using var first = tensor.narrow(0, 0, 1);
        return (nint)Workers.Address(first);
    }
}
