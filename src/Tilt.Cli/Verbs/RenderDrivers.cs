using Tilt.Environments;
using Tilt.Environments.Mazes;
using Tilt.Inference;
using Tilt.OfflineRl.Behavior;

namespace Tilt.Cli.Verbs;

/// <summary>Chooses an action for an environment as it stands.</summary>
/// <param name="environment">Where to act.</param>
/// <param name="random">The driver's own stream.</param>
/// <param name="action">Receives the action, [A].</param>
internal delegate void Driver(IEnvironment environment, RandomStream random, Span<double> action);

/// <summary>Who can act in pictures: chance, controllers, the shipped behavior policies, a saved policy.</summary>
internal static class RenderDrivers
{
    /// <summary>By name; makes a driver for a task.</summary>
    public static IReadOnlyDictionary<string, Func<EnvironmentTask, Driver>> All { get; } =
        new SortedDictionary<string, Func<EnvironmentTask, Driver>>(StringComparer.Ordinal)
        {
            ["expert"] = task => Snapshot(Ladder(task, "expert").Expert),
            ["medium"] = task => Snapshot(Ladder(task, "medium").Medium),
            ["random"] = _ => Uniform,
            ["waypoint"] = Waypoints,
            ["zero"] = _ => (_, _, action) => action.Clear(),
        };

    /// <summary>A saved policy, guided as it was saved: one draw a step.</summary>
    /// <param name="task">Where it acts.</param>
    /// <param name="path">Its file, or the folder of its run.</param>
    /// <exception cref="TiltException">It cannot be read, or is for other observations or actions.</exception>
    public static Driver Saved(EnvironmentTask task, string path)
    {
        var policy = Policy.Load(path);
        if (policy.ObservationDimensions != task.ObservationSize || policy.ActionDimensions != task.ActionSize)
        {
            throw TiltException.Usage(
                $"--policy {path}: found a policy from {policy.ObservationDimensions} observations to {policy.ActionDimensions} actions; "
                    + $"expected {task.ObservationSize} and {task.ActionSize}, those of {task.Name}. Name the task that it was trained for."
            );
        }
        var observation = new float[task.ObservationSize];
        return (environment, random, action) =>
        {
            Narrow(environment.Observation, observation);
            Widen(policy.Act(observation, (long)random.NextBits()), action);
        };
    }

    private static BehaviorLadder Ladder(EnvironmentTask task, string driver) =>
        BehaviorLadder.Shipped(task.Name)
        ?? throw TiltException.Usage(
            $"--driver {driver}: found the task {task.Name}; expected one with shipped behavior policies "
                + $"({string.Join(", ", BehaviorLadder.ShippedTasks)}). random acts everywhere."
        );

    /// <summary>A behavior policy without its noise.</summary>
    private static Driver Snapshot(Rung rung)
    {
        var (observation, chosen) = (new float[rung.Actor.Observations], new float[rung.Actor.Actions]);
        return (environment, _, action) =>
        {
            Narrow(environment.Observation, observation);
            rung.Actor.Act(observation, [], chosen);
            Widen(chosen, action);
        };
    }

    private static void Uniform(IEnvironment environment, RandomStream random, Span<double> action)
    {
        foreach (ref var component in action)
        {
            component = random.Uniform(-1, 1);
        }
    }

    private static Driver Waypoints(EnvironmentTask task)
    {
        WaypointController? controller = null;
        return (environment, random, action) =>
        {
            if (environment is not Maze2d maze)
            {
                throw TiltException.Usage(
                    $"--driver waypoint finds its way in maze2d tasks only, not in {task.Name}; random acts everywhere."
                );
            }
            controller ??= new WaypointController(maze.Map);
            if (environment.Steps == 0)
            {
                controller.Forget();
            }
            controller.Act(environment.Observation, maze.Target, random, action);
        };
    }

    private static void Narrow(ReadOnlySpan<double> from, Span<float> to)
    {
        for (var i = 0; i < to.Length; i++)
        {
            to[i] = (float)from[i];
        }
    }

    private static void Widen(ReadOnlySpan<float> from, Span<double> to)
    {
        for (var i = 0; i < to.Length; i++)
        {
            to[i] = from[i];
        }
    }
}
