using Tilt.Environments;
using Tilt.Environments.Mazes;

namespace Tilt.OfflineRl.Collection;

/// <summary>How starts and goals are drawn while data are collected.</summary>
internal enum MazeSpread
{
    /// <summary>From the start cell to the goal cell: antmaze-umaze.</summary>
    Fixed,

    /// <summary>From any free cell to one of D4RL's chosen goal cells: play.</summary>
    Play,

    /// <summary>From any free cell to any free cell: diverse.</summary>
    Diverse,
}

/// <summary>Collects walks through a maze by D4RL's protocol of AntMaze.</summary>
/// <remarks>
/// generate_ant_maze_datasets.py and relabel_antmaze_rewards.py of D4RL (Fu et al. 2020): a goal-reaching policy is led from waypoint
/// to waypoint (<see cref="MazeNavigator"/>); it sees the waypoint's direction at a length of 10 m, whatever the distance. Actions
/// get noise 0.2·N(0, 1) and are clipped to [−1, 1]. An episode has one row more than the task's limit of steps and does not end at its
/// goal. Afterwards rewards and terminals are relabelled for one goal drawn in the evaluation's goal cell: 1 where the next position is
/// within 0.5 m of it.
/// Departures: at the last row of an episode the next position is the one the step led to, where D4RL's relabelling takes the next
/// episode's first; infos/qpos and infos/qvel are the state that the observation shows, where D4RL's script stores the one after; the
/// large maze has its evaluation's walls, one fewer than D4RL's collecting map.
/// </remarks>
internal sealed class AntMazeCollector
{
    private const double Noise = 0.2;
    private const double Direction = 10;
    private const double GoalRadius = 0.5;
    private const int EpisodesPerPart = 5;

    private readonly EnvironmentTask _task;
    private readonly MazeMap _map;
    private readonly MazeSpread _spread;
    private readonly Func<IMazeBody> _body;
    private readonly List<(int Row, int Column)> _goals;
    private readonly List<(int Row, int Column)> _starts;

    /// <param name="task">Names the data and limits the episodes.</param>
    /// <param name="map">The maze.</param>
    /// <param name="spread">How starts and goals are drawn.</param>
    /// <param name="chosen">Play's goal cells; empty for the others.</param>
    /// <param name="body">Makes what walks.</param>
    public AntMazeCollector(
        EnvironmentTask task,
        MazeMap map,
        MazeSpread spread,
        IReadOnlyList<(int Row, int Column)> chosen,
        Func<IMazeBody> body
    )
    {
        (_task, _map, _spread, _body) = (task, map, spread, body);
        var free = map.Cells(".RG");
        _goals = spread switch
        {
            MazeSpread.Fixed => [map.Goal],
            MazeSpread.Play => [.. chosen],
            _ => [.. free],
        };
        // D4RL starts nowhere in its goal cells; where every cell may be the goal, everywhere.
        _starts = spread == MazeSpread.Diverse ? [.. free] : [.. free.Except(_goals)];
    }

    /// <summary>Rows of an episode: D4RL's script looks at the limit one step late.</summary>
    private int EpisodeRows => _task.MaximumSteps + 1;

