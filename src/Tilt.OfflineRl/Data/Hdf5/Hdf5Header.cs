namespace Tilt.OfflineRl.Data.Hdf5;

/// <summary>One message of an object header: its type and where its bytes lie.</summary>
internal readonly record struct Hdf5Message(int Type, int Flags, ReadOnlyMemory<byte> Body);

/// <summary>The messages of an object's header, versions 1 and 2, with their continuations.</summary>
internal sealed class Hdf5Header
{
    private const int MostBlocks = 256;
    private const int MostBytes = 4 << 20;

    private readonly List<Hdf5Message> _messages = [];

    /// <summary>The object's path, for errors.</summary>
    public string Field { get; }

    private Hdf5Header(string field)
    {
        Field = field;
    }

    /// <summary>All messages in the order they stand in.</summary>
    public IReadOnlyList<Hdf5Message> Messages => _messages;

    /// <summary>The first message of a type, or null.</summary>
    public Hdf5Message? Find(int type)
    {
        foreach (var message in _messages)
        {
            if (message.Type == type)
            {
                return message;
            }
        }
        return null;
    }

    /// <summary>Reads the header at an address.</summary>
    public static Hdf5Header Read(Hdf5Metadata metadata, long address, string field)
    {
        var header = new Hdf5Header(field);
        var start = metadata.Block(address, Math.Min(24, Math.Max(0, metadata.FileLength - address)), field);
        var newer = start.AsSpan().StartsWith("OHDR"u8);
        var blocks = new Queue<(long Offset, long Length)>();
        var (trackOrder, total) = newer
            ? header.First2(metadata, address, start, blocks)
            : header.First1(metadata, address, start, blocks);
        var visited = new HashSet<long> { address };
        while (blocks.TryDequeue(out var block))
        {
            total += block.Length;
            if (!visited.Add(block.Offset) || visited.Count > MostBlocks || total > MostBytes)
            {
                throw metadata.Damage(field, "a header whose parts refer to each other", "a header that ends");
            }
            var bytes = metadata.Block(block.Offset, block.Length, field);
            if (newer)
            {
                if (bytes.Length < 8)
                {
                    throw metadata.Damage(field, $"a header part of {bytes.Length} bytes", "at least 8");
                }
                metadata.ExpectSignature(bytes, "OCHK"u8, field);
                metadata.ExpectChecksum(bytes, field);
                header.Messages2(metadata, bytes.AsMemory(4, bytes.Length - 8), trackOrder, blocks);
            }
            else
            {
                header.Messages1(metadata, bytes, blocks);
            }
        }
        return header;
    }

    private (bool TrackOrder, long Total) First1(
        Hdf5Metadata metadata,
        long address,
        byte[] start,
        Queue<(long, long)> blocks
    )
    {
        var cursor = new Hdf5Cursor(start, metadata, Field);
        var version = cursor.Byte();
        if (version != 1)
        {
            throw metadata.Damage(Field, $"an object header of version {version}", "version 1 or 2");
        }
        cursor.Skip(7);
        var size = cursor.UInt32();
        Messages1(metadata, metadata.Block(address + 16, size, Field), blocks);
        return (false, size);
    }

    private (bool TrackOrder, long Total) First2(
        Hdf5Metadata metadata,
        long address,
        byte[] start,
        Queue<(long, long)> blocks
    )
    {
        var flags = start.Length > 5 ? start[5] : 0;
        var prefix = 6 + ((flags & 0x20) != 0 ? 16 : 0) + ((flags & 0x10) != 0 ? 4 : 0);
        var sizeBytes = 1 << (flags & 3);
        var opening = metadata.Block(address, prefix + sizeBytes, Field);
        var cursor = new Hdf5Cursor(opening, metadata, Field);
        cursor.Skip(4);
        if (cursor.Byte() is var version && version != 2)
        {
            throw metadata.Damage(Field, $"an object header of version {version}", "version 1 or 2");
        }
        cursor.Skip(prefix - 5);
        var size = cursor.Number(sizeBytes);
        if (size > MostBytes)
        {
            throw metadata.Damage(Field, $"an object header of {size} bytes", $"at most {MostBytes}");
        }
        var whole = metadata.Block(address, opening.Length + (long)size + 4, Field);
        metadata.ExpectChecksum(whole, Field);
        var trackOrder = (flags & 4) != 0;
        Messages2(metadata, whole.AsMemory(opening.Length, (int)size), trackOrder, blocks);
        return (trackOrder, (long)size);
    }

    private void Messages1(Hdf5Metadata metadata, ReadOnlyMemory<byte> block, Queue<(long, long)> blocks)
    {
        var cursor = new Hdf5Cursor(block.Span, metadata, Field);
        while (cursor.Remaining >= 8)
        {
            var (type, size, flags) = (cursor.UInt16(), cursor.UInt16(), cursor.Byte());
            cursor.Skip(3);
            var body = block.Slice(cursor.Position, Math.Min(size, cursor.Remaining));
            cursor.Skip(size);
            Keep(metadata, new(type, flags, body), blocks);
        }
    }

    private void Messages2(
        Hdf5Metadata metadata,
        ReadOnlyMemory<byte> block,
        bool trackOrder,
        Queue<(long, long)> blocks
    )
    {
        var cursor = new Hdf5Cursor(block.Span, metadata, Field);
        var prefix = trackOrder ? 6 : 4;
        while (cursor.Remaining >= prefix)
        {
            var (type, size, flags) = (cursor.Byte(), cursor.UInt16(), cursor.Byte());
            cursor.Skip(prefix - 4);
            var body = block.Slice(cursor.Position, Math.Min(size, cursor.Remaining));
            cursor.Skip(size);
            Keep(metadata, new(type, flags, body), blocks);
        }
    }

    private void Keep(Hdf5Metadata metadata, Hdf5Message message, Queue<(long, long)> blocks)
    {
        const int nil = 0;
        const int continuation = 16;
        if (message.Type == continuation)
        {
            var cursor = new Hdf5Cursor(message.Body.Span, metadata, Field);
            blocks.Enqueue((cursor.Offset(), cursor.Length()));
        }
        else if (message.Type != nil)
        {
            _messages.Add(message);
        }
    }
}
