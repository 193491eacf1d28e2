using Tilt.Environments.Models;
using Tilt.Environments.Rendering;

namespace Tilt.Environments.Mazes;

/// <summary>AntMaze's ant on open ground, to walk where it is told: an easier task to learn walking on than <c>ant-goal</c>.</summary>
/// <remarks>
/// The ground is the same in every direction, so the direction is no input: the ant sees itself in a frame whose x axis points where it
/// is to walk (<see cref="Turn"/>), and any policy that walks along x walks anywhere. Every 100 steps the direction changes to one drawn at the reset, which
/// the ant sees as a sudden turn of itself. Reward: speed along the direction in m/s + 0.5 − 0.1·Σaᵢ². It ends when the torso leaves
/// 0.2 ≤ z ≤ 1 or is turned over. Observation, 27: height, orientation and joints, then velocities. Start, motors and time step are AntMaze's.
/// </remarks>
public sealed class AntHeading : MujocoEnvironment
{
    private const int HeadingSteps = 100;
    private const int Headings = 10;
    private const double Motor = 30;

    internal AntHeading(EnvironmentTask task)
        : base(
            task,
            Robots.Compile("ant on open ground", () => Robots.AntMaze(null)),
            substeps: 5,
            ActionRule.Spread,
            memory: 2 + Headings
        ) { }

    /// <summary>Where to walk in the next step, rad from x.</summary>
    public double Heading => HeadingAt(Steps);

    internal override Camera View =>
        new()
        {
            LookAt = (0, 0, 0.3),
            Distance = 6,
            Elevation = -30,
        };

    /// <summary>The ant as it looks in a frame turned about the vertical.</summary>
    /// <param name="body">
    /// AntMaze's observation without x and y, [27]: z, quaternion (w, x, y, z), 8 joints, velocity (world frame), angular velocity (own frame), 8
    /// joint velocities.
    /// </param>
    /// <param name="angle">How far the frame's x axis is turned from the world's, rad.</param>
    /// <param name="seen">Receives the same in the frame, [27]. May be the same memory.</param>
    public static void Turn(ReadOnlySpan<double> body, double angle, Span<double> seen)
    {
        const int Quaternion = 1;
        const int Velocity = 13;
        body.CopyTo(seen);
        var (sine, cosine) = Math.SinCos(-angle / 2);
        var (w, x, y, z) = (body[Quaternion], body[Quaternion + 1], body[Quaternion + 2], body[Quaternion + 3]);
        seen[Quaternion] = cosine * w - sine * z;
        seen[Quaternion + 1] = cosine * x - sine * y;
        seen[Quaternion + 2] = cosine * y + sine * x;
        seen[Quaternion + 3] = cosine * z + sine * w;
        (sine, cosine) = Math.SinCos(-angle);
        var (vx, vy) = (body[Velocity], body[Velocity + 1]);
        seen[Velocity] = cosine * vx - sine * vy;
        seen[Velocity + 1] = sine * vx + cosine * vy;
        // q and −q are the same orientation; a policy should see one of them.
        if (seen[Quaternion] < 0)
        {
            for (var i = Quaternion; i < Quaternion + 4; i++)
            {
                seen[i] = -seen[i];
            }
        }
    }

    private protected override void DrawStart(RandomStream random, Span<double> position, Span<double> velocity)
    {
        DrawAround(random, position, velocity, 0.1, normalVelocity: 0.1);
        for (var i = 0; i < Headings; i++)
        {
            Memory[2 + i] = random.Uniform(-Math.PI, Math.PI);
        }
    }

    private protected override void AfterPlacing() => (Memory[0], Memory[1]) = (Data.Position[0], Data.Position[1]);

    private protected override double Reward(out bool terminated)
    {
        var position = Data.Position;
        var (dx, dy) = (position[0] - Memory[0], position[1] - Memory[1]);
        (Memory[0], Memory[1]) = (position[0], position[1]);
        var (sine, cosine) = Math.SinCos(HeadingAt(Steps - 1));
        var upright = 1 - 2 * (position[4] * position[4] + position[5] * position[5]);
        terminated = !(position[2] is >= 0.2 and <= 1 && upright > 0);
        return (dx * cosine + dy * sine) / StepSeconds + 0.5 - 0.1 * SquaredControls() / (Motor * Motor);
    }

    private protected override void Observe(Span<double> observation)
    {
        ObserveFrom(2, double.PositiveInfinity, observation);
        Turn(observation, Heading, observation);
    }

    private double HeadingAt(int step) => Memory[2 + Math.Min(step / HeadingSteps, Headings - 1)];
}
