using Tilt.Diffusion;

namespace Tilt.Sampling;

/// <summary>DPM-Solver and DPM-Solver++: exponential integrators of the probability-flow ODE in λ.</summary>
public static partial class DpmSolver
{
    /// <summary>Second-order multistep DPM-Solver without further options; the CEP authors' 2-D sampler on uniform levels.</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="xT">The samples at the first level, [B, …]. Left as they are.</param>
    /// <param name="levels">The N + 1 levels to visit, noisiest first.</param>
    /// <param name="prediction">Noise for DPM-Solver, Clean for DPM-Solver++.</param>
    /// <returns>The samples at the last level, [B, …].</returns>
    public static Tensor Multistep2(
        NoisePredictor noise,
        Tensor xT,
        IReadOnlyList<NoiseLevel> levels,
        Prediction prediction = Prediction.Noise
    ) => Multistep(noise, xT, levels, new() { Prediction = prediction });

    /// <summary>One evaluation per step; derivatives in λ come from the values of the steps before.</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="xT">The samples at the first level, [B, …]. Left as they are.</param>
    /// <param name="levels">The N + 1 levels to visit, noisiest first; rising levels invert the ODE.</param>
    /// <param name="options">Form, order and the rest.</param>
    /// <param name="hook">Called after each step; may be null.</param>
    /// <returns>The samples at the last level, [B, …].</returns>
    /// <remarks>
    /// dpm-solver.md §8. With r₀ = h₀/h and r₁ = h₁/h the earlier steps' lengths in λ relative to this one's, and divided
    /// differences D₁₀ = (m₀ − m₋₁)/r₀, D₁₁ = (m₋₁ − m₋₂)/r₁: order 2 takes h·m′ ≈ D₁₀; order 3 takes
    /// h·m′ ≈ D₁₀ + r₀·C, h²·m″ ≈ 2·C with C = (D₁₀ − D₁₁)/(r₀ + r₁).
    /// Departure: the published code takes C where 2·C belongs, which leaves the scheme at order 2;
    /// <see cref="DpmOptions.HalvedCurvature"/> reproduces it.
    /// </remarks>
    public static Tensor Multistep(
        NoisePredictor noise,
        Tensor xT,
        IReadOnlyList<NoiseLevel> levels,
        DpmOptions options,
        StateHook? hook = null
    )
    {
        using var whole = NewDisposeScope();
        using var inference = no_grad();

        var x = SolverTools.Begin(xT, hook, levels[0]);
        var steps = levels.Count - 1;
        Tensor? m1 = null; // m₋₁, the value one step back
        Tensor? m2 = null; // m₋₂, two steps back
        for (var i = 0; i < steps; i++)
        {
            using var step = NewDisposeScope();
            var (s, t) = (levels[i], levels[i + 1]);
            var order = MultistepOrder.Of(i + 1, steps, options.Order, options.LowerOrderFinal);
            var c = DpmStep.Between(s, t, options.Prediction);

            var m0 = SolverTools.Evaluate(noise, x, s, options.Prediction, options.Thresholding);
            var next = c.State * x + c.Value * m0;
            if (order == 2)
            {
                var r0 = (s.Lambda - levels[i - 1].Lambda) / c.H;
                var weight = options.Flavor == DpmFlavor.Midpoint ? c.Value / 2 : c.Slope;
                next = next + weight / r0 * (m0 - m1!);
            }
            else if (order == 3)
            {
                var r0 = (s.Lambda - levels[i - 1].Lambda) / c.H;
                var r1 = (levels[i - 1].Lambda - levels[i - 2].Lambda) / c.H;
                var (d10, d11) = ((m0 - m1!) / r0, (m1! - m2!) / r1);
                var bend = (d10 - d11) / (r0 + r1);
                next = next + c.Slope * (d10 + r0 * bend) + c.Curve * (options.HalvedCurvature ? bend : 2 * bend);
            }

            m2?.Dispose();
            (m2, m1) = (m1, options.Order > 1 ? m0.MoveToOuterDisposeScope() : null);
            x = SolverTools.Advance(x, next, hook, i + 1, t);
        }
        return x.MoveToOuterDisposeScope();
    }
}
