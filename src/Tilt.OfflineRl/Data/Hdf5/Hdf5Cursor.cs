using System.Buffers.Binary;

namespace Tilt.OfflineRl.Data.Hdf5;

/// <summary>Walks little-endian fields of a block of an HDF5 file; running past the block's end is a damaged file.</summary>
internal ref struct Hdf5Cursor
{
    private readonly ReadOnlySpan<byte> _bytes;
    private readonly Hdf5Metadata _metadata;
    private readonly string _field;

    public Hdf5Cursor(ReadOnlySpan<byte> bytes, Hdf5Metadata metadata, string field)
    {
        _bytes = bytes;
        _metadata = metadata;
        _field = field;
    }

    public int Position { get; private set; }

    public readonly int Remaining => _bytes.Length - Position;

    public ReadOnlySpan<byte> Bytes(long count)
    {
        if (count < 0 || count > Remaining)
        {
            throw _metadata.Damage(
                _field,
                $"a block that ends after {_bytes.Length} bytes",
                $"{count} more at byte {Position}"
            );
        }
        var taken = _bytes.Slice(Position, (int)count);
        Position += (int)count;
        return taken;
    }

    public void Skip(long count) => Bytes(count);

    public byte Byte() => Bytes(1)[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4));

    /// <summary>An unsigned number of 1 to 8 bytes.</summary>
    public ulong Number(int size)
    {
        var value = 0UL;
        var bytes = Bytes(size);
        for (var i = size - 1; i >= 0; i--)
        {
            value = (value << 8) | bytes[i];
        }
        return value;
    }

    /// <summary>An offset into the file, or −1 where the file says "undefined" (all ones).</summary>
    public long Offset() => Reference(_metadata.OffsetSize, _metadata.Base);

    /// <summary>A length; −1 where it is all ones, capped so that sums cannot overflow.</summary>
    public long Length() => Reference(_metadata.LengthSize, 0);

    /// <summary>Bytes up to a zero, as text; the cursor moves past the zero.</summary>
    public string Text()
    {
        var end = _bytes[Position..].IndexOf((byte)0);
        if (end < 0)
        {
            throw _metadata.Damage(_field, "a name without an end", "a name ended by a zero byte");
        }
        var text = Hdf5Metadata.Decode(Bytes(end));
        Skip(1);
        return text;
    }

    private long Reference(int size, long origin)
    {
        var value = Number(size);
        var undefined = size == 8 ? ulong.MaxValue : (1UL << (8 * size)) - 1;
        return value == undefined ? -1 : (long)Math.Min(value, long.MaxValue / 4) + origin;
    }
}
