using SkiaSharp;
using Tilt.Images;

namespace Tilt.Cli.Reports;

/// <summary>Pictures on a sheet, row by row, enlarged without smoothing.</summary>
internal static class PictureSheet
{
    private const int Gap = 2;

    /// <summary>The sheet as a PNG.</summary>
    /// <param name="pictures">At least one.</param>
    /// <param name="columns">Pictures in a row.</param>
    /// <param name="magnify">Screen pixels on a side of each pixel.</param>
    public static byte[] Png(PictureSet pictures, int columns, int magnify)
    {
        var (count, shown) = ((int)pictures.Count, Math.Max(1, Math.Min(columns, (int)pictures.Count)));
        var rows = Math.Max(1, (count + shown - 1) / shown);
        var (stepX, stepY) = (pictures.Width * magnify + Gap, pictures.Height * magnify + Gap);
        using var sheet = new SKBitmap(
            new SKImageInfo(shown * stepX + Gap, rows * stepY + Gap, SKColorType.Rgba8888, SKAlphaType.Opaque)
        );
        using var canvas = new SKCanvas(sheet);
        canvas.Clear(SKColors.White);
        for (var i = 0; i < count; i++)
        {
            using var picture = Bitmap(pictures, i);
            var (x, y) = (Gap + i % shown * stepX, Gap + i / shown * stepY);
            var place = SKRect.Create(x, y, pictures.Width * magnify, pictures.Height * magnify);
            using var image = SKImage.FromBitmap(picture);
            canvas.DrawImage(image, place, new SKSamplingOptions(SKFilterMode.Nearest));
        }
        return Encoded(sheet);
    }

    /// <summary>One picture as a PNG of its own size.</summary>
    /// <param name="pictures">The set it is in.</param>
    /// <param name="index">Its place.</param>
    public static byte[] Png(PictureSet pictures, long index)
    {
        using var picture = Bitmap(pictures, index);
        return Encoded(picture);
    }

    private static SKBitmap Bitmap(PictureSet pictures, long index)
    {
        var bitmap = new SKBitmap(
            new SKImageInfo(pictures.Width, pictures.Height, SKColorType.Rgba8888, SKAlphaType.Opaque)
        );
        var bytes = pictures[index];
        var plane = pictures.Height * pictures.Width;
        var pixels = bitmap.GetPixelSpan();
        for (var at = 0; at < plane; at++)
        {
            (pixels[4 * at], pixels[4 * at + 1]) = (bytes[at], bytes[plane + at]);
            (pixels[4 * at + 2], pixels[4 * at + 3]) = (bytes[2 * plane + at], byte.MaxValue);
        }
        return bitmap;
    }

    private static byte[] Encoded(SKBitmap bitmap)
    {
        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }
}
