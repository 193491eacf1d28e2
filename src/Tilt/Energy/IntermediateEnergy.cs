using Tilt.Diffusion;

namespace Tilt.Energy;

/// <summary>E_t(x_t), exact or learned: what the noisy marginal q_t has to be tilted by. β is inside: E₀ = β·E.</summary>
/// <param name="xt">Noisy samples, [B, D].</param>
/// <param name="level">The noise level that all of them have.</param>
/// <returns>Energies in nats, [B], up to a constant per level. Differentiable with respect to <paramref name="xt"/>.</returns>
/// <remarks>E_t(x_t) = −log E[exp(−β·E(x₀)) | x_t] makes p_t ∝ q_t·exp(−E_t) (cep.md §3, theorem 1 of the poster).</remarks>
public delegate Tensor IntermediateEnergy(Tensor xt, NoiseLevel level);

/// <summary>What can be done with any intermediate energy.</summary>
public static class IntermediateEnergies
{
    /// <summary>∇E_t(x_t), by automatic differentiation.</summary>
    /// <param name="energy">E_t.</param>
    /// <param name="xt">Noisy samples, [B, D]. Left as they are.</param>
    /// <param name="level">Their noise level.</param>
    /// <returns>Gradients, [B, D]. Not part of any graph.</returns>
    public static Tensor Gradient(this IntermediateEnergy energy, Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        using var recording = enable_grad();

        var leaf = xt.detach().clone().requires_grad_();
        // Rows are independent, so the gradient of the sum holds each row's own gradient.
        var gradient = autograd.grad([energy(leaf, level).sum()], [leaf])[0];
        return gradient.detach().MoveToOuterDisposeScope();
    }

    /// <summary>The noise prediction of the tilted model: ε + s·σ_t·∇E_t.</summary>
    /// <param name="noise">ε of the untilted model.</param>
    /// <param name="energy">E_t.</param>
    /// <param name="scale">The guidance scale s. Exact at 1 only; 0 returns <paramref name="noise"/> itself.</param>
    public static NoisePredictor GuidedBy(this NoisePredictor noise, IntermediateEnergy energy, double scale = 1)
    {
        if (scale == 0)
        {
            return noise;
        }
        return (xt, level) =>
        {
            using var scope = NewDisposeScope();

            // Papers guide the score, the code guides the noise. A score is −ε/σ_t, so taking ∇E_t off the
            // score adds σ_t·∇E_t to the noise. The sign turns here and nowhere else.
            var guided = noise(xt, level) + scale * level.Sigma * energy.Gradient(xt, level);
            return guided.MoveToOuterDisposeScope();
        };
    }
}
