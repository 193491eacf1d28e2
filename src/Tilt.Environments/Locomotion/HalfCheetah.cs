using Tilt.Environments.Models;
using Tilt.Environments.Rendering;

namespace Tilt.Environments.Locomotion;

/// <summary>A cheetah's side view that runs: gym's HalfCheetah-v2 (Gymnasium's v4 with exact inertia and raw actions).</summary>
/// <remarks>
/// Reward: Δx/Δt − 0.1·Σaᵢ². Nothing ends it before the limit of steps. Observation, 17: positions without x, velocities.
/// Start: positions uniform on ±0.1, velocities 0.1·N(0, 1). 5 × 0.01 s per step.
/// </remarks>
public sealed class HalfCheetah : MujocoEnvironment
{
    private double _before;

    internal HalfCheetah(EnvironmentTask task, InertiaRule inertia)
        : base(
            task,
            Robots.Compile($"halfcheetah, {inertia}", () => Robots.Robot("halfcheetah", inertia)),
            substeps: 5,
            inertia == InertiaRule.Exact ? ActionRule.Raw : ActionRule.Spread
        ) { }

    internal override Camera View => new() { LookAt = (0, 0, 0.4), Distance = 2.6 };

    private protected override void DrawStart(RandomStream random, Span<double> position, Span<double> velocity) =>
        DrawAround(random, position, velocity, 0.1, normalVelocity: 0.1);

    private protected override void BeforeStep() => _before = Data.Position[0];

    private protected override double Reward(out bool terminated)
    {
        terminated = false;
        return (Data.Position[0] - _before) / StepSeconds - 0.1 * SquaredControls();
    }

    private protected override void Observe(Span<double> observation) =>
        ObserveFrom(1, double.PositiveInfinity, observation);
}
