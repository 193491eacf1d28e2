using System.Globalization;

namespace Tilt.OfflineRl.Data.Hdf5;

/// <summary>One array of an HDF5 file: its shape and type, known to be covered by stored bytes, and the way to its values.</summary>
internal sealed class Hdf5Array
{
    /// <summary>The message that makes an object an array.</summary>
    public const int LayoutMessage = 8;

    private const int DataspaceMessage = 1;
    private const int DatatypeMessage = 3;
    private const int FilterMessage = 11;
    private const int SharedFlag = 2;

    private readonly Hdf5Metadata _metadata;
    private readonly byte[]? _compact;
    private readonly long _contiguous;
    private readonly Hdf5Chunks? _chunks;

    private Hdf5Array(
        Hdf5Metadata metadata,
        string path,
        ElementType type,
        long[] shape,
        byte[]? compact,
        long contiguous,
        Hdf5Chunks? chunks
    )
    {
        (_metadata, Path, Type, Shape) = (metadata, path, type, shape);
        (_compact, _contiguous, _chunks) = (compact, contiguous, chunks);
    }

    /// <summary>The full path, such as <c>infos/qpos</c>.</summary>
    public string Path { get; }

    /// <summary>The type of its elements.</summary>
    public ElementType Type { get; }

    /// <summary>Its shape; empty for a scalar.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>How many elements it has.</summary>
    public long Count => Shape.Aggregate(1L, (product, length) => product * length);

    /// <summary>Reads shape, type and layout, and checks that the file stores as many bytes as the shape declares.</summary>
    public static Hdf5Array Read(Hdf5Metadata metadata, Hdf5Header header)
    {
        var field = header.Field;
        var shape = ReadShape(metadata, Body(metadata, header, DataspaceMessage, "a shape"), field);
        var typeCursor = new Hdf5Cursor(Body(metadata, header, DatatypeMessage, "a data type"), metadata, field);
        var type = Hdf5Datatype.Parse(ref typeCursor, metadata, field);
        var bytes = ByteCount(metadata, shape, type, field);

        var filters = Hdf5Filters.None;
        if (header.Find(FilterMessage) is { } message)
        {
            filters = Hdf5Filters.Parse(metadata, message.Body.Span, type.Size, field);
        }
        var cursor = new Hdf5Cursor(Body(metadata, header, LayoutMessage, "a layout"), metadata, field);
        var version = cursor.Byte();
        if (version is not (3 or 4))
        {
            throw metadata.Unsupported(field, $"a storage layout of version {version}", "version 3 or 4");
        }
        var kind = cursor.Byte();
        switch (kind)
        {
            case 0:
                var inside = cursor.Bytes(cursor.UInt16()).ToArray();
                Covers(metadata, field, shape, bytes, inside.Length);
                return new(metadata, field, type, shape, inside, 0, null);
            case 1:
                var (address, stored) = (cursor.Offset(), cursor.Length());
                if (bytes > 0)
                {
                    Covers(metadata, field, shape, bytes, address < 0 ? 0 : stored);
                    Covers(metadata, field, shape, bytes, metadata.FileLength - address);
                }
                return new(metadata, field, type, shape, null, address, null);
            case 2:
                var chunks = Hdf5Chunks.Parse(metadata, ref cursor, version, shape, type.Size, filters, field);
                return new(metadata, field, type, shape, null, 0, chunks);
            default:
                throw metadata.Unsupported(
                    field,
                    $"a storage layout of class {kind}",
                    "compact, contiguous or chunked"
                );
        }
    }

    /// <summary>Fills rows × columns of float32, C order. A rank of 0 or 1 is one column.</summary>
    /// <param name="to">Room for <see cref="Count"/> numbers.</param>
    /// <param name="workers">Threads that decode chunks.</param>
    public unsafe void ReadFloats(FloatRows to, int workers)
    {
        if (!Type.IsNumeric)
        {
            throw _metadata.Unsupported(Path, Type.Name, "numbers");
        }
        var columns = Shape.Count > 1 ? Shape[1] : 1;
        if (Shape.Count > 2 || columns != to.Columns || Count != to.Rows * columns)
        {
            throw new ArgumentException(
                $"{Path} of shape {StoredArray.Describe(Shape)} does not fit [{to.Rows}, {to.Columns}]."
            );
        }
        if (_chunks is not null)
        {
            _chunks.ReadFloats(Type, to, workers);
            return;
        }
        var piece = new byte[Math.Min(Count * Type.Size, 1 << 20) / Type.Size * Type.Size];
        for (long done = 0; done < Count; done += piece.Length / Type.Size)
        {
            var count = (int)Math.Min(piece.Length / Type.Size, Count - done);
            var bytes = piece.AsSpan(0, count * Type.Size);
            if (_compact is not null)
            {
                _compact.AsSpan((int)(done * Type.Size), bytes.Length).CopyTo(bytes);
            }
            else
            {
                _metadata.Data(_contiguous + (done * Type.Size), bytes, Path);
            }
            Type.Widen(bytes, new Span<float>(to.Start + done, count));
        }
    }

    /// <summary>A scalar, or a small array's first element, as text; null when it is neither number nor text.</summary>
    public string? ReadText()
    {
        if (Count < 1 || _chunks is not null || Type.Kind == ElementKind.Other || Type.Size > 65536)
        {
            return null;
        }
        var bytes = _compact is null ? new byte[Type.Size] : _compact.AsSpan(0, Type.Size).ToArray();
        if (_compact is null)
        {
            _metadata.Data(_contiguous, bytes, Path);
        }
        return Text(_metadata, Type, bytes, Path);
    }

