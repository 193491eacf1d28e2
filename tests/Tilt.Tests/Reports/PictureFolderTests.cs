using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using SkiaSharp;
using Tilt.Cli.Reports;
using Tilt.Images;
using Tilt.Images.Avatars;

namespace Tilt.Tests.Reports;

public class PictureFolderTests
{
    [Fact]
    public void Pictures_of_the_right_size_come_back_byte_for_byte_in_the_order_of_their_paths()
    {
        using var folder = new TemporaryFolder();
        var set = AvatarGenerator.Draw(3, 1).Pictures;
        Directory.CreateDirectory(Path.Combine(folder.Path, "below"));
        Write(Path.Combine(folder.Path, "b.PNG"), Bitmap(set, 0));
        Write(Path.Combine(folder.Path, "a.png"), Bitmap(set, 1));
        Write(Path.Combine(folder.Path, "below", "c.png"), Bitmap(set, 2));
        File.WriteAllText(Path.Combine(folder.Path, "notes.txt"), "not a picture");

        var read = PictureFolder.Read(folder.Path);

        Assert.Equal(set[1].ToArray(), read[0].ToArray());
        Assert.Equal(set[0].ToArray(), read[1].ToArray());
        Assert.Equal(set[2].ToArray(), read[2].ToArray());
    }

    [Fact]
    public void Larger_pictures_are_cropped_to_the_middle_and_averaged_and_smaller_ones_enlarged()
    {
        using var folder = new TemporaryFolder();
        // 40 wide, 8 high: the middle 8×8 is left; its columns are 0, 10, 20 … 70.
        var wide = new SKBitmap(40, 8);
        for (var x = 0; x < 40; x++)
        {
            for (var y = 0; y < 8; y++)
            {
                var grey = (byte)(x is >= 16 and < 24 ? 10 * (x - 16) : 255);
                wide.SetPixel(x, y, new SKColor(grey, grey, grey));
            }
        }
        Write(Path.Combine(folder.Path, "wide.png"), wide);

        var half = PictureFolder.Read(folder.Path, size: 4, least: 1)[0].ToArray();
        Assert.Equal<byte>([5, 25, 45, 65], half[..4]);
        var twice = PictureFolder.Read(folder.Path, size: 16, least: 1)[0].ToArray();
        Assert.Equal<byte>([0, 0, 10, 10, 20], twice[..5]);
        // Not a whole multiple: 8 pixels on 3; the first covers 0, 10 and two thirds of 20.
        var third = PictureFolder.Read(folder.Path, size: 3, least: 1)[0].ToArray();
        Assert.Equal((byte)Math.Round((0 + 10 + 20 * 2 / 3.0) / (8 / 3.0)), third[0]);
    }

    [Fact]
    public void What_can_be_seen_through_lies_on_white()
    {
        using var folder = new TemporaryFolder();
        var bitmap = new SKBitmap(16, 16, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        bitmap.Erase(new SKColor(0, 0, 0, 0));
        bitmap.SetPixel(0, 0, new SKColor(200, 0, 0, 128));
        Write(Path.Combine(folder.Path, "a.png"), bitmap);

        var read = PictureFolder.Read(folder.Path, least: 1)[0].ToArray();
        Assert.Equal(255, read[5]);
        Assert.Equal(127, read[256]);
        Assert.InRange(read[0], 226, 228);
    }

    [Fact]
    public void Greys_jpegs_and_sixteen_bits_are_read()
    {
        using var folder = new TemporaryFolder();
        var grey = new SKBitmap(20, 20, SKColorType.Gray8, SKAlphaType.Opaque);
        grey.Erase(new SKColor(100, 100, 100));
        Write(Path.Combine(folder.Path, "a.png"), grey.Copy());
        Write(Path.Combine(folder.Path, "b.jpg"), grey, SKEncodedImageFormat.Jpeg);
        File.WriteAllBytes(Path.Combine(folder.Path, "c.png"), SixteenBits(20, 20, 100 * 257));

        var read = PictureFolder.Read(folder.Path);
        Assert.Equal(3, read.Count);
        Assert.All(read.Pixels, value => Assert.InRange(value, 98, 102));
    }

    [Theory]
    [InlineData(SKEncodedOrigin.TopLeft, 0, 0)]
    [InlineData(SKEncodedOrigin.RightTop, 15, 0)]
    [InlineData(SKEncodedOrigin.BottomRight, 15, 15)]
    [InlineData(SKEncodedOrigin.LeftBottom, 0, 15)]
    public void Orientation_puts_the_first_pixel_where_it_belongs(SKEncodedOrigin origin, int x, int y)
    {
        var rgba = Enumerable.Repeat((byte)255, 16 * 16 * 4).ToArray();
        (rgba[0], rgba[1], rgba[2]) = (0, 0, 0);
        var to = new byte[768];

        PictureFolder.Shrink(rgba, 16, 16, 16, origin, to);
        Assert.Equal(16 * y + x, Array.IndexOf(to, (byte)0));
    }

    [Fact]
    public void Files_that_cannot_be_read_are_named_with_what_is_wrong()
    {
        using var folder = new TemporaryFolder();
        var set = AvatarGenerator.Draw(1, 1).Pictures;
        var good = Path.Combine(folder.Path, "good.png");
        Write(good, Bitmap(set, 0));
        var bytes = File.ReadAllBytes(good);
        File.WriteAllBytes(Path.Combine(folder.Path, "cut.png"), bytes[..(bytes.Length / 2)]);
        File.WriteAllBytes(Path.Combine(folder.Path, "empty.png"), []);
        File.WriteAllText(Path.Combine(folder.Path, "text.jpg"), "not a picture at all");

        var message = Assert.Throws<TiltException>(() => PictureFolder.Read(folder.Path)).Message;
        Assert.Contains("cut.png", message);
        Assert.Contains("empty.png: it is empty", message);
        Assert.Contains("text.jpg: it is no PNG or JPEG", message);
        Assert.Contains("1 others are fine", message);
    }

    [Fact]
    public void Folders_without_enough_pictures_are_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(
            "found no pictures",
            Assert.Throws<TiltException>(() => PictureFolder.Read(folder.Path)).Message
        );
        var file = Path.Combine(folder.Path, "only.png");
        Write(file, Bitmap(AvatarGenerator.Draw(1, 1).Pictures, 0));
        Assert.Contains(file, Assert.Throws<TiltException>(() => PictureFolder.Read(folder.Path)).Message);
        Assert.Contains("found a file", Assert.Throws<TiltException>(() => PictureFolder.Read(file)).Message);
        Assert.Contains(
            "no such folder",
            Assert.Throws<TiltException>(() => PictureFolder.Read(Path.Combine(folder.Path, "x"))).Message
        );
    }

