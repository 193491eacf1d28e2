using Tilt.Environments.Models;
using Tilt.Environments.Rendering;

namespace Tilt.Environments.Locomotion;

/// <summary>Two legs that walk in a plane: gym's Walker2d-v2 (Gymnasium's v4 with exact inertia and raw actions).</summary>
/// <remarks>
/// Reward: Δx/Δt + 1 − 10⁻³·Σaᵢ². It goes on while the torso is between 0.8 and 2 m high and leans less than 1 rad. Observation,
/// 17: positions without x, velocities clipped to ±10. Start: uniform on ±0.005 about the standing pose. 4 × 0.002 s per step.
/// </remarks>
public sealed class Walker2d : MujocoEnvironment
{
    private double _before;

    internal Walker2d(EnvironmentTask task, InertiaRule inertia)
        : base(
            task,
            Robots.Compile($"walker2d, {inertia}", () => Robots.Robot("walker2d", inertia)),
            substeps: 4,
            inertia == InertiaRule.Exact ? ActionRule.Raw : ActionRule.Spread
        ) { }

    internal override Camera View => new() { LookAt = (0, 0, 0.75), Distance = 2.8 };

    private protected override void DrawStart(RandomStream random, Span<double> position, Span<double> velocity) =>
        DrawAround(random, position, velocity, 0.005, normalVelocity: null);

    private protected override void BeforeStep() => _before = Data.Position[0];

    private protected override double Reward(out bool terminated)
    {
        var position = Data.Position;
        terminated = !(position[1] is > 0.8 and < 2 && position[2] is > -1 and < 1);
        return (position[0] - _before) / StepSeconds + 1 - 1e-3 * SquaredControls();
    }

    private protected override void Observe(Span<double> observation) => ObserveFrom(1, 10, observation);
}
