namespace Tilt.Energy;

/// <summary>E(x₀): what the target is tilted by, low is good. The target is p₀ ∝ q₀·exp(−β·E).</summary>
/// <param name="x0">Clean samples, [B, D] (or [B, C, H, W]).</param>
/// <returns>Energies in nats per unit β, [B].</returns>
public delegate Tensor EnergyFunction(Tensor x0);
