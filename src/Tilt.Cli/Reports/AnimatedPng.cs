using System.Buffers.Binary;
using System.IO.Compression;

namespace Tilt.Cli.Reports;

/// <summary>Writes RGB pictures as a PNG, one or a sequence that every browser plays (APNG).</summary>
/// <remarks>
/// Of each picture after the first only the rectangle that changed is stored. Every row takes the one of PNG's five filters whose
/// result is smallest in sum of absolute values, the rule that PNG's specification recommends.
/// </remarks>
internal sealed class AnimatedPng : IDisposable
{
    private const int Channels = 3;
    private const int CountOffset = 8 + 25 + 8; // signature, IHDR, head of acTL

    private static readonly uint[] CrcTable = MakeCrcTable();

    private readonly Stream _stream;
    private readonly byte[] _last;
    private readonly byte[][] _candidates;
    private readonly int _milliseconds;
    private readonly bool _animated;
    private int _sequence;
    private bool _disposed;

    /// <summary>Begins a file.</summary>
    /// <param name="stream">Where to; must be able to seek when it is an animation. Left open.</param>
    /// <param name="width">Pixels.</param>
    /// <param name="height">Pixels.</param>
    /// <param name="secondsPerFrame">How long each picture stands; null for a single picture.</param>
    public AnimatedPng(Stream stream, int width, int height, double? secondsPerFrame = null)
    {
        (_stream, Width, Height) = (stream, width, height);
        _animated = secondsPerFrame is not null;
        _milliseconds = Math.Clamp((int)Math.Round(1000 * (secondsPerFrame ?? 0)), 1, ushort.MaxValue);
        _last = new byte[Channels * width * height];
        _candidates = [.. Enumerable.Range(0, 5).Select(_ => new byte[Channels * width])];

        _stream.Write([0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10]);
        Span<byte> header = stackalloc byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], height);
        (header[8], header[9]) = (8, 2); // 8 bits, RGB
        Chunk("IHDR"u8, header);
        if (_animated)
        {
            Chunk("acTL"u8, stackalloc byte[8]); // the count is known at the end; played forever
        }
    }

    /// <summary>Pixels across.</summary>
    public int Width { get; }

    /// <summary>Pixels down.</summary>
    public int Height { get; }

    /// <summary>Pictures so far.</summary>
    public int Frames { get; private set; }

    /// <summary>Writes a single picture.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="rgb">Rows from the top, [height, width, 3].</param>
    /// <param name="width">Pixels.</param>
    /// <param name="height">Pixels.</param>
    public static void WriteSingle(Stream stream, ReadOnlySpan<byte> rgb, int width, int height)
    {
        using var png = new AnimatedPng(stream, width, height);
        png.Add(rgb);
    }

    /// <summary>Adds a picture.</summary>
    /// <param name="rgb">Rows from the top, [Height, Width, 3].</param>
    public void Add(ReadOnlySpan<byte> rgb)
    {
        if (rgb.Length != _last.Length)
        {
            throw new ArgumentException($"{rgb.Length} bytes for a picture of {Width} × {Height} × {Channels}.");
        }
        var (left, top, width, height) = Frames == 0 ? (0, 0, Width, Height) : Changed(rgb);
        if (_animated)
        {
            Span<byte> control = stackalloc byte[26];
            BinaryPrimitives.WriteInt32BigEndian(control, _sequence++);
            BinaryPrimitives.WriteInt32BigEndian(control[4..], width);
            BinaryPrimitives.WriteInt32BigEndian(control[8..], height);
            BinaryPrimitives.WriteInt32BigEndian(control[12..], left);
            BinaryPrimitives.WriteInt32BigEndian(control[16..], top);
            BinaryPrimitives.WriteUInt16BigEndian(control[20..], (ushort)_milliseconds);
            BinaryPrimitives.WriteUInt16BigEndian(control[22..], 1000);
            Chunk("fcTL"u8, control);
        }
        var body = Compressed(rgb, left, top, width, height);
        if (Frames == 0)
        {
            Chunk("IDAT"u8, body.AsSpan(4));
        }
        else
        {
            BinaryPrimitives.WriteInt32BigEndian(body, _sequence++);
            Chunk("fdAT"u8, body);
        }
        rgb.CopyTo(_last);
        Frames++;
    }

    /// <summary>Ends the file.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }
        _disposed = true;
        Chunk("IEND"u8, []);
        if (_animated)
        {
            Span<byte> count = stackalloc byte[8];
            BinaryPrimitives.WriteInt32BigEndian(count, Frames);
            var end = _stream.Position;
            _stream.Position = CountOffset - 8;
            Chunk("acTL"u8, count);
            _stream.Position = end;
        }
    }

    /// <summary>The rectangle in which a picture differs from the one before; one pixel when it does not.</summary>
    private (int Left, int Top, int Width, int Height) Changed(ReadOnlySpan<byte> rgb)
    {
        var (left, top, right, bottom) = (Width, Height, -1, -1);
        for (var y = 0; y < Height; y++)
        {
            var row = rgb.Slice(Channels * y * Width, Channels * Width);
            var before = _last.AsSpan(Channels * y * Width, Channels * Width);
            var first = row.CommonPrefixLength(before);
            if (first == row.Length)
            {
                continue;
            }
            var last = row.Length - 1;
            while (row[last] == before[last])
            {
                last--;
            }
            (left, right) = (Math.Min(left, first / Channels), Math.Max(right, last / Channels));
            (top, bottom) = (Math.Min(top, y), y);
        }
        return right < 0 ? (0, 0, 1, 1) : (left, top, right - left + 1, bottom - top + 1);
    }

    /// <summary>The zlib stream of a rectangle's filtered rows, after four bytes left free for a sequence number.</summary>
    private byte[] Compressed(ReadOnlySpan<byte> rgb, int left, int top, int width, int height)
    {
        using var memory = new MemoryStream();
        memory.Write(stackalloc byte[4]);
        using (var zlib = new ZLibStream(memory, CompressionLevel.Optimal, leaveOpen: true))
        {
            var above = new byte[Channels * width];
            for (var y = 0; y < height; y++)
            {
                var row = rgb.Slice(Channels * ((top + y) * Width + left), Channels * width);
                var filter = Filter(row, above);
                zlib.WriteByte((byte)filter);
                zlib.Write(_candidates[filter].AsSpan(0, row.Length));
                row.CopyTo(above);
            }
        }
        return memory.ToArray();
    }

    /// <summary>Filters a row in all five ways and chooses one.</summary>
    private int Filter(ReadOnlySpan<byte> row, ReadOnlySpan<byte> above)
    {
        Span<int> sums = stackalloc int[5];
        for (var i = 0; i < row.Length; i++)
        {
            var (x, b) = (row[i], above[i]);
            var a = i < Channels ? (byte)0 : row[i - Channels];
            var c = i < Channels ? (byte)0 : above[i - Channels];
            _candidates[0][i] = x;
            _candidates[1][i] = (byte)(x - a);
            _candidates[2][i] = (byte)(x - b);
            _candidates[3][i] = (byte)(x - (a + b) / 2);
            _candidates[4][i] = (byte)(x - Paeth(a, b, c));
        }
        for (var filter = 0; filter < 5; filter++)
        {
            foreach (var value in _candidates[filter].AsSpan(0, row.Length))
            {
                sums[filter] += Math.Abs((int)(sbyte)value);
            }
        }
        var best = 0;
        for (var filter = 1; filter < 5; filter++)
        {
            best = sums[filter] < sums[best] ? filter : best;
        }
        return best;
    }

    /// <summary>The neighbour nearest to left + above − corner.</summary>
    private static byte Paeth(byte left, byte above, byte corner)
    {
        var (toLeft, toAbove) = (Math.Abs(above - corner), Math.Abs(left - corner));
        var toCorner = Math.Abs(left + above - 2 * corner);
        return toLeft <= toAbove && toLeft <= toCorner ? left
            : toAbove <= toCorner ? above
            : corner;
    }

    private void Chunk(ReadOnlySpan<byte> name, ReadOnlySpan<byte> body)
    {
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(word, body.Length);
        _stream.Write(word);
        _stream.Write(name);
        _stream.Write(body);
        BinaryPrimitives.WriteUInt32BigEndian(word, ~Crc(body, Crc(name, uint.MaxValue)));
        _stream.Write(word);
    }

    private static uint Crc(ReadOnlySpan<byte> bytes, uint crc)
    {
        foreach (var value in bytes)
        {
            crc = CrcTable[(byte)(crc ^ value)] ^ (crc >> 8);
        }
        return crc;
    }

    private static uint[] MakeCrcTable()
    {
        var table = new uint[256];
        for (var i = 0u; i < 256; i++)
        {
            var crc = i;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
            }
            table[i] = crc;
        }
        return table;
    }
}
