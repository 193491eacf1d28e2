using Tilt.Environments.Models;
using Tilt.Environments.Rendering;
using Tilt.Environments.Simulation;

namespace Tilt.Environments.Mazes;

/// <summary>AntMaze's ant on open ground, to learn walking toward a point from: where a goal-reaching policy is trained.</summary>
/// <remarks>
/// Observation, 29: positions without x and y, velocities, then the direction to the goal as a vector of 10 m whatever the distance, as D4RL's
/// collection of AntMaze shows waypoints to its policy. Goals lie 5 m away in headings drawn at the reset; within 0.5 m of one, the
/// next follows. Reward: speed toward the goal in m/s, + 0.5 while upright, − 0.05·Σaᵢ² of the motors' share of ±30 N·m. It ends, unlike the
/// maze, when the torso lies on its back: a policy that falls there lies until the limit. Start and motors are <see cref="AntMaze"/>'s.
/// Ours: D4RL does not say how its policy was rewarded beyond the distance to the goal.
/// </remarks>
public sealed class AntGoal : MujocoEnvironment
{
    private const double Leg = 5;
    private const double GoalRadius = 0.5;
    private const double Shown = 10;
    private const double Bonus = 0.5;
    private const double ControlCost = 0.05;
    private const double Motor = 30;
    private const int Headings = 32;

    // Memory: the goal's x and y, the heading in use, the distance before the step, then the headings.
    private const int Heading = 2;
    private const int Distance = 3;
    private const int FirstHeading = 4;

    private static readonly MazeMap Open = new("open ground", "RG");

    internal AntGoal(EnvironmentTask task)
        : base(
            task,
            Robots.Compile("ant on open ground", () => Robots.AntMaze(Open)),
            substeps: 5,
            ActionRule.Spread,
            memory: FirstHeading + Headings
        ) { }

    /// <summary>Where to walk, m.</summary>
    public (double X, double Y) Goal => (Memory[0], Memory[1]);

    internal override Camera View =>
        new()
        {
            LookAt = (0, 0, 0.3),
            Distance = 8,
            Elevation = -35,
        };

    internal override void BeforePicture()
    {
        var site = Data.SitePositions.Slice(3 * Data.Model.IdOf(MujocoModel.Site, "goal"), 3);
        (site[0], site[1], site[2]) = (Goal.X, Goal.Y, 0.02);
    }

    private protected override void DrawStart(RandomStream random, Span<double> position, Span<double> velocity)
    {
        foreach (ref var heading in Memory[FirstHeading..])
        {
            heading = random.Uniform(-Math.PI, Math.PI);
        }
        DrawAround(random, position, velocity, 0.1, normalVelocity: 0.1);
    }

    private protected override void AfterPlacing()
    {
        Memory[Heading] = 0;
        SetGoal();
    }

    private protected override void BeforeStep() => Memory[Distance] = ToGoal();

    private protected override double Reward(out bool terminated)
    {
        var distance = ToGoal();
        var speed = (Memory[Distance] - distance) / StepSeconds;
        if (distance <= GoalRadius)
        {
            Memory[Heading] = (Memory[Heading] + 1) % Headings;
            SetGoal();
        }
        // The third component of the torso's own upward axis; positions 3 to 6 are its quaternion.
        var (x, y) = (Data.Position[4], Data.Position[5]);
        terminated = 1 - 2 * (x * x + y * y) < 0;
        return speed + Bonus - ControlCost * SquaredControls() / (Motor * Motor);
    }

    private protected override void Observe(Span<double> observation)
    {
        ObserveFrom(2, double.PositiveInfinity, observation[..^2]);
        var distance = ToGoal();
        var scale = distance > 0 ? Shown / distance : 0;
        observation[^2] = scale * (Goal.X - Data.Position[0]);
        observation[^1] = scale * (Goal.Y - Data.Position[1]);
    }

    private double ToGoal()
    {
        var (x, y) = (Goal.X - Data.Position[0], Goal.Y - Data.Position[1]);
        return Math.Sqrt(x * x + y * y);
    }

    private void SetGoal()
    {
        var (sine, cosine) = Math.SinCos(Memory[FirstHeading + (int)Memory[Heading]]);
        (Memory[0], Memory[1]) = (Data.Position[0] + Leg * cosine, Data.Position[1] + Leg * sine);
    }
}
