using System.Globalization;
using System.Text;

namespace Tilt.OfflineRl.Data;

/// <summary>Reads steps from a table in text: a line of column names, then a line per step.</summary>
/// <remarks>
/// UTF-8; commas, semicolons or tabs, whichever the first line has most of; decimal points; cells may stand in double quotes;
/// empty lines are skipped; columns that belong to no field may hold anything. Flags are 0, 1, true or false. What is wrong is
/// told by row and column, up to twenty places at once.
/// </remarks>
internal sealed class CsvReader : StepReader
{
    private const int MostProblems = 20;

    private readonly ByteSource _source;
    private readonly StepTable _table;
    private readonly string[] _columns;
    private readonly byte _separator;
    private readonly int[] _lines;
    private readonly List<string> _problems = [];
    private (string Place, string Found, string Expected) _first;
    private int _problemCount;

    /// <summary>Reads the first line and counts the others.</summary>
    public CsvReader(ByteSource source, StepFields fields)
    {
        _source = source;
        var lines = new TextLines(source);
        (_columns, _separator) = Header(source, lines);
        _table = new(source.Name, _columns, fields);
        var numbers = new List<int>();
        while (lines.Next())
        {
            numbers.Add(lines.Number);
        }
        _lines = [.. numbers];
        Shape = _table.Shape(ExpectCount(source.Name, "the rows", numbers.Count));
    }

    /// <inheritdoc/>
    public override void Fill(StepStorage to)
    {
        var lines = new TextLines(_source);
        lines.Next();
        var cells = new Range[_columns.Length];
        var episode = Array.Empty<byte>();
        for (var row = 0; lines.Next(); row++)
        {
            var line = lines.Current;
            var count = Split(line, cells, _separator);
            if (count != cells.Length)
            {
                Problem(
                    $"row {row + 1} (line {lines.Number})",
                    $"{count} cells",
                    $"{cells.Length}, one for each column"
                );
                continue;
            }
            for (var i = 0; i < _table.Observations.Count; i++)
            {
                to.Observations[row][i] = Number(line, cells, row, _table.Observations[i]);
            }
            for (var i = 0; i < _table.NextObservations.Count; i++)
            {
                to.NextObservations[row][i] = Number(line, cells, row, _table.NextObservations[i]);
            }
            for (var i = 0; i < _table.Actions.Count; i++)
            {
                to.Actions[row][i] = Number(line, cells, row, _table.Actions[i]);
            }
            to.Rewards[row][0] = Number(line, cells, row, _table.Reward);
            var flags = Flag(line, cells, row, _table.Terminated) ? StepStorage.TerminatedFlag : 0;
            if (_table.Truncated >= 0 && Flag(line, cells, row, _table.Truncated))
            {
                flags |= StepStorage.TruncatedFlag;
            }
            to.Flags[row] = (byte)flags;
            if (_table.Episode >= 0)
            {
                var name = Cell(line, cells[_table.Episode]);
                if (row > 0 && !name.SequenceEqual(episode))
                {
                    to.CutOff(row - 1);
                }
                if (row == 0 || !name.SequenceEqual(episode))
                {
                    episode = name.ToArray();
                }
            }
        }
        if (_table.Episode >= 0)
        {
            to.CutOff(to.Shape.Count - 1);
        }
        Report();
    }

    /// <inheritdoc/>
    public override string Place(string field, long row, int column, int columns) =>
        Place(row, _table.Source(field, column));

    /// <summary>Nothing: the source belongs to whoever opened it.</summary>
    public override void Dispose() { }

    private string Place(long row, int column) => $"row {row + 1} (line {_lines[row]}), column '{_columns[column]}'";

