namespace Tilt.Images.Certificate;

/// <summary>The circular mean hue of pictures, in bins.</summary>
/// <remarks>
/// The angle of Σ S·exp(2πi·H) over pixels, S the chroma max − min: pixels near grey, whose hue is chance, have no say.
/// Bin 0 is centred on red, as every fourth bin of the 24 is centred on one of the six hues; so no hue sits on an edge.
/// </remarks>
public static class MeanHue
{
    /// <summary>Bins round the circle.</summary>
    public const int Bins = 24;

    /// <summary>Names of the bins: their centres, in degrees.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [.. Enumerable.Range(0, Bins).Select(bin => $"{bin * 360 / Bins}°")];

    /// <summary>The mean hue of a picture, in [0, 1); 0 for one that is grey all over.</summary>
    /// <param name="picture">3·H·W bytes, channel by channel.</param>
    public static double Of(ReadOnlySpan<byte> picture)
    {
        var plane = picture.Length / 3;
        var (x, y) = (0.0, 0.0);
        var (last, cos, sin) = (-1, 0.0, 0.0);
        for (var i = 0; i < plane; i++)
        {
            var (red, green, blue) = (picture[i], picture[plane + i], picture[2 * plane + i]);
            var color = red << 16 | green << 8 | blue;
            if (color != last)
            {
                // Neighbours are often of one colour.
                last = color;
                var chroma = Math.Max(red, Math.Max(green, blue)) - Math.Min(red, Math.Min(green, blue));
                (sin, cos) = Math.SinCos(2 * Math.PI * Hues.Of(red, green, blue));
                (sin, cos) = (chroma * sin, chroma * cos);
            }
            (x, y) = (x + cos, y + sin);
        }
        var turn = Math.Atan2(y, x) / (2 * Math.PI);
        return turn < 0 ? turn + 1 : turn;
    }

    /// <summary>The bin of each picture.</summary>
    public static byte[] Read(PictureSet pictures)
    {
        var bins = new byte[pictures.Count];
        Parallel.For(0, bins.Length, i => bins[i] = (byte)((int)Math.Floor(Of(pictures[i]) * Bins + 0.5) % Bins));
        return bins;
    }
}
