namespace Tilt.OfflineRl.Data;

/// <summary>Reads steps from an array file in which every column is an array of N numbers under its own name.</summary>
internal sealed class ColumnReader : StepReader
{
    private readonly IArrayFile _file;
    private readonly StepArrays _arrays;
    private readonly List<StoredArray> _columns;
    private readonly StepTable _table;

    /// <summary>Finds the columns and checks their types and lengths. The reader owns the file.</summary>
    public ColumnReader(IArrayFile file, StepFields fields)
    {
        (_file, _arrays) = (file, new(file));
        var names = file.Names.Where(IsColumn).ToList();
        _columns = [.. names.Select(file.Array)];
        _table = new(file.Name, names, fields);
        var like = _columns[_table.Reward];
        foreach (var column in _table.Used)
        {
            _arrays.ExpectRows(_arrays.Column(_columns[column].Name), like);
        }
        Shape = _table.Shape(ExpectCount(file.Name, like.Name, like.Shape[0]));
    }

    /// <inheritdoc/>
    public override void Fill(StepStorage to)
    {
        Spread(_table.Observations, to.Observations);
        Spread(_table.NextObservations, to.NextObservations);
        Spread(_table.Actions, to.Actions);
        Spread([_table.Reward], to.Rewards);
        _arrays.SetFlags(_columns[_table.Terminated], to, StepStorage.TerminatedFlag);
        _arrays.SetFlags(_table.Truncated < 0 ? null : _columns[_table.Truncated], to, StepStorage.TruncatedFlag);
        if (_table.Episode < 0)
        {
            return;
        }
        var episodes = StepArrays.Values(_columns[_table.Episode], to.Shape.Count);
        for (var i = 0; i < episodes.Length; i++)
        {
            if (i + 1 == episodes.Length || episodes[i + 1] != episodes[i])
            {
                to.CutOff(i);
            }
        }
    }

    /// <inheritdoc/>
    public override string Place(string field, long row, int column, int columns) =>
        $"{_columns[_table.Source(field, column)].Name}[{row}]";

    /// <inheritdoc/>
    public override void Dispose() => _file.Dispose();

    private bool IsColumn(string name)
    {
        try
        {
            return _file.Array(name).Shape is [_] or [_, 1];
        }
        catch (DataException)
        {
            // An array that cannot be read matters only where it is wanted, and then it is missed by name.
            return false;
        }
    }

    private void Spread(IReadOnlyList<int> columns, FloatRows rows)
    {
        for (var j = 0; j < columns.Count; j++)
        {
            var values = StepArrays.Values(_columns[columns[j]], (int)rows.Rows);
            for (var i = 0; i < values.Length; i++)
            {
                rows[i][j] = values[i];
            }
        }
    }
}
