namespace Tilt.Model;

/// <summary>The times a sampler visits, from start to end.</summary>
/// <remarks>dpm-solver.md §4. The first and last time are the given ones exactly; start may lie above or below end (inversion).</remarks>
public static class TimeGrid
{
    private static readonly (TimeSpacing Spacing, string Name, string Upstream)[] Known =
    [
        (TimeSpacing.Uniform, "uniform", "time_uniform"),
        (TimeSpacing.LogSnr, "logSNR", "logSNR"),
        (TimeSpacing.Quadratic, "quadratic", "time_quadratic"),
    ];

    /// <summary>The names that <see cref="Parse"/> knows.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Known.Select(entry => entry.Name)];

    /// <summary>A spacing by its name: uniform, logSNR, quadratic, or upstream's time_uniform, time_quadratic.</summary>
    /// <exception cref="TiltException">No such name; the message suggests one.</exception>
    public static TimeSpacing Parse(string name)
    {
        foreach (var (spacing, own, upstream) in Known)
        {
            if (
                string.Equals(name, own, StringComparison.OrdinalIgnoreCase)
                || string.Equals(name, upstream, StringComparison.OrdinalIgnoreCase)
            )
            {
                return spacing;
            }
        }
        throw Suggest.Unknown("time spacing", name, Names);
    }

    /// <summary>The name of a spacing.</summary>
    public static string NameOf(TimeSpacing spacing) => Known.First(entry => entry.Spacing == spacing).Name;

    /// <summary>N + 1 times from start to end.</summary>
    /// <param name="schedule">Gives λ and its inverse; used by <see cref="TimeSpacing.LogSnr"/> only.</param>
    /// <param name="spacing">What is spaced equally.</param>
    /// <param name="intervals">N, at least 1.</param>
    /// <param name="start">The first time.</param>
    /// <param name="end">The last time.</param>
    /// <returns>The N + 1 times, in the order of visit.</returns>
    public static double[] Times(NoiseSchedule schedule, TimeSpacing spacing, int intervals, double start, double end)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(intervals, 1);
        var times = new double[intervals + 1];
        for (var i = 1; i < intervals; i++)
        {
            var share = (double)i / intervals;
            times[i] = spacing switch
            {
                TimeSpacing.Uniform => Between(start, end, share),
                TimeSpacing.LogSnr => schedule.TimeOf(Between(schedule.Lambda(start), schedule.Lambda(end), share)),
                TimeSpacing.Quadratic => Square(Between(Math.Sqrt(start), Math.Sqrt(end), share)),
                _ => throw new ArgumentOutOfRangeException(nameof(spacing)),
            };
        }
        (times[0], times[intervals]) = (start, end);
        return times;
    }

    /// <summary>The same as <see cref="Times"/>, as levels of the schedule.</summary>
    /// <inheritdoc cref="Times"/>
    /// <returns>The N + 1 levels, in the order of visit.</returns>
    public static NoiseLevel[] Levels(
        NoiseSchedule schedule,
        TimeSpacing spacing,
        int intervals,
        double start,
        double end
    ) => Array.ConvertAll(Times(schedule, spacing, intervals, start, end), schedule.At);

    private static double Between(double start, double end, double share) => start + (end - start) * share;

    private static double Square(double x) => x * x;
}
