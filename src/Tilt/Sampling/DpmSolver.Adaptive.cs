using Tilt.Diffusion;

namespace Tilt.Sampling;

public static partial class DpmSolver
{
    /// <summary>The evaluations after which an adaptive run is given up.</summary>
    public const int AdaptiveLimit = 100_000;

    /// <summary>Chooses its own steps: an order-k step is accepted where it agrees with the order-(k−1) one.</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="xT">The samples at the first time, [B, …]. Left as they are.</param>
    /// <param name="schedule">Gives levels for the λ that the controller asks for.</param>
    /// <param name="start">The first time.</param>
    /// <param name="end">The last time, below the first.</param>
    /// <param name="absoluteTolerance">Allowed error in units of the data.</param>
    /// <param name="relativeTolerance">Allowed error relative to |x|.</param>
    /// <param name="options">Form and order: 2 for DPM-Solver-12, 3 for DPM-Solver-23.</param>
    /// <param name="hook">Called after each accepted step; may be null.</param>
    /// <returns>The samples at the last time, [B, …].</returns>
    /// <remarks>
    /// dpm-solver.md §9. The error is the largest over the batch of the root-mean-square difference relative to
    /// max(atol, rtol·max(|lower|, |x_before|)), so a sample's path depends on its companions. One step size serves all.
    /// Departure: after a rejected step the value at s is kept, where the published code evaluates it again: same numbers,
    /// fewer evaluations.
    /// </remarks>
    /// <exception cref="TiltException">The model's output is not finite, or the tolerance cannot be met.</exception>
    public static Tensor Adaptive(
        NoisePredictor noise,
        Tensor xT,
        NoiseSchedule schedule,
        double start,
        double end,
        double absoluteTolerance,
        double relativeTolerance,
        DpmOptions options,
        StateHook? hook = null
    )
    {
        using var whole = NewDisposeScope();
        using var inference = no_grad();

        var (s, last) = (schedule.At(start), schedule.At(end));
        var x = SolverTools.Begin(xT, hook, s);
        var before = x.alias(); // the lower-order state of the last accepted step
        var value = SolverTools.Evaluate(noise, x, s, options.Prediction, options.Thresholding);
        var (h, accepted, evaluations) = (Math.Min(0.05, last.Lambda - s.Lambda), 0, 1);
        while (Math.Abs(s.Time - last.Time) > 1e-5)
        {
            using var step = NewDisposeScope();
            var t = At(h);
            var (lower, higher) = options.Order == 2 ? Pair12(t) : Pair23(t);
            evaluations += options.Order - 1;

            var allowed = (relativeTolerance * maximum(lower.abs(), before.abs())).clamp_min(absoluteTolerance);
            var square = ((higher - lower) / allowed).square().reshape(x.shape[0], -1).mean([1]);
            var error = Math.Sqrt(square.max().to_type(ScalarType.Float64).item<double>());
            if (!double.IsFinite(error))
            {
                throw new TiltException(
                    $"The adaptive solver found values that are not finite near t = {t.Time:G6}. Check the model's output there."
                );
            }
            if (error <= 1)
            {
                before.Dispose();
                before = lower.MoveToOuterDisposeScope();
                x = SolverTools.Advance(x, higher, hook, ++accepted, t);
                s = t;
                if (Math.Abs(s.Time - last.Time) > 1e-5)
                {
                    value.Dispose();
                    value = SolverTools
                        .Evaluate(noise, x, s, options.Prediction, options.Thresholding)
                        .MoveToOuterDisposeScope();
                    evaluations++;
                }
            }
            h = Math.Min(0.9 * h * Math.Pow(error, -1.0 / options.Order), last.Lambda - s.Lambda);
            if (evaluations > AdaptiveLimit)
            {
                throw new TiltException(
                    $"The adaptive solver spent {AdaptiveLimit} evaluations and stands at t = {s.Time:G6}. "
                        + "Raise the tolerances, or use a solver with a fixed number of evaluations."
                );
            }
        }
        return x.MoveToOuterDisposeScope();

        NoiseLevel At(double ahead) => schedule.At(schedule.TimeOf(s.Lambda + ahead));

        (Tensor, Tensor) Pair12(NoiseLevel t) =>
            (First(x, value, s, t, options), Second(noise, x, value, s, At(h / 2), t, options).Next);

        (Tensor, Tensor) Pair23(NoiseLevel t)
        {
            var s1 = At(h / 3);
            var (lower, inner) = Second(noise, x, value, s, s1, t, options);
            return (lower, Third(noise, x, value, inner, s, s1, At(2 * h / 3), t, options));
        }
    }
}
