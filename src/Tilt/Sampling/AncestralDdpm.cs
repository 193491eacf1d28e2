using Tilt.Diffusion;

namespace Tilt.Sampling;

/// <summary>The variance of an ancestral step.</summary>
public enum AncestralVariance
{
    /// <summary>β̃, the variance of q(x_t | x_s, x₀): right when x₀ is one point ("fixed small").</summary>
    Small,

    /// <summary>β, the variance that the forward step adds: right when x₀ is standard normal ("fixed large").</summary>
    Large,
}

/// <summary>Ancestral sampling of DDPM, on any levels.</summary>
public static class AncestralDdpm
{
    /// <summary>Walks x down the levels, drawing each from the Gaussian q(x_t | x_s, x̂₀).</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="xT">The samples at the first level, [B, …]. Left as they are.</param>
    /// <param name="levels">The N + 1 levels to visit, noisiest first; the last may be clean (σ = 0), which draws no noise.</param>
    /// <param name="variance">Which variance a step has.</param>
    /// <param name="thresholding">Keeps x̂₀ in range.</param>
    /// <param name="hook">Called after each step; may be null.</param>
    /// <param name="generator">Where fresh noise comes from.</param>
    /// <returns>The samples at the last level, [B, …].</returns>
    /// <remarks>
    /// With β = 1 − α_s²/α_t² over the step: mean = (α_t·β·x̂₀ + (α_s/α_t)·σ_t²·x_s)/σ_s², β̃ = β·σ_t²/σ_s² (dpm-solver.md §9).
    /// </remarks>
    public static Tensor Sample(
        NoisePredictor noise,
        Tensor xT,
        IReadOnlyList<NoiseLevel> levels,
        AncestralVariance variance,
        Thresholding? thresholding,
        StateHook? hook,
        Generator? generator
    )
    {
        using var whole = NewDisposeScope();
        using var inference = no_grad();

        var x = SolverTools.Begin(xT, hook, levels[0]);
        for (var i = 0; i + 1 < levels.Count; i++)
        {
            using var step = NewDisposeScope();
            var (s, t) = (levels[i], levels[i + 1]);

            var clean = SolverTools.Clean(x, noise(x, s), s, thresholding);
            var (added, before) = (Added(s, t), s.Sigma * s.Sigma);
            var next =
                t.Alpha * added / before * clean + Math.Exp(s.LogAlpha - t.LogAlpha) * t.Sigma * t.Sigma / before * x;
            if (t.Sigma > 0)
            {
                var deviation = variance == AncestralVariance.Small ? PosteriorDeviation(s, t) : Math.Sqrt(added);
                next = next + deviation * SolverTools.FreshNoise(x, generator);
            }
            x = SolverTools.Advance(x, next, hook, i + 1, t);
        }
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>√β̃ = (σ_t/σ_s)·√(1 − α_s²/α_t²).</summary>
    internal static double PosteriorDeviation(NoiseLevel s, NoiseLevel t) => t.Sigma / s.Sigma * Math.Sqrt(Added(s, t));

    /// <summary>β = 1 − α_s²/α_t², the variance that the forward process adds from t to s.</summary>
    private static double Added(NoiseLevel s, NoiseLevel t) => -Numerics.ExpM1(2 * (s.LogAlpha - t.LogAlpha));
}
