using Tilt.Environments;
using Tilt.Environments.Mazes;

namespace Tilt.OfflineRl.Collection;

/// <summary>D4RL's high-level policy of AntMaze: which way to walk, from where the robot is, to come to a goal through the cells.</summary>
/// <remarks>
/// maze_env.py of D4RL. A position belongs to the cell (1 + ⌊y/4⌋, 1 + ⌊x/4⌋) counted from the start cell, coordinates below 0
/// taken as 0: cells in this sense reach from their middle to the next cell's, so that a goal, which lies 0 to 1.5 m beyond its
/// cell's middle, is always in its own. The next cell is the one before the last of a breadth-first search from the goal's cell,
/// neighbours in the order left, right, below, above. The waypoint is that cell's middle + U(0, 1) per axis, drawn anew at every
/// step, or the goal itself in the goal's cell and beside it.
/// Departure: where a position's cell in this sense is a wall, the cell that the position is really in is taken. D4RL's search goes on
/// from the wall, and may then lead a robot beside it through to the other side until the episode is over.
/// </remarks>
internal sealed class MazeNavigator
{
    private static readonly (int Row, int Column)[] Moves = [(0, -1), (0, 1), (1, 0), (-1, 0)];

    private readonly MazeMap _map;
    private readonly (int Row, int Column) _start;
    private readonly List<(int Row, int Column)> _order = [];
    private (int Row, int Column)? _target;

    public MazeNavigator(MazeMap map)
    {
        _map = map;
        _start = map.Start ?? throw EnvironmentException.Usage($"maze {map.Name}: an ant needs a start cell, R.");
    }

    /// <summary>Where to walk now.</summary>
    /// <param name="x">The robot's, m.</param>
    /// <param name="y">The robot's, m.</param>
    /// <param name="goal">Where to come to in the end, m.</param>
    /// <param name="random">Spreads the waypoints.</param>
    public (double X, double Y) Waypoint(double x, double y, (double X, double Y) goal, RandomStream random)
    {
        var target = CellOf(goal.X, goal.Y);
        if (_target != target)
        {
            Search(target);
        }
        var cell = CellOf(x, y);
        var next = Next(_map[cell.Row, cell.Column] == '#' ? CellAround(x, y) : cell) ?? target;
        if (next == target)
        {
            return goal;
        }
        var (middleX, middleY) = AntMazeGeometry.Center(_map, next.Row, next.Column);
        return (
            middleX + random.Uniform(0, 0.25 * AntMazeGeometry.Scale),
            middleY + random.Uniform(0, 0.25 * AntMazeGeometry.Scale)
        );
    }

    /// <summary>D4RL's cell of a position.</summary>
    public (int Row, int Column) CellOf(double x, double y) =>
        (
            _start.Row + (int)(Math.Max(y, 1e-4) / AntMazeGeometry.Scale),
            _start.Column + (int)(Math.Max(x, 1e-4) / AntMazeGeometry.Scale)
        );

    private (int Row, int Column) CellAround(double x, double y) =>
        (
            _start.Row + (int)Math.Round(y / AntMazeGeometry.Scale),
            _start.Column + (int)Math.Round(x / AntMazeGeometry.Scale)
        );

    /// <summary>The neighbour that the search met first; itself at the target; null without a free neighbour.</summary>
    private (int Row, int Column)? Next((int Row, int Column) cell)
    {
        foreach (var met in _order)
        {
            if (met == cell && met == _target)
            {
                return met;
            }
            if (Math.Abs(met.Row - cell.Row) + Math.Abs(met.Column - cell.Column) == 1)
            {
                return met;
            }
        }
        return null;
    }

    private void Search((int Row, int Column) target)
    {
        _order.Clear();
        _order.Add(target);
        var seen = new HashSet<(int Row, int Column)> { target };
        for (var i = 0; i < _order.Count; i++)
        {
            foreach (var move in Moves)
            {
                var cell = (Row: _order[i].Row + move.Row, Column: _order[i].Column + move.Column);
                if (_map[cell.Row, cell.Column] != '#' && seen.Add(cell))
                {
                    _order.Add(cell);
                }
            }
        }
        _target = target;
    }
}
