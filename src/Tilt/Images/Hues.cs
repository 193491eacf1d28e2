namespace Tilt.Images;

/// <summary>The six hues that energies, palettes and labels speak of: red, yellow, green, cyan, blue, magenta, at i/6 of the circle.</summary>
public static class Hues
{
    /// <summary>How many there are.</summary>
    public const int Count = 6;

    /// <summary>Their names, in order.</summary>
    public static IReadOnlyList<string> Names { get; } = ["red", "yellow", "green", "cyan", "blue", "magenta"];

    /// <summary>The place of a hue in <see cref="Names"/>.</summary>
    /// <param name="name">A name; case does not matter.</param>
    /// <exception cref="TiltException">There is no such hue.</exception>
    public static int Index(string name)
    {
        for (var i = 0; i < Count; i++)
        {
            if (Names[i].Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return i;
            }
        }
        throw Suggest.Unknown("hue", name, Names);
    }

    /// <summary>The hue of a pixel of eight bits per channel, in [0, 1); 0 for greys.</summary>
    public static double Of(byte red, byte green, byte blue)
    {
        var (v, m) = (Math.Max(red, Math.Max(green, blue)), Math.Min(red, Math.Min(green, blue)));
        if (v == m)
        {
            return 0;
        }
        double range = v - m;
        var sixths =
            red == v ? (green - blue) / range
            : green == v ? 2 + (blue - red) / range
            : 4 + (red - green) / range;
        return (sixths < 0 ? sixths + 6 : sixths) / 6;
    }

    /// <summary>Which of the six a hue in [0, 1) is nearest to on the circle.</summary>
    public static int Nearest(double hue) => (int)Math.Floor(hue * Count + 0.5) % Count;
}
