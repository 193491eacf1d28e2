using ScottPlot;
using SkiaSharp;

namespace Tilt.Cli.Reports;

/// <summary>Points in the plane with a number each, such as samples and their labels.</summary>
/// <param name="X">First coordinates.</param>
/// <param name="Y">Second coordinates, as many.</param>
/// <param name="Values">What is shown by colour, as many; empty for points without.</param>
internal sealed record PlanePoints(double[] X, double[] Y, double[] Values)
{
    /// <summary>No points: an empty panel.</summary>
    public static PlanePoints None { get; } = new([], [], []);
}

/// <summary>Clouds of points in rows and columns, all on the same equal axes: methods down, β across.</summary>
internal static class ScatterGallery
{
    /// <summary>Makes the figure.</summary>
    /// <param name="name">File name without an ending.</param>
    /// <param name="title">What it shows.</param>
    /// <param name="rows">A title for each row.</param>
    /// <param name="columns">A title for each column.</param>
    /// <param name="panels">The points of each row and column; null where there are none.</param>
    /// <param name="reach">Both axes run from −reach to reach.</param>
    /// <param name="colors">The least and greatest value of the colours.</param>
    /// <param name="colorLabel">What the colours are.</param>
    /// <param name="absent">What stands where there are no points.</param>
    public static Figure Make(
        string name,
        string title,
        IReadOnlyList<string> rows,
        IReadOnlyList<string> columns,
        Func<int, int, PlanePoints?> panels,
        double reach = 4.5,
        (double Low, double High)? colors = null,
        string colorLabel = "label",
        string absent = "not drawn"
    )
    {
        var (low, high) = colors ?? (0, 1);
        var scale = new ColorScale(FigureStyle.Points, low, high, colorLabel);
        var grid = new PanelGrid
        {
            Rows = rows.Count,
            Columns = columns.Count,
            PanelWidth = 150,
            PanelHeight = 150,
            RowTitles = rows,
            ColumnTitles = columns,
            Colors = scale,
            Absent = absent,
        };
        return new Figure(
            name,
            title,
            $"{title}. Clouds of points; rows: {string.Join(", ", rows)}; columns: {string.Join(", ", columns)}; "
                + $"equal axes from {-reach} to {reach}; colour is the {colorLabel} from {low} to {high}.",
            grid.Width,
            grid.Height
        )
        {
            Draw = canvas =>
                grid.Draw(
                    canvas,
                    (row, column) =>
                    {
                        if (panels(row, column) is not { } points)
                        {
                            return null;
                        }
                        var plot = PlanePanel(reach);
                        plot.PlottableList.Add(new PointCloud(points, scale));
                        return plot;
                    }
                ),
            WriteData = csv =>
            {
                csv.Row("row", "column", "x", "y", colorLabel);
                for (var row = 0; row < rows.Count; row++)
                {
                    for (var column = 0; column < columns.Count; column++)
                    {
                        var points = panels(row, column) ?? PlanePoints.None;
                        for (var i = 0; i < points.X.Length; i++)
                        {
                            csv.Row(
                                rows[row],
                                columns[column],
                                points.X[i],
                                points.Y[i],
                                points.Values.Length > 0 ? points.Values[i] : null
                            );
                        }
                    }
                }
            },
        };
    }

    /// <summary>An empty square panel of the plane.</summary>
    internal static Plot PlanePanel(double reach)
    {
        var plot = FigureStyle.NewPlot();
        plot.HideGrid();
        plot.Axes.SetLimits(-reach, reach, -reach, reach);
        var ticks = NumberTicks.Linear(-reach, reach, 5);
        NumberTicks.Set(plot.Axes.Bottom, ticks);
        NumberTicks.Set(plot.Axes.Left, ticks);
        return plot;
    }

    /// <summary>Dots, one path per colour, so that a drawing of many thousand points stays small as an SVG.</summary>
    private sealed class PointCloud(PlanePoints points, ColorScale scale) : IPlottable
    {
        private const int Shades = 48;
        private const int Layers = 3;

        public bool IsVisible { get; set; } = true;

        public IAxes Axes { get; set; } = new Axes();

        public IEnumerable<LegendItem> LegendItems => [];

        public AxisLimits GetAxisLimits() => AxisLimits.NoLimits;

        public void Render(RenderPack rp)
        {
            var span = scale.High > scale.Low ? scale.High - scale.Low : 1;
            var radius =
                points.X.Length > 4000 ? 0.7f
                : points.X.Length > 1500 ? 0.9f
                : 1.3f;
            // In layers of every third point, so that no shade lies on top of all others where clouds overlap.
            for (var layer = 0; layer < Layers; layer++)
            {
                var paths = new SKPath?[Shades];
                for (var i = layer; i < points.X.Length; i += Layers)
                {
                    if (!double.IsFinite(points.X[i]) || !double.IsFinite(points.Y[i]))
                    {
                        continue;
                    }
                    var fraction = points.Values.Length == 0 ? 0.3 : (points.Values[i] - scale.Low) / span;
                    var shade = Math.Clamp((int)(fraction * Shades), 0, Shades - 1);
                    var at = Axes.GetPixel(new Coordinates(points.X[i], points.Y[i]));
                    if (rp.DataRect.Contains(at))
                    {
                        var path = paths[shade] ??= new SKPath();
                        // A line to itself with a round end is a dot. Tenths of a pixel are fine enough.
                        path.MoveTo(MathF.Round(at.X, 1), MathF.Round(at.Y, 1));
                        path.LineTo(MathF.Round(at.X, 1), MathF.Round(at.Y, 1));
                    }
                }
                for (var shade = 0; shade < Shades; shade++)
                {
                    if (paths[shade] is { } path)
                    {
                        using var paint = new SKPaint
                        {
                            Color = scale.Map.At((shade + 0.5) / Shades),
                            Style = SKPaintStyle.Stroke,
                            StrokeCap = SKStrokeCap.Round,
                            StrokeWidth = 2 * radius,
                            IsAntialias = true,
                        };
                        rp.Canvas.DrawPath(path, paint);
                        path.Dispose();
                    }
                }
            }
        }
    }
}
