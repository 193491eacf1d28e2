namespace Tilt.Environments.Mazes;

/// <summary>A maze drawn with characters: <c>#</c> wall, <c>.</c> free, <c>R</c> start, <c>G</c> goal; row 0 first.</summary>
public sealed class MazeMap
{
    private readonly string[] _rows;

    /// <summary>A maze from its drawing.</summary>
    /// <param name="name">What it is called, such as <c>umaze</c>.</param>
    /// <param name="rows">Its rows, all of one length, closed by walls all around.</param>
    public MazeMap(string name, params string[] rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        Name = name;
        _rows = [.. rows];
        Check();
        Walls = Cells("#");
        Goal = Cells("G")[0];
        Start = Cells("R") is [var start] ? start : null;
    }

    /// <summary>What it is called.</summary>
    public string Name { get; }

    /// <summary>Number of rows.</summary>
    public int Rows => _rows.Length;

    /// <summary>Number of columns.</summary>
    public int Columns => _rows[0].Length;

    /// <summary>The wall cells, row by row.</summary>
    public IReadOnlyList<(int Row, int Column)> Walls { get; }

    /// <summary>The start's cell, where there is one.</summary>
    public (int Row, int Column)? Start { get; }

    /// <summary>The goal's cell.</summary>
    public (int Row, int Column) Goal { get; }

    /// <summary>The character of a cell; a wall beyond the edge.</summary>
    public char this[int row, int column] =>
        row < 0 || column < 0 || row >= Rows || column >= Columns ? '#' : _rows[row][column];

    /// <summary>The cells that hold one of the given characters, row by row.</summary>
    public IReadOnlyList<(int Row, int Column)> Cells(string characters)
    {
        ArgumentNullException.ThrowIfNull(characters);
        var cells = new List<(int, int)>();
        for (var row = 0; row < Rows; row++)
        {
            for (var column = 0; column < Columns; column++)
            {
                if (characters.Contains(_rows[row][column], StringComparison.Ordinal))
                {
                    cells.Add((row, column));
                }
            }
        }
        return cells;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Join('\n', _rows);

    private void Check()
    {
        var problem =
            _rows.Length == 0 || _rows[0].Length == 0 ? "it has no cells"
            : _rows.Any(row => row.Length != _rows[0].Length) ? "its rows differ in length"
            : _rows.SelectMany(row => row).FirstOrDefault(c => !"#.RG".Contains(c, StringComparison.Ordinal)) is var odd
            && odd != 0
                ? $"it has a cell '{odd}'"
            : Cells("G").Count != 1 ? $"it has {Cells("G").Count} goals"
            : Cells("R").Count > 1 ? $"it has {Cells("R").Count} starts"
            : null;
        if (problem is not null)
        {
            throw EnvironmentException.Usage(
                $"maze {Name}: {problem}; expected rows of one length of '#' (wall), '.' (free), at most one R (start) and one "
                    + "G (goal)."
            );
        }
    }
}
