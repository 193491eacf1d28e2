namespace Tilt.Model;

/// <summary>The linear VP schedule: the rate β(t) = b₀ + t·(b₁ − b₀) grows linearly on [0, 1].</summary>
/// <remarks>log α_t = −t²·(b₁ − b₀)/4 − t·b₀/2 (cep.md §8). Not to be confused with the inverse temperature β.</remarks>
public sealed class LinearSchedule : NoiseSchedule
{
    /// <summary>b₀, the noise rate at t = 0.</summary>
    /// <value>0.1 (code).</value>
    public double FirstRate { get; }

    /// <summary>b₁, the noise rate at t = 1.</summary>
    /// <value>20 (code).</value>
    public double LastRate { get; }

    /// <summary>A schedule with the given rates.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not 0 &lt; b₀ &lt; b₁.</exception>
    public LinearSchedule(double firstRate = 0.1, double lastRate = 20)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(firstRate);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(lastRate, firstRate);
        (FirstRate, LastRate) = (firstRate, lastRate);
    }

    /// <inheritdoc/>
    public override string Name => "linear";

    /// <inheritdoc/>
    public override double End => 1;

    /// <inheritdoc/>
    public override double LogAlpha(double time) => -time * (time * (LastRate - FirstRate) / 4 + FirstRate / 2);

    /// <inheritdoc/>
    /// <remarks>
    /// log α = −½·log(1 + e^(−2λ)) is a quadratic in t, solved in the form that does not cancel:
    /// with q = 2(b₁ − b₀)·log(1 + e^(−2λ)), t = q / ((√(b₀² + q) + b₀)(b₁ − b₀)) (dpm-solver.md §2).
    /// </remarks>
    public override double TimeOf(double lambda)
    {
        var span = LastRate - FirstRate;
        var q = 2 * span * Numerics.LogAddExp(-2 * lambda, 0);
        return q / ((Math.Sqrt(FirstRate * FirstRate + q) + FirstRate) * span);
    }
}
