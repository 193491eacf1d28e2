using System.Text.RegularExpressions;
using Tilt.Environments.Locomotion;
using Tilt.Environments.Mazes;
using Tilt.Environments.Models;

namespace Tilt.Environments;

/// <summary>The catalogue of tasks.</summary>
/// <remarks>
/// Locomotion tasks without a version are D4RL's (MuJoCo 2.0's inertias, actions clipped to the box); those named as in Gymnasium,
/// <c>Hopper-v4</c> and so on, have exact inertias and take actions as they are. Score constants are D4RL's for comparability, also
/// where a random policy measures something else (docs/environments.md).
/// </remarks>
public static partial class Tasks
{
    /// <summary>All tasks, in the order of listings.</summary>
    public static IReadOnlyList<EnvironmentTask> All { get; } =
    [
        Robot("hopper", "hop forward on one leg", 11, 3, 0.008, new(-20.272305, 3234.3), Old, MakeHopper),
        Robot("halfcheetah", "run forward", 17, 6, 0.05, new(-280.178953, 12135), Old, MakeHalfCheetah),
        Robot("walker2d", "walk forward on two legs", 17, 6, 0.008, new(1.629008, 4592.3), Old, MakeWalker2d),
        Robot("ant", "run along x on four legs", 111, 8, 0.05, new(-325.6, 3879.7), Old, MakeAnt),
        new()
        {
            Name = "ant-heading",
            Summary = "walk AntMaze's ant in directions that change",
            ObservationSize = 27,
            ActionSize = 8,
            MaximumSteps = 1000,
            ControlSeconds = 0.1,
            Maker = task => new AntHeading(task),
        },
        Ant("antmaze-umaze", MazeMaps.AntUmaze, 700),
        Ant("antmaze-umaze-diverse", MazeMaps.AntUmaze, 700),
        Ant("antmaze-medium-play", MazeMaps.AntMedium, 1000),
        Ant("antmaze-medium-diverse", MazeMaps.AntMedium, 1000),
        Ant("antmaze-large-play", MazeMaps.AntLarge, 1000),
        Ant("antmaze-large-diverse", MazeMaps.AntLarge, 1000),
        Ball("maze2d-umaze", MazeMaps.PointUmaze, 300, dense: false, new(23.85, 161.86)),
        Ball("maze2d-medium", MazeMaps.PointMedium, 600, dense: false, new(13.13, 277.39)),
        Ball("maze2d-large", MazeMaps.PointLarge, 800, dense: false, new(6.7, 273.99)),
        Ball("maze2d-open", MazeMaps.PointOpen, 150, dense: false, new(0.01, 20.66)),
        Ball("maze2d-umaze-dense", MazeMaps.PointUmaze, 300, dense: true, new(68.537689, 193.66285642381482)),
        Ball("maze2d-medium-dense", MazeMaps.PointMedium, 600, dense: true, new(44.264742, 297.4552547777125)),
        Ball("maze2d-large-dense", MazeMaps.PointLarge, 800, dense: true, new(30.569041, 303.4857382709002)),
        Ball("maze2d-open-dense", MazeMaps.PointOpen, 150, dense: true, new(11.17817, 27.166538620695782)),
        new()
        {
            Name = "ant-goal",
            Summary = "walk AntMaze's ant from goal to goal on open ground",
            ObservationSize = 29,
            ActionSize = 8,
            MaximumSteps = 1000,
            ControlSeconds = 0.1,
            Maker = task => new AntGoal(task),
        },
        Robot("Hopper-v4", "Gymnasium's hopper", 11, 3, 0.008, null, Exact, MakeHopper),
        Robot("HalfCheetah-v4", "Gymnasium's half cheetah", 17, 6, 0.05, null, Exact, MakeHalfCheetah),
        Robot("Walker2d-v4", "Gymnasium's walker", 17, 6, 0.008, null, Exact, MakeWalker2d),
        Robot("Ant-v4", "Gymnasium's ant", 27, 8, 0.05, null, Exact, MakeAnt),
    ];

    private const InertiaRule Old = InertiaRule.MuJoCo200;
    private const InertiaRule Exact = InertiaRule.Exact;

    /// <summary>Names of all tasks.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(task => task.Name)];

    /// <summary>The task of a name, or of one of D4RL's data sets such as <c>hopper-medium-replay-v2</c>.</summary>
    /// <param name="name">Upper and lower case count alike.</param>
    /// <exception cref="EnvironmentException">There is none.</exception>
    public static EnvironmentTask Find(string name) =>
        TryFind(name, out var task)
            ? task
            : throw EnvironmentException.Usage($"unknown task '{name}'. Known: {string.Join(", ", Names)}.");

    /// <summary>As <see cref="Find"/>, without an error.</summary>
    public static bool TryFind(
        string name,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out EnvironmentTask? task
    )
    {
        ArgumentNullException.ThrowIfNull(name);
        task = Named(name);
        if (task is null && DataSet().Match(name) is { Success: true } match)
        {
            task = Named(match.Groups["task"].Value);
        }
        return task is not null;
    }

    private static EnvironmentTask? Named(string name) =>
        All.FirstOrDefault(task => task.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    private static Hopper MakeHopper(EnvironmentTask task, InertiaRule inertia) => new(task, inertia);

    private static HalfCheetah MakeHalfCheetah(EnvironmentTask task, InertiaRule inertia) => new(task, inertia);

    private static Walker2d MakeWalker2d(EnvironmentTask task, InertiaRule inertia) => new(task, inertia);

    private static Ant MakeAnt(EnvironmentTask task, InertiaRule inertia) => new(task, inertia);

    private static EnvironmentTask Robot(
        string name,
        string summary,
        int observation,
        int action,
        double seconds,
        ScoreRange? score,
        InertiaRule inertia,
        Func<EnvironmentTask, InertiaRule, IEnvironment> make
    ) =>
        new()
        {
            Name = name,
            Summary = summary,
            ObservationSize = observation,
            ActionSize = action,
            MaximumSteps = 1000,
            ControlSeconds = seconds,
            Score = score,
            Maker = task => make(task, inertia),
        };

    private static EnvironmentTask Ant(string name, MazeMap map, int steps) =>
        new()
        {
            Name = name,
            Summary = $"bring the ant to the goal of the {map.Name} maze",
            ObservationSize = 29,
            ActionSize = 8,
            MaximumSteps = steps,
            ControlSeconds = 0.1,
            Score = new(0, 1),
            Maker = task => new AntMaze(task, map),
        };

    private static EnvironmentTask Ball(string name, MazeMap map, int steps, bool dense, ScoreRange score) =>
        new()
        {
            Name = name,
            Summary = $"push the ball to the target of the {map.Name} maze, {(dense ? "dense" : "sparse")} reward",
            ObservationSize = 4,
            ActionSize = 2,
            MaximumSteps = steps,
            ControlSeconds = 0.01,
            Score = score,
            Maker = task => new Maze2d(task, map, dense),
        };

    [GeneratedRegex(
        "^((?<task>hopper|halfcheetah|walker2d|ant)-(random|medium|expert|medium-replay|full-replay|medium-expert)-v[012]"
            + "|(?<task>antmaze-(umaze|umaze-diverse|(medium|large)-(play|diverse)))-v[012]"
            + "|(?<task>maze2d-(umaze|medium|large)(-dense)?)-v1|(?<task>maze2d-open(-dense)?)-v0)$",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture
    )]
    private static partial Regex DataSet();
}
