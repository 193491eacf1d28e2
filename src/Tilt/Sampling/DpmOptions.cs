namespace Tilt.Sampling;

/// <summary>What distinguishes the members of the DPM-Solver family.</summary>
public sealed record DpmOptions
{
    /// <summary>What is expanded: the noise (DPM-Solver) or the clean sample (DPM-Solver++).</summary>
    /// <value>Noise.</value>
    public Prediction Prediction { get; init; } = Prediction.Noise;

    /// <summary>The order of a full step: 1, 2 or 3.</summary>
    /// <value>2.</value>
    public int Order { get; init; } = 2;

    /// <summary>How a difference of model values is weighed.</summary>
    /// <value>Midpoint (upstream's <c>dpmsolver</c>).</value>
    public DpmFlavor Flavor { get; init; } = DpmFlavor.Midpoint;

    /// <summary>Multistep: when the last steps fall back to lower orders.</summary>
    /// <value>Off.</value>
    public LowerOrderFinal LowerOrderFinal { get; init; } = LowerOrderFinal.Off;

    /// <summary>Multistep, order 3: take half the second derivative, as the published code does by mistake.</summary>
    /// <value>False: the corrected step (docs/decisions/third-order-multistep.md).</value>
    public bool HalvedCurvature { get; init; }

    /// <summary>Keeps x̂₀ in range; for <see cref="Prediction.Clean"/> only.</summary>
    public Thresholding? Thresholding { get; init; }
}