    [Fact]
    public void A_grid_shows_every_pixel_as_a_square()
    {
        var set = AvatarGenerator.Draw(6, 2).Pictures;
        var figure = PictureGrid.Make("g", "Six", "Six avatars.", [""], [""], (_, _) => set, across: 3, zoom: 3);

        using var drawn = SKBitmap.Decode(figure.Png(scale: 1));
        // Ten pixels of margin; the fifth picture is the second of the second row.
        var (left, top) = (10 + 48 + 2, 10 + 48 + 2);
        for (var place = 0; place < 256; place++)
        {
            var color = drawn.GetPixel(left + place % 16 * 3 + 1, top + place / 16 * 3 + 1);
            Assert.Equal(
                (set[4][place], set[4][256 + place], set[4][512 + place]),
                (color.Red, color.Green, color.Blue)
            );
        }
        Assert.Equal(7, figure.Csv().Trim().Split('\n').Length);
        Assert.Contains("<title>Six</title>", figure.Svg());
    }

    /// <summary>A PNG of sixteen bits per channel, all of one grey, written by hand.</summary>
    private static byte[] SixteenBits(int width, int height, int value)
    {
        var line = new byte[1 + 6 * width];
        for (var i = 1; i < line.Length; i += 2)
        {
            BinaryPrimitives.WriteUInt16BigEndian(line.AsSpan(i), (ushort)value);
        }
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            for (var y = 0; y < height; y++)
            {
                zlib.Write(line);
            }
        }
        var head = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(head, width);
        BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(4), height);
        (head[8], head[9]) = (16, 2);
        return
        [
            0x89,
            .. "PNG\r\n\x1a\n"u8,
            .. Chunk("IHDR", head),
            .. Chunk("IDAT", packed.ToArray()),
            .. Chunk("IEND", []),
        ];
    }

    private static byte[] Chunk(string kind, byte[] data)
    {
        byte[] body = [.. Encoding.ASCII.GetBytes(kind), .. data];
        var crc = uint.MaxValue;
        foreach (var value in body)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0xEDB88320);
            }
        }
        var chunk = new byte[body.Length + 8];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        body.CopyTo(chunk, 4);
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(body.Length + 4), ~crc);
        return chunk;
    }

    private static SKBitmap Bitmap(PictureSet set, int index)
    {
        var bitmap = new SKBitmap(16, 16, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        var picture = set[index];
        for (var place = 0; place < 256; place++)
        {
            bitmap.SetPixel(
                place % 16,
                place / 16,
                new SKColor(picture[place], picture[256 + place], picture[512 + place])
            );
        }
        return bitmap;
    }

    private static void Write(string file, SKBitmap bitmap, SKEncodedImageFormat format = SKEncodedImageFormat.Png)
    {
        using (bitmap)
        {
            using var stream = File.Create(file);
            bitmap.Encode(stream, format, 95);
        }
    }
}
