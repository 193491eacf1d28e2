using System.Text;

namespace Tilt.OfflineRl.Data.Hdf5;

/// <summary>Reads an HDF5 file's metadata within a budget, and words what is wrong with it.</summary>
/// <remarks>
/// A whole file's metadata are read a few times at most. The budget of sixteen times the file's length turns references that go in
/// circles, or many references to the same long block, into an error instead of a loop.
/// </remarks>
internal sealed class Hdf5Metadata
{
    public const string DamagedRemedy = "The file is damaged or not whole: copy or download it again.";

    private const string RewriteRemedy =
        "Rewrite it with h5py's defaults: h5py.File(new, 'w').create_dataset(name, data=old[name][()], compression='gzip').";

    private readonly ByteSource _source;
    private long _budget;

    public Hdf5Metadata(ByteSource source)
    {
        _source = source;
        _budget = (16 * Math.Min(source.Length, long.MaxValue / 64)) + 65536;
    }

    public string Name => _source.Name;

    public long FileLength => _source.Length;

    /// <summary>Bytes of an offset, 2, 4 or 8.</summary>
    public int OffsetSize { get; set; } = 8;

    /// <summary>Bytes of a length, 2, 4 or 8.</summary>
    public int LengthSize { get; set; } = 8;

    /// <summary>Where the HDF5 part of the file begins.</summary>
    public long Base { get; set; }

    /// <summary>A block of metadata.</summary>
    public byte[] Block(long offset, long count, string field)
    {
        _budget -= Math.Max(count, 16);
        if (_budget < 0)
        {
            throw Damage(field, "more metadata than the file can hold", "references that do not go in circles");
        }
        return _source.Bytes(offset, count, field);
    }

    /// <summary>Bytes of data, outside the budget.</summary>
    public void Data(long offset, Span<byte> into, string field) => _source.Read(offset, into, field);

    /// <summary>An error: what stands in the file cannot be right.</summary>
    public DataException Damage(string field, string found, string expected, Exception? inner = null) =>
        new(Name, field, found, expected, DamagedRemedy, inner);

    /// <summary>An error: HDF5 allows it, this reader does not know it.</summary>
    public DataException Unsupported(string field, string found, string expected) =>
        new(Name, field, found, expected, RewriteRemedy);

    /// <summary>Throws unless the block carries the four-letter signature.</summary>
    public void ExpectSignature(ReadOnlySpan<byte> block, ReadOnlySpan<byte> signature, string field)
    {
        if (!block.StartsWith(signature))
        {
            throw Damage(
                field,
                $"bytes {Convert.ToHexString(block[..Math.Min(4, block.Length)])}",
                $"the signature {Encoding.ASCII.GetString(signature)}"
            );
        }
    }

    /// <summary>Throws unless the block's last four bytes are the checksum of the rest.</summary>
    public void ExpectChecksum(ReadOnlySpan<byte> block, string field)
    {
        var stored = BitConverter.ToUInt32(block[^4..]);
        var computed = Lookup3.Hash(block[..^4]);
        if (stored != computed)
        {
            throw Damage(field, $"bytes with checksum {computed:x8}", $"checksum {stored:x8}");
        }
    }

    /// <summary>Bytes as UTF-8 text; what is not UTF-8 is replaced.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);
}
