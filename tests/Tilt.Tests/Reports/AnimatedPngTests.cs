using System.Buffers.Binary;
using System.Text;
using SkiaSharp;
using Tilt.Cli.Reports;

namespace Tilt.Tests.Reports;

/// <summary>Animations, read back by another decoder.</summary>
public class AnimatedPngTests
{
    private const int Width = 23;
    private const int Height = 17;

    [Fact]
    public void A_single_picture_is_read_back_as_it_was()
    {
        var rgb = Picture(0);
        using var file = new MemoryStream();
        AnimatedPng.WriteSingle(file, rgb, Width, Height);
        Assert.Equal(rgb, Decode(file.ToArray()));
        Assert.Equal(["IHDR", "IDAT", "IEND"], Chunks(file.ToArray()).Select(chunk => chunk.Name));
    }

    [Fact]
    public void An_animation_is_its_pictures_one_after_the_other()
    {
        byte[][] frames = [Picture(0), Picture(1), Picture(1), Picture(5), Noise()];
        using var file = new MemoryStream();
        using (var animation = new AnimatedPng(file, Width, Height, 0.04))
        {
            foreach (var frame in frames)
            {
                animation.Add(frame);
            }
        }
        var chunks = Chunks(file.ToArray());
        Assert.Equal(frames[0], Decode(file.ToArray())); // readers without animation show the first
        var header = chunks.Single(chunk => chunk.Name == "IHDR").Body;
        var control = chunks.Single(chunk => chunk.Name == "acTL").Body;
        Assert.Equal(frames.Length, BinaryPrimitives.ReadInt32BigEndian(control));
        Assert.Equal(0, BinaryPrimitives.ReadInt32BigEndian(control.AsSpan(4))); // plays forever

        var (canvas, shown, sequence, rectangle) = (new byte[3 * Width * Height], 0, 0, new int[4]);
        foreach (var (name, body) in chunks)
        {
            if (name is "fcTL" or "fdAT")
            {
                Assert.Equal(sequence++, BinaryPrimitives.ReadInt32BigEndian(body));
            }
            if (name == "fcTL")
            {
                rectangle =
                [
                    .. Enumerable.Range(1, 4).Select(i => BinaryPrimitives.ReadInt32BigEndian(body.AsSpan(4 * i))),
                ];
                Assert.Equal(40, BinaryPrimitives.ReadUInt16BigEndian(body.AsSpan(20)));
                Assert.Equal(1000, BinaryPrimitives.ReadUInt16BigEndian(body.AsSpan(22)));
                Assert.Equal([0, 0], body[24..]); // left as it is, and overwritten
            }
            if (name is "IDAT" or "fdAT")
            {
                Paint(canvas, Alone(header, rectangle, name == "IDAT" ? body : body[4..]), rectangle);
                Assert.Equal(frames[shown++], canvas);
            }
        }
        Assert.Equal(frames.Length, shown);
    }

    [Fact]
    public void Only_what_changed_is_stored()
    {
        using var file = new MemoryStream();
        using (var animation = new AnimatedPng(file, Width, Height, 0.1))
        {
            var picture = Noise();
            animation.Add(picture);
            picture[3 * (5 * Width + 7)] ^= 255;
            animation.Add(picture);
            animation.Add(picture);
        }
        var rectangles = Chunks(file.ToArray())
            .Where(chunk => chunk.Name == "fcTL")
            .Select(chunk => (Int(chunk.Body, 1), Int(chunk.Body, 2), Int(chunk.Body, 3), Int(chunk.Body, 4)));
        Assert.Equal([(Width, Height, 0, 0), (1, 1, 7, 5), (1, 1, 0, 0)], rectangles);
    }

