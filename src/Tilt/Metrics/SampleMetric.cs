namespace Tilt.Metrics;

/// <summary>A distance between drawn samples and true samples: 0 for the same law, up to chance.</summary>
/// <param name="samples">What is judged, [N, D].</param>
/// <param name="truth">True samples, [M, D].</param>
/// <returns>The distance; its unit is the metric's own.</returns>
public delegate double SampleMetric(Tensor samples, Tensor truth);

/// <summary>Checks that all metrics share.</summary>
internal static class Samples
{
    /// <summary>The points as float64 on the CPU, [N, D], after making sure that there are some and that all are finite.</summary>
    /// <exception cref="TiltException">No points, or some that are NaN or infinite.</exception>
    public static Tensor Checked(Tensor points, string what)
    {
        Expect.Shape(points, -1, -1);
        if (points.shape[0] == 0 || points.shape[1] == 0)
        {
            throw new TiltException(
                $"a metric needs at least one point; {what} have shape [{string.Join(", ", points.shape)}]."
            );
        }
        using var scope = NewDisposeScope();
        var whole = points.detach().to(ScalarType.Float64).cpu();
        var bad = whole.isfinite().logical_not().any(1).sum().item<long>();
        if (bad > 0)
        {
            throw new TiltException(
                $"{bad} of {whole.shape[0]} {what} are NaN or infinite, so no distance can be computed; the sampler or model that made them has diverged."
            );
        }
        return whole.MoveToOuterDisposeScope();
    }

    /// <summary>Throws unless both sets have points of the same dimension.</summary>
    public static void SameDimension(Tensor a, Tensor b)
    {
        if (a.shape[1] != b.shape[1])
        {
            throw new ArgumentException(
                $"Points of dimension {a.shape[1]} cannot be compared with points of dimension {b.shape[1]}."
            );
        }
    }
}
