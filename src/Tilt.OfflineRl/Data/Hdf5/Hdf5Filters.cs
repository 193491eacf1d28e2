using System.IO.Compression;

namespace Tilt.OfflineRl.Data.Hdf5;

/// <summary>What was done to each chunk before it was stored: shuffle, deflate, Fletcher-32. Undone in the reverse order.</summary>
internal sealed class Hdf5Filters
{
    /// <summary>Deflate makes at most this much of a byte (zlib's technical notes: 1032 : 1).</summary>
    public const long MostExpansion = 1032;

    private const int Deflate = 1;
    private const int Shuffle = 2;
    private const int Fletcher32 = 3;

    /// <summary>No filters.</summary>
    public static readonly Hdf5Filters None = new([], 1);

    private readonly int[] _filters;
    private readonly int _elementSize;

    private Hdf5Filters(int[] filters, int elementSize)
    {
        (_filters, _elementSize) = (filters, elementSize);
    }

    /// <summary>Whether there are any.</summary>
    public bool Any => _filters.Length > 0;

    /// <summary>Whether chunks are compressed.</summary>
    public bool Compresses => _filters.Contains(Deflate);

    /// <summary>Reads a filter message.</summary>
    public static Hdf5Filters Parse(Hdf5Metadata metadata, ReadOnlySpan<byte> body, int elementSize, string field)
    {
        var cursor = new Hdf5Cursor(body, metadata, field);
        var (version, count) = (cursor.Byte(), cursor.Byte());
        if (version is not (1 or 2))
        {
            throw metadata.Damage(field, $"a filter message of version {version}", "version 1 or 2");
        }
        cursor.Skip(version == 1 ? 6 : 0);
        var filters = new List<int>();
        for (var i = 0; i < count; i++)
        {
            var id = cursor.UInt16();
            var nameLength = version == 1 || id >= 256 ? cursor.UInt16() : 0;
            cursor.Skip(2);
            var values = cursor.UInt16();
            cursor.Skip(version == 1 ? (nameLength + 7) & ~7 : nameLength);
            cursor.Skip(4 * values);
            cursor.Skip(version == 1 && values % 2 == 1 ? 4 : 0);
            if (id is not (Deflate or Shuffle or Fletcher32) || filters.Contains(id))
            {
                string[] known = ["none", "deflate", "shuffle", "fletcher32", "szip", "nbit", "scale-offset"];
                var name =
                    id < known.Length ? known[id]
                    : id == 32000 ? "lzf"
                    : "unknown";
                throw metadata.Unsupported(field, $"filter {id} ({name})", "deflate, shuffle or fletcher32, each once");
            }
            filters.Add(id);
        }
        return new([.. filters], elementSize);
    }

    /// <summary>Turns a stored chunk into its elements.</summary>
    /// <param name="metadata">For errors.</param>
    /// <param name="field">The array's path.</param>
    /// <param name="stored">The stored bytes; may be overwritten.</param>
    /// <param name="mask">A bit set for every filter that was skipped for this chunk.</param>
    /// <param name="chunk">The room for the elements: exactly as many bytes as a chunk has.</param>
    /// <param name="spare">As much room again.</param>
    public void Undo(
        Hdf5Metadata metadata,
        string field,
        Memory<byte> stored,
        uint mask,
        Memory<byte> chunk,
        Memory<byte> spare
    )
    {
        var current = stored;
        for (var i = _filters.Length - 1; i >= 0; i--)
        {
            if ((mask & (1u << i)) != 0)
            {
                continue;
            }
            switch (_filters[i])
            {
                case Fletcher32:
                    current = Checked(metadata, field, current);
                    break;
                case Deflate:
                    var inflated = current.Equals(spare) ? chunk : spare;
                    Inflate(metadata, field, current, inflated);
                    current = inflated;
                    break;
                default:
                    if (current.Length != chunk.Length)
                    {
                        throw WrongLength(metadata, field, current.Length, chunk.Length);
                    }
                    var target = current.Equals(spare) ? chunk : spare;
                    Unshuffle(current.Span, target.Span, _elementSize);
                    current = target;
                    break;
            }
        }
        if (current.Length != chunk.Length)
        {
            throw WrongLength(metadata, field, current.Length, chunk.Length);
        }
        if (!current.Equals(chunk))
        {
            current.CopyTo(chunk);
        }
    }

    private static DataException WrongLength(Hdf5Metadata metadata, string field, int found, int expected) =>
        metadata.Damage(field, $"a chunk of {found} bytes", $"{expected} bytes, as its shape says");

    /// <summary>zlib's inflate checks the Adler-32 at the end of the stream, which reading on past the last byte brings about.</summary>
    private static void Inflate(Hdf5Metadata metadata, string field, ReadOnlyMemory<byte> from, Memory<byte> to)
    {
        try
        {
            using var stream = new ZLibStream(new ReadOnlyMemoryStream(from), CompressionMode.Decompress);
            var read = stream.ReadAtLeast(to.Span, to.Length, throwOnEndOfStream: false);
            Span<byte> more = stackalloc byte[1];
            if (read < to.Length || stream.Read(more) > 0)
            {
                throw WrongLength(metadata, field, read, to.Length);
            }
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw metadata.Damage(
                field,
                $"a deflated chunk that does not inflate ({e.Message.TrimEnd('.')})",
                "a whole zlib stream with the right Adler-32 checksum",
                e
            );
        }
    }

    /// <summary>Shuffle stores the first bytes of all elements, then all second bytes, and so on; a rest shorter than an element stays.</summary>
    private static void Unshuffle(ReadOnlySpan<byte> from, Span<byte> to, int size)
    {
        var count = from.Length / size;
        for (var b = 0; b < size; b++)
        {
            var plane = from.Slice(b * count, count);
            for (var i = 0; i < count; i++)
            {
                to[(i * size) + b] = plane[i];
            }
        }
        from[(count * size)..].CopyTo(to[(count * size)..]);
    }

    private static Memory<byte> Checked(Hdf5Metadata metadata, string field, Memory<byte> bytes)
    {
        if (bytes.Length < 4)
        {
            throw WrongLength(metadata, field, bytes.Length, 4);
        }
        var stored = BitConverter.ToUInt32(bytes.Span[^4..]);
        var computed = Fletcher(bytes.Span[..^4]);
        if (stored != computed)
        {
            throw metadata.Damage(field, $"a chunk with Fletcher-32 {computed:x8}", $"{stored:x8}, as stored");
        }
        return bytes[..^4];
    }

    /// <summary>Fletcher-32 over 16-bit words, most significant byte first, in ones' complement as HDF5 computes it.</summary>
    private static uint Fletcher(ReadOnlySpan<byte> bytes)
    {
        var (low, high) = (0u, 0u);
        for (var i = 0; i < bytes.Length; i += 2)
        {
            var second = i + 1 < bytes.Length ? bytes[i + 1] : 0u;
            low = Folded(low + (((uint)bytes[i] << 8) | second));
            high = Folded(high + low);
        }
        return (high << 16) | low;

        static uint Folded(uint sum) => (sum & 0xffff) + (sum >> 16);
    }
}