    /// <summary>Collects.</summary>
    /// <param name="request">How much, from which seed.</param>
    /// <param name="policy">Walks.</param>
    public CollectedSteps Collect(CollectionRequest request, GoalPolicy policy)
    {
        var steps = new CollectedSteps(request.Size, _task.ObservationSize, _task.ActionSize);
        int positions,
            velocities;
        using (var body = _body())
        {
            (positions, velocities) = (body.Position.Length, body.Velocity.Length);
        }
        var goals = steps.With("infos/goal", 2);
        var qpos = steps.With("infos/qpos", positions);
        var qvel = steps.With("infos/qvel", velocities);
        var rewarded = Draw(_map.Goal, new RandomStream(request.Seed, $"{_task.Name}/relabelled goal"));
        steps.Notes["relabelled_goal"] = FormattableString.Invariant($"{rewarded.X:R}, {rewarded.Y:R}");

        void Fill(int part, int first, int count, Action stepped)
        {
            using var body = _body();
            var navigator = new MazeNavigator(_map);
            var starts = new RandomStream(request.Seed, $"{_task.Name}/{part}/starts");
            var ends = new RandomStream(request.Seed, $"{_task.Name}/{part}/goals");
            var ways = new RandomStream(request.Seed, $"{_task.Name}/{part}/waypoints");
            var acts = new RandomStream(request.Seed, $"{_task.Name}/{part}/actions");
            var (s, a) = (_task.ObservationSize, _task.ActionSize);
            var sight = new float[s];
            var goal = (X: 0.0, Y: 0.0);
            for (var (row, age) = (first, 0); row < first + count; row++, age++)
            {
                if (age == 0)
                {
                    goal = Draw(_goals[ends.Integer(_goals.Count)], ends);
                    body.Start(starts, _spread == MazeSpread.Fixed ? null : DrawStart(starts));
                }
                var seen = steps.Observations.AsSpan(row * s, s);
                Narrow(body.Observation, seen);
                Narrow(body.Position, qpos.AsSpan(row * positions, positions));
                Narrow(body.Velocity, qvel.AsSpan(row * velocities, velocities));
                (goals[2 * row], goals[2 * row + 1]) = ((float)goal.X, (float)goal.Y);

                var (x, y) = (body.Observation[0], body.Observation[1]);
                var waypoint = navigator.Waypoint(x, y, goal, ways);
                seen[2..].CopyTo(sight);
                Point(waypoint.X - x, waypoint.Y - y, sight.AsSpan(s - 2));
                var action = steps.Actions.AsSpan(row * a, a);
                policy(sight, acts, action);
                foreach (ref var component in action)
                {
                    component = (float)Math.Clamp(component + (Noise * acts.Normal()), -1, 1);
                }
                body.Step(action);

                var (dx, dy) = (body.Observation[0] - rewarded.X, body.Observation[1] - rewarded.Y);
                var there = Math.Sqrt((dx * dx) + (dy * dy)) <= GoalRadius;
                (steps.Rewards[row], steps.Terminated[row]) = (there ? 1 : 0, there);
                if (age + 1 == EpisodeRows)
                {
                    steps.Truncated[row] = true;
                    age = -1;
                }
                stepped();
            }
            steps.Truncated[first + count - 1] = true;
        }

        Parts.Run(request, EpisodesPerPart * EpisodeRows, Fill);
        return steps;
    }

    /// <summary>A cell's middle + U(0, 1) + U(0, 0.5) per axis, not below 0: where D4RL puts goals.</summary>
    private (double X, double Y) Draw((int Row, int Column) cell, RandomStream random)
    {
        var (x, y) = AntMazeGeometry.Center(_map, cell.Row, cell.Column);
        double Near(double middle) => Math.Max(middle + random.Uniform(0, 1) + random.Uniform(0, 0.5), 0);
        return (Near(x), Near(y));
    }

    /// <summary>A free cell's middle + U(0, 1) per axis, not below 0: where D4RL puts the robot.</summary>
    private (double X, double Y) DrawStart(RandomStream random)
    {
        var (row, column) = _starts[random.Integer(_starts.Count)];
        var (x, y) = AntMazeGeometry.Center(_map, row, column);
        return (Math.Max(x + random.Uniform(0, 1), 0), Math.Max(y + random.Uniform(0, 1), 0));
    }

    /// <summary>The direction at D4RL's length; nothing where there is no direction.</summary>
    private static void Point(double x, double y, Span<float> into)
    {
        var length = Math.Sqrt((x * x) + (y * y));
        var scale = length > 0 ? Direction / length : 0;
        (into[0], into[1]) = ((float)(x * scale), (float)(y * scale));
    }

    private static void Narrow(ReadOnlySpan<double> from, Span<float> to)
    {
        for (var i = 0; i < to.Length; i++)
        {
            to[i] = (float)from[i];
        }
    }
}
