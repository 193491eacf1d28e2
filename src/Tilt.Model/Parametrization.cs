namespace Tilt.Model;

/// <summary>What a noise model's network gives out, and how noise is read from it.</summary>
public enum Parametrization
{
    /// <summary>h = σ_t·score, so ε = −h: the paper's networks (cep.md §9).</summary>
    Score,

    /// <summary>ε itself.</summary>
    Noise,

    /// <summary>The estimate of x₀: ε = (x_t − α_t·x₀)/σ_t.</summary>
    Clean,

    /// <summary>v = α_t·ε − σ_t·x₀, so ε = σ_t·x_t + α_t·v.</summary>
    Velocity,
}
