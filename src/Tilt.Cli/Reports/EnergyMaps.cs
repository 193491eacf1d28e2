using System.Globalization;
using System.Runtime.InteropServices;
using ScottPlot;
using SkiaSharp;

namespace Tilt.Cli.Reports;

/// <summary>A quantity on a square grid of the plane.</summary>
/// <param name="Reach">The grid's outermost points stand at ±reach on both axes.</param>
/// <param name="Values">[row, column]: rows go up with the second coordinate, columns right with the first.</param>
internal sealed record PlaneField(double Reach, double[,] Values)
{
    /// <summary>Points along an axis.</summary>
    public int Count => Values.GetLength(0);

    /// <summary>The coordinate of a row or column.</summary>
    public double At(int index) => -Reach + 2 * Reach * index / (Count - 1);

    /// <summary>The coordinates along an axis.</summary>
    public static double[] Coordinates(double reach, int count) =>
        [.. Enumerable.Range(0, count).Select(i => -reach + 2 * reach * i / (count - 1))];
}

/// <summary>Intermediate energies at one time: what was learned and what is exact.</summary>
/// <param name="Time">t.</param>
/// <param name="Learned">f(x, t), up to a constant.</param>
/// <param name="Exact">E_t(x).</param>
/// <param name="Density">q_t(x) up to a factor: where the two are compared and aligned. Null weighs all points alike.</param>
internal sealed record EnergyMap(double Time, PlaneField Learned, PlaneField Exact, PlaneField? Density = null);

/// <summary>Learned energies above the exact ones and their difference, one column a time, with shared colours.</summary>
/// <remarks>
/// A learned energy is known up to a constant per time only. Before drawing, each is shifted so that its mean under the density equals
/// that of the exact one. Where the density is below a thousandth of its greatest value, nothing is drawn in the difference.
/// </remarks>
internal static class EnergyMaps
{
    private const double DensityFloor = 1e-3;

