namespace Tilt.Model;

/// <summary>The order of each step of a multistep solver.</summary>
public static class MultistepOrder
{
    /// <summary>The order of one step.</summary>
    /// <param name="step">From 1 to N.</param>
    /// <param name="steps">N.</param>
    /// <param name="order">The order of a full step.</param>
    /// <param name="final">When the last steps are lowered.</param>
    /// <remarks>dpm-solver.md §9. The first steps lack the history for more; they are not lowered further.</remarks>
    public static int Of(int step, int steps, int order, LowerOrderFinal final)
    {
        var lowered = final switch
        {
            LowerOrderFinal.BelowTen => steps < 10,
            LowerOrderFinal.BelowFifteen => steps < 15,
            _ => false,
        };
        return step < order ? step
            : lowered ? Math.Min(order, steps + 1 - step)
            : order;
    }
}
