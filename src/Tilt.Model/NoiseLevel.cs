namespace Tilt.Model;

/// <summary>One point of a noise schedule, as a solver needs it: x_t = α·x₀ + σ·ε.</summary>
/// <param name="Time">t, in [0, T] of the schedule; dimensionless.</param>
/// <param name="LogAlpha">log α_t, at most 0.</param>
/// <param name="Alpha">α_t, the share of the clean sample.</param>
/// <param name="Sigma">σ_t, the share of the noise; α² + σ² = 1.</param>
/// <param name="Lambda">λ_t = log α_t − log σ_t, half the log signal-to-noise ratio, in nats.</param>
/// <param name="NetworkTime">The number a network is given for this t: t itself, or an index for discrete schedules.</param>
public readonly record struct NoiseLevel(
    double Time,
    double LogAlpha,
    double Alpha,
    double Sigma,
    double Lambda,
    double NetworkTime
);
