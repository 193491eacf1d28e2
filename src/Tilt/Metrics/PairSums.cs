using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Tilt.Metrics;

/// <summary>A function of the squared distance of two points, for four pairs at once.</summary>
internal interface IPairFunction
{
    /// <summary>f(d²) of four pairs.</summary>
    Vector256<double> Of(Vector256<double> squared);
}

/// <summary>Sums of a function of the distance over all pairs of points, without ever storing the matrix of distances.</summary>
/// <remarks>
/// 5000 × 5000 float64 distances would be 200 MB written and read back; here a pair costs a few vector instructions and no memory.
/// Sums are float64, row by row.
/// </remarks>
internal static class PairSums
{
    /// <summary>The mean of f(‖x_i − y_j‖²) over all pairs.</summary>
    public static double Mean<TFunction>(double[][] x, double[][] y, TFunction function)
        where TFunction : struct, IPairFunction
    {
        var (n, m) = (x[0].Length, y[0].Length);
        double sum = 0;
        for (var i = 0; i < n; i++)
        {
            sum += Row(x, i, y, 0, m, function);
        }
        return sum / ((double)n * m);
    }

    /// <summary>The mean of f(‖x_i − x_j‖²) over all pairs, i = j included: half of them and the diagonal are enough.</summary>
    public static double SelfMean<TFunction>(double[][] x, TFunction function)
        where TFunction : struct, IPairFunction
    {
        var n = x[0].Length;
        double sum = 0;
        for (var i = 0; i < n; i++)
        {
            sum += Row(x, i, x, i + 1, n, function);
        }
        return (2 * sum + n * function.Of(Vector256<double>.Zero)[0]) / ((double)n * n);
    }

    /// <summary>The coordinates of [N, D] points, one array per coordinate.</summary>
    public static double[][] Columns(Tensor points)
    {
        using var transposed = points.t().contiguous();
        var all = transposed.data<double>().ToArray();
        var (n, dimension) = ((int)points.shape[0], (int)points.shape[1]);
        return Enumerable.Range(0, dimension).Select(d => all.AsSpan(d * n, n).ToArray()).ToArray();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Row<TFunction>(double[][] x, int i, double[][] y, int from, int to, TFunction function)
        where TFunction : struct, IPairFunction
    {
        var (first, second) = (Vector256<double>.Zero, Vector256<double>.Zero);
        var j = from;
        if (x.Length == 2)
        {
            var (x0, x1) = (Vector256.Create(x[0][i]), Vector256.Create(x[1][i]));
            ref var y0 = ref MemoryMarshal.GetArrayDataReference(y[0]);
            ref var y1 = ref MemoryMarshal.GetArrayDataReference(y[1]);
            for (; j + 8 <= to; j += 8)
            {
                var (a0, a1) = (
                    x0 - Vector256.LoadUnsafe(ref y0, (nuint)j),
                    x1 - Vector256.LoadUnsafe(ref y1, (nuint)j)
                );
                var (b0, b1) = (
                    x0 - Vector256.LoadUnsafe(ref y0, (nuint)(j + 4)),
                    x1 - Vector256.LoadUnsafe(ref y1, (nuint)(j + 4))
                );
                first += function.Of(a0 * a0 + a1 * a1);
                second += function.Of(b0 * b0 + b1 * b1);
            }
        }
        else
        {
            for (; j + 4 <= to; j += 4)
            {
                var squared = Vector256<double>.Zero;
                for (var d = 0; d < x.Length; d++)
                {
                    var difference = Vector256.Create(x[d][i]) - Vector256.LoadUnsafe(ref y[d][0], (nuint)j);
                    squared += difference * difference;
                }
                first += function.Of(squared);
            }
        }
        var sum = Vector256.Sum(first + second);
        for (; j < to; j++)
        {
            double squared = 0;
            for (var d = 0; d < x.Length; d++)
            {
                var difference = x[d][i] - y[d][j];
                squared += difference * difference;
            }
            sum += function.Of(Vector256.Create(squared))[0];
        }
        return sum;
    }
}
