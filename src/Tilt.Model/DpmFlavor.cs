namespace Tilt.Model;

/// <summary>How a second-order step weighs the difference of two model values.</summary>
public enum DpmFlavor
{
    /// <summary>Half the weight of the value itself: upstream's <c>dpmsolver</c>; <c>midpoint</c> in SDE solvers.</summary>
    Midpoint,

    /// <summary>The exact weight φ₂ of the derivative: upstream's <c>taylor</c>; <c>heun</c> in SDE solvers.</summary>
    Taylor,
}