    private float Number(ReadOnlySpan<byte> line, Range[] cells, int row, int column)
    {
        var cell = Cell(line, cells[column]);
        if (!float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out var value))
        {
            Problem(Place(row, column), Shown(cell), "a number with a decimal point");
        }
        return value;
    }

    private bool Flag(ReadOnlySpan<byte> line, Range[] cells, int row, int column)
    {
        var cell = Cell(line, cells[column]);
        if (cell is [(byte)'0'] or [(byte)'1'])
        {
            return cell[0] == (byte)'1';
        }
        if (Ascii.EqualsIgnoreCase(cell, "true"u8) || Ascii.EqualsIgnoreCase(cell, "false"u8))
        {
            return cell.Length == 4;
        }
        if (float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value is 0 or 1)
        {
            return value == 1;
        }
        Problem(Place(row, column), Shown(cell), "0, 1, true or false");
        return false;
    }

    private void Problem(string place, string found, string expected)
    {
        if (_problemCount++ == 0)
        {
            _first = (place, found, expected);
        }
        else if (_problems.Count < MostProblems - 1)
        {
            _problems.Add($"{place}: found {found}, expected {expected}");
        }
    }

    private void Report()
    {
        if (_problemCount == 0)
        {
            return;
        }
        var more = _problemCount - 1 - _problems.Count;
        var others =
            string.Concat(_problems.Select(problem => $"\n  {problem}")) + (more > 0 ? $"\n  and {more} more" : "");
        throw new DataException(
            _source.Name,
            _first.Place,
            _first.Found,
            _first.Expected,
            "Correct the table" + (others.Length > 0 ? $"; also:{others}" : ".")
        );
    }

    private static string Shown(ReadOnlySpan<byte> cell) =>
        cell.IsEmpty ? "nothing" : $"'{Encoding.UTF8.GetString(cell[..Math.Min(40, cell.Length)])}'";

    /// <summary>The names of a table's columns.</summary>
    public static string[] Columns(ByteSource source) => Header(source, new TextLines(source)).Columns;

    private static (string[] Columns, byte Separator) Header(ByteSource source, TextLines lines)
    {
        if (!lines.Next())
        {
            throw new DataException(
                source.Name,
                "line 1",
                "an empty file",
                "a line of column names",
                "Write names such as observation_0,observation_1,action_0,reward,terminated in the first line."
            );
        }
        var first = lines.Current.StartsWith(Encoding.UTF8.Preamble) ? lines.Current[3..] : lines.Current;
        if (first.Contains((byte)0))
        {
            throw new DataException(source.Name, "line 1", "zero bytes", "text", "Pass a table in text, UTF-8.");
        }
        var separator = (byte)',';
        foreach (var candidate in ";\t"u8)
        {
            separator = first.Count(candidate) > first.Count(separator) ? candidate : separator;
        }
        var count = 1 + first.Count(separator);
        if (count > MostColumns)
        {
            throw new DataException(
                source.Name,
                "line 1",
                $"{count} columns",
                $"at most {MostColumns}",
                "Check the separators."
            );
        }
        var cells = new Range[count];
        var names = new string[Split(first, cells, separator)];
        for (var i = 0; i < names.Length; i++)
        {
            names[i] = Encoding.UTF8.GetString(Cell(first, cells[i]));
        }
        return (names, separator);
    }

    /// <summary>Cuts a line at its separators, outside of quotes. Returns the number of cells, also where there is no room for all.</summary>
    private static int Split(ReadOnlySpan<byte> line, Range[] cells, byte separator)
    {
        var (count, start, quoted) = (0, 0, false);
        for (var i = 0; i <= line.Length; i++)
        {
            if (i < line.Length && line[i] == (byte)'"')
            {
                quoted = !quoted;
            }
            else if (i == line.Length || (line[i] == separator && !quoted))
            {
                if (count < cells.Length)
                {
                    cells[count] = start..i;
                }
                count++;
                start = i + 1;
            }
        }
        return count;
    }

    private static ReadOnlySpan<byte> Cell(ReadOnlySpan<byte> line, Range range)
    {
        var cell = line[range].Trim(" \t"u8);
        return cell is [(byte)'"', .., (byte)'"'] ? cell[1..^1] : cell;
    }
}
