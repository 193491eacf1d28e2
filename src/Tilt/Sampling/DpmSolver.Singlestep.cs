using Tilt.Diffusion;

namespace Tilt.Sampling;

public static partial class DpmSolver
{
    /// <summary>Each stride spends as many evaluations as its order at inner points, and forgets the strides before.</summary>
    /// <param name="noise">ε(x_t, t), guided or not.</param>
    /// <param name="xT">The samples at the first level, [B, …]. Left as they are.</param>
    /// <param name="strides">The outer steps: start, inner points, end (<see cref="SinglestepGrid.Strides"/>).</param>
    /// <param name="options">Form and flavour; the orders are the strides'.</param>
    /// <param name="hook">Called after each stride; may be null.</param>
    /// <returns>The samples at the last level, [B, …].</returns>
    /// <remarks>dpm-solver.md §5 to §7.</remarks>
    public static Tensor Singlestep(
        NoisePredictor noise,
        Tensor xT,
        IReadOnlyList<NoiseLevel[]> strides,
        DpmOptions options,
        StateHook? hook = null
    )
    {
        using var whole = NewDisposeScope();
        using var inference = no_grad();

        var x = SolverTools.Begin(xT, hook, strides[0][0]);
        for (var i = 0; i < strides.Count; i++)
        {
            using var step = NewDisposeScope();
            var stride = strides[i];
            var value = SolverTools.Evaluate(noise, x, stride[0], options.Prediction, options.Thresholding);
            var next = stride.Length switch
            {
                2 => First(x, value, stride[0], stride[1], options),
                3 => Second(noise, x, value, stride[0], stride[1], stride[2], options).Next,
                4 => Third(noise, x, value, null, stride[0], stride[1], stride[2], stride[3], options),
                var length => throw new ArgumentException($"A stride has 2 to 4 levels, found {length}."),
            };
            x = SolverTools.Advance(x, next, hook, i + 1, stride[^1]);
        }
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>First order, which is DDIM: the value at s holds over the whole step.</summary>
    private static Tensor First(Tensor x, Tensor value, NoiseLevel s, NoiseLevel t, DpmOptions options)
    {
        using var scope = NewDisposeScope();
        var c = DpmStep.Between(s, t, options.Prediction);
        return (c.State * x + c.Value * value).MoveToOuterDisposeScope();
    }

    /// <summary>Second order: a first-order step to the inner point s₁ shows how the value changes.</summary>
    /// <returns>x_t, and the value at s₁ for a third-order companion.</returns>
    private static (Tensor Next, Tensor Inner) Second(
        NoisePredictor noise,
        Tensor x,
        Tensor value,
        NoiseLevel s,
        NoiseLevel s1,
        NoiseLevel t,
        DpmOptions options
    )
    {
        using var scope = NewDisposeScope();
        var c = DpmStep.Between(s, t, options.Prediction);
        var r1 = (s1.Lambda - s.Lambda) / c.H;

        var inner = SolverTools.Evaluate(
            noise,
            First(x, value, s, s1, options),
            s1,
            options.Prediction,
            options.Thresholding
        );
        var weight = options.Flavor == DpmFlavor.Midpoint ? c.Value / 2 : c.Slope;
        var next = c.State * x + c.Value * value + weight / r1 * (inner - value);
        return (next.MoveToOuterDisposeScope(), inner.MoveToOuterDisposeScope());
    }

    /// <summary>Third order: a first-order step to s₁, a second-order one to s₂, and both values for the step to t.</summary>
    /// <remarks>inner1 is the value at s₁, where it is known already.</remarks>
    private static Tensor Third(
        NoisePredictor noise,
        Tensor x,
        Tensor value,
        Tensor? inner1,
        NoiseLevel s,
        NoiseLevel s1,
        NoiseLevel s2,
        NoiseLevel t,
        DpmOptions options
    )
    {
        using var scope = NewDisposeScope();
        var c = DpmStep.Between(s, t, options.Prediction);
        var toS2 = DpmStep.Between(s, s2, options.Prediction);
        var (r1, r2) = ((s1.Lambda - s.Lambda) / c.H, toS2.H / c.H);

        inner1 ??= SolverTools.Evaluate(
            noise,
            First(x, value, s, s1, options),
            s1,
            options.Prediction,
            options.Thresholding
        );
        var change1 = inner1 - value;
        var u2 = toS2.State * x + toS2.Value * value + r2 / r1 * toS2.Slope * change1;
        var change2 = SolverTools.Evaluate(noise, u2, s2, options.Prediction, options.Thresholding) - value;

        var next = c.State * x + c.Value * value;
        if (options.Flavor == DpmFlavor.Midpoint)
        {
            next = next + c.Slope / r2 * change2;
        }
        else
        {
            var (d10, d11) = (change1 / r1, change2 / r2);
            next = next + c.Slope / (r2 - r1) * (r2 * d10 - r1 * d11) + 2 * c.Curve / (r2 - r1) * (d11 - d10);
        }
        return next.MoveToOuterDisposeScope();
    }
}
