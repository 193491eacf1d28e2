namespace Tilt.Metrics;

/// <summary>Sliced Wasserstein-1 distance: the mean over directions of the W₁ distance between projections.</summary>
/// <remarks>
/// SW₁ = (1/L)·Σ_θ W₁(θᵀX, θᵀY), and in one dimension W₁ = ∫₀¹ |F⁻¹(u) − G⁻¹(u)| du: the mean absolute difference of the sorted
/// projections when both sets have equally many points. In the plane the L directions are fixed, at angles π(j + ½)/L, so
/// the number has no randomness of its own.
/// </remarks>
public static class SlicedWasserstein
{
    /// <summary>L, the directions of the plane that are averaged.</summary>
    /// <value>64.</value>
    public const int DefaultDirections = 64;

    /// <summary>The distance between two sets of points of the plane, in their own unit.</summary>
    /// <param name="samples">[N, 2].</param>
    /// <param name="truth">[M, 2]; M may differ from N.</param>
    /// <param name="directions">L, evenly spread over the half circle.</param>
    public static double Distance(Tensor samples, Tensor truth, int directions = DefaultDirections)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(directions);
        Expect.Shape(samples, -1, 2);
        Expect.Shape(truth, -1, 2);
        var along = new double[directions, 2];
        for (var j = 0; j < directions; j++)
        {
            (along[j, 1], along[j, 0]) = Math.SinCos(Math.PI * (j + 0.5) / directions);
        }
        using var axes = tensor(along);
        return Distance(samples, truth, axes);
    }

    /// <summary>The distance along given directions, for points of any dimension.</summary>
    /// <param name="samples">[N, D].</param>
    /// <param name="truth">[M, D].</param>
    /// <param name="directions">Unit vectors, [L, D].</param>
    public static double Distance(Tensor samples, Tensor truth, Tensor directions)
    {
        using var scope = NewDisposeScope();
        using var inference = no_grad();

        var x = Samples.Checked(samples, "samples");
        var y = Samples.Checked(truth, "true samples");
        Samples.SameDimension(x, y);
        Expect.Shape(directions, -1, x.shape[1]);
        var axes = directions.to(ScalarType.Float64).cpu();

        // One row per direction: sorting runs along contiguous memory.
        var a = axes.mm(x.t()).sort(1).Values;
        var b = axes.mm(y.t()).sort(1).Values;
        if (x.shape[0] == y.shape[0])
        {
            return (a - b).abs().mean().item<double>();
        }
        var (intoA, intoB, widths) = CommonQuantiles(x.shape[0], y.shape[0]);
        return ((a.index_select(1, intoA) - b.index_select(1, intoB)).abs() * widths).sum(1).mean().item<double>();
    }

    /// <summary>The pieces of [0, 1] on which the quantile functions of n and of m points are both constant.</summary>
    private static (Tensor IntoFirst, Tensor IntoSecond, Tensor Widths) CommonQuantiles(long n, long m)
    {
        var (first, second, widths) = (new List<long>(), new List<long>(), new List<double>());
        long i = 0,
            j = 0;
        double at = 0;
        while (i < n && j < m)
        {
            // The next break is (i + 1)/n or (j + 1)/m, whichever is smaller; compared without division, so exactly.
            var (left, right) = ((i + 1) * m, (j + 1) * n);
            var next = left <= right ? (i + 1) / (double)n : (j + 1) / (double)m;
            first.Add(i);
            second.Add(j);
            widths.Add(next - at);
            at = next;
            i += left <= right ? 1 : 0;
            j += right <= left ? 1 : 0;
        }
        return (tensor(first.ToArray()), tensor(second.ToArray()), tensor(widths.ToArray()));
    }
}
