using Tilt.Diffusion;

namespace Tilt.Sampling;

/// <summary>DDIM: between the first-order ODE step (η = 0) and ancestral sampling (η = 1).</summary>
public static class Ddim
{
    /// <summary>Walks x down the levels by way of the clean estimate: first order in λ at η = 0.</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="xT">The samples at the first level, [B, …]. Left as they are.</param>
    /// <param name="levels">The N + 1 levels to visit; the last may be clean (σ = 0). Rising levels invert the ODE.</param>
    /// <param name="eta">η in [0, 1], the share of ancestral noise; 0 when inverting.</param>
    /// <param name="thresholding">Keeps x̂₀ in range; ε is then formed anew from it.</param>
    /// <param name="hook">Called after each step; may be null.</param>
    /// <param name="generator">Where fresh noise comes from; may be null when η = 0.</param>
    /// <returns>The samples at the last level, [B, …].</returns>
    /// <remarks>
    /// x_t = α_t·x̂₀ + √(σ_t² − σ̂²)·ε + σ̂·z with σ̂ = η·(σ_t/σ_s)·√(1 − α_s²/α_t²), z ~ N(0, I) (dpm-solver.md §9).
    /// At η = 1, σ̂² is the variance of q(x_t | x_s, x₀).
    /// </remarks>
    public static Tensor Sample(
        NoisePredictor noise,
        Tensor xT,
        IReadOnlyList<NoiseLevel> levels,
        double eta = 0,
        Thresholding? thresholding = null,
        StateHook? hook = null,
        Generator? generator = null
    )
    {
        using var whole = NewDisposeScope();
        using var inference = no_grad();

        var x = SolverTools.Begin(xT, hook, levels[0]);
        for (var i = 0; i + 1 < levels.Count; i++)
        {
            using var step = NewDisposeScope();
            var (s, t) = (levels[i], levels[i + 1]);

            var epsilon = noise(x, s);
            var clean = SolverTools.Clean(x, epsilon, s, thresholding);
            if (thresholding is not null)
            {
                epsilon = (x - s.Alpha * clean) / s.Sigma;
            }
            var fresh = eta == 0 ? 0 : eta * AncestralDdpm.PosteriorDeviation(s, t);
            var next = t.Alpha * clean + Math.Sqrt(t.Sigma * t.Sigma - fresh * fresh) * epsilon;
            if (fresh > 0)
            {
                next = next + fresh * SolverTools.FreshNoise(x, generator);
            }
            x = SolverTools.Advance(x, next, hook, i + 1, t);
        }
        return x.MoveToOuterDisposeScope();
    }
}
