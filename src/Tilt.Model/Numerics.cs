namespace Tilt.Model;

/// <summary>Elementary functions that keep their digits near zero, where the framework's lose them.</summary>
public static class Numerics
{
    /// <summary>eˣ − 1, to full precision for every x.</summary>
    /// <remarks>
    /// Kahan's correction: with u = fl(eˣ), (u − 1)·x / log u is accurate to a few ulps because the rounding error of u cancels.
    /// </remarks>
    public static double ExpM1(double x)
    {
        if (double.IsNaN(x) || double.IsPositiveInfinity(x))
        {
            return x;
        }
        if (Math.Abs(x) < 1e-5)
        {
            return x + x * x / 2 + x * x * x / 6;
        }
        var u = Math.Exp(x);
        if (u == 1.0)
        {
            return x;
        }
        var less = u - 1.0;
        return less == -1.0 || double.IsInfinity(u) || Math.Abs(x) > 1 ? less : less * (x / Math.Log(u));
    }

    /// <summary>log(1 + x), to full precision for every x &gt; −1.</summary>
    /// <remarks>The companion of <see cref="ExpM1"/>: with u = fl(1 + x), log u · x / (u − 1).</remarks>
    public static double LogP1(double x)
    {
        var u = 1.0 + x;
        if (u == 1.0)
        {
            return x;
        }
        return double.IsInfinity(u) ? u : Math.Log(u) * (x / (u - 1.0));
    }

    /// <summary>log(eᵃ + eᵇ) without overflow.</summary>
    public static double LogAddExp(double a, double b)
    {
        if (double.IsNegativeInfinity(a) && double.IsNegativeInfinity(b))
        {
            return double.NegativeInfinity;
        }
        var (high, low) = a >= b ? (a, b) : (b, a);
        return high + LogP1(Math.Exp(low - high));
    }
}
