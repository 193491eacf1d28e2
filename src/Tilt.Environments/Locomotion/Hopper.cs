using Tilt.Environments.Models;
using Tilt.Environments.Rendering;

namespace Tilt.Environments.Locomotion;

/// <summary>One leg that hops forward: gym's Hopper-v2 (Gymnasium's v4 with exact inertia and raw actions).</summary>
/// <remarks>
/// Reward: Δx/Δt + 1 − 10⁻³·Σaᵢ². It goes on while the state is finite, torso angle, joints and all velocities stay within ±100,
/// the torso is above 0.7 m and leans less than 0.2 rad. Observation, 11: positions without x, velocities clipped to ±10.
/// Start: uniform on ±0.005 about the standing pose. 4 × 0.002 s per step.
/// </remarks>
public sealed class Hopper : MujocoEnvironment
{
    private double _before;

    internal Hopper(EnvironmentTask task, InertiaRule inertia)
        : base(
            task,
            Robots.Compile($"hopper, {inertia}", () => Robots.Robot("hopper", inertia)),
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
        var healthy = position[1] > 0.7 && Math.Abs(position[2]) < 0.2;
        foreach (var value in position[2..])
        {
            healthy &= Math.Abs(value) < 100;
        }
        foreach (var value in Data.Velocity)
        {
            healthy &= Math.Abs(value) < 100;
        }
        terminated = !healthy;
        return (position[0] - _before) / StepSeconds + 1 - 1e-3 * SquaredControls();
    }

    private protected override void Observe(Span<double> observation) => ObserveFrom(1, 10, observation);
}
