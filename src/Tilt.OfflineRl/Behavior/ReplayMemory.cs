using System.Runtime.InteropServices;

namespace Tilt.OfflineRl.Behavior;

/// <summary>All steps that a training has taken, in order, and minibatches drawn from the latest of them.</summary>
/// <remarks>
/// A row is s, a, r, terminated (1 or 0), s′, float32. Rows are kept in memory and, where a file is given, appended to it: a checkpoint
/// then only notes how many rows count and their checksum, however large the memory is. Rows beyond the checkpoint's are cut off
/// when the run goes on.
/// </remarks>
internal sealed class ReplayMemory : IDisposable
{
    private const int ChunkRows = 1 << 14;
    private const ulong ChecksumSeed = 0x9e3779b97f4a7c15;

    private readonly List<float[]> _chunks = [];
    private readonly int _observations;
    private readonly int _actions;
    private readonly int _row;
    private readonly long _capacity;
    private readonly FileStream? _file;
    private ulong _checksum = ChecksumSeed;

    /// <summary>An empty memory.</summary>
    /// <param name="observations">S.</param>
    /// <param name="actions">A.</param>
    /// <param name="capacity">How many of the latest rows minibatches are drawn from.</param>
    /// <param name="file">Where rows are kept for a run that goes on; null for nowhere.</param>
    public ReplayMemory(int observations, int actions, long capacity, string? file = null)
    {
        (_observations, _actions, _capacity) = (observations, actions, capacity);
        _row = 2 * observations + actions + 2;
        if (file is not null)
        {
            _file = new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, 1 << 20);
        }
    }

    /// <summary>Rows.</summary>
    public long Count { get; private set; }

    /// <summary>A checksum of all rows in order.</summary>
    public long Checksum => (long)_checksum;

    /// <summary>Adds a step.</summary>
    public void Add(
        ReadOnlySpan<float> observation,
        ReadOnlySpan<float> action,
        float reward,
        bool terminated,
        ReadOnlySpan<float> nextObservation
    )
    {
        if (Count == 0)
        {
            // What a start that never reached a checkpoint left behind.
            _file?.SetLength(0);
        }
        var row = NewRow();
        observation.CopyTo(row);
        action.CopyTo(row[_observations..]);
        row[_observations + _actions] = reward;
        row[_observations + _actions + 1] = terminated ? 1 : 0;
        nextObservation.CopyTo(row[(_observations + _actions + 2)..]);
        Took(row);
        _file?.Write(MemoryMarshal.AsBytes(row));
    }

    /// <summary>Brings what was added to the disk, before a checkpoint counts on it.</summary>
    public void Flush() => _file?.Flush(flushToDisk: true);

    /// <summary>Goes back to a checkpoint: reads its rows from the file and forgets later ones.</summary>
    /// <param name="count">Rows that the checkpoint has.</param>
    /// <param name="checksum">Their checksum.</param>
    /// <exception cref="TiltException">The file lacks rows or holds others.</exception>
    public void Restore(long count, long checksum)
    {
        if (count == Count && checksum == Checksum)
        {
            return;
        }
        var file = _file ?? throw new InvalidOperationException("A memory without a file cannot be restored.");
        if (file.Length < count * _row * sizeof(float))
        {
            throw new TiltException(
                $"{file.Name}: {file.Length} bytes; the checkpoint counts on {count} steps of {_row * sizeof(float)} bytes. The file was cut "
                    + "or replaced; begin a new run."
            );
        }
        _chunks.Clear();
        (Count, _checksum) = (0, ChecksumSeed);
        file.Position = 0;
        while (Count < count)
        {
            var row = NewRow();
            file.ReadExactly(MemoryMarshal.AsBytes(row));
            Took(row);
        }
        if (Checksum != checksum)
        {
            throw new TiltException(
                $"{file.Name}: the first {count} steps are not those that the checkpoint was made with; begin a new run."
            );
        }
        file.SetLength(file.Position);
    }

    /// <summary>How many rows minibatches are drawn from.</summary>
    public long Drawable => Math.Min(Count, _capacity);

    /// <summary>Gathers a minibatch.</summary>
    /// <param name="indices">Which rows, counted from the oldest that may be drawn, each below <see cref="Drawable"/>, [B].</param>
    /// <param name="stateAction">Receives s and a side by side, [B, S + A].</param>
    /// <param name="reward">Receives r, [B].</param>
    /// <param name="terminated">Receives 1 or 0, [B].</param>
    /// <param name="next">Receives s′, [B, S].</param>
    public void Gather(
        ReadOnlySpan<long> indices,
        Span<float> stateAction,
        Span<float> reward,
        Span<float> terminated,
        Span<float> next
    )
    {
        var first = Count - Drawable;
        var both = _observations + _actions;
        for (var i = 0; i < indices.Length; i++)
        {
            var row = Row(first + indices[i]);
            row[..both].CopyTo(stateAction[(i * both)..]);
            reward[i] = row[both];
            terminated[i] = row[both + 1];
            row[(both + 2)..].CopyTo(next[(i * _observations)..]);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();

    private Span<float> Row(long index) =>
        _chunks[(int)(index / ChunkRows)].AsSpan((int)(index % ChunkRows) * _row, _row);

    private Span<float> NewRow()
    {
        if (Count == (long)_chunks.Count * ChunkRows)
        {
            _chunks.Add(new float[ChunkRows * _row]);
        }
        return Row(Count);
    }

    private void Took(ReadOnlySpan<float> row)
    {
        Count++;
        foreach (var word in MemoryMarshal.Cast<float, uint>(row))
        {
            _checksum = ulong.RotateLeft((_checksum ^ word) * 0x9fb21c651e98df25, 29);
        }
    }
}
