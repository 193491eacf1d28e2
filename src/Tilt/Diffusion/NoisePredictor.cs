namespace Tilt.Diffusion;

/// <summary>ε(x_t, t): the noise that a model sees in x_t. The currency that networks, guidance and solvers pass.</summary>
/// <param name="xt">Noisy samples, [B, D] (or [B, C, H, W]). Left as they are.</param>
/// <param name="level">The noise level that all of them have.</param>
/// <returns>Predicted noise, the shape of <paramref name="xt"/>.</returns>
/// <remarks>The score is −ε/σ_t and the estimate of x₀ is (x_t − σ_t·ε)/α_t; they are derived where they are shown.</remarks>
public delegate Tensor NoisePredictor(Tensor xt, NoiseLevel level);
