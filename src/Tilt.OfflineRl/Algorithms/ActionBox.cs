using Tilt.OfflineRl.Data;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>The range of each action component.</summary>
/// <param name="Low">The smallest values, [A].</param>
/// <param name="High">The largest values, [A], each above its lowest.</param>
public sealed record ActionBox(IReadOnlyList<double> Low, IReadOnlyList<double> High)
{
    /// <summary>[−1, 1] for every component: the box of all of Tilt's tasks.</summary>
    /// <param name="actionSize">A.</param>
    public static ActionBox Unit(int actionSize) =>
        new([.. Enumerable.Repeat(-1.0, actionSize)], [.. Enumerable.Repeat(1.0, actionSize)]);

    /// <summary>The smallest box that holds a data set's actions; a component that never changes gets a little room.</summary>
    /// <param name="data">The transitions.</param>
    public static ActionBox Of(TransitionDataset data)
    {
        ArgumentNullException.ThrowIfNull(data);
        var (low, high) = (new double[data.ActionSize], new double[data.ActionSize]);
        Array.Fill(low, double.PositiveInfinity);
        Array.Fill(high, double.NegativeInfinity);
        for (var k = 0; k < data.Count; k++)
        {
            var action = data.Action(k);
            for (var i = 0; i < low.Length; i++)
            {
                (low[i], high[i]) = (Math.Min(low[i], action[i]), Math.Max(high[i], action[i]));
            }
        }
        for (var i = 0; i < low.Length; i++)
        {
            if (low[i] == high[i])
            {
                var room = 1e-3 * Math.Max(1, Math.Abs(low[i]));
                (low[i], high[i]) = (low[i] - room, high[i] + room);
            }
        }
        return new(low, high);
    }
}
