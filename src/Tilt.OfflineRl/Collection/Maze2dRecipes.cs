using Tilt.Environments;
using Tilt.Environments.Mazes;

namespace Tilt.OfflineRl.Collection;

/// <summary>maze2d: a ball that a controller pushes from target to target, rewarded for being at one it never heard of.</summary>
/// <remarks>
/// D4RL's protocol (Fu et al. 2020, generate_maze2d_datasets.py and relabel_maze2d_rewards.py): the waypoint controller goes to
/// targets drawn over all free cells; when it is there, or after the task's limit of steps, another is drawn and the ball goes on
/// from where it is. On that step the collector keeps the observation from before, so the next row has it once more, with the
/// action that follows from it. Rewards are those of the evaluation's target, at the observation before the step.
/// Departures: the stream is cut into parts of 50 000 steps, each from a start of its own, so that threads can share the work; and
/// rows after which another target was drawn are marked in timeouts, none in terminals, for the task has no end of its own (D4RL's
/// script marks them as terminals). Sparse and dense data of a seed are the same steps.
/// </remarks>
internal static class Maze2dRecipes
{
    private const int PartSteps = 50_000;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<DataRecipe> All { get; } =
    [
        .. new (string Maze, int Size)[]
        {
            ("umaze", 1_000_000),
            ("medium", 2_000_000),
            ("large", 4_000_000),
            ("open", 1_000_000),
        }.SelectMany(row =>
            new[] { Recipe(row.Maze, row.Size, dense: false), Recipe(row.Maze, row.Size, dense: true) }
        ),
    ];

    private static DataRecipe Recipe(string maze, int size, bool dense)
    {
        var task = Tasks.Find($"maze2d-{maze}{(dense ? "-dense" : "")}");
        return new()
        {
            Name = task.Name,
            Summary = $"waypoint controller in the {maze} maze, {(dense ? "dense" : "sparse")} rewards",
            Task = task.Name,
            DefaultSize = size,
            Protocol =
                "D4RL's waypoint controller, from target to target over all free cells, without noise; rewards relabelled for the "
                + "evaluation's target at the observation before each step; timeouts where another target was drawn; parts of "
                + $"{PartSteps} steps, each from its own start.",
            Make = request => Collect(task, $"maze2d-{maze}", dense, request),
        };
    }

    private static CollectedSteps Collect(EnvironmentTask task, string streams, bool dense, CollectionRequest request)
    {
        var steps = new CollectedSteps(request.Size, task.ObservationSize, task.ActionSize);
        var (goals, positions, velocities) = (
            steps.With("infos/goal", 2),
            steps.With("infos/qpos", 2),
            steps.With("infos/qvel", 2)
        );
        steps.Policies.Add(new("waypoint controller"));

        void Fill(int part, int first, int count, Action stepped)
        {
            using var maze = (Maze2d)task.Create();
            var starts = new RandomStream(request.Seed, $"{streams}/{part}/starts");
            var targets = new RandomStream(request.Seed, $"{streams}/{part}/targets");
            var ways = new RandomStream(request.Seed, $"{streams}/{part}/ways");
            var cells = maze.Map.Cells(".RG");
            var evaluated = maze.Target;
            var controller = new WaypointController(maze.Map);
            Span<double> seen = stackalloc double[4];
            Span<double> wanted = stackalloc double[2];
            maze.Target = Draw(cells, targets);
            maze.Reset(starts);
            maze.Observation.CopyTo(seen);
            for (var (row, age) = (first, 0); row < first + count; row++, age++)
            {
                var reached = controller.Act(seen, maze.Target, ways, wanted);
                var action = steps.Actions.AsSpan(2 * row, 2);
                Narrow(wanted, action);
                Narrow(seen, steps.Observations.AsSpan(4 * row, 4));
                Narrow([maze.Target.X, maze.Target.Y], goals.AsSpan(2 * row, 2));
                Narrow(maze.Position, positions.AsSpan(2 * row, 2));
                Narrow(maze.Velocity, velocities.AsSpan(2 * row, 2));
                steps.Rewards[row] = Reward(steps.Observations.AsSpan(4 * row, 2), evaluated, dense);

                var step = maze.Step(action);
                if (step.Cause == EndCause.Divergence)
                {
                    throw new TiltException($"{maze.Divergence} The collection ends here; report this.");
                }
                if (reached || age >= task.MaximumSteps)
                {
                    steps.Truncated[row] = true;
                    maze.Target = Draw(cells, targets);
                    age = -1;
                }
                else
                {
                    maze.Observation.CopyTo(seen);
                }
                stepped();
            }
            steps.Truncated[first + count - 1] = true;
        }

        Parts.Run(request, PartSteps, Fill);
        return steps;
    }

    private static (double X, double Y) Draw(IReadOnlyList<(int Row, int Column)> cells, RandomStream random)
    {
        var (row, column) = cells[random.Integer(cells.Count)];
        return (row + random.Uniform(-0.1, 0.1), column + random.Uniform(-0.1, 0.1));
    }

    private static float Reward(ReadOnlySpan<float> position, (double X, double Y) target, bool dense)
    {
        var distance = Math.Sqrt(Math.Pow(position[0] - target.X, 2) + Math.Pow(position[1] - target.Y, 2));
        return dense ? (float)Math.Exp(-distance)
            : distance <= 0.5 ? 1
            : 0;
    }

    private static void Narrow(ReadOnlySpan<double> from, Span<float> to)
    {
        for (var i = 0; i < to.Length; i++)
        {
            to[i] = (float)from[i];
        }
    }
}
