using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using Tilt.OfflineRl.Data.Hdf5;

namespace Tilt.OfflineRl.Data;

/// <summary>Reads numpy's .npz: a zip archive of .npy arrays (NEP 1; numpy.lib.format versions 1 to 3).</summary>
/// <remarks>
/// Entry sizes are checked against the archive's before memory is taken; CRC-32 sums are checked as entries are read. Objects
/// (pickles) are never read.
/// </remarks>
internal sealed partial class NpzFile : IArrayFile
{
    private const int MostArrays = 4096;
    private const int LongestHeader = 1 << 16;

    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    private readonly ByteSource _source;
    private readonly ZipArchive _zip;
    private readonly Dictionary<string, StoredArray> _arrays = new(StringComparer.Ordinal);

    /// <summary>Reads the directory and the arrays' headers.</summary>
    public NpzFile(ByteSource source)
    {
        _source = source;
        try
        {
            _zip = new ZipArchive(source.AsStream(), ZipArchiveMode.Read);
            if (_zip.Entries.Count > MostArrays)
            {
                throw Damage("the archive", $"{_zip.Entries.Count} entries", $"at most {MostArrays}");
            }
            foreach (var entry in _zip.Entries)
            {
                if (!entry.FullName.EndsWith(".npy", StringComparison.Ordinal))
                {
                    continue;
                }
                var array = Header(entry);
                if (!_arrays.TryAdd(array.Name, array))
                {
                    throw Damage(array.Name, "two arrays of that name", "each name once");
                }
            }
        }
        catch (Exception e) when (Corrupt(e))
        {
            throw Damage(
                "the archive",
                $"a zip archive that cannot be read ({e.Message.TrimEnd('.')})",
                "a whole one",
                e
            );
        }
    }

    /// <inheritdoc/>
    public string Name => _source.Name;

    /// <inheritdoc/>
    public IEnumerable<string> Names => _arrays.Keys.Order(StringComparer.Ordinal);

    /// <inheritdoc/>
    public bool Has(string name) => _arrays.ContainsKey(name);

    /// <inheritdoc/>
    public StoredArray Array(string name) => _arrays[name];

    /// <summary>Whether the bytes begin as a zip archive does.</summary>
    public static bool Recognizes(ByteSource source)
    {
        if (source.Length < 4)
        {
            return false;
        }
        Span<byte> start = stackalloc byte[4];
        source.Read(0, start, "the file's signature");
        return start.SequenceEqual("PK\u0003\u0004"u8) || start.SequenceEqual("PK\u0005\u0006"u8);
    }

