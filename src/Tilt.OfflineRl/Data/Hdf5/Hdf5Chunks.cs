using System.Runtime.ExceptionServices;

namespace Tilt.OfflineRl.Data.Hdf5;

/// <summary>One stored chunk: where its first element belongs, and where its bytes lie.</summary>
internal readonly record struct Hdf5Chunk(long Row, long Column, long Address, long Stored, uint Mask);

/// <summary>An array stored in chunks: every chunk of its grid found once, none overlapping another.</summary>
/// <remarks>
/// The indices of layout 3 (a B-tree) and of layout 4 for arrays of fixed shape (a single chunk, implicit, a fixed array) are known.
/// Since chunks share no bytes of the file and deflate expands at most 1032-fold, what is decoded is bounded by the file's length.
/// </remarks>
internal sealed class Hdf5Chunks
{
    private const int DeepestTree = 16;

    private readonly Hdf5Metadata _metadata;
    private readonly string _field;
    private readonly Hdf5Filters _filters;
    private readonly long[] _shape;
    private readonly long[] _size;
    private readonly int _chunkBytes;
    private readonly List<Hdf5Chunk> _chunks = [];

    private Hdf5Chunks(Hdf5Metadata metadata, string field, Hdf5Filters filters, long[] shape, long[] size, int bytes)
    {
        (_metadata, _field, _filters, _shape, _size, _chunkBytes) = (metadata, field, filters, shape, size, bytes);
    }

    private long Rows => _shape[0];

    private long Columns => _shape.Length > 1 ? _shape[1] : 1;

    private long ChunkRows => _size[0];

    private long ChunkColumns => _size.Length > 1 ? _size[1] : 1;

    /// <summary>Reads the rest of a chunked layout message and finds all chunks.</summary>
    public static Hdf5Chunks Parse(
        Hdf5Metadata metadata,
        ref Hdf5Cursor cursor,
        int version,
        long[] shape,
        int elementSize,
        Hdf5Filters filters,
        string field
    )
    {
        var flags = version == 4 ? cursor.Byte() : 0;
        var dimensions = cursor.Byte();
        var address = version == 3 ? cursor.Offset() : -1;
        var width = version == 3 ? 4 : cursor.Byte();
        if (dimensions != shape.Length + 1 || width is 0 or > 8)
        {
            throw metadata.Damage(
                field,
                $"chunks of {dimensions - 1} axes in an array of {shape.Length}",
                "the same number of axes"
            );
        }
        if (shape.Length is 0 or > 2)
        {
            throw metadata.Unsupported(
                field,
                $"a chunked array of shape {StoredArray.Describe(shape)}",
                "one or two axes"
            );
        }
        var size = new long[shape.Length];
        UInt128 bytes = (uint)elementSize;
        for (var i = 0; i < size.Length; i++)
        {
            size[i] = (long)Math.Min(cursor.Number(width), int.MaxValue);
            bytes *= (ulong)size[i];
        }
        cursor.Number(width);
        if (bytes == 0 || bytes > int.MaxValue / 2)
        {
            throw metadata.Damage(field, $"chunks of shape {StoredArray.Describe(size)}", "chunks of 1 byte to 1 GB");
        }
        var chunks = new Hdf5Chunks(metadata, field, filters, shape, size, (int)bytes);
        if (chunks.GridCount == 0)
        {
            return chunks;
        }
        if (version == 3)
        {
            chunks.Tree(address, [], DeepestTree);
        }
        else
        {
            chunks.Index(ref cursor, flags);
        }
        chunks.Check();
        return chunks;
    }

