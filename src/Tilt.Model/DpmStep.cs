namespace Tilt.Model;

/// <summary>What a DPM-Solver holds to be smooth in λ, and expands.</summary>
public enum Prediction
{
    /// <summary>The noise ε(x_t, t): DPM-Solver.</summary>
    Noise,

    /// <summary>The clean sample x̂₀ = (x_t − σ_t·ε)/α_t: DPM-Solver++.</summary>
    Clean,
}

/// <summary>The coefficients of one exponential-integrator step from a level s to a level t.</summary>
/// <param name="H">h = λ_t − λ_s; positive when denoising.</param>
/// <param name="State">Weight of x_s.</param>
/// <param name="Value">Weight of the model's value m.</param>
/// <param name="Slope">Weight of h·dm/dλ.</param>
/// <param name="Curve">Weight of h²·d²m/dλ².</param>
/// <param name="Noise">Standard deviation of the fresh noise; 0 for the ODE.</param>
/// <remarks>
/// The ODE of a diffusion model is linear in x, and the model's part of it is ∫ e^(∓λ)·m dλ (dpm-solver.md §1). With m expanded
/// at λ_s the integrals are the <see cref="Phi"/> functions:
/// x_t = State·x_s − c·z·(φ₁(z)·m + φ₂(z)·h·m′ + φ₃(z)·h²·m″), where (c, z) is (σ_t, h) for noise and (α_t, −h) for the clean sample.
/// The SDE doubles the pull toward the model: (2σ_t, h) and (α_t, −2h), with fresh noise to match (§10). All of §5 to §8 and §10
/// are these numbers with m′ and m″ estimated from differences; the third-order term of §10 is the corrected one.
/// </remarks>
public readonly record struct DpmStep(double H, double State, double Value, double Slope, double Curve, double Noise)
{
    /// <summary>The step of the probability-flow ODE.</summary>
    /// <param name="s">The level to leave.</param>
    /// <param name="t">The level to reach; λ must be finite at both.</param>
    /// <param name="prediction">What the model's value is.</param>
    public static DpmStep Between(NoiseLevel s, NoiseLevel t, Prediction prediction)
    {
        var h = t.Lambda - s.Lambda;
        return prediction == Prediction.Noise
            ? Make(h, Math.Exp(t.LogAlpha - s.LogAlpha), t.Sigma, h, 0)
            : Make(h, t.Sigma / s.Sigma, t.Alpha, -h, 0);
    }

    /// <summary>The step of the reverse SDE: stronger denoising, then fresh noise.</summary>
    /// <inheritdoc cref="Between"/>
    public static DpmStep Stochastic(NoiseLevel s, NoiseLevel t, Prediction prediction)
    {
        var h = t.Lambda - s.Lambda;
        return prediction == Prediction.Noise
            ? Make(h, Math.Exp(t.LogAlpha - s.LogAlpha), 2 * t.Sigma, h, t.Sigma * Math.Sqrt(Numerics.ExpM1(2 * h)))
            : Make(h, t.Sigma / s.Sigma * Math.Exp(-h), t.Alpha, -2 * h, t.Sigma * Math.Sqrt(-Numerics.ExpM1(-2 * h)));
    }

    private static DpmStep Make(double h, double state, double scale, double z, double noise) =>
        new(h, state, -scale * Numerics.ExpM1(z), -scale * z * Phi.Of(2, z), -scale * z * Phi.Of(3, z), noise);
}
