using ScottPlot;
using SkiaSharp;
using Tilt.Runs;

namespace Tilt.Cli.Reports;

/// <summary>A line of a figure, or one for each seed.</summary>
/// <param name="Name">In the legend.</param>
/// <param name="X">Where, ascending.</param>
/// <param name="Replicates">One line for each seed, each as long as <paramref name="X"/>; NaN leaves a gap.</param>
internal sealed record LineSeries(string Name, double[] X, IReadOnlyList<double[]> Replicates)
{
    /// <summary>A single line.</summary>
    public LineSeries(string name, double[] x, double[] y)
        : this(name, x, [y]) { }

    /// <summary>The mean over seeds at each place, of those that are numbers.</summary>
    public double[] Mean =>
        [
            .. X.Select(
                (_, i) => Replicates.Select(line => line[i]).Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average()
            ),
        ];
}

/// <summary>One panel of lines.</summary>
/// <param name="Title">Above the panel.</param>
/// <param name="Series">Lines, in the order of their colours.</param>
internal sealed record LinePanel(string Title, IReadOnlyList<LineSeries> Series);

/// <summary>Lines over a common axis: learning curves, quality against milliseconds, guidance scales.</summary>
internal static class LineFigures
{
    /// <summary>The logged loss, a panel for each stage that has one.</summary>
    /// <param name="metrics">What was logged in training.</param>
    public static Figure LearningCurves(IReadOnlyList<LogLine> metrics)
    {
        var panels = metrics
            .Where(line => line.Text("stage") is not null && line.Number("loss") is not null)
            .GroupBy(line => line.Text("stage")!)
            .Select(lines => new LinePanel(
                lines.Key,
                [
                    new LineSeries(
                        "loss",
                        [.. lines.Select(line => (double)(line.Step - lines.First().Step))],
                        [.. lines.Select(line => line.Number("loss")!.Value)]
                    ),
                ]
            ))
            .ToList();
        return Make("curves", "Learning curves", "gradient steps", "loss", panels);
    }

    /// <summary>Makes the figure: seeds as thin lines, their mean as a thick one.</summary>
    /// <param name="name">File name without an ending.</param>
    /// <param name="title">What it shows.</param>
    /// <param name="xLabel">The quantity across and its unit.</param>
    /// <param name="yLabel">The quantity up and its unit.</param>
    /// <param name="panels">Panels, side by side.</param>
    /// <param name="logX">Whether the axis across is logarithmic.</param>
    /// <param name="logY">Whether the axis up is logarithmic.</param>
    /// <param name="markers">Whether single measurements are marked, as for a few points a line.</param>
    public static Figure Make(
        string name,
        string title,
        string xLabel,
        string yLabel,
        IReadOnlyList<LinePanel> panels,
        bool logX = false,
        bool logY = false,
        bool markers = false
    )
    {
        var names = panels.SelectMany(panel => panel.Series).Select(series => series.Name).Distinct().ToList();
        var colors = FigureStyle.ColorsOf(names);
        var columns = Math.Min(3, panels.Count);
        var grid = new PanelGrid
        {
            Rows = (panels.Count + columns - 1) / columns,
            Columns = columns,
            PanelWidth = columns == 1 ? 520 : 250,
            PanelHeight = columns == 1 ? 260 : 190,
            PanelTitles = panels.Count == 1 ? [] : [.. panels.Select(panel => panel.Title)],
            OwnAxes = true,
            XLabel = xLabel,
            YLabel = yLabel,
            Legend = [.. names.Select((series, i) => new LegendEntry(series, colors[i]))],
        };
        return new Figure(
            name,
            title,
            $"{title}. Lines of {yLabel} over {xLabel} for {string.Join(", ", names)}"
                + (panels.Count > 1 ? $"; panels: {string.Join(", ", panels.Select(panel => panel.Title))}" : "")
                + ". Thin lines are single seeds, thick ones their mean.",
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
                        return index < panels.Count ? Panel(panels[index], names, logX, logY, markers) : null;
                    }
                ),
            WriteData = csv =>
            {
                csv.Row("panel", "series", "replicate", xLabel, yLabel);
                foreach (var panel in panels)
                {
                    foreach (var series in panel.Series)
                    {
                        for (var r = 0; r < series.Replicates.Count; r++)
                        {
                            for (var i = 0; i < series.X.Length; i++)
                            {
                                csv.Row(panel.Title, series.Name, r, series.X[i], series.Replicates[r][i]);
                            }
                        }
                    }
                }
            },
        };
    }

    /// <summary>Positions on an axis that may be logarithmic, its limits and ticks.</summary>
    internal static Func<double, double> Axis(IAxis axis, IEnumerable<double> values, bool log, double margin = 0.04)
    {
        Func<double, double> position = log ? value => value > 0 ? Math.Log10(value) : double.NaN : value => value;
        var places = values.Select(position).Where(double.IsFinite).ToArray();
        var (low, high) = places.Length == 0 ? (0.0, 1.0) : (places.Min(), places.Max());
        if (high - low < 1e-9)
        {
            var half = log ? 0.3 : Math.Max(Math.Abs(low) * 0.1, 1e-3);
            (low, high) = (low - half, high + half);
        }
        var extra = margin * (high - low);
        axis.Min = low - extra;
        axis.Max = high + extra;
        var ticks = log
            ? NumberTicks.Logarithmic(Math.Pow(10, axis.Min), Math.Pow(10, axis.Max))
            : NumberTicks.Linear(axis.Min, axis.Max, 6);
        NumberTicks.Set(axis, ticks, position);
        return position;
    }

    private static Plot Panel(LinePanel panel, List<string> names, bool logX, bool logY, bool markers)
    {
        var plot = FigureStyle.NewPlot();
        var x = Axis(plot.Axes.Bottom, panel.Series.SelectMany(series => series.X), logX);
        var y = Axis(
            plot.Axes.Left,
            panel.Series.SelectMany(series => series.Replicates).SelectMany(line => line),
            logY
        );
        foreach (var series in panel.Series)
        {
            var color = Color.FromSKColor(FigureStyle.ColorsOf(names)[names.IndexOf(series.Name)]);
            if (series.Replicates.Count > 1)
            {
                foreach (var line in series.Replicates)
                {
                    Add(plot, series.X, line, x, y, color.WithAlpha(0.4), 0.8f, 0);
                }
            }
            Add(plot, series.X, series.Mean, x, y, color, 2.2f, markers ? 6 : 0);
        }
        return plot;
    }

    private static void Add(
        Plot plot,
        double[] xs,
        double[] ys,
        Func<double, double> x,
        Func<double, double> y,
        Color color,
        float width,
        float marker
    )
    {
        var line = plot.Add.Scatter(xs.Select(x).ToArray(), ys.Select(y).ToArray());
        line.Color = color;
        line.LineWidth = width;
        line.MarkerSize = marker;
    }
}