    /// <summary>Decodes all chunks into rows × columns of float32.</summary>
    public void ReadFloats(ElementType type, FloatRows to, int workers)
    {
        if (workers <= 1 || _chunks.Count < 2)
        {
            var buffers = new Buffers(_chunkBytes);
            foreach (var chunk in _chunks)
            {
                Decode(chunk, type, to, buffers);
            }
            return;
        }
        try
        {
            Parallel.ForEach(
                _chunks,
                new ParallelOptions { MaxDegreeOfParallelism = workers },
                () => new Buffers(_chunkBytes),
                (chunk, _, buffers) =>
                {
                    Decode(chunk, type, to, buffers);
                    return buffers;
                },
                _ => { }
            );
        }
        catch (AggregateException e)
        {
            // Which of several damaged chunks is met first depends on the threads; the caller sees one of them.
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
    }

    private long GridRows => (Rows + ChunkRows - 1) / ChunkRows;

    private long GridColumns => (Columns + ChunkColumns - 1) / ChunkColumns;

    private Int128 GridCount => (Int128)GridRows * GridColumns;

    private void Decode(Hdf5Chunk chunk, ElementType type, FloatRows to, Buffers buffers)
    {
        var stored = buffers.Stored((int)chunk.Stored);
        _metadata.Data(chunk.Address, stored.Span, _field);
        _filters.Undo(_metadata, _field, stored, chunk.Mask, buffers.Chunk, buffers.Spare);

        var rows = (int)Math.Min(ChunkRows, Rows - chunk.Row);
        var columns = (int)Math.Min(ChunkColumns, Columns - chunk.Column);
        var rowBytes = (int)ChunkColumns * type.Size;
        for (var i = 0; i < rows; i++)
        {
            var from = buffers.Chunk.Span.Slice(i * rowBytes, columns * type.Size);
            type.Widen(from, to[chunk.Row + i].Slice((int)chunk.Column, columns));
        }
    }

    /// <summary>Walks the B-tree of layout 3.</summary>
    private void Tree(long node, HashSet<long> visited, int depth)
    {
        if (node < 0)
        {
            throw NotWritten();
        }
        if (!visited.Add(node) || depth < 0)
        {
            throw _metadata.Damage(_field, "a chunk tree that refers to itself", "a tree");
        }
        var prefixSize = 8 + (2 * _metadata.OffsetSize);
        var prefix = _metadata.Block(node, prefixSize, _field);
        _metadata.ExpectSignature(prefix, "TREE"u8, _field);
        var (type, level, used) = (prefix[4], prefix[5], BitConverter.ToUInt16(prefix, 6));
        if (type != 1)
        {
            throw _metadata.Damage(_field, "a tree of names", "a tree of chunks");
        }
        var keySize = 8 + (8 * (_size.Length + 1));
        var body = _metadata.Block(node + prefixSize, (long)used * (keySize + _metadata.OffsetSize), _field);
        var cursor = new Hdf5Cursor(body, _metadata, _field);
        for (var i = 0; i < used; i++)
        {
            var (stored, mask) = (cursor.UInt32(), cursor.UInt32());
            var row = cursor.Number(8);
            var column = _size.Length > 1 ? cursor.Number(8) : 0;
            cursor.Skip(8);
            var child = cursor.Offset();
            if (level > 0)
            {
                Tree(child, visited, depth - 1);
            }
            else
            {
                Add(row, column, child, stored, mask);
            }
        }
    }

    /// <summary>Reads the index of layout 4.</summary>
    private void Index(ref Hdf5Cursor cursor, int flags)
    {
        const int singleChunk = 1;
        const int implicitIndex = 2;
        const int fixedArray = 3;
        var kind = cursor.Byte();
        switch (kind)
        {
            case singleChunk:
                const int filtered = 2;
                var (stored, mask) = (flags & filtered) != 0 ? (cursor.Length(), cursor.UInt32()) : (_chunkBytes, 0u);
                Add(0, 0, cursor.Offset(), stored, mask);
                break;
            case implicitIndex:
                var start = cursor.Offset();
                ExpectCountFits();
                for (var i = 0L; i < (long)GridCount; i++)
                {
                    AddAt(i, start < 0 ? -1 : start + (i * _chunkBytes), _chunkBytes, 0);
                }
                break;
            case fixedArray:
                cursor.Skip(1);
                FixedArray(cursor.Offset());
                break;
            default:
                var name =
                    kind == 4 ? "an extensible array"
                    : kind == 5 ? "a newer B-tree"
                    : $"index {kind}";
                throw _metadata.Unsupported(
                    _field,
                    $"chunks indexed by {name}, as for growing arrays of the newest format",
                    "chunks of an array of fixed shape"
                );
        }
    }

    private void FixedArray(long address)
    {
        if (address < 0)
        {
            throw NotWritten();
        }
        var header = _metadata.Block(address, 8 + _metadata.LengthSize + _metadata.OffsetSize + 4, _field);
        _metadata.ExpectSignature(header, "FAHD"u8, _field);
        _metadata.ExpectChecksum(header, _field);
        var cursor = new Hdf5Cursor(header, _metadata, _field);
        cursor.Skip(4);
        var (version, client, entrySize, pageBits) = (cursor.Byte(), cursor.Byte(), cursor.Byte(), cursor.Byte());
        var (count, data) = (cursor.Length(), cursor.Offset());
        var sizeWidth = entrySize - _metadata.OffsetSize - 4;
        if (
            version != 0
            || count != GridCount
            || client > 1
            || pageBits > 30
            || (client == 0 ? entrySize != _metadata.OffsetSize : sizeWidth is < 1 or > 8)
        )
        {
            throw _metadata.Damage(
                _field,
                $"a chunk list of version {version} with {count} entries of {entrySize} bytes",
                $"version 0 with {GridCount} entries"
            );
        }
        ExpectCountFits();
        var perPage = 1L << pageBits;
        var pages = count > perPage ? (count + perPage - 1) / perPage : 0;
        var prefixSize = 6 + _metadata.OffsetSize + ((pages + 7) / 8);
        var entries = pages == 0 ? count * entrySize : 0;
        var block = _metadata.Block(data, prefixSize + entries + 4, _field);
        _metadata.ExpectSignature(block, "FADB"u8, _field);
        _metadata.ExpectChecksum(block, _field);
        if (pages == 0)
        {
            Entries(block.AsSpan((int)prefixSize, (int)entries), 0, client, sizeWidth);
            return;
        }
        var at = data + prefixSize + 4;
        for (var page = 0L; page < pages; page++)
        {
            var inPage = Math.Min(perPage, count - (page * perPage));
            var written = (block[6 + _metadata.OffsetSize + (page / 8)] & (0x80 >> (int)(page % 8))) != 0;
            if (!written)
            {
                throw NotWritten();
            }
            var bytes = _metadata.Block(at, (inPage * entrySize) + 4, _field);
            _metadata.ExpectChecksum(bytes, _field);
            Entries(bytes.AsSpan(0, bytes.Length - 4), page * perPage, client, sizeWidth);
            at += bytes.Length;
        }
    }

    private void Entries(ReadOnlySpan<byte> bytes, long first, int client, int sizeWidth)
    {
        var cursor = new Hdf5Cursor(bytes, _metadata, _field);
        for (var i = first; cursor.Remaining > 0; i++)
        {
            var address = cursor.Offset();
            if (client == 0)
            {
                AddAt(i, address, _chunkBytes, 0);
            }
            else
            {
                var stored = cursor.Number(sizeWidth);
                AddAt(i, address, (long)Math.Min(stored, long.MaxValue / 4), cursor.UInt32());
            }
        }
    }

    /// <summary>Every entry takes a byte of the file at least, so a grid with more chunks than bytes is damage.</summary>
    private void ExpectCountFits()
    {
        if (GridCount > _metadata.FileLength)
        {
            throw TooFew(0);
        }
    }

    private void AddAt(long index, long address, long stored, uint mask) =>
        Add(
            (ulong)(index / GridColumns * ChunkRows),
            (ulong)(index % GridColumns * ChunkColumns),
            address,
            stored,
            mask
        );

    private void Add(ulong row, ulong column, long address, long stored, uint mask)
    {
        if (address < 0)
        {
            throw NotWritten();
        }
        var outside = row >= (ulong)Rows || column >= (ulong)Columns;
        if (outside || row % (ulong)ChunkRows != 0 || column % (ulong)ChunkColumns != 0)
        {
            throw _metadata.Damage(
                _field,
                $"a chunk at ({row}, {column}) of the shape {StoredArray.Describe(_shape)}",
                $"chunks at multiples of {StoredArray.Describe(_size)} inside it"
            );
        }
        var most = _filters.Compresses ? (_chunkBytes / Hdf5Filters.MostExpansion) - 64 : _chunkBytes;
        if (address > _metadata.FileLength - stored || stored < most || (!_filters.Any && stored != _chunkBytes))
        {
            throw _metadata.Damage(
                _field,
                $"a chunk of {_chunkBytes} bytes stored as {stored} at {address}",
                $"bytes that a file of {_metadata.FileLength} can hold and that make the chunk"
            );
        }
        _chunks.Add(new((long)row, (long)column, address, stored, mask));
    }

    /// <summary>The whole grid, each place once, no bytes twice.</summary>
    private void Check()
    {
        var places = new HashSet<(long, long)>(_chunks.Select(chunk => (chunk.Row, chunk.Column)));
        if (places.Count != _chunks.Count || _chunks.Count != GridCount)
        {
            throw TooFew(places.Count);
        }
        _chunks.Sort((a, b) => a.Address.CompareTo(b.Address));
        for (var i = 1; i < _chunks.Count; i++)
        {
            if (_chunks[i].Address < _chunks[i - 1].Address + _chunks[i - 1].Stored)
            {
                throw _metadata.Damage(_field, $"two chunks that share bytes at {_chunks[i].Address}", "chunks apart");
            }
        }
    }

    private DataException TooFew(int found) =>
        _metadata.Damage(
            _field,
            $"{found} different chunks for the shape {StoredArray.Describe(_shape)}",
            $"{GridCount} chunks of {StoredArray.Describe(_size)}"
        );

    private DataException NotWritten() =>
        _metadata.Damage(_field, "chunks that were never written", $"all {GridCount} chunks");

    private sealed class Buffers(int chunkBytes)
    {
        private byte[] _stored = [];

        public Memory<byte> Chunk { get; } = new byte[chunkBytes];

        public Memory<byte> Spare { get; } = new byte[chunkBytes];

        public Memory<byte> Stored(int length)
        {
            if (_stored.Length < length)
            {
                _stored = new byte[length];
            }
            return _stored.AsMemory(0, length);
        }
    }
}