    /// <summary>Reads an array of one or two axes as rows × columns of float32.</summary>
    private void ReadFloats(ZipArchiveEntry entry, int start, bool fortranOrder, StoredArray array, FloatRows to)
    {
        try
        {
            using var stream = new Crc32Stream(entry.Open());
            stream.Skip(start);
            if (fortranOrder && to.Columns > 1)
            {
                var column = new byte[to.Rows * array.Type.Size];
                var values = new float[to.Rows];
                for (var j = 0; j < to.Columns; j++)
                {
                    stream.ReadExactly(column);
                    array.Type.Widen(column, values);
                    for (var i = 0; i < values.Length; i++)
                    {
                        to[i][j] = values[i];
                    }
                }
            }
            else
            {
                var row = new byte[to.Columns * array.Type.Size];
                for (var i = 0L; i < to.Rows; i++)
                {
                    stream.ReadExactly(row);
                    array.Type.Widen(row, to[i]);
                }
            }
            if (stream.ReadByte() >= 0)
            {
                throw Damage(array.Name, "more bytes than its shape declares", $"as many as {array.ShapeText} needs");
            }
            if (stream.Value != entry.Crc32)
            {
                throw Damage(array.Name, $"bytes with CRC-32 {stream.Value:x8}", $"{entry.Crc32:x8}, as stored");
            }
        }
        catch (Exception e) when (Corrupt(e))
        {
            throw Damage(array.Name, $"an entry that cannot be read ({e.Message.TrimEnd('.')})", "a whole one", e);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _zip.Dispose();

    private static bool Corrupt(Exception e) =>
        e is InvalidDataException or IOException or NotSupportedException or ArgumentException or OverflowException;

    private DataException Damage(string field, string found, string expected, Exception? inner = null) =>
        new(_source.Name, field, found, expected, Hdf5Metadata.DamagedRemedy, inner);

    private StoredArray Header(ZipArchiveEntry entry)
    {
        var name = entry.FullName[..^".npy".Length];
        using var stream = entry.Open();
        var prefix = new byte[12];
        stream.ReadExactly(prefix, 0, 10);
        if (!prefix.AsSpan().StartsWith(Magic) || prefix[6] is 0 or > 3)
        {
            throw Damage(name, "an entry that does not begin as .npy does", "93 4E 55 4D 50 59 and version 1 to 3");
        }
        var start = 10;
        long length = BinaryPrimitives.ReadUInt16LittleEndian(prefix.AsSpan(8));
        if (prefix[6] > 1)
        {
            stream.ReadExactly(prefix, 10, 2);
            length = BinaryPrimitives.ReadUInt32LittleEndian(prefix.AsSpan(8));
            start = 12;
        }
        if (length > LongestHeader)
        {
            throw Damage(name, $"a header of {length} bytes", $"at most {LongestHeader}");
        }
        var text = new byte[length];
        stream.ReadExactly(text);
        var (type, fortran, shape) = Parse(name, Encoding.UTF8.GetString(text));
        start += (int)length;

        var bytes = shape.Aggregate(
            (UInt128)(uint)type.Size,
            (product, axis) => UInt128.Min(product, 1UL << 62) * (ulong)axis
        );
        var most =
            (UInt128)(ulong)Math.Clamp(entry.CompressedLength, 0, _source.Length) * (ulong)Hdf5Filters.MostExpansion;
        if (bytes + (ulong)start != (UInt128)(ulong)Math.Max(0, entry.Length) || bytes > most + 64)
        {
            throw Damage(
                name,
                $"the shape {StoredArray.Describe(shape)} of {type.Name} in an entry of {entry.Length} bytes",
                $"an entry of {bytes + (ulong)start} bytes"
            );
        }
        StoredArray? array = null;
        array = new(name, type, shape, to => ReadFloats(entry, start, fortran, array!, to));
        return array;
    }

    /// <summary>Reads a header such as <c>{'descr': '&lt;f4', 'fortran_order': False, 'shape': (83, 11), }</c>.</summary>
    private (ElementType Type, bool Fortran, long[] Shape) Parse(string name, string header)
    {
        var match = HeaderPattern().Match(header.Trim(' ', '\n', '\0'));
        if (!match.Success)
        {
            var shown = header.Length > 80 ? header[..80] + "…" : header.Trim();
            throw Damage(
                name,
                $"the header {shown}",
                "descr, fortran_order and shape, in that order, of an array of plain numbers"
            );
        }
        var axes = match
            .Groups["shape"]
            .Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var shape = new long[axes.Length];
        for (var i = 0; i < axes.Length; i++)
        {
            if (
                !long.TryParse(axes[i], NumberStyles.None, CultureInfo.InvariantCulture, out shape[i])
                || axes.Length > 32
            )
            {
                throw Damage(name, $"the shape ({match.Groups["shape"].Value})", "axes that memory can hold");
            }
        }
        var (order, kind) = (match.Groups["order"].Value, match.Groups["kind"].Value[0]);
        var size = int.Parse(match.Groups["size"].Value, CultureInfo.InvariantCulture);
        var known = kind switch
        {
            'f' => size is 2 or 4 or 8,
            'i' or 'u' => size is 1 or 2 or 4 or 8,
            'b' => size == 1,
            _ => false,
        };
        var type = new ElementType(
            !known ? ElementKind.Other
                : kind == 'f' ? ElementKind.Float
                : kind == 'b' ? ElementKind.Enumeration
                : ElementKind.Integer,
            kind == 'U' ? 4 * size : size,
            order == ">",
            kind is 'i' or 'f',
            kind switch
            {
                'f' => $"float{8 * size}",
                'i' => $"int{8 * size}",
                'u' => $"uint{8 * size}",
                'b' => "bool",
                _ => $"{order}{kind}{size}",
            }
        );
        return (type, match.Groups["fortran"].Value == "True", shape);
    }

    [GeneratedRegex(
        @"^\{\s*'descr':\s*'(?<order>[<>|=])(?<kind>[a-zA-Z])(?<size>[0-9]{1,4})',\s*'fortran_order':\s*(?<fortran>True|False)\s*,\s*'shape':\s*\((?<shape>[0-9, ]*)\),?\s*\}$"
    )]
    private static partial Regex HeaderPattern();

    /// <summary>Counts the CRC-32 of what is read through it.</summary>
    private sealed class Crc32Stream(Stream inner) : IDisposable
    {
        private static readonly uint[] Table = MakeTable();
        private uint _state = uint.MaxValue;

        public uint Value => ~_state;

        public void Skip(int count) => ReadExactly(new byte[count]);

        public void ReadExactly(Span<byte> into)
        {
            inner.ReadExactly(into);
            foreach (var b in into)
            {
                _state = Table[(_state ^ b) & 0xff] ^ (_state >> 8);
            }
        }

        public int ReadByte() => inner.ReadByte();

        public void Dispose() => inner.Dispose();

        private static uint[] MakeTable()
        {
            var table = new uint[256];
            for (var i = 0u; i < table.Length; i++)
            {
                var value = i;
                for (var bit = 0; bit < 8; bit++)
                {
                    value = (value & 1) != 0 ? (value >> 1) ^ 0xedb88320 : value >> 1;
                }
                table[i] = value;
            }
            return table;
        }
    }
}
