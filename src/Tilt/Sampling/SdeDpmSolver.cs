using Tilt.Diffusion;

namespace Tilt.Sampling;

/// <summary>Stochastic DPM-Solver and DPM-Solver++: multistep exponential integrators of the reverse-time SDE.</summary>
public static class SdeDpmSolver
{
    /// <summary>One evaluation and one draw of noise per step; derivatives in λ come from the values of the steps before.</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="xT">The samples at the first level, [B, …]. Left as they are.</param>
    /// <param name="levels">The N + 1 levels to visit, noisiest first.</param>
    /// <param name="options">Form, order 1 to 3, flavour: Midpoint or Taylor (called <c>heun</c> elsewhere).</param>
    /// <param name="hook">Called after each step; may be null.</param>
    /// <param name="generator">Where fresh noise comes from.</param>
    /// <returns>The samples at the last level, [B, …].</returns>
    /// <remarks>
    /// dpm-solver.md §10: the multistep solver with the coefficients of <see cref="DpmStep.Stochastic"/>.
    /// Departure: widely copied third-order code has −½ where +½ belongs in the weight of the second derivative, and halves that
    /// derivative too; here the weight vanishes with h as it must. The fresh noise within the differences keeps the distribution
    /// of the samples at second order all the same; the third order is in the drift alone, and divides the error by about three.
    /// </remarks>
    public static Tensor Multistep(
        NoisePredictor noise,
        Tensor xT,
        IReadOnlyList<NoiseLevel> levels,
        DpmOptions options,
        StateHook? hook,
        Generator? generator
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
            var c = DpmStep.Stochastic(s, t, options.Prediction);

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
                next = next + c.Slope * (d10 + r0 * bend) + 2 * c.Curve * bend;
            }
            next = next + c.Noise * SolverTools.FreshNoise(x, generator);

            m2?.Dispose();
            (m2, m1) = (m1, options.Order > 1 ? m0.MoveToOuterDisposeScope() : null);
            x = SolverTools.Advance(x, next, hook, i + 1, t);
        }
        return x.MoveToOuterDisposeScope();
    }
}
