namespace Tilt.Environments.Mazes;

/// <summary>D4RL's controller for <see cref="Maze2d"/>: shortest way over the cells, then a spring and a damper to each waypoint.</summary>
/// <remarks>
/// The way goes from the cell that the position rounds to, to the target's, through free neighbours; of equally short ways the
/// first by (0, −1), (0, +1), (−1, 0), (+1, 0) is taken, which is where D4RL's value iteration ends as well. Each waypoint but the
/// target is its cell's (i, j) minus U(0, 0.2) per axis. Action: 10·(waypoint − position) − velocity, clipped to ±1. A waypoint is
/// passed when the position is within 0.1 of it and moved less than 0.1 since the last call.
/// As in D4RL, a new way is planned only when the target moves to another cell, not when an episode begins: after the first episode
/// the controller runs straight at a fixed target, into walls where they are between. D4RL's reference scores were measured that
/// way; call <see cref="Forget"/> at a reset to plan anew.
/// </remarks>
public sealed class WaypointController
{
    private const double Near = 0.1;
    private const double Spring = 10;
    private const double Damper = 1;

    private static readonly (int Row, int Column)[] Moves = [(0, -1), (0, 1), (-1, 0), (1, 0)];

    private readonly MazeMap _map;
    private readonly List<(double X, double Y)> _waypoints = [];
    private (int Row, int Column)? _target;
    private (double X, double Y) _last;
    private int _next;

    /// <summary>A controller for a maze.</summary>
    public WaypointController(MazeMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        _map = map;
    }

    /// <summary>The way that is being followed: cells less their shifts, the target last.</summary>
    public IReadOnlyList<(double X, double Y)> Waypoints => _waypoints;

    /// <summary>Plans anew at the next call.</summary>
    public void Forget() => _target = null;

    /// <summary>Chooses an action.</summary>
    /// <param name="observation">Position and velocity, [4].</param>
    /// <param name="target">Where to go.</param>
    /// <param name="random">Shifts the waypoints when a way is planned.</param>
    /// <param name="action">Receives the action, [2].</param>
    /// <returns>Whether the target is reached: within 0.1, and moved less than 0.1 since the last call.</returns>
    public bool Act(
        ReadOnlySpan<double> observation,
        (double X, double Y) target,
        RandomStream random,
        Span<double> action
    )
    {
        ArgumentNullException.ThrowIfNull(random);
        var position = (X: observation[0], Y: observation[1]);
        var goal = Cell(target);
        if (_target != goal)
        {
            Plan(Cell(position), goal, random);
        }
        var slow = Distance(_last, position) < Near;
        var reached = slow && Distance(position, goal) < Near;
        var waypoint = reached ? goal : _waypoints[_next];
        action[0] = Math.Clamp(Spring * (waypoint.X - position.X) - Damper * observation[2], -1, 1);
        action[1] = Math.Clamp(Spring * (waypoint.Y - position.Y) - Damper * observation[3], -1, 1);
        if (!reached && slow && Distance(position, waypoint) < Near)
        {
            _next++;
        }
        _last = position;
        return reached;
    }

    private static (int Row, int Column) Cell((double X, double Y) position) =>
        ((int)Math.Round(position.X), (int)Math.Round(position.Y));

    private static double Distance((double X, double Y) a, (double X, double Y) b)
    {
        var (x, y) = (a.X - b.X, a.Y - b.Y);
        return Math.Sqrt(x * x + y * y);
    }

    private void Plan((int Row, int Column) start, (int Row, int Column) target, RandomStream random)
    {
        var distances = Distances(target);
        if (!distances.TryGetValue(start, out var left))
        {
            // A position beside a wall may round to the wall's cell: the way then begins at a free neighbour.
            left = Moves
                .Select(move => distances.GetValueOrDefault((start.Row + move.Row, start.Column + move.Column), -1) + 1)
                .Where(moves => moves > 0)
                .DefaultIfEmpty(-1)
                .Min();
        }
        if (left < 0)
        {
            throw EnvironmentException.Usage(
                $"waypoint controller, maze {_map.Name}: there is no way from cell {start} to cell {target}; both must be free and "
                    + "joined by free cells."
            );
        }
        _waypoints.Clear();
        for (var cell = start; left > 0; left--)
        {
            cell = Moves
                .Select(move => (cell.Row + move.Row, cell.Column + move.Column))
                .First(neighbour => distances.TryGetValue(neighbour, out var distance) && distance == left - 1);
            if (cell != target)
            {
                var (x, y) = (0.2 * random.NextDouble(), 0.2 * random.NextDouble());
                _waypoints.Add((cell.Row - x, cell.Column - y));
            }
        }
        _waypoints.Add(target);
        (_target, _last, _next) = (target, start, 0);
    }

    /// <summary>Moves from each cell to the target; cells without a way are absent.</summary>
    private Dictionary<(int Row, int Column), int> Distances((int Row, int Column) target)
    {
        var distances = new Dictionary<(int Row, int Column), int>();
        if (_map[target.Row, target.Column] == '#')
        {
            return distances;
        }
        var edge = new Queue<(int Row, int Column)>([target]);
        distances[target] = 0;
        while (edge.TryDequeue(out var cell))
        {
            foreach (var move in Moves)
            {
                var neighbour = (cell.Row + move.Row, cell.Column + move.Column);
                if (_map[neighbour.Item1, neighbour.Item2] != '#' && distances.TryAdd(neighbour, distances[cell] + 1))
                {
                    edge.Enqueue(neighbour);
                }
            }
        }
        return distances;
    }
}
