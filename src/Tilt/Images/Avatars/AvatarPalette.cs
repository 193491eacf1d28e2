namespace Tilt.Images.Avatars;

/// <summary>A colour of eight bits per channel.</summary>
internal readonly record struct Rgb(byte Red, byte Green, byte Blue)
{
    public byte this[int channel] =>
        channel switch
        {
            0 => Red,
            1 => Green,
            _ => Blue,
        };
}

/// <summary>The shades that each part takes of its hue.</summary>
/// <remarks>
/// A shade is uniform in hue within ±<see cref="HueSpread"/> of the named one, and in saturation and value within the range of its
/// part: backgrounds are light, faces somewhat deeper, clothes bright, hair dark, so that the parts stand out from each other whatever their hues.
/// No range is near grey: the hue of every tinted pixel means something.
/// </remarks>
internal static class AvatarPalette
{
    /// <summary>Half the width of a named hue, of the circle; names are 1/6 apart.</summary>
    public const double HueSpread = 0.03;

    private readonly record struct Range(
        double LowSaturation,
        double HighSaturation,
        double LowValue,
        double HighValue
    );

    // background, skin, accessories, clothing, eyes, glasses, mouth, hair, hat
    private static readonly Range[] Ranges =
    [
        new(0.28, 0.50, 0.88, 1.00),
        new(0.40, 0.60, 0.72, 0.92),
        new(0.50, 0.80, 0.85, 1.00),
        new(0.65, 0.90, 0.55, 0.90),
        new(0.50, 0.80, 0.20, 0.45),
        new(0.30, 0.70, 0.15, 0.35),
        new(0.65, 0.85, 0.35, 0.50),
        new(0.55, 0.85, 0.28, 0.60),
        new(0.55, 0.85, 0.40, 0.75),
    ];

    /// <summary>A shade.</summary>
    /// <param name="tint">The part's number.</param>
    /// <param name="hue">Its named hue, 0 … 5.</param>
    /// <param name="random">64 random bits: 21 each for hue, saturation and value.</param>
    public static Rgb Shade(int tint, int hue, ulong random)
    {
        const double unit = 1.0 / (1 << 21);
        const ulong mask = (1 << 21) - 1;
        var range = Ranges[tint];
        var h = (double)hue / Hues.Count + HueSpread * (2 * ((random & mask) * unit) - 1);
        var s = range.LowSaturation + (range.HighSaturation - range.LowSaturation) * ((random >> 21 & mask) * unit);
        var v = range.LowValue + (range.HighValue - range.LowValue) * ((random >> 42 & mask) * unit);
        return OfHsv(h, s, v);
    }

    private static Rgb OfHsv(double hue, double saturation, double value)
    {
        var sixths = (hue - Math.Floor(hue)) * 6;
        byte Channel(double shift)
        {
            var k = (shift + sixths) % 6;
            var lift = Math.Max(0, Math.Min(1, Math.Min(k, 4 - k)));
            return (byte)Math.Floor(255 * (value - value * saturation * lift) + 0.5);
        }
        return new(Channel(5), Channel(3), Channel(1));
    }
}
