using PureHDF.VOL.Native;

namespace Tilt.OfflineRl.Data;

/// <summary>Keeps the one chunk that is being written: rows come in order, so whoever asks for another is done with it.</summary>
/// <remarks>
/// PureHDF's own cache keeps every chunk until the file is closed, in memory as large as the data. What is left when the file is closed
/// is handed to a writer that refuses it (PureHDF 2.2), so <see cref="Finish"/> comes before.
/// </remarks>
internal sealed class LastChunk : IWritingChunkCache
{
    private ulong? _index;
    private Memory<byte> _chunk;
    private Action<ulong, Memory<byte>>? _writer;

    /// <inheritdoc/>
    public Memory<byte> GetChunk(
        ulong chunkIndex,
        Func<Memory<byte>> chunkAllocator,
        Action<ulong, Memory<byte>> chunkWriter
    )
    {
        if (_index != chunkIndex)
        {
            Finish();
            _chunk = _chunk.IsEmpty ? chunkAllocator() : _chunk;
            _chunk.Span.Clear();
            (_index, _writer) = (chunkIndex, chunkWriter);
        }
        return _chunk;
    }

    /// <summary>Writes the chunk that is kept.</summary>
    public void Finish()
    {
        if (_index is { } index)
        {
            _writer!(index, _chunk);
            _index = null;
        }
    }

    /// <summary>Nothing: see <see cref="Finish"/>.</summary>
    public void Flush(Action<ulong, Memory<byte>> chunkWriter) { }
}
