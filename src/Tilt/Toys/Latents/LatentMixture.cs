using Tilt.Diffusion;

namespace Tilt.Toys;

/// <summary>The exact law of x_t at every noise level: log density, score and noise, by summing over the latent events of a data set.</summary>
/// <remarks>
/// Closed forms where the latent variable is discrete, Gauss–Legendre or trapezoidal quadrature where it is continuous. Everything is
/// computed in float64 on the CPU, in blocks of rows, and returned in the type and on the device of the points. Values are
/// differentiable once with respect to the points; their gradient comes from the closed form, not from a recorded graph.
/// </remarks>
public sealed class LatentMixture : IDisposable
{
    private const int BlockElements = 1 << 20;

    private readonly double _logPartition;

    internal LatentMixture(LatentComponents components, double tilt, double logPartition)
    {
        (Components, Tilt, _logPartition) = (components, tilt, logPartition);
    }

    /// <summary>Components or quadrature nodes at the coarsest level.</summary>
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

    /// <summary>∇ log p_t(x_t), [B, 2]. Not part of any graph.</summary>
    /// <param name="xt">Noisy points, [B, 2].</param>
    /// <param name="level">Their noise level.</param>
    public Tensor Score(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        return Blockwise(xt, level, Evaluate).Gradient.MoveToOuterDisposeScope();
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

    /// <summary>Applies a function of the components' values to blocks of rows: [B] values and [B, 2] gradients, like xt in type and place.</summary>
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
        var n = x.shape[0];
        var (value, gradient) = (empty(n, ScalarType.Float64), empty(n, 2, ScalarType.Float64));
        var rows = Math.Max(8, BlockElements / Components.CountAt(level));
        for (long start = 0; start < n; start += rows)
        {
            using var block = NewDisposeScope();
            var count = Math.Min(rows, n - start);
            var (itsValue, itsGradient) = evaluate(Components.At(x.narrow(0, start, count), level));
            value.narrow(0, start, count).copy_(itsValue);
            gradient.narrow(0, start, count).copy_(itsGradient);
        }
        return (
            value.to(xt.dtype).to(xt.device).MoveToOuterDisposeScope(),
            gradient.to(xt.dtype).to(xt.device).MoveToOuterDisposeScope()
        );
    }

    /// <summary>The value, with the known gradient attached where gradients are being recorded.</summary>
    internal static Tensor Differentiable(Tensor xt, Tensor value, Tensor gradient) =>
        is_grad_enabled() && xt.requires_grad ? value + ((xt - xt.detach()) * gradient).sum(-1) : value.alias();

    private (Tensor Value, Tensor Gradient) Evaluate(ComponentValues values)
    {
        var terms = Tilt == 0 ? values.LogTerms : values.LogTerms + Tilt * values.Labels;
        return (terms.logsumexp(1) - _logPartition, values.MeanGradient(terms.softmax(1)));
    }

    private (Tensor Weights, Tensor Means, Tensor SecondMoments) Weighted()
    {
        var (logWeights, labels, means, seconds) = Components.Moments();
        return ((logWeights + Tilt * labels - _logPartition).exp(), means, seconds);
    }
}
