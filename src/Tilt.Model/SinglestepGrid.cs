namespace Tilt.Model;

/// <summary>Where a singlestep solver's evaluations go.</summary>
public enum SinglestepLayout
{
    /// <summary>
    /// As many steps of full order as fit, then a lower one for what is left; the outer grid has its own spacing, the inner one
    /// divides each outer step by the same rule (LuChengTHU/dpm-solver).
    /// </summary>
    Upstream,

    /// <summary>
    /// As the solver bundled with the CEP authors' code: outer and inner times all come from one grid of N intervals, and an
    /// even N at order 2 ends with two first-order steps (dpm-solver.md §11).
    /// </summary>
    CepCopy,

    /// <summary>⌊N/order⌋ equal outer steps, all of full order; the rest of N is not spent (upstream's singlestep_fixed).</summary>
    Fixed,
}

/// <summary>The strides of a singlestep solver: each spends as many evaluations as its order and forgets the ones before.</summary>
/// <remarks>dpm-solver.md §9 and §11.</remarks>
public static class SinglestepGrid
{
    /// <summary>The order of each outer step; they sum to the evaluations spent.</summary>
    /// <param name="evaluations">N, the evaluations to spend.</param>
    /// <param name="order">1, 2 or 3.</param>
    /// <param name="layout">Which rule divides them.</param>
    public static int[] Orders(int evaluations, int order, SinglestepLayout layout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(order, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order, 3);
        ArgumentOutOfRangeException.ThrowIfLessThan(evaluations, 1);
        var (whole, rest) = (evaluations / order, evaluations % order);
        return (layout, order, rest) switch
        {
            (SinglestepLayout.Fixed, _, _) => Full(whole),
            // Full strides to the very end would leave the last, coarsest step in λ to the highest order.
            (_, 3, 0) => [.. Full(whole - 1), 2, 1],
            (SinglestepLayout.CepCopy, 2, 0) => [.. Full(whole - 1), 1, 1],
            (_, _, 0) => Full(whole),
            _ => [.. Full(whole), rest],
        };

        int[] Full(int count) => [.. Enumerable.Repeat(order, count)];
    }

    /// <summary>The levels of each outer step: its start, its inner points, its end.</summary>
    /// <param name="schedule">Gives the levels.</param>
    /// <param name="spacing">The spacing of outer steps, and of inner points within each.</param>
    /// <param name="evaluations">N, the evaluations to spend.</param>
    /// <param name="order">1, 2 or 3.</param>
    /// <param name="layout">Which rule divides them.</param>
    /// <param name="start">The first time.</param>
    /// <param name="end">The last time.</param>
    /// <returns>One entry per outer step, of order + 1 levels each; an entry starts with the level that the one before ends with.</returns>
    public static IReadOnlyList<NoiseLevel[]> Strides(
        NoiseSchedule schedule,
        TimeSpacing spacing,
        int evaluations,
        int order,
        SinglestepLayout layout,
        double start,
        double end
    )
    {
        var orders = Orders(evaluations, order, layout);
        var strides = new List<NoiseLevel[]>(orders.Length);
        if (layout == SinglestepLayout.CepCopy)
        {
            var all = TimeGrid.Levels(schedule, spacing, evaluations, start, end);
            var at = 0;
            foreach (var length in orders)
            {
                strides.Add(all[at..(at + length + 1)]);
                at += length;
            }
            return strides;
        }

        var outer = OuterTimes(schedule, spacing, orders, layout, start, end);
        for (var i = 0; i < orders.Length; i++)
        {
            strides.Add(TimeGrid.Levels(schedule, spacing, orders[i], outer[i], outer[i + 1]));
        }
        return strides;
    }

    /// <summary>The times between outer steps. In λ they are equally spaced; in t a step is as long as its order.</summary>
    private static double[] OuterTimes(
        NoiseSchedule schedule,
        TimeSpacing spacing,
        int[] orders,
        SinglestepLayout layout,
        double start,
        double end
    )
    {
        if (spacing == TimeSpacing.LogSnr || layout == SinglestepLayout.Fixed)
        {
            return TimeGrid.Times(schedule, spacing, orders.Length, start, end);
        }
        var all = TimeGrid.Times(schedule, spacing, orders.Sum(), start, end);
        var outer = new double[orders.Length + 1];
        outer[0] = start;
        var at = 0;
        for (var i = 0; i < orders.Length; i++)
        {
            at += orders[i];
            outer[i + 1] = all[at];
        }
        return outer;
    }
}
