using System.Globalization;

namespace Tilt.Cli.Reports;

/// <summary>Clouds of points as text: eight braille dots a character, equal axes, colour by value where the terminal has it.</summary>
internal static class TerminalScatter
{
    private const int Gap = 2;
    private const int LeastWidth = 16;
    private const int MostWidth = 36;

    // Bits of U+2800 by row of the dot; the right column's are those of the left shifted, but for the last row.
    private static readonly int[] LeftDots = [0x01, 0x02, 0x04, 0x40];
    private static readonly int[] RightDots = [0x08, 0x10, 0x20, 0x80];

    // Dark enough for white terminals, light enough for black ones.
    private static readonly ScottPlot.Colormaps.Plasma Shades = new ScottPlot.Colormaps.Plasma();

    /// <summary>Panels side by side, as many as fit, then below each other.</summary>
    /// <param name="panels">A title and points for each.</param>
    /// <param name="width">Columns to fit into.</param>
    /// <param name="reach">Both axes run from −reach to reach.</param>
    /// <param name="color">Whether to colour by value, from 0 to 1.</param>
    public static IReadOnlyList<string> Lines(
        IReadOnlyList<(string Title, PlanePoints Points)> panels,
        int width,
        double reach = 4.5,
        bool color = false
    )
    {
        if (panels.Count == 0)
        {
            return [];
        }
        var abreast = Math.Clamp((width + Gap) / (LeastWidth + Gap), 1, panels.Count);
        var columns = Math.Clamp((width + Gap) / abreast - Gap, 4, MostWidth);
        var lines = new List<string>();
        foreach (var row in panels.Chunk(abreast))
        {
            var drawn = row.Select(panel => Panel(panel.Points, columns, reach, color)).ToList();
            lines.Add(string.Join(new string(' ', Gap), row.Select(panel => Fitted(panel.Title, columns))).TrimEnd());
            for (var line = 0; line < drawn[0].Length; line++)
            {
                lines.Add(string.Join(new string(' ', Gap), drawn.Select(panel => panel[line])).TrimEnd());
            }
        }
        return lines;
    }

    private static string[] Panel(PlanePoints points, int columns, double reach, bool color)
    {
        // A character is about twice as high as wide, so half as many rows make a square.
        var rows = Math.Max(2, columns / 2);
        var dots = new int[rows, columns];
        var sums = new double[rows, columns];
        var counts = new int[rows, columns];
        for (var i = 0; i < points.X.Length; i++)
        {
            var column = (int)Math.Floor((points.X[i] + reach) / (2 * reach) * columns * 2);
            var row = (int)Math.Floor((reach - points.Y[i]) / (2 * reach) * rows * 4);
            if (
                column < 0
                || column >= columns * 2
                || row < 0
                || row >= rows * 4
                || double.IsNaN(points.X[i] + points.Y[i])
            )
            {
                continue;
            }
            var (r, c) = (row / 4, column / 2);
            dots[r, c] |= (column % 2 == 0 ? LeftDots : RightDots)[row % 4];
            counts[r, c]++;
            sums[r, c] += points.Values.Length > 0 ? points.Values[i] : 0;
        }
        return
        [
            .. Enumerable
                .Range(0, rows)
                .Select(r =>
                    string.Concat(
                        Enumerable
                            .Range(0, columns)
                            .Select(c =>
                                dots[r, c] == 0 ? " "
                                : color ? Colored((char)(0x2800 + dots[r, c]), sums[r, c] / counts[r, c])
                                : ((char)(0x2800 + dots[r, c])).ToString()
                            )
                    )
                ),
        ];
    }

    private static string Colored(char letter, double value)
    {
        var shade = Shades.GetColor(0.25 + 0.61 * Math.Clamp(value, 0, 1));
        // The 6 × 6 × 6 cube of 256 colours, which every colour terminal has.
        static int Level(byte part) => (int)Math.Round(part / 255.0 * 5);
        var index = 16 + 36 * Level(shade.R) + 6 * Level(shade.G) + Level(shade.B);
        return string.Create(CultureInfo.InvariantCulture, $"\e[38;5;{index}m{letter}\e[0m");
    }

    private static string Fitted(string title, int columns) =>
        (title.Length > columns ? title[..(columns - 1)] + "…" : title).PadRight(columns);
}
