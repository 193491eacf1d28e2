using Tilt.Environments.Models;
using Tilt.Environments.Rendering;
using Tilt.Environments.Simulation;

namespace Tilt.Environments.Locomotion;

/// <summary>Four legs that run along x: gym's Ant-v2 (Gymnasium's v4 with exact inertia and raw actions).</summary>
/// <remarks>
/// Reward: Δx/Δt + 1 − 0.5·Σaᵢ² − 0.5·10⁻³·Σclip(f, ±1)², where x is the torso's place as the last forward pass of the engine
/// computed it (with RK4 that is the fourth stage's, not the final coordinate), and f the external forces on the 14 bodies.
/// Since MuJoCo 2.0 the engine leaves f zero, so the contact cost is zero and the last 84 of the 111 observations are zeros, as
/// in D4RL's data; v4 leaves both out (27 observations). It goes on while the state is finite and 0.2 ≤ z ≤ 1. Observation:
/// positions without x and y, velocities, then f clipped to ±1. Start: positions uniform on ±0.1 about the pose, velocities
/// 0.1·N(0, 1). 5 × 0.01 s per step.
/// </remarks>
public sealed class Ant : MujocoEnvironment
{
    private readonly int _torso;
    private readonly bool _forces;

    internal Ant(EnvironmentTask task, InertiaRule inertia)
        : base(
            task,
            Robots.Compile($"ant, {inertia}", () => Robots.Robot("ant", inertia)),
            substeps: 5,
            inertia == InertiaRule.Exact ? ActionRule.Raw : ActionRule.Spread,
            memory: 1
        )
    {
        _torso = 3 * Data.Model.IdOf(MujocoModel.Body, "torso");
        _forces = inertia == InertiaRule.MuJoCo200;
    }

    internal override Camera View =>
        new()
        {
            LookAt = (0, 0, 0.3),
            Distance = 4,
            Elevation = -25,
        };

    private protected override void DrawStart(RandomStream random, Span<double> position, Span<double> velocity) =>
        DrawAround(random, position, velocity, 0.1, normalVelocity: 0.1);

    private protected override void AfterPlacing() => Memory[0] = Data.BodyPositions[_torso];

    private protected override double Reward(out bool terminated)
    {
        terminated = !(Data.Position[2] is >= 0.2 and <= 1);
        var before = Memory[0];
        Memory[0] = Data.BodyPositions[_torso];
        var reward = (Memory[0] - before) / StepSeconds + 1 - 0.5 * SquaredControls();
        return _forces ? reward - 0.5e-3 * SquaredForces() : reward;
    }

    private protected override void Observe(Span<double> observation)
    {
        ObserveFrom(2, double.PositiveInfinity, observation);
        if (_forces)
        {
            var forces = Data.ContactForces;
            for (var i = 0; i < forces.Length; i++)
            {
                observation[27 + i] = Math.Clamp(forces[i], -1, 1);
            }
        }
    }

    private double SquaredForces()
    {
        var sum = 0.0;
        foreach (var force in Data.ContactForces)
        {
            var clipped = Math.Clamp(force, -1, 1);
            sum += clipped * clipped;
        }
        return sum;
    }
}
