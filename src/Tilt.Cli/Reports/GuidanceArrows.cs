using ScottPlot;
using SkiaSharp;

namespace Tilt.Cli.Reports;

/// <summary>The guidance −∇E_t on a square grid, over the energy it descends.</summary>
/// <param name="Title">Such as <c>CEP</c> or <c>exact</c>.</param>
/// <param name="Energy">E_t or f, drawn behind.</param>
/// <param name="X">First components at a coarser square grid of the same reach.</param>
/// <param name="Y">Second components.</param>
internal sealed record ArrowPanel(string Title, PlaneField Energy, PlaneField X, PlaneField Y);

/// <summary>Arrows of guidance over heat maps, all panels with the same scale of length.</summary>
internal static class GuidanceArrows
{
    /// <summary>Makes the figure.</summary>
    /// <param name="name">File name without an ending.</param>
    /// <param name="title">What it shows.</param>
    /// <param name="columns">A title for each column, such as times.</param>
    /// <param name="rows">Panels of each row; the first panel's title names the row.</param>
    public static Figure Make(
        string name,
        string title,
        IReadOnlyList<string> columns,
        IReadOnlyList<IReadOnlyList<ArrowPanel>> rows
    )
    {
        var panels = rows.SelectMany(row => row).ToList();
        // One length for all: the 95th percentile of the arrows spans 90 % of the distance between two of them.
        var lengths = panels.SelectMany(Lengths).Where(double.IsFinite).Order().ToArray();
        var unit = lengths.Length == 0 ? 1 : Math.Max(lengths[(int)(0.95 * (lengths.Length - 1))], 1e-12);
        var grid = new PanelGrid
        {
            Rows = rows.Count,
            Columns = columns.Count,
            PanelWidth = 240,
            PanelHeight = 240,
            RowTitles = [.. rows.Select(row => row[0].Title)],
            ColumnTitles = columns,
        };
        return new Figure(
            name,
            title,
            $"{title}. Arrows show where guidance pushes and how hard, over the energy as a heat map (dark is low, where it pushes to); "
                + $"rows: {string.Join(", ", rows.Select(row => row[0].Title))}; columns: {string.Join(", ", columns)}.",
            grid.Width,
            grid.Height
        )
        {
            Draw = canvas =>
                grid.Draw(
                    canvas,
                    (row, column) =>
                    {
                        if (column >= rows[row].Count)
                        {
                            return null;
                        }
                        var panel = rows[row][column];
                        var finite = panel.Energy.Values.Cast<double>().Where(double.IsFinite).ToArray();
                        var plot = EnergyMaps.Panel(
                            panel.Energy,
                            new ColorScale(FigureStyle.Energies, finite.Min(), finite.Max(), "")
                        );
                        plot.PlottableList.Add(new Arrows(panel, unit));
                        return plot;
                    }
                ),
            WriteData = csv =>
            {
                csv.Row("row", "column", "x", "y", "guidance_x", "guidance_y");
                for (var r = 0; r < rows.Count; r++)
                {
                    for (var c = 0; c < rows[r].Count; c++)
                    {
                        var panel = rows[r][c];
                        for (var i = 0; i < panel.X.Count; i++)
                        {
                            for (var j = 0; j < panel.X.Count; j++)
                            {
                                csv.Row(
                                    rows[r][0].Title,
                                    columns[c],
                                    panel.X.At(j),
                                    panel.X.At(i),
                                    panel.X.Values[i, j],
                                    panel.Y.Values[i, j]
                                );
                            }
                        }
                    }
                }
            },
        };
    }

    private static IEnumerable<double> Lengths(ArrowPanel panel)
    {
        for (var i = 0; i < panel.X.Count; i++)
        {
            for (var j = 0; j < panel.X.Count; j++)
            {
                yield return Math.Sqrt(
                    panel.X.Values[i, j] * panel.X.Values[i, j] + panel.Y.Values[i, j] * panel.Y.Values[i, j]
                );
            }
        }
    }

    private sealed class Arrows(ArrowPanel panel, double unit) : IPlottable
    {
        public bool IsVisible { get; set; } = true;

        public IAxes Axes { get; set; } = new Axes();

        public IEnumerable<LegendItem> LegendItems => [];

        public AxisLimits GetAxisLimits() => AxisLimits.NoLimits;

        public void Render(RenderPack rp)
        {
            var spacing = rp.DataRect.Width / (panel.X.Count - 1);
            using var arrows = new SKPath();
            for (var i = 0; i < panel.X.Count; i++)
            {
                for (var j = 0; j < panel.X.Count; j++)
                {
                    var (dx, dy) = (panel.X.Values[i, j] / unit, -panel.Y.Values[i, j] / unit);
                    var length = Math.Sqrt(dx * dx + dy * dy);
                    if (!double.IsFinite(length) || length < 0.04)
                    {
                        continue;
                    }
                    // Longer ones are cut, so that they do not cross their neighbours.
                    var drawn = 0.9 * spacing * Math.Min(length, 1.2);
                    var (ux, uy) = ((float)(dx / length), (float)(dy / length));
                    var at = Axes.GetPixel(new Coordinates(panel.X.At(j), panel.X.At(i)));
                    var from = new SKPoint(at.X - ux * (float)drawn / 2, at.Y - uy * (float)drawn / 2);
                    var tip = new SKPoint(at.X + ux * (float)drawn / 2, at.Y + uy * (float)drawn / 2);
                    // The shortest are strokes: their heads would be blots.
                    var head = drawn < 4 ? 0 : (float)Math.Min(4, 0.4 * drawn);
                    arrows.MoveTo(from);
                    arrows.LineTo(tip);
                    if (head == 0)
                    {
                        continue;
                    }
                    arrows.MoveTo(tip.X - head * (ux + 0.6f * uy), tip.Y - head * (uy - 0.6f * ux));
                    arrows.LineTo(tip);
                    arrows.LineTo(tip.X - head * (ux - 0.6f * uy), tip.Y - head * (uy + 0.6f * ux));
                }
            }
            // White on a dark edge is seen on every colour of the map.
            foreach (var (color, width) in new[] { (SKColors.Black.WithAlpha(140), 2f), (SKColors.White, 1.1f) })
            {
                using var paint = new SKPaint
                {
                    Color = color,
                    StrokeWidth = width,
                    Style = SKPaintStyle.Stroke,
                    StrokeCap = SKStrokeCap.Round,
                    StrokeJoin = SKStrokeJoin.Round,
                    IsAntialias = true,
                };
                rp.Canvas.DrawPath(arrows, paint);
            }
        }
    }
}
