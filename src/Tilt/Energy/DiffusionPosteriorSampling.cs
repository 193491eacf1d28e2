using Tilt.Diffusion;

namespace Tilt.Energy;

/// <summary>DPS: guidance by the energy of the estimated clean sample, with back-propagation through the noise model.</summary>
/// <remarks>
/// E_t(x_t) ≈ β·E(x̂₀(x_t)), x̂₀ = (x_t − σ_t·ε(x_t, t))/α_t = E[x₀ | x_t]. Nothing is trained beyond the noise model, but the
/// gradient (∂x̂₀/∂x_t)ᵀ·β·∇E(x̂₀) = (α_t/σ_t²)·Cov(x₀ | x_t)·β·∇E(x̂₀) runs through it (cep.md §5, where the poster's cell
/// is corrected). It replaces the mean of exp(−β·E) by its value at the mean: exact only where the posterior is a point or,
/// up to a constant, where the posterior's covariance does not depend on x_t and E is linear.
/// </remarks>
public static class DiffusionPosteriorSampling
{
    /// <summary>β·E(x̂₀(x_t)), differentiable through <paramref name="noise"/>.</summary>
    /// <param name="noise">ε(x_t, t). Must record its computation for automatic differentiation when asked to.</param>
    /// <param name="energy">E(x₀), differentiable.</param>
    /// <param name="beta">β, at least 0.</param>
    /// <exception cref="InvalidOperationException">
    /// Raised on use, when <paramref name="noise"/> returns a value cut off from x_t: the guidance would silently lack ∂ε/∂x_t.
    /// </exception>
    public static IntermediateEnergy Energy(NoisePredictor noise, EnergyFunction energy, double beta)
    {
        ArgumentNullException.ThrowIfNull(noise);
        ArgumentNullException.ThrowIfNull(energy);
        if (!(beta >= 0 && double.IsFinite(beta)))
        {
            throw new ArgumentOutOfRangeException(nameof(beta), beta, "β must be finite and at least 0.");
        }
        return (xt, level) =>
        {
            using var scope = NewDisposeScope();

            var epsilon = noise(xt, level);
            if (xt.requires_grad && is_grad_enabled() && !epsilon.requires_grad)
            {
                throw new InvalidOperationException(
                    "DPS back-propagates through the noise model, but its prediction carries no graph. "
                        + "Give a predictor that does not detach or run under no_grad."
                );
            }
            var clean = (xt - level.Sigma * epsilon) / level.Alpha;
            return (beta * energy(clean)).MoveToOuterDisposeScope();
        };
    }
}
