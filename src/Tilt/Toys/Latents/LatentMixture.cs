using Tilt.Diffusion;

namespace Tilt.Toys;

/// <summary>The exact law of x_t at every noise level: log density, score and noise, by summing over the latent events of a data set.</summary>
/// <remarks>
/// Closed forms where the latent variable is discrete, Gauss–Legendre or trapezoidal quadrature where it is continuous. Everything is
/// computed in float64 on the CPU, in blocks of rows, and returned in the type and on the device of the points. Log densities and
/// scores are differentiable once with respect to the points; the derivative comes from the closed form, not from a recorded graph.
/// </remarks>
public sealed class LatentMixture : IDisposable
{
    private const int BlockElements = 1 << 18;
    private const int ManyBlocks = 64;

    private readonly double _logPartition;

    internal LatentMixture(LatentComponents components, double tilt, double logPartition)
    {
        (Components, Tilt, _logPartition) = (components, tilt, logPartition);
    }

    /// <summary>Components, or quadrature nodes where the latent variable is continuous (fewer are used at noisy levels).</summary>
    public int Count => Components.Count;

    /// <summary>ε(x_t, t) = −σ_t·∇ log p_t(x_t): what a perfectly trained network would predict.</summary>
    public NoisePredictor Noise =>
        (xt, level) =>
        {
            using var scope = NewDisposeScope();
            return (Score(xt, level) * -level.Sigma).MoveToOuterDisposeScope();
        };

    internal LatentComponents Components { get; }

    /// <summary>β that the labels of the components are tilted by; 0 where the components carry the tilt themselves.</summary>
    internal double Tilt { get; }

    /// <summary>log p_t(x_t), [B], in nats.</summary>
    /// <param name="xt">Noisy points, [B, 2].</param>
    /// <param name="level">Their noise level.</param>
    public Tensor LogDensity(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        var (value, gradient) = Blockwise(xt, level, Evaluate);
        return Differentiable(xt, value, gradient).MoveToOuterDisposeScope();
    }

    /// <summary>∇ log p_t(x_t), [B, 2]; differentiable once.</summary>
    /// <param name="xt">Noisy points, [B, 2].</param>
    /// <param name="level">Their noise level.</param>
    public Tensor Score(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        if (!Records(xt))
        {
            return Blockwise(xt, level, Evaluate).Gradient.MoveToOuterDisposeScope();
        }
        var (score, hessian) = Blockwise(
            xt,
            level,
            values =>
            {
                var r = Responsibilities(values);
                var mean = values.MeanGradient(r);
                return (mean, values.MeanCurvature(r) - mean.unsqueeze(2) * mean.unsqueeze(1));
            }
        );
        var moved = hessian.matmul((xt - xt.detach()).unsqueeze(2)).squeeze(2);
        return (score + moved).MoveToOuterDisposeScope();
    }

    /// <summary>The mean of x₀.</summary>
    public double[] Mean()
    {
        using var scope = NewDisposeScope();
        using var inference = no_grad();
        var (weights, means, _) = Weighted();
        return weights.unsqueeze(0).mm(means).data<double>().ToArray();
    }

    /// <summary>The covariance of x₀, [2, 2].</summary>
    public double[,] Covariance()
    {
        using var scope = NewDisposeScope();
        using var inference = no_grad();
        var (weights, means, seconds) = Weighted();
        var mean = weights.unsqueeze(0).mm(means);
        var second = weights.unsqueeze(0).mm(seconds.reshape(-1, 4)).reshape(2, 2) - mean.t().mm(mean);
        var flat = second.contiguous().data<double>().ToArray();
        return new[,]
        {
            { flat[0], flat[1] },
            { flat[2], flat[3] },
        };
    }

    /// <inheritdoc/>
    public void Dispose() => Components.Dispose();

    /// <summary>The same components tilted by another β. Shares them: dispose one of the two.</summary>
    internal LatentMixture Retilted(double tilt, double logPartition) => new(Components, tilt, logPartition);

    /// <summary>Applies a function of the components' values to blocks of rows: two results of B rows, like xt in type and place.</summary>
    internal (Tensor Value, Tensor Gradient) Blockwise(
        Tensor xt,
        NoiseLevel level,
        Func<ComponentValues, (Tensor Value, Tensor Gradient)> evaluate
    )
    {
        Expect.Shape(xt, -1, 2);
        using var scope = NewDisposeScope();
        using var inference = no_grad();

        var x = xt.detach().to(ScalarType.Float64).cpu();
        var rows = Math.Max(8, BlockElements / Components.CountAt(level));
        // Results go into tensors made once: small ones kept between large ones that are freed would leave the heap in pieces.
        var (values, gradients) = ((Tensor?)null, (Tensor?)null);
        // No points still make one, empty, block: it has the right shapes.
        for (long start = 0; start == 0 || start < x.shape[0]; start += rows)
        {
            using var block = NewDisposeScope();
            var part = x.narrow(0, start, Math.Min(rows, x.shape[0] - start));
            var (value, gradient) = evaluate(Components.At(part, level));
            values ??= Whole(value);
            gradients ??= Whole(gradient);
            values.narrow(0, start, part.shape[0]).copy_(value);
            gradients.narrow(0, start, part.shape[0]).copy_(gradient);
            if (start / rows % ManyBlocks == ManyBlocks - 1)
            {
                // Sizes change with the level, so the heap is in pieces anyway: gigabytes over the levels of one sampling.
                NativeRuntime.ReturnFreedMemory();
            }
        }
        return (Like(xt, values!).MoveToOuterDisposeScope(), Like(xt, gradients!).MoveToOuterDisposeScope());

        Tensor Whole(Tensor part) => empty([x.shape[0], .. part.shape[1..]], part.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>The value, with the known gradient attached where gradients are being recorded.</summary>
    internal static Tensor Differentiable(Tensor xt, Tensor value, Tensor gradient) =>
        Records(xt) ? value + ((xt - xt.detach()) * gradient).sum(-1) : value.alias();

    private static bool Records(Tensor xt) => is_grad_enabled() && xt.requires_grad;

    private static Tensor Like(Tensor xt, Tensor value) => value.to(xt.dtype).to(xt.device);

    private Tensor Tilted(ComponentValues values) =>
        Tilt == 0 ? values.LogTerms : values.LogTerms + Tilt * values.Labels;

    private Tensor Responsibilities(ComponentValues values) => Tilted(values).softmax(1);

    private (Tensor Value, Tensor Gradient) Evaluate(ComponentValues values)
    {
        var terms = Tilted(values);
        return (terms.logsumexp(1) - _logPartition, values.MeanGradient(terms.softmax(1)));
    }

    private (Tensor Weights, Tensor Means, Tensor SecondMoments) Weighted()
    {
        var (logWeights, labels, means, seconds) = Components.Moments();
        return ((logWeights + Tilt * labels - _logPartition).exp(), means, seconds);
    }
}
