namespace Tilt.Model;

/// <summary>How the times of a sampler's grid are spread between start and end.</summary>
public enum TimeSpacing
{
    /// <summary>Equal steps in t; <c>uniform</c> (the CEP authors' choice, and upstream's default).</summary>
    Uniform,

    /// <summary>Equal steps in λ, half the log signal-to-noise ratio; <c>logSNR</c>. The most accurate for few dimensions.</summary>
    LogSnr,

    /// <summary>Equal steps in √t; <c>quadratic</c>.</summary>
    Quadratic,
}
