using Tilt.Diffusion;

namespace Tilt.Sampling;

/// <summary>Carries samples from one end of a run to the other.</summary>
/// <param name="noise">ε(x_t, t), guided or not.</param>
/// <param name="x">The samples at the run's first time, [B, …]. Left as they are.</param>
/// <param name="run">Where to go and how.</param>
/// <returns>The samples at the run's last time, the shape of <paramref name="x"/>.</returns>
public delegate Tensor Solver(NoisePredictor noise, Tensor x, SolverRun run);

/// <summary>Sees, and may replace, the samples after each step.</summary>
/// <param name="step">0 for the start, then the number of steps taken.</param>
/// <param name="level">The level that the samples have.</param>
/// <param name="x">The samples, [B, …]. Valid during the call only: clone what is to be kept.</param>
/// <returns>What to go on with, or null to go on with <paramref name="x"/>.</returns>
public delegate Tensor? StateHook(int step, NoiseLevel level, Tensor x);

/// <summary>What a solver needs besides the model and the samples.</summary>
/// <param name="Schedule">Gives levels for times and times for λ.</param>
/// <param name="Options">The sampler's options, already validated.</param>
/// <param name="Start">The first time.</param>
/// <param name="End">The last time; above <paramref name="Start"/> when inverting.</param>
/// <param name="Hook">Called at the start and after each step; may be null.</param>
/// <param name="Generator">Where fresh noise comes from; null only for deterministic solvers.</param>
public sealed record SolverRun(
    NoiseSchedule Schedule,
    SamplerOptions Options,
    double Start,
    double End,
    StateHook? Hook = null,
    Generator? Generator = null
)
{
    /// <summary>The N + 1 levels to visit.</summary>
    public IReadOnlyList<NoiseLevel> Levels =>
        TimeGrid.Levels(Schedule, Options.Spacing, Options.Evaluations, Start, End);

    /// <summary>The outer steps of a singlestep solver of the given order.</summary>
    public IReadOnlyList<NoiseLevel[]> Strides(int order, SinglestepLayout layout) =>
        SinglestepGrid.Strides(Schedule, Options.Spacing, Options.Evaluations, order, layout, Start, End);
}
