using System.Globalization;
using ScottPlot;

namespace Tilt.Cli.Reports;

/// <summary>Round numbers to label an axis with.</summary>
internal static class NumberTicks
{
    /// <summary>Round numbers within a range: steps of 1, 2 or 5 times a power of ten.</summary>
    /// <param name="low">The lower end.</param>
    /// <param name="high">The upper end.</param>
    /// <param name="most">No more than this many.</param>
    public static IReadOnlyList<double> Linear(double low, double high, int most)
    {
        if (!(high > low) || !double.IsFinite(high - low))
        {
            return [low];
        }
        var step = Math.Pow(10, Math.Floor(Math.Log10((high - low) / most)));
        foreach (var factor in new[] { 1.0, 2, 5, 10, 20 })
        {
            var first = Math.Ceiling(low / (step * factor) - 1e-9);
            var last = Math.Floor(high / (step * factor) + 1e-9);
            if (last - first + 1 <= most)
            {
                return [.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => (first + i) * step * factor)];
            }
        }
        return [low, high];
    }

    /// <summary>Round numbers within a range of several powers of ten.</summary>
    public static IReadOnlyList<double> Logarithmic(double low, double high)
    {
        var decades = Math.Log10(high / low);
        double[] factors =
            decades > 2.5 ? [1]
            : decades > 1.2 ? [1, 3]
            : [1, 2, 5];
        var from = (int)Math.Floor(Math.Log10(low));
        var to = (int)Math.Ceiling(Math.Log10(high));
        return
        [
            .. Enumerable
                .Range(from, to - from + 1)
                .SelectMany(power => factors.Select(factor => factor * Math.Pow(10, power)))
                .Where(value => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)),
        ];
    }

    /// <summary>The number as a label: 12k, 0.05, 1e-6.</summary>
    public static string Text(double value)
    {
        var size = Math.Abs(value);
        return size switch
        {
            >= 1e6 => (value / 1e6).ToString("0.##", CultureInfo.InvariantCulture) + "M",
            >= 1e4 => (value / 1e3).ToString("0.##", CultureInfo.InvariantCulture) + "k",
            > 0 and < 1e-4 => value.ToString("0.#e-0", CultureInfo.InvariantCulture),
            _ => value.ToString("0.#####", CultureInfo.InvariantCulture),
        };
    }

    /// <summary>Puts ticks on an axis.</summary>
    /// <param name="axis">The axis.</param>
    /// <param name="ticks">Values to label.</param>
    /// <param name="position">Where a value stands on the axis, log₁₀ for a logarithmic one.</param>
    public static void Set(IAxis axis, IEnumerable<double> ticks, Func<double, double>? position = null)
    {
        var generator = new ScottPlot.TickGenerators.NumericManual();
        foreach (var tick in ticks)
        {
            generator.AddMajor(position?.Invoke(tick) ?? tick, Text(tick));
        }
        axis.TickGenerator = generator;
    }
}
