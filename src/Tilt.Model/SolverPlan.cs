namespace Tilt.Model;

/// <summary>One evaluation of a plan and what is done with it.</summary>
/// <param name="Level">The level at which the model sees the state y.</param>
/// <param name="Keep">Weight of the base state in the next y.</param>
/// <param name="Weights">Weights of the model's values in the next y: this one first, then the ones before it.</param>
/// <param name="Advances">Whether the next y becomes the base: true at the end of a step, false between its inner points.</param>
public sealed record PlanStep(NoiseLevel Level, double Keep, IReadOnlyList<double> Weights, bool Advances);

/// <summary>A deterministic solver's whole run as numbers: what to evaluate where, and how to combine it.</summary>
/// <remarks>
/// All fixed-step solvers of the ODE are linear in the state and the model's values. From y = base = x_T, each step j evaluates
/// m_j at (y, Level) and sets y ← Keep·base + Σₖ Weights[k]·m_(j−k); where it advances, base ← y. The result is the last y.
/// Plans need no tensors, so that any engine can carry out any of these solvers.
/// </remarks>
/// <param name="Prediction">What m is: ε, or x̂₀ = (y − σ·ε)/α.</param>
/// <param name="Steps">In the order of evaluation.</param>
/// <param name="End">The level of the result.</param>
public sealed record SolverPlan(Prediction Prediction, IReadOnlyList<PlanStep> Steps, NoiseLevel End)
{
    /// <summary>How many values of the model have to be kept, the newest included.</summary>
    public int History => Steps.Max(step => step.Weights.Count);

    /// <summary>The plan of DDIM at η = 0, whose last level may be clean (σ = 0).</summary>
    /// <param name="levels">The N + 1 levels to visit.</param>
    /// <remarks>x_t = α_t·x̂₀ + σ_t·ε, multiplied out.</remarks>
    public static SolverPlan Ddim(IReadOnlyList<NoiseLevel> levels)
    {
        var steps = new List<PlanStep>();
        for (var i = 0; i + 1 < levels.Count; i++)
        {
            var (s, t) = (levels[i], levels[i + 1]);
            var keep = Math.Exp(t.LogAlpha - s.LogAlpha);
            steps.Add(new(s, keep, [t.Sigma - keep * s.Sigma], true));
        }
        return new(Prediction.Noise, steps, levels[^1]);
    }

    /// <summary>The plan of a multistep solver.</summary>
    /// <param name="levels">The N + 1 levels to visit.</param>
    /// <param name="prediction">What is expanded.</param>
    /// <param name="order">1, 2 or 3.</param>
    /// <param name="flavor">How second-order steps weigh differences.</param>
    /// <param name="final">When the last steps fall back to lower orders.</param>
    /// <param name="halvedCurvature">Order 3 with half the second derivative, as published.</param>
    /// <remarks>dpm-solver.md §8, differences multiplied out.</remarks>
    public static SolverPlan Multistep(
        IReadOnlyList<NoiseLevel> levels,
        Prediction prediction,
        int order,
        DpmFlavor flavor = DpmFlavor.Midpoint,
        LowerOrderFinal final = LowerOrderFinal.Off,
        bool halvedCurvature = false
    )
    {
        var steps = new List<PlanStep>();
        var count = levels.Count - 1;
        for (var i = 0; i < count; i++)
        {
            var c = DpmStep.Between(levels[i], levels[i + 1], prediction);
            double[] weights;
            switch (MultistepOrder.Of(i + 1, count, order, final))
            {
                case 1:
                    weights = [c.Value];
                    break;
                case 2:
                {
                    var r0 = (levels[i].Lambda - levels[i - 1].Lambda) / c.H;
                    var slope = (flavor == DpmFlavor.Midpoint ? c.Value / 2 : c.Slope) / r0;
                    weights = [c.Value + slope, -slope];
                    break;
                }
                default:
                {
                    var r0 = (levels[i].Lambda - levels[i - 1].Lambda) / c.H;
                    var r1 = (levels[i - 1].Lambda - levels[i - 2].Lambda) / c.H;
                    // Slope·(D10 + r0·C) + curve·C with C = (D10 − D11)/(r0 + r1).
                    var bend = (c.Slope * r0 + (halvedCurvature ? 1 : 2) * c.Curve) / (r0 + r1);
                    var (d10, d11) = ((c.Slope + bend) / r0, -bend / r1);
                    weights = [c.Value + d10, d11 - d10, -d11];
                    break;
                }
            }
            steps.Add(new(levels[i], c.State, weights, true));
        }
        return new(prediction, steps, levels[count]);
    }

    /// <summary>The plan of a singlestep solver.</summary>
    /// <param name="strides">The outer steps (<see cref="SinglestepGrid.Strides"/>).</param>
    /// <param name="prediction">What is expanded.</param>
    /// <param name="flavor">How the last update of a step weighs differences.</param>
    /// <remarks>dpm-solver.md §5 to §7, differences multiplied out.</remarks>
    public static SolverPlan Singlestep(
        IReadOnlyList<NoiseLevel[]> strides,
        Prediction prediction,
        DpmFlavor flavor = DpmFlavor.Midpoint
    )
    {
        var steps = new List<PlanStep>();
        foreach (var stride in strides)
        {
            var (s, t) = (stride[0], stride[^1]);
            var c = DpmStep.Between(s, t, prediction);
            if (stride.Length == 2)
            {
                steps.Add(new(s, c.State, [c.Value], true));
                continue;
            }
            var to1 = DpmStep.Between(s, stride[1], prediction);
            var r1 = to1.H / c.H;
            steps.Add(new(s, to1.State, [to1.Value], false));
            if (stride.Length == 3)
            {
                var slope = (flavor == DpmFlavor.Midpoint ? c.Value / 2 : c.Slope) / r1;
                steps.Add(new(stride[1], c.State, [slope, c.Value - slope], true));
                continue;
            }
            var to2 = DpmStep.Between(s, stride[2], prediction);
            var r2 = to2.H / c.H;
            var change = r2 / r1 * to2.Slope;
            steps.Add(new(stride[1], to2.State, [change, to2.Value - change], false));
            if (flavor == DpmFlavor.Midpoint)
            {
                var slope = c.Slope / r2;
                steps.Add(new(stride[2], c.State, [slope, 0, c.Value - slope], true));
            }
            else
            {
                // Weights of D11 = (m2 − m)/r2 and D10 = (m1 − m)/r1.
                var d11 = (2 * c.Curve - r1 * c.Slope) / (r2 - r1) / r2;
                var d10 = (r2 * c.Slope - 2 * c.Curve) / (r2 - r1) / r1;
                steps.Add(new(stride[2], c.State, [d11, d10, c.Value - d11 - d10], true));
            }
        }
        return new(prediction, steps, strides[^1][^1]);
    }

    /// <summary>The same, with one evaluation more at the end that returns x̂₀.</summary>
    public SolverPlan ThenDenoise()
    {
        var last =
            Prediction == Prediction.Clean
                ? new PlanStep(End, 0, [1], true)
                : new PlanStep(End, 1 / End.Alpha, [-End.Sigma / End.Alpha], true);
        return this with { Steps = [.. Steps, last] };
    }
}
