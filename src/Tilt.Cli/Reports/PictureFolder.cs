using SkiaSharp;
using Tilt.Images;

namespace Tilt.Cli.Reports;

/// <summary>A user's folder of PNG and JPEG files as pictures of one size.</summary>
/// <remarks>
/// Files are taken from the folder and all below it, in the order of their paths. Each is decoded to eight bits per channel (sixteen bits, grey and
/// palettes too), laid on white where it is see-through, cropped to its middle square, turned as its EXIF orientation says, and
/// resized by area: each pixel of the result is the mean of the part of the picture it covers. So smaller pictures are enlarged in blocks.
/// </remarks>
internal static class PictureFolder
{
    /// <summary>The most pixels of a file: more is a mistake or an attack, not a picture to be made small.</summary>
    public const long MostPixels = 100_000_000;

    private const int Named = 3;

    private static readonly string[] Endings = [".png", ".jpg", ".jpeg"];

    /// <summary>Reads all pictures.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="size">Height and width of the result.</param>
    /// <param name="least">The fewest pictures that are of use.</param>
    /// <param name="most">The most that are read: the first of them.</param>
    /// <exception cref="TiltException">No such folder, too few pictures, or files that cannot be read; the message names them.</exception>
    public static PictureSet Read(string folder, int size = 16, int least = 2, long most = long.MaxValue)
    {
        var files = Files(folder, least, most);
        var stride = 3 * size * size;
        if ((long)files.Length * stride > Array.MaxLength)
        {
            throw new TiltException(
                $"{folder}: found {files.Length} pictures; expected at most {Array.MaxLength / stride} of {size}×{size}."
            );
        }
        var pixels = new byte[files.Length * stride];
        var faults = new string?[files.Length];
        Parallel.For(0, files.Length, i => faults[i] = Read(files[i], size, pixels.AsSpan(i * stride, stride)));
        var wrong = Enumerable.Range(0, files.Length).Where(i => faults[i] is not null).ToList();
        if (wrong.Count > 0)
        {
            var some = string.Join("; ", wrong.Take(Named).Select(i => $"{files[i]}: {faults[i]}"));
            var more = wrong.Count > Named ? $"; and {wrong.Count - Named} more" : "";
            throw new TiltException(
                $"{some}{more}. Mend or remove such files; {files.Length - wrong.Count} others are fine."
            );
        }
        return new(pixels, size, size);
    }

    private static string[] Files(string folder, int least, long most)
    {
        if (!Directory.Exists(folder))
        {
            throw new TiltException(
                File.Exists(folder)
                    ? $"{folder}: found a file; expected a folder of PNG or JPEG files."
                    : $"{folder}: there is no such folder."
            );
        }
        string[] files;
        try
        {
            files =
            [
                .. Directory
                    .EnumerateFiles(folder, "*", SearchOption.AllDirectories)
                    .Where(file => Endings.Contains(Path.GetExtension(file), StringComparer.OrdinalIgnoreCase))
                    .Order(StringComparer.Ordinal)
                    .Take((int)Math.Min(most, int.MaxValue)),
            ];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new TiltException($"{folder}: cannot be listed: {error.Message}");
        }
        if (files.Length == 0)
        {
            throw new TiltException(
                $"{folder}: found no pictures; expected files that end in {string.Join(", ", Endings)}, here or in folders below."
            );
        }
        if (files.Length < least)
        {
            throw new TiltException(
                $"{folder}: found {(files.Length == 1 ? $"one picture, {files[0]}" : $"{files.Length} pictures")}; expected at least "
                    + $"{least}: a model of so few has nothing to learn but them."
            );
        }
        return files;
    }

    /// <summary>Reads a file into size·size pixels, channel by channel.</summary>
    /// <returns>What is wrong with it; null where nothing is.</returns>
    private static string? Read(string file, int size, Span<byte> to)
    {
        try
        {
            using var stream = File.OpenRead(file);
            if (stream.Length == 0)
            {
                return "it is empty";
            }
            using var codec = SKCodec.Create(stream, out var opened);
            if (codec is null)
            {
                return $"it is no PNG or JPEG that can be read ({opened})";
            }
            var (width, height) = (codec.Info.Width, codec.Info.Height);
            if ((long)width * height > MostPixels)
            {
                return $"it has {width}×{height} pixels; expected at most {MostPixels}";
            }
            var info = new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
            using var bitmap = new SKBitmap();
            if (!bitmap.TryAllocPixels(info))
            {
                return $"{width}×{height} pixels do not fit into memory";
            }
            var read = codec.GetPixels(info, bitmap.GetPixels());
            if (read != SKCodecResult.Success)
            {
                return read == SKCodecResult.IncompleteInput
                    ? "it ends too early"
                    : $"its pixels cannot be decoded ({read})";
            }
            Shrink(bitmap.GetPixelSpan(), width, height, size, codec.EncodedOrigin, to);
            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return error.Message;
        }
    }

    /// <summary>The middle square, by area, on white, turned.</summary>
    internal static void Shrink(
        ReadOnlySpan<byte> rgba,
        int width,
        int height,
        int size,
        SKEncodedOrigin origin,
        Span<byte> to
    )
    {
        var side = Math.Min(width, height);
        var (left, top) = ((width - side) / 2, (height - side) / 2);
        Span<double> sums = stackalloc double[3];
        for (var y = 0; y < size; y++)
        {
            var (y0, y1) = ((double)y * side / size, (y + 1.0) * side / size);
            for (var x = 0; x < size; x++)
            {
                var (x0, x1) = ((double)x * side / size, (x + 1.0) * side / size);
                sums.Clear();
                for (var v = (int)y0; v < Math.Min(side, Math.Ceiling(y1)); v++)
                {
                    var high = Math.Min(y1, v + 1) - Math.Max(y0, v);
                    for (var u = (int)x0; u < Math.Min(side, Math.Ceiling(x1)); u++)
                    {
                        var area = high * (Math.Min(x1, u + 1) - Math.Max(x0, u));
                        var pixel = rgba.Slice(4 * ((top + v) * width + left + u), 4);
                        for (var c = 0; c < 3; c++)
                        {
                            sums[c] += area * (255 - pixel[3] / 255.0 * (255 - pixel[c]));
                        }
                    }
                }
                var (column, row) = Turned(x, y, size - 1, origin);
                for (var c = 0; c < 3; c++)
                {
                    to[(c * size + row) * size + column] = (byte)
                        Math.Clamp(Math.Floor(sums[c] / ((x1 - x0) * (y1 - y0)) + 0.5), 0, 255);
                }
            }
        }
    }

    private static (int X, int Y) Turned(int x, int y, int last, SKEncodedOrigin origin) =>
        origin switch
        {
            SKEncodedOrigin.TopRight => (last - x, y),
            SKEncodedOrigin.BottomRight => (last - x, last - y),
            SKEncodedOrigin.BottomLeft => (x, last - y),
            SKEncodedOrigin.LeftTop => (y, x),
            SKEncodedOrigin.RightTop => (last - y, x),
            SKEncodedOrigin.RightBottom => (last - y, last - x),
            SKEncodedOrigin.LeftBottom => (y, last - x),
            _ => (x, y),
        };
}
