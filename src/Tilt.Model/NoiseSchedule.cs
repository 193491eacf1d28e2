namespace Tilt.Model;

/// <summary>A variance-preserving noise schedule: α_t falls from 1 as t grows, and σ_t = √(1 − α_t²).</summary>
/// <remarks>
/// Everything follows from log α_t. σ_t is formed as √(−expm1(2·log α_t)), which keeps its digits as t → 0, where
/// 1 − α_t² would cancel (dpm-solver.md §2). Schedules work in float64; networks see float32.
/// </remarks>
public abstract class NoiseSchedule
{
    /// <summary>The name under which a saved model records this schedule, such as <c>linear</c>.</summary>
    public abstract string Name { get; }

    /// <summary>T, the noisiest time, where sampling starts.</summary>
    public abstract double End { get; }

    /// <summary>The time at which sampling ends unless told otherwise.</summary>
    /// <value>1e-3 for continuous schedules; the first index, 1/N, for discrete ones.</value>
    public virtual double SamplingEnd => 1e-3;

    /// <summary>log α_t.</summary>
    /// <param name="time">t in [0, T].</param>
    public abstract double LogAlpha(double time);

    /// <summary>The t whose λ_t is the given one: the inverse of <see cref="Lambda"/>.</summary>
    /// <param name="lambda">Half log signal-to-noise ratio, in nats.</param>
    public abstract double TimeOf(double lambda);

    /// <summary>The number a network is given for t. Continuous schedules hand over t itself.</summary>
    /// <param name="time">t in [0, T].</param>
    public virtual double NetworkTime(double time) => time;

    /// <summary>The t that a network was told of: the inverse of <see cref="NetworkTime"/>.</summary>
    /// <param name="networkTime">The number it was given.</param>
    public virtual double TimeTold(double networkTime) => networkTime;

    /// <summary>α_t = exp(log α_t).</summary>
    /// <param name="time">t in [0, T].</param>
    public double Alpha(double time) => Math.Exp(LogAlpha(time));

    /// <summary>σ_t = √(1 − α_t²), accurate near t = 0.</summary>
    /// <param name="time">t in [0, T].</param>
    public double Sigma(double time) => Math.Sqrt(-Numerics.ExpM1(2 * LogAlpha(time)));

    /// <summary>λ_t = log α_t − log σ_t.</summary>
    /// <param name="time">t in (0, T].</param>
    public double Lambda(double time)
    {
        var logAlpha = LogAlpha(time);
        return logAlpha - 0.5 * Math.Log(-Numerics.ExpM1(2 * logAlpha));
    }

    /// <summary>All of it at one t.</summary>
    /// <param name="time">t in [0, T].</param>
    public NoiseLevel At(double time)
    {
        var logAlpha = LogAlpha(time);
        var variance = -Numerics.ExpM1(2 * logAlpha);
        return new(
            time,
            logAlpha,
            Math.Exp(logAlpha),
            Math.Sqrt(variance),
            logAlpha - 0.5 * Math.Log(variance),
            NetworkTime(time)
        );
    }
}
