namespace Tilt.Cli.Reports;

/// <summary>Pictures side by side at half size: a movement on one line of a page.</summary>
internal static class FrameStrip
{
    private const int Channels = 3;
    private const int Gap = 4;

    /// <summary>Joins pictures, each halved by averaging 2 × 2 pixels, with white between.</summary>
    /// <param name="frames">RGB, rows from the top, [height, width, 3] each.</param>
    /// <param name="width">Pixels of one, even.</param>
    /// <param name="height">Pixels of one, even.</param>
    /// <returns>The strip and its size.</returns>
    public static (byte[] Rgb, int Width, int Height) Join(IReadOnlyList<byte[]> frames, int width, int height)
    {
        var (small, low) = (width / 2, height / 2);
        var whole = frames.Count * (small + Gap) - Gap;
        var strip = new byte[Channels * whole * low];
        Array.Fill(strip, byte.MaxValue);
        for (var k = 0; k < frames.Count; k++)
        {
            for (var y = 0; y < low; y++)
            {
                for (var x = 0; x < small; x++)
                {
                    for (var c = 0; c < Channels; c++)
                    {
                        int At(int dx, int dy) => frames[k][Channels * ((2 * y + dy) * width + 2 * x + dx) + c];
                        var sum = At(0, 0) + At(1, 0) + At(0, 1) + At(1, 1);
                        strip[Channels * (y * whole + k * (small + Gap) + x) + c] = (byte)((sum + 2) / 4);
                    }
                }
            }
        }
        return (strip, whole, low);
    }

    /// <summary>Indices of a few of many, evenly spread, first and last included.</summary>
    public static IEnumerable<int> Spread(int many, int few) =>
        Enumerable.Range(0, Math.Min(many, few)).Select(k => few >= many ? k : k * (many - 1) / (few - 1));
}
