using ScottPlot;
using SkiaSharp;

namespace Tilt.Cli.Reports;

/// <summary>A histogram: counts in bins of equal width.</summary>
/// <param name="Name">What is counted.</param>
/// <param name="Low">The lower end of the first bin.</param>
/// <param name="High">The upper end of the last bin.</param>
/// <param name="Counts">Counts, from the first bin on.</param>
internal sealed record Histogram(string Name, double Low, double High, IReadOnlyList<int> Counts)
{
    /// <summary>The histogram of some values; those that are not finite are left out.</summary>
    public static Histogram Of(string name, IReadOnlyCollection<double> values, int bins)
    {
        var finite = values.Where(double.IsFinite).ToList();
        var (low, high) = finite.Count == 0 ? (0.0, 0.0) : (finite.Min(), finite.Max());
        var counts = new int[bins];
        foreach (var value in finite)
        {
            counts[high > low ? Math.Min(bins - 1, (int)((value - low) / (high - low) * bins)) : 0]++;
        }
        return new(name, low, high, counts);
    }
}

/// <summary>Histograms side by side, each on axes of its own; heights are relative to the fullest bin.</summary>
internal static class HistogramGrid
{
    /// <summary>Makes the figure.</summary>
    /// <param name="name">File name without an ending.</param>
    /// <param name="title">What it shows.</param>
    /// <param name="histograms">Row by row.</param>
    /// <param name="columns">Panels in a row.</param>
    /// <param name="marks">Values at which every panel that reaches them has a vertical line, such as the bounds of actions.</param>
    public static Figure Make(
        string name,
        string title,
        IReadOnlyList<Histogram> histograms,
        int columns,
        params IReadOnlyList<double> marks
    )
    {
        var across = Math.Max(1, Math.Min(columns, histograms.Count));
        var grid = new PanelGrid
        {
            Rows = Math.Max(1, (histograms.Count + across - 1) / across),
            Columns = across,
            PanelWidth = Math.Max(104, 560 / across),
            PanelHeight =
                across > 4 ? 56
                : across > 2 ? 90
                : 150,
            PanelTitles = [.. histograms.Select(histogram => histogram.Name)],
            OwnAxes = true,
        };
        return new Figure(
            name,
            title,
            $"{title}: {histograms.Count} histograms. "
                + string.Join(
                    "; ",
                    histograms
                        .Take(12)
                        .Select(one => $"{one.Name} from {NumberTicks.Text(one.Low)} to {NumberTicks.Text(one.High)}")
                )
                + (histograms.Count > 12 ? "; …" : "")
                + ".",
            grid.Width,
            grid.Height
        )
        {
            Draw = canvas =>
                grid.Draw(
                    canvas,
                    (row, column) =>
                    {
                        var index = row * across + column;
                        return index < histograms.Count ? Panel(histograms[index], marks) : null;
                    }
                ),
            WriteData = csv =>
            {
                csv.Row("name", "bin_low", "bin_high", "count");
                foreach (var one in histograms)
                {
                    var width = (one.High - one.Low) / one.Counts.Count;
                    for (var i = 0; i < one.Counts.Count; i++)
                    {
                        csv.Row(one.Name, one.Low + i * width, one.Low + (i + 1) * width, one.Counts[i]);
                    }
                }
            },
        };
    }

    private static Plot Panel(Histogram histogram, IReadOnlyList<double> marks)
    {
        var plot = FigureStyle.NewPlot();
        plot.Grid.YAxisStyle.IsVisible = false;
        var (low, high) = (histogram.Low, histogram.High);
        if (!(high > low))
        {
            var half = Math.Max(Math.Abs(low) * 0.1, 1e-3);
            (low, high) = double.IsFinite(low) ? (low - half, low + half) : (-1, 1);
        }
        var most = Math.Max(1, histogram.Counts.Max());
        var color = Color.FromSKColor(FigureStyle.ColorsOf(["values"])[0]);
        var outline = new List<Coordinates> { new(low, 0) };
        if (histogram.High > histogram.Low)
        {
            var width = (high - low) / histogram.Counts.Count;
            for (var i = 0; i < histogram.Counts.Count; i++)
            {
                var height = (double)histogram.Counts[i] / most;
                outline.Add(new(low + i * width, height));
                outline.Add(new(low + (i + 1) * width, height));
            }
        }
        else
        {
            // One value: a narrow bar in the middle.
            var (middle, half) = ((low + high) / 2, (high - low) / 60);
            outline.AddRange([
                new(middle - half, 0),
                new(middle - half, 1),
                new(middle + half, 1),
                new(middle + half, 0),
            ]);
        }
        outline.Add(new(high, 0));
        var area = plot.Add.Polygon([.. outline]);
        (area.FillColor, area.LineWidth) = (color.WithAlpha(0.8), 0);
        foreach (var mark in marks.Where(mark => mark >= low && mark <= high))
        {
            var line = plot.Add.Line(mark, 0, mark, 1.08);
            (line.LineColor, line.LineWidth, line.MarkerSize) = (Color.FromSKColor(SKColors.Black), 1, 0);
        }
        plot.Axes.SetLimits(low - 0.03 * (high - low), high + 0.03 * (high - low), 0, 1.1);
        NumberTicks.Set(plot.Axes.Bottom, NumberTicks.Linear(low, high, 4));
        NumberTicks.Set(plot.Axes.Left, []);
        return plot;
    }
}
