using ScottPlot;
using SkiaSharp;

namespace Tilt.Cli.Reports;

/// <summary>What one method reached by one metric.</summary>
/// <param name="Group">What stands together on the axis, such as <c>β = 3</c>.</param>
/// <param name="Method">The method.</param>
/// <param name="Values">One value for each seed.</param>
internal sealed record MetricValue(string Group, string Method, double[] Values);

/// <summary>The noise floor of a group: what true samples score against true samples.</summary>
/// <param name="Group">As in <see cref="MetricValue"/>.</param>
/// <param name="Mean">Its mean over repetitions.</param>
/// <param name="StandardDeviation">Its spread over repetitions.</param>
/// <param name="Bound">The greatest value that passes.</param>
internal sealed record MetricFloor(string Group, double Mean, double StandardDeviation, double Bound);

/// <summary>One metric, all methods and groups.</summary>
/// <param name="Metric">Such as <c>sliced W1</c>.</param>
/// <param name="Values">What was reached.</param>
/// <param name="Floors">A floor for each group.</param>
internal sealed record MetricPanel(string Metric, IReadOnlyList<MetricValue> Values, IReadOnlyList<MetricFloor> Floors);

/// <summary>
/// Metrics of methods against the noise floor, one panel a metric, on a logarithmic axis: bars rise from the floor, dots are seeds, the
/// grey band is the floor with two standard deviations, the dashed line the bound of the verdict.
/// </summary>
internal static class BarsWithFloor
{
    /// <summary>Makes the figure.</summary>
    public static Figure Make(string name, string title, IReadOnlyList<MetricPanel> panels)
    {
        var methods = panels.SelectMany(panel => panel.Values).Select(value => value.Method).Distinct().ToList();
        var columns = Math.Min(2, panels.Count);
        var grid = new PanelGrid
        {
            Rows = (panels.Count + columns - 1) / columns,
            Columns = columns,
            PanelWidth = 380,
            PanelHeight = 200,
            PanelTitles = [.. panels.Select(panel => panel.Metric)],
            OwnAxes = true,
            Legend =
            [
                .. methods.Select((method, i) => new LegendEntry(method, FigureStyle.ColorsOf(methods)[i])),
                new("noise floor ± 2 sd", Band),
                new("greatest that passes", FigureStyle.Ink, IsDashed: true),
            ],
        };
        return new Figure(
            name,
            title,
            $"{title}. Bars of {string.Join(", ", panels.Select(panel => panel.Metric))} for {string.Join(", ", methods)} on logarithmic axes; "
                + "a grey band marks the noise floor, a dashed line the bound that passes. Lower is better.",
            grid.Width,
            grid.Height
        )
        {
            Draw = canvas =>
                grid.Draw(
                    canvas,
                    (row, column) =>
                    {
                        var index = row * columns + column;
                        return index < panels.Count ? Panel(panels[index], methods) : null;
                    }
                ),
            WriteData = csv =>
            {
                csv.Row("metric", "group", "method", "replicate", "value", "floor_mean", "floor_sd", "bound");
                foreach (var panel in panels)
                {
                    foreach (var value in panel.Values)
                    {
                        var floor = panel.Floors.FirstOrDefault(floor => floor.Group == value.Group);
                        for (var r = 0; r < value.Values.Length; r++)
                        {
                            csv.Row(
                                panel.Metric,
                                value.Group,
                                value.Method,
                                r,
                                value.Values[r],
                                floor?.Mean,
                                floor?.StandardDeviation,
                                floor?.Bound
                            );
                        }
                    }
                }
            },
        };
    }

    private static SKColor Band { get; } = SKColor.Parse("#bdbdbd");

    private static Plot Panel(MetricPanel panel, List<string> methods)
    {
        var plot = FigureStyle.NewPlot();
        plot.Grid.XAxisStyle.IsVisible = false;
        var groups = panel.Values.Select(value => value.Group).Distinct().ToList();
        var all = panel
            .Values.SelectMany(value => value.Values)
            .Concat(panel.Floors.SelectMany(floor => new[] { floor.Mean, floor.Bound }))
            .Where(value => value > 0)
            .ToArray();
        var y = LineFigures.Axis(plot.Axes.Left, all, log: true, margin: 0.08);
        // Estimates may be negative by chance: on this axis they lie at its foot. What diverged reaches its top.
        double Height(double value) =>
            value > 0 ? Math.Clamp(y(value), plot.Axes.Left.Min, plot.Axes.Left.Max) : plot.Axes.Left.Min;

        var ticks = new ScottPlot.TickGenerators.NumericManual();
        for (var g = 0; g < groups.Count; g++)
        {
            ticks.AddMajor(g, groups[g]);
            if (panel.Floors.FirstOrDefault(floor => floor.Group == groups[g]) is { } floor)
            {
                var spread = 2 * floor.StandardDeviation;
                var band = plot.Add.Rectangle(
                    g - 0.46,
                    g + 0.46,
                    Height(floor.Mean - spread),
                    Height(floor.Mean + spread)
                );
                band.FillColor = Color.FromSKColor(Band);
                band.LineWidth = 0;
                AddDashes(plot, g - 0.46, g + 0.46, Height(floor.Bound));
            }
            AddBars(plot, panel, methods, groups[g], g, Height);
        }
        plot.Axes.Bottom.TickGenerator = ticks;
        plot.Axes.Bottom.MajorTickStyle.Length = 0;
        plot.Axes.SetLimitsX(-0.55, groups.Count - 0.45);
        return plot;
    }

    /// <summary>A dashed line of single strokes, because Skia's SVG knows no dashes.</summary>
    private static void AddDashes(Plot plot, double from, double to, double height)
    {
        const int strokes = 24;
        var step = (to - from) / strokes;
        for (var i = 0; i < strokes; i++)
        {
            var stroke = plot.Add.Line(from + i * step, height, from + (i + 0.6) * step, height);
            (stroke.LineColor, stroke.LineWidth, stroke.MarkerSize) = (Color.FromSKColor(FigureStyle.Ink), 1, 0);
        }
    }

    private static void AddBars(
        Plot plot,
        MetricPanel panel,
        List<string> methods,
        string group,
        int place,
        Func<double, double> height
    )
    {
        var width = 0.8 / methods.Count;
        for (var m = 0; m < methods.Count; m++)
        {
            var values = panel
                .Values.Where(value => value.Group == group && value.Method == methods[m])
                .SelectMany(value => value.Values)
                .ToArray();
            if (values.Length == 0)
            {
                continue;
            }
            var color = Color.FromSKColor(FigureStyle.ColorsOf(methods)[m]);
            var left = place - 0.4 + m * width;
            var bar = plot.Add.Rectangle(
                left + 0.12 * width,
                left + 0.88 * width,
                plot.Axes.Left.Min,
                height(values.Average())
            );
            (bar.FillColor, bar.LineColor, bar.LineWidth) = (color.WithAlpha(0.75), color, 1);
            if (values.Length > 1)
            {
                var dots = plot.Add.Markers(
                    values.Select((_, i) => left + width * (0.5 + 0.3 * ((i + 0.5) / values.Length - 0.5))).ToArray(),
                    values.Select(height).ToArray()
                );
                (dots.MarkerSize, dots.Color) = (4, Color.FromSKColor(FigureStyle.Ink));
            }
        }
    }
}