    /// <summary>Name and text of an attribute message, or null when its value is neither number nor text.</summary>
    public static (string Name, string Text)? ReadAttribute(Hdf5Metadata metadata, Hdf5Message message, string field)
    {
        var cursor = new Hdf5Cursor(message.Body.Span, metadata, field);
        var version = cursor.Byte();
        if (version is 0 or > 3 || (message.Flags & SharedFlag) != 0)
        {
            return null;
        }
        var flags = cursor.Byte();
        var (nameSize, typeSize, spaceSize) = (cursor.UInt16(), cursor.UInt16(), cursor.UInt16());
        cursor.Skip(version == 3 ? 1 : 0);
        int Padded(int size) => version == 1 ? (size + 7) & ~7 : size;
        var name = Hdf5Metadata.Decode(cursor.Bytes(Padded(nameSize))[..nameSize]).TrimEnd('\0');
        var typeBytes = cursor.Bytes(Padded(typeSize));
        var spaceBytes = cursor.Bytes(Padded(spaceSize));
        if (version > 1 && (flags & 3) != 0)
        {
            return null;
        }
        var typeCursor = new Hdf5Cursor(typeBytes, metadata, field);
        var type = Hdf5Datatype.Parse(ref typeCursor, metadata, field);
        var shape = ReadShape(metadata, spaceBytes, field);
        if (type.Kind == ElementKind.Other || shape.Any(length => length != 1))
        {
            return null;
        }
        return (name, Text(metadata, type, cursor.Bytes(type.Size), field));
    }

    private static string Text(Hdf5Metadata metadata, ElementType type, ReadOnlySpan<byte> bytes, string field)
    {
        switch (type.Kind)
        {
            case ElementKind.FixedText:
                var end = bytes.IndexOf((byte)0);
                return Hdf5Metadata.Decode(end < 0 ? bytes : bytes[..end]);
            case ElementKind.HeapText:
                var cursor = new Hdf5Cursor(bytes, metadata, field);
                var length = cursor.UInt32();
                return HeapText(metadata, cursor.Offset(), cursor.UInt32(), length, field);
            default:
                return type.Value(bytes).ToString(CultureInfo.InvariantCulture);
        }
    }

    private static string HeapText(Hdf5Metadata metadata, long heap, uint index, uint length, string field)
    {
        if (length == 0)
        {
            return "";
        }
        var prefixSize = 8 + metadata.LengthSize;
        var prefix = metadata.Block(heap, prefixSize, field);
        metadata.ExpectSignature(prefix, "GCOL"u8, field);
        var size = new Hdf5Cursor(prefix.AsSpan(8), metadata, field).Length();
        var cursor = new Hdf5Cursor(
            metadata.Block(heap + prefixSize, Math.Max(0, size - prefixSize), field),
            metadata,
            field
        );
        while (cursor.Remaining >= 8 + metadata.LengthSize)
        {
            var found = cursor.UInt16();
            cursor.Skip(6);
            var bytes = cursor.Length();
            if (found == index && found != 0)
            {
                return Hdf5Metadata.Decode(cursor.Bytes(Math.Min(bytes, length)));
            }
            if (found == 0)
            {
                break;
            }
            cursor.Skip(Math.Min(cursor.Remaining, (bytes + 7) & ~7L));
        }
        throw metadata.Damage(field, $"no text number {index} in its heap", "the text it refers to");
    }

    private static ReadOnlySpan<byte> Body(Hdf5Metadata metadata, Hdf5Header header, int type, string what)
    {
        if (header.Find(type) is not { } message)
        {
            throw metadata.Damage(header.Field, "no shape or no data type", what);
        }
        if ((message.Flags & SharedFlag) != 0)
        {
            throw metadata.Unsupported(header.Field, $"{what} shared between arrays", $"{what} of its own");
        }
        return message.Body.Span;
    }

    private static long[] ReadShape(Hdf5Metadata metadata, ReadOnlySpan<byte> body, string field)
    {
        var cursor = new Hdf5Cursor(body, metadata, field);
        var (version, rank, flags) = (cursor.Byte(), cursor.Byte(), cursor.Byte());
        if (version is not (1 or 2) || rank > 32)
        {
            throw metadata.Damage(field, $"a shape of version {version} and rank {rank}", "version 1 or 2, rank to 32");
        }
        var kind = version == 2 ? cursor.Byte() : 1;
        cursor.Skip(version == 1 ? 5 : 0);
        if (version == 2 && kind == 2)
        {
            return [0];
        }
        var shape = new long[rank];
        for (var i = 0; i < rank; i++)
        {
            var length = cursor.Number(metadata.LengthSize);
            if (length > long.MaxValue)
            {
                throw metadata.Damage(field, $"an axis of length {length}", "a length that the file can hold");
            }
            shape[i] = (long)length;
        }
        return shape;
    }

    private static long ByteCount(Hdf5Metadata metadata, long[] shape, ElementType type, string field)
    {
        var count = shape.Aggregate((UInt128)(uint)type.Size, (product, length) => Saturated(product, length));
        if (count > long.MaxValue / 4)
        {
            throw metadata.Damage(
                field,
                $"the shape {StoredArray.Describe(shape)} of {type.Name}, which no memory holds",
                $"a shape that {metadata.FileLength} bytes of file can hold"
            );
        }
        return (long)count;
    }

    private static UInt128 Saturated(UInt128 product, long length) =>
        length == 0 ? 0 : UInt128.Min(product, ulong.MaxValue) * (ulong)length;

    private static void Covers(Hdf5Metadata metadata, string field, long[] shape, long declared, long stored)
    {
        if (declared > stored)
        {
            throw metadata.Damage(
                field,
                $"the shape {StoredArray.Describe(shape)}, that is {declared} bytes, over {Math.Max(0, stored)} stored bytes",
                "as many bytes as the shape declares"
            );
        }
    }
}
