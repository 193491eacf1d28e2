namespace Tilt.Energy;

/// <summary>MSE: regresses the energy of the clean sample on the noisy one. A baseline; its guidance is not exact.</summary>
/// <remarks>
/// The optimum is the posterior mean β·E[E(x₀) | x_t], with gradient (α_t/σ_t²)·Cov(β·E, x₀ | x_t). It agrees with E_t to
/// first order in β and as t → 0, and differs by the posterior variance of E at second order (cep.md §5).
/// </remarks>
public static class MseEnergyPrediction
{
    /// <summary>Mean of (f_φ(x_t, t) − β·E(x₀))².</summary>
    /// <param name="energies">β·E(x₀), [B]. No gradient flows into it.</param>
    /// <param name="predicted">f_φ(x_t, t) of the same samples, each noised to a t of its own, [B].</param>
    /// <returns>A scalar.</returns>
    public static Tensor Loss(Tensor energies, Tensor predicted)
    {
        Expect.Shape(energies, -1);
        Expect.SameShape(energies, predicted);
        using var scope = NewDisposeScope();

        return (predicted - energies.detach()).square().mean().MoveToOuterDisposeScope();
    }
}
