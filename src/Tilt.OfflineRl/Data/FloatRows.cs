namespace Tilt.OfflineRl.Data;

/// <summary>Rows × columns of float32 outside the managed heap, C order. Its owner keeps the memory alive.</summary>
internal readonly unsafe struct FloatRows
{
    /// <summary>Rows from an address on.</summary>
    public FloatRows(float* start, long rows, int columns)
    {
        Start = start;
        (Rows, Columns) = (rows, columns);
    }

    public float* Start { get; }

    public long Rows { get; }

    public int Columns { get; }

    /// <summary>One row.</summary>
    public Span<float> this[long row] =>
        (ulong)row < (ulong)Rows
            ? new(Start + (row * Columns), Columns)
            : throw new ArgumentOutOfRangeException(nameof(row), row, $"There are {Rows} rows.");

    /// <summary>The rows from one on, as many as asked.</summary>
    public FloatRows Slice(long first, long count) =>
        first >= 0 && count >= 0 && first <= Rows - count
            ? new(Start + (first * Columns), count, Columns)
            : throw new ArgumentOutOfRangeException(nameof(first), first, $"There are {Rows} rows.");
}