    /// <summary>Makes the figure.</summary>
    /// <param name="name">File name without an ending.</param>
    /// <param name="title">What it shows.</param>
    /// <param name="maps">The times, left to right.</param>
    /// <param name="learnedName">What was learned, such as <c>CEP</c>.</param>
    public static Figure Make(string name, string title, IReadOnlyList<EnergyMap> maps, string learnedName = "learned")
    {
        var aligned = maps.Select(Align).ToList();
        var scale = new ColorScale(
            FigureStyle.Energies,
            Quantile(aligned.SelectMany(map => Weighted(map, map.Exact)), 0.01),
            Quantile(aligned.SelectMany(map => Weighted(map, map.Exact)), 0.99),
            "energy, nats"
        );
        var greatest = Quantile(aligned.SelectMany(Errors).Select(Math.Abs), 0.99);
        var difference = new ColorScale(FigureStyle.Differences, -greatest, greatest, "");
        string[] rows = [learnedName, "exact", $"difference (±{NumberTicks.Text(Math.Round(greatest, 2))})"];
        var grid = new PanelGrid
        {
            Rows = 3,
            Columns = maps.Count,
            PanelWidth = 118,
            PanelHeight = 118,
            RowTitles = rows,
            ColumnTitles = [.. maps.Select(map => $"t = {map.Time.ToString("0.###", CultureInfo.InvariantCulture)}")],
            Colors = scale,
        };
        return new Figure(
            name,
            title,
            $"{title}. Heat maps at t = {string.Join(", ", maps.Select(map => map.Time))}: {learnedName} above, exact below it, with the same "
                + $"colours; their difference at the bottom, at most about {NumberTicks.Text(Math.Round(greatest, 2))} nats where there is data.",
            grid.Width,
            grid.Height
        )
        {
            Draw = canvas =>
                grid.Draw(
                    canvas,
                    (row, column) =>
                    {
                        var map = aligned[column];
                        return row switch
                        {
                            0 => Panel(map.Learned, scale),
                            1 => Panel(map.Exact, scale),
                            _ => Panel(Difference(map), difference),
                        };
                    }
                ),
            WriteData = csv =>
            {
                csv.Row("time", "x", "y", "learned", "exact");
                foreach (var map in aligned)
                {
                    for (var row = 0; row < map.Exact.Count; row++)
                    {
                        for (var column = 0; column < map.Exact.Count; column++)
                        {
                            csv.Row(
                                map.Time,
                                map.Exact.At(column),
                                map.Exact.At(row),
                                map.Learned.Values[row, column],
                                map.Exact.Values[row, column]
                            );
                        }
                    }
                }
            },
        };
    }

    /// <summary>A panel with a heat map.</summary>
    internal static Plot Panel(PlaneField field, ColorScale scale)
    {
        var plot = ScatterGallery.PlanePanel(field.Reach);
        plot.PlottableList.Add(new HeatMap(field, scale));
        return plot;
    }

    private static EnergyMap Align(EnergyMap map)
    {
        if (map.Learned.Count != map.Exact.Count || (map.Density is { } density && density.Count != map.Exact.Count))
        {
            throw new ArgumentException("The fields of an energy map differ in size.");
        }
        double total = 0;
        double shift = 0;
        for (var row = 0; row < map.Exact.Count; row++)
        {
            for (var column = 0; column < map.Exact.Count; column++)
            {
                var weight = map.Density?.Values[row, column] ?? 1;
                var error = map.Exact.Values[row, column] - map.Learned.Values[row, column];
                if (double.IsFinite(error) && weight > 0)
                {
                    total += weight;
                    shift += weight * error;
                }
            }
        }
        var offset = total > 0 ? shift / total : 0;
        return map with { Learned = Map(map.Learned, (value, _, _) => value + offset) };
    }

    private static PlaneField Difference(EnergyMap map)
    {
        var threshold = DensityFloor * Greatest(map.Density);
        return Map(
            map.Learned,
            (value, row, column) =>
                map.Density is { } density && density.Values[row, column] < threshold
                    ? double.NaN
                    : value - map.Exact.Values[row, column]
        );
    }

    private static IEnumerable<double> Errors(EnergyMap map) =>
        Difference(map).Values.Cast<double>().Where(double.IsFinite);

    private static IEnumerable<double> Weighted(EnergyMap map, PlaneField field)
    {
        var threshold = DensityFloor * Greatest(map.Density);
        for (var row = 0; row < field.Count; row++)
        {
            for (var column = 0; column < field.Count; column++)
            {
                if (double.IsFinite(field.Values[row, column]) && (map.Density?.Values[row, column] ?? 1) >= threshold)
                {
                    yield return field.Values[row, column];
                }
            }
        }
    }

    private static double Greatest(PlaneField? field) => field is null ? 1 : field.Values.Cast<double>().Max();

    private static PlaneField Map(PlaneField field, Func<double, int, int, double> change)
    {
        var values = new double[field.Count, field.Count];
        for (var row = 0; row < field.Count; row++)
        {
            for (var column = 0; column < field.Count; column++)
            {
                values[row, column] = change(field.Values[row, column], row, column);
            }
        }
        return field with { Values = values };
    }

    private static double Quantile(IEnumerable<double> values, double share)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length == 0 ? 0 : sorted[(int)Math.Round(share * (sorted.Length - 1))];
    }

    /// <summary>A field as an image: cells centred on the grid's points, nothing where it is not a number.</summary>
    internal sealed class HeatMap(PlaneField field, ColorScale scale) : IPlottable
    {
        public bool IsVisible { get; set; } = true;

        public IAxes Axes { get; set; } = new Axes();

        public IEnumerable<LegendItem> LegendItems => [];

        public AxisLimits GetAxisLimits() => AxisLimits.NoLimits;

        public void Render(RenderPack rp)
        {
            const int shades = 1024;
            var palette = Enumerable.Range(0, shades + 1).Select(i => (uint)scale.Map.At((double)i / shades)).ToArray();
            var span = scale.High > scale.Low ? scale.High - scale.Low : 1;
            var pixels = new uint[field.Count * field.Count];
            for (var row = 0; row < field.Count; row++)
            {
                for (var column = 0; column < field.Count; column++)
                {
                    var value = field.Values[row, column];
                    pixels[(field.Count - 1 - row) * field.Count + column] = double.IsNaN(value)
                        ? (uint)SKColors.White
                        : palette[(int)(shades * Math.Clamp((value - scale.Low) / span, 0, 1))];
                }
            }
            var info = new SKImageInfo(field.Count, field.Count, SKColorType.Bgra8888, SKAlphaType.Opaque);
            using var image = SKImage.FromPixelCopy(info, MemoryMarshal.AsBytes(pixels.AsSpan()));
            var half = field.Reach / (field.Count - 1);
            var low = Axes.GetPixel(new Coordinates(-field.Reach - half, -field.Reach - half));
            var high = Axes.GetPixel(new Coordinates(field.Reach + half, field.Reach + half));
            rp.Canvas.DrawImage(
                image,
                new SKRect(low.X, high.Y, high.X, low.Y),
                new SKSamplingOptions(SKCubicResampler.Mitchell)
            );
        }
    }
}
