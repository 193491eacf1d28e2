namespace Tilt.Model;

/// <summary>The φ functions of exponential integrators: φ₀ = eᶻ and φₖ₊₁(z) = (φₖ(z) − 1/k!)/z.</summary>
/// <remarks>
/// ∫₀¹ e^((1−r)z)·rᵏ⁻¹/(k−1)! dr = φₖ(z). Every coefficient of DPM-Solver is one of them (<see cref="DpmStep"/>). The recurrence
/// cancels near z = 0, so small arguments use the series Σⱼ zʲ/(j+k)!.
/// </remarks>
public static class Phi
{
    /// <summary>φₖ(z), to nearly full precision for every z.</summary>
    /// <param name="k">Index, 1, 2 or 3.</param>
    /// <param name="z">Argument; ±h or −2h of a solver step.</param>
    public static double Of(int k, double z)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(k, 3);
        if (Math.Abs(z) < 1)
        {
            return Series(k, z);
        }
        var value = Numerics.ExpM1(z) / z;
        if (k >= 2)
        {
            value = (value - 1) / z;
        }
        return k == 3 ? (value - 0.5) / z : value;
    }

    private static double Series(int k, double z)
    {
        // |z| < 1 and k ≥ 1: the 20th term is below 1e-19 of the first.
        var term = k switch
        {
            1 => 1.0,
            2 => 0.5,
            _ => 1.0 / 6,
        };
        var sum = term;
        for (var j = 1; j <= 20; j++)
        {
            term *= z / (j + k);
            sum += term;
        }
        return sum;
    }
}
