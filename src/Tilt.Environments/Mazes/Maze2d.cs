using Tilt.Environments.Models;
using Tilt.Environments.Rendering;
using Tilt.Environments.Simulation;

namespace Tilt.Environments.Mazes;

/// <summary>A ball pushed through a maze: D4RL's maze2d.</summary>
/// <remarks>
/// Reward, sparse: 1 when the ball is within 0.5 of the target after the step, else 0; dense: e^(−distance). Nothing ends it before
/// the limit of steps. Observation, 4: position and velocity. Positions count from world (1.2, 1.2), so the middle of cell (i, j) is
/// (i − 0.2, j − 0.2), rows along the first axis; targets and starts lie about (i, j) itself, as in D4RL. Actions are clipped to ±1.
/// Each step first clips the velocity to ±5 and runs a forward pass under the last step's control, even where nothing was clipped: it
/// moves the solver's start, so without it the bits differ. Start: a free cell or the goal's, uniform, ±0.1 per axis; velocity 0.1·N(0, 1). 0.01 s per step.
/// </remarks>
public sealed class Maze2d : MujocoEnvironment
{
    private const double TargetRadius = 0.5;
    private const double LargestVelocity = 5;

    private readonly bool _dense;
    private readonly (int Row, int Column)[] _starts;

    internal Maze2d(EnvironmentTask task, MazeMap map, bool dense)
        : base(
            task,
            Robots.Compile($"maze2d, {map.Name}", () => Robots.Maze2d(map)),
            substeps: 1,
            ActionRule.Clip,
            memory: 2
        )
    {
        Map = map;
        _dense = dense;
        _starts = [.. map.Cells(".R"), map.Goal];
        Target = (map.Goal.Row, map.Goal.Column);
    }

    /// <summary>The maze.</summary>
    public MazeMap Map { get; }

    /// <summary>Where to go, in the observation's coordinates. The goal's cell unless set; resets leave it.</summary>
    public (double X, double Y) Target
    {
        get => (Memory[0], Memory[1]);
        set => (Memory[0], Memory[1]) = value;
    }

    /// <summary>The whole maze from above, as its map is written: rows downwards, columns to the right.</summary>
    internal override Camera View =>
        new()
        {
            LookAt = ((Map.Rows + 1) / 2.0, (Map.Columns + 1) / 2.0, 0),
            Distance = Camera.DistanceFor(Map.Columns, Map.Rows),
            Azimuth = 180,
            Elevation = -89.9,
            Follows = false,
        };

    internal override void BeforePicture()
    {
        var site = Data.SitePositions.Slice(3 * Data.Model.IdOf(MujocoModel.Site, "goal"), 3);
        (site[0], site[1], site[2]) = (Target.X + 1.2, Target.Y + 1.2, -0.09);
    }

    private protected override void DrawStart(RandomStream random, Span<double> position, Span<double> velocity)
    {
        var (row, column) = _starts[random.Integer(_starts.Length)];
        position[0] = row + random.Uniform(-0.1, 0.1);
        position[1] = column + random.Uniform(-0.1, 0.1);
        velocity[0] = 0.1 * random.Normal();
        velocity[1] = 0.1 * random.Normal();
    }

    private protected override void BeforeStep()
    {
        foreach (ref var velocity in Data.Velocity)
        {
            velocity = Math.Clamp(velocity, -LargestVelocity, LargestVelocity);
        }
        Data.Forward();
    }

    private protected override double Reward(out bool terminated)
    {
        terminated = false;
        var (x, y) = (Data.Position[0] - Target.X, Data.Position[1] - Target.Y);
        var distance = Math.Sqrt(x * x + y * y);
        if (_dense)
        {
            return Math.Exp(-distance);
        }
        return distance <= TargetRadius ? 1 : 0;
    }

    private protected override void Observe(Span<double> observation) =>
        ObserveFrom(0, double.PositiveInfinity, observation);
}
