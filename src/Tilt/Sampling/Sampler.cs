using Tilt.Diffusion;

namespace Tilt.Sampling;

/// <summary>Draws samples from a noise predictor: the one way in, for points, actions and images alike.</summary>
public static class Sampler
{
    /// <summary>Samples at the end time, from noise at the start time.</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="xT">Starting noise, [B, …], usually <see cref="Normal"/>. Left as it is.</param>
    /// <param name="schedule">The schedule that the model was trained with.</param>
    /// <param name="options">Solver, evaluations, grid and the rest.</param>
    /// <param name="generator">Where stochastic solvers draw; null is allowed for the others.</param>
    /// <returns>Samples, the shape of <paramref name="xT"/>. Not part of any graph.</returns>
    /// <exception cref="TiltException">The options do not make sense.</exception>
    public static Tensor Sample(
        NoisePredictor noise,
        Tensor xT,
        NoiseSchedule schedule,
        SamplerOptions options,
        Generator? generator
    ) => Sample(noise, xT, schedule, options, null, generator);

    /// <summary>The same, with a hook that sees the samples after each step.</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="xT">Starting noise, [B, …], usually <see cref="Normal"/>. Left as it is.</param>
    /// <param name="schedule">The schedule that the model was trained with.</param>
    /// <param name="options">Solver, evaluations, grid and the rest.</param>
    /// <param name="hook">Called at the start and after each step; may be null.</param>
    /// <param name="generator">Where stochastic solvers draw; null is allowed for the others.</param>
    /// <returns>Samples, the shape of <paramref name="xT"/>. Not part of any graph.</returns>
    /// <exception cref="TiltException">The options do not make sense.</exception>
    public static Tensor Sample(
        NoisePredictor noise,
        Tensor xT,
        NoiseSchedule schedule,
        SamplerOptions options,
        StateHook? hook,
        Generator? generator
    )
    {
        options.Validate(schedule);
        Check(xT);
        var solver = Solvers.Find(options.Solver);
        if (generator is null && (solver.Stochastic || options.Eta > 0))
        {
            throw TiltException.Usage(
                $"The solver '{solver.Name}' draws noise and was given no generator. Pass one, such as RandomStreams(seed)[\"sampling\"]."
            );
        }

        using var scope = NewDisposeScope();
        using var inference = no_grad();
        if (xT.shape[0] == 0)
        {
            return xT.detach().clone().MoveToOuterDisposeScope();
        }
        var (start, end) = options.Span(schedule);
        var x = solver.Run(noise, xT, new(schedule, options, start, end, hook, generator));
        if (options.DenoiseToZero)
        {
            var level = schedule.At(end);
            x = SolverTools.Clean(x, noise(x, level), level, options.Thresholding);
        }
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>Runs the ODE backwards: from data at the end time to the noise at the start time that would lead there.</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="x0">Samples at <see cref="SamplerOptions.EndTime"/>, [B, …]. Left as they are.</param>
    /// <param name="schedule">The schedule that the model was trained with.</param>
    /// <param name="options">As for sampling; the solver must be deterministic with a fixed number of evaluations.</param>
    /// <param name="hook">Called at the start and after each step; may be null.</param>
    /// <returns>x at <see cref="SamplerOptions.StartTime"/>, the shape of <paramref name="x0"/>.</returns>
    /// <exception cref="TiltException">The options do not make sense.</exception>
    public static Tensor Invert(
        NoisePredictor noise,
        Tensor x0,
        NoiseSchedule schedule,
        SamplerOptions options,
        StateHook? hook = null
    )
    {
        options.Validate(schedule);
        Check(x0);
        var solver = Solvers.Find(options.Solver);
        if (!solver.Inverts || options.Eta > 0 || options.DenoiseToZero || options.Thresholding is not null)
        {
            throw TiltException.Usage(
                $"Inversion with the solver '{solver.Name}': expected a deterministic solver with a fixed number of evaluations, "
                    + "eta 0, no denoiseToZero and no thresholding. Use dpm-solver++-2m or ddim."
            );
        }
        var (start, end) = options.Span(schedule);
        return solver.Run(noise, x0, new(schedule, options, end, start, hook));
    }

    /// <summary>The same run as plain coefficients, for carrying it out without this library's tensors.</summary>
    /// <param name="schedule">The schedule that the model was trained with.</param>
    /// <param name="options">As for sampling; the solver must be deterministic with a fixed number of evaluations.</param>
    /// <exception cref="TiltException">The options do not make sense, or the run is not linear in the model's values.</exception>
    public static SolverPlan Plan(NoiseSchedule schedule, SamplerOptions options)
    {
        options.Validate(schedule);
        var solver = Solvers.Find(options.Solver);
        if (solver.Plan is null || options.Eta > 0 || options.Thresholding is not null)
        {
            throw TiltException.Usage(
                $"The solver '{solver.Name}' with these options cannot be planned ahead: expected a deterministic solver with a fixed "
                    + "number of evaluations, eta 0 and no thresholding. Use dpm-solver++-2m or ddim."
            );
        }
        var (start, end) = options.Span(schedule);
        var plan = solver.Plan(new(schedule, options, start, end));
        return options.DenoiseToZero ? plan.ThenDenoise() : plan;
    }

    /// <summary>Standard normal noise, drawn on the CPU and then moved, so that a seed means the same everywhere.</summary>
    /// <param name="shape">Its shape, batch first.</param>
    /// <param name="type">Its element type.</param>
    /// <param name="device">Where it goes; null for the CPU.</param>
    /// <param name="generator">Where it comes from.</param>
    public static Tensor Normal(long[] shape, ScalarType type, Device? device, Generator generator)
    {
        using var scope = NewDisposeScope();
        var drawn = randn(shape, dtype: type, generator: generator);
        return (device is null ? drawn : drawn.to(device)).MoveToOuterDisposeScope();
    }

    private static void Check(Tensor x)
    {
        if (x.dim() < 2 || !x.is_floating_point())
        {
            throw new ArgumentException(
                $"Expected floating-point samples with the batch first, such as [B, D]; found {x.dtype} [{string.Join(", ", x.shape)}]."
            );
        }
    }
}
