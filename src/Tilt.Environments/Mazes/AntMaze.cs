using Tilt.Environments.Models;
using Tilt.Environments.Rendering;
using Tilt.Environments.Simulation;

namespace Tilt.Environments.Mazes;

/// <summary>Where the cells of an ant's maze lie: 4 m apart, columns along x and rows along y, the start at the origin.</summary>
public static class AntMazeGeometry
{
    /// <summary>Metres from cell to cell.</summary>
    public const double Scale = 4;

    /// <summary>The middle of a cell, m.</summary>
    /// <param name="map">A maze with a start cell.</param>
    /// <param name="row">Cell's row.</param>
    /// <param name="column">Cell's column.</param>
    public static (double X, double Y) Center(MazeMap map, int row, int column)
    {
        ArgumentNullException.ThrowIfNull(map);
        var start = map.Start ?? throw EnvironmentException.Usage($"maze {map.Name}: an ant needs a start cell, R.");
        return (Scale * (column - start.Column), Scale * (row - start.Row));
    }
}

/// <summary>An ant that is to reach a goal in a maze: D4RL's AntMaze v2, in evaluation form.</summary>
/// <remarks>
/// Reward: 1 when the torso's (x, y) is within 0.5 m of the goal after the step, and the episode ends; else 0. Falling over does
/// not end it. Observation, 29: all positions, all velocities; the goal is not part of it. Start: the start cell, positions
/// uniform on ±0.1 about the pose, velocities 0.1·N(0, 1). Goal: the goal cell's middle + U(0, 1) + U(0, 0.5) per axis, not below
/// 0, drawn at every reset before the robot's state. Actions in [−1, 1] become ±30 N·m. 5 × 0.02 s per step. The tasks named play
/// and diverse differ only in how their data were collected.
/// </remarks>
public sealed class AntMaze : MujocoEnvironment
{
    private const double GoalRadius = 0.5;

    internal AntMaze(EnvironmentTask task, MazeMap map)
        : base(
            task,
            Robots.Compile($"antmaze, {map.Name}", () => Robots.AntMaze(map)),
            substeps: 5,
            ActionRule.Spread,
            memory: 2
        )
    {
        Map = map;
        (Memory[0], Memory[1]) = AntMazeGeometry.Center(map, map.Goal.Row, map.Goal.Column);
    }

    /// <summary>The maze.</summary>
    public MazeMap Map { get; }

    /// <summary>Where the goal is, m. Set it after a reset to choose it; the next reset draws another.</summary>
    public (double X, double Y) Goal
    {
        get => (Memory[0], Memory[1]);
        set => (Memory[0], Memory[1]) = value;
    }

    /// <summary>The whole maze from above, rows upwards.</summary>
    internal override Camera View
    {
        get
        {
            var (left, bottom) = AntMazeGeometry.Center(Map, 0, 0);
            var (right, top) = AntMazeGeometry.Center(Map, Map.Rows - 1, Map.Columns - 1);
            return new()
            {
                LookAt = ((left + right) / 2, (bottom + top) / 2, 0),
                Distance = Camera.DistanceFor(AntMazeGeometry.Scale * Map.Columns, AntMazeGeometry.Scale * Map.Rows),
                Elevation = -65,
                Follows = false,
            };
        }
    }

    internal override void BeforePicture()
    {
        var site = Data.SitePositions.Slice(3 * Data.Model.IdOf(MujocoModel.Site, "goal"), 3);
        (site[0], site[1], site[2]) = (Goal.X, Goal.Y, 0.02);
    }

    private protected override void DrawStart(RandomStream random, Span<double> position, Span<double> velocity)
    {
        var (x, y) = AntMazeGeometry.Center(Map, Map.Goal.Row, Map.Goal.Column);
        Goal = (Near(x, random), Near(y, random));
        DrawAround(random, position, velocity, 0.1, normalVelocity: 0.1);
    }

    private protected override double Reward(out bool terminated)
    {
        var (x, y) = (Data.Position[0] - Goal.X, Data.Position[1] - Goal.Y);
        terminated = Math.Sqrt(x * x + y * y) <= GoalRadius;
        return terminated ? 1 : 0;
    }

    private protected override void Observe(Span<double> observation) =>
        ObserveFrom(0, double.PositiveInfinity, observation);

    private static double Near(double middle, RandomStream random)
    {
        var coarse = random.Uniform(0, 0.25 * AntMazeGeometry.Scale);
        return Math.Max(middle + coarse + random.Uniform(0, 0.5), 0);
    }
}
