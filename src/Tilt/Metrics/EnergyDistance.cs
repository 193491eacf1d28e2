using System.Runtime.Intrinsics;

namespace Tilt.Metrics;

/// <summary>Energy distance: 2·E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖, zero only for equal laws.</summary>
/// <remarks>
/// Székely and Rizzo's statistic. All pairs are averaged, a point with itself included, so the number is never negative and two
/// finite draws of one law give a small positive one: compare it with its noise floor. It has nothing to do with E(x₀).
/// </remarks>
public static class EnergyDistance
{
    /// <summary>The distance between two sets of points, in their own unit.</summary>
    /// <param name="samples">[N, D].</param>
    /// <param name="truth">[M, D]; M may differ from N.</param>
    public static double Distance(Tensor samples, Tensor truth)
    {
        using var scope = NewDisposeScope();

        var x = Samples.Checked(samples, "samples");
        var y = Samples.Checked(truth, "true samples");
        Samples.SameDimension(x, y);
        var (a, b) = (PairSums.Columns(x), PairSums.Columns(y));
        var norm = new Norm();
        return 2 * PairSums.Mean(a, b, norm) - PairSums.SelfMean(a, norm) - PairSums.SelfMean(b, norm);
    }

    private readonly struct Norm : IPairFunction
    {
        public Vector256<double> Of(Vector256<double> squared) => Vector256.Sqrt(squared);
    }
}