    [Fact]
    public void A_strip_holds_halved_pictures_side_by_side()
    {
        byte[] dark = [.. Enumerable.Repeat((byte)10, 3 * 4 * 2)];
        byte[] light = [.. Enumerable.Repeat((byte)200, 3 * 4 * 2)];
        light[0] = 100; // one of the four pixels that the first of the half-size picture averages
        var (rgb, width, height) = FrameStrip.Join([dark, light], 4, 2);
        Assert.Equal((8, 1), (width, height));
        Assert.Equal(10, rgb[0]);
        Assert.Equal(255, rgb[3 * 2]);
        Assert.Equal(175, rgb[3 * 6]);
        Assert.Equal([0, 3, 6, 9], FrameStrip.Spread(10, 4));
        Assert.Equal([0, 1], FrameStrip.Spread(2, 4));
    }

    [Fact]
    public void A_picture_of_another_size_is_refused()
    {
        using var animation = new AnimatedPng(new MemoryStream(), Width, Height, 0.1);
        Assert.Throws<ArgumentException>(() => animation.Add(new byte[3]));
    }

    /// <summary>A gradient with a bright square that moves.</summary>
    private static byte[] Picture(int at)
    {
        var rgb = new byte[3 * Width * Height];
        for (var y = 0; y < Height; y++)
        {
            for (var x = 0; x < Width; x++)
            {
                var bright = x >= at && x < at + 4 && y is > 3 and < 9;
                rgb[3 * (y * Width + x)] = (byte)(bright ? 255 : 9 * x);
                rgb[3 * (y * Width + x) + 1] = (byte)(13 * y);
                rgb[3 * (y * Width + x) + 2] = (byte)(x * y);
            }
        }
        return rgb;
    }

    private static byte[] Noise()
    {
        var rgb = new byte[3 * Width * Height];
        new Random(1).NextBytes(rgb);
        return rgb;
    }

    private static int Int(byte[] body, int word) => BinaryPrimitives.ReadInt32BigEndian(body.AsSpan(4 * word));

    private static byte[] Decode(byte[] png)
    {
        using var bitmap = SKBitmap.Decode(png);
        return [.. bitmap.Pixels.SelectMany(pixel => new[] { pixel.Red, pixel.Green, pixel.Blue })];
    }

    /// <summary>A frame of an animation as a picture of its own.</summary>
    private static byte[] Alone(byte[] header, int[] rectangle, byte[] body)
    {
        byte[] own = [.. header];
        BinaryPrimitives.WriteInt32BigEndian(own, rectangle[0]);
        BinaryPrimitives.WriteInt32BigEndian(own.AsSpan(4), rectangle[1]);
        byte[] signature = [0x89, 80, 78, 71, 13, 10, 26, 10];
        return Decode([.. signature, .. Chunk("IHDR", own), .. Chunk("IDAT", body), .. Chunk("IEND", [])]);
    }

    private static void Paint(byte[] canvas, byte[] rgb, int[] rectangle)
    {
        var row = 3 * rectangle[0];
        for (var y = 0; y < rectangle[1]; y++)
        {
            rgb.AsSpan(y * row, row).CopyTo(canvas.AsSpan(3 * ((rectangle[3] + y) * Width + rectangle[2])));
        }
    }

    private static byte[] Chunk(string name, byte[] body)
    {
        byte[] named = [.. Encoding.ASCII.GetBytes(name), .. body];
        var (length, crc) = (new byte[4], new byte[4]);
        BinaryPrimitives.WriteInt32BigEndian(length, body.Length);
        BinaryPrimitives.WriteUInt32BigEndian(crc, Crc(named));
        return [.. length, .. named, .. crc];
    }

    /// <summary>The chunks of a file; their check sums must be right.</summary>
    private static List<(string Name, byte[] Body)> Chunks(byte[] png)
    {
        var chunks = new List<(string, byte[])>();
        for (var at = 8; at < png.Length; )
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(at));
            var named = png.AsSpan(at + 4, 4 + length).ToArray();
            Assert.Equal(Crc(named), BinaryPrimitives.ReadUInt32BigEndian(png.AsSpan(at + 8 + length)));
            chunks.Add((Encoding.ASCII.GetString(named, 0, 4), named[4..]));
            at += 12 + length;
        }
        return chunks;
    }

    /// <summary>The check sum by its definition: division of polynomials, bit by bit.</summary>
    private static uint Crc(byte[] bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
            }
        }
        return ~crc;
    }
}
