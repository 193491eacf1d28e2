namespace Tilt.Model;

/// <summary>The cosine VP schedule in continuous time: α_t = cos(a(t))/cos(a(0)), a(t) = (t + s)/(1 + s)·π/2.</summary>
/// <remarks>
/// dpm-solver.md §2. Sampling starts at T = 0.9946, a little before α reaches 0. Both directions are written so that they keep
/// their digits as t → 0, where the difference of the two log-cosines cancels.
/// </remarks>
public sealed class CosineSchedule : NoiseSchedule
{
    /// <summary>s, which keeps the noise at t = 0 from vanishing too fast.</summary>
    /// <value>0.008.</value>
    public double Offset { get; }

    /// <summary>A schedule with the given offset.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not 0 &lt; s &lt; 1.</exception>
    public CosineSchedule(double offset = 0.008)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(offset, 1);
        Offset = offset;
    }

    /// <inheritdoc/>
    public override string Name => "cosine";

    /// <inheritdoc/>
    public override double End => 0.9946;

    /// <summary>a(0), the angle at t = 0.</summary>
    private double First => Offset / (1 + Offset) * Math.PI / 2;

    /// <summary>da/dt.</summary>
    private double Rate => Math.PI / 2 / (1 + Offset);

    /// <inheritdoc/>
    public override double LogAlpha(double time)
    {
        // cos a − cos b = −2·sin((a+b)/2)·sin((a−b)/2), relative to cos b.
        var half = Rate * time / 2;
        var less = -2 * Math.Sin(First + half) * Math.Sin(half) / Math.Cos(First);
        return less > -0.5 ? Numerics.LogP1(less) : Math.Log(Math.Cos(First + 2 * half) / Math.Cos(First));
    }

    /// <inheritdoc/>
    /// <remarks>
    /// With δ = cos a(0) − cos a(t) = −cos a(0)·expm1(log α), the half-angle tangent of a(t) − a(0) is
    /// δ/(sin a(0) + √(sin² a(0) + δ·cos a(0)·(1 + α))): no difference of nearly equal numbers.
    /// </remarks>
    public override double TimeOf(double lambda)
    {
        var logAlpha = -0.5 * Numerics.LogAddExp(-2 * lambda, 0);
        var (sine, cosine) = Math.SinCos(First);
        var drop = -cosine * Numerics.ExpM1(logAlpha);
        var tangent = drop / (sine + Math.Sqrt(sine * sine + drop * cosine * (1 + Math.Exp(logAlpha))));
        return 2 * Math.Atan(tangent) / Rate;
    }
}
