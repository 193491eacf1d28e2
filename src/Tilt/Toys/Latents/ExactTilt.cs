using Tilt.Diffusion;
using Tilt.Energy;

namespace Tilt.Toys;

/// <summary>What learning is compared with: the exact scores of q_t and of p_t ∝ q_t·exp(−E_t), and the exact E_t.</summary>
/// <remarks>
/// E_t(x_t) = −log E[exp(β·e) | x_t] = log q_t(x_t) − log p_t(x_t) − log Z, constant included. Where the labels sit on the latent events both
/// densities are sums over the same components, which are evaluated once.
/// </remarks>
public sealed class ExactTilt : IDisposable
{
    private readonly bool _shared;
    private readonly double _logPartition;

    internal ExactTilt(double beta, double logPartition, LatentMixture data, LatentMixture target)
    {
        (Beta, _logPartition, Data) = (beta, logPartition, data);
        _shared = target.Tilt == beta;
        Target = target;
        if (_shared)
        {
            target.Dispose();
            Target = data.Retilted(beta, logPartition);
        }
        Energy = (xt, level) => EnergyAt(xt, level);
    }

    /// <summary>β.</summary>
    public double Beta { get; }

    /// <summary>q_t: the law of x_t for the data set itself.</summary>
    public LatentMixture Data { get; }

    /// <summary>p_t: the law of x_t for the tilted target.</summary>
    public LatentMixture Target { get; }

    /// <summary>The exact E_t, in nats; differentiable once.</summary>
    public IntermediateEnergy Energy { get; }

    /// <summary>∇E_t(x_t) = ∇ log q_t − ∇ log p_t in closed form, [B, 2].</summary>
    /// <param name="xt">Noisy points, [B, 2].</param>
    /// <param name="level">Their noise level.</param>
    public Tensor EnergyGradient(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        var gradient = _shared
            ? Data.Blockwise(xt, level, Difference).Gradient
            : Data.Score(xt, level) - Target.Score(xt, level);
        return gradient.MoveToOuterDisposeScope();
    }

    /// <summary>E[e | x_t], [B]: −1/β times the energy that the mean squared error learns. Differentiable once.</summary>
    /// <param name="xt">Noisy points, [B, 2].</param>
    /// <param name="level">Their noise level.</param>
    /// <exception cref="NotSupportedException">The label depends on the noisy point, not on the latent event alone.</exception>
    public Tensor PosteriorMeanLabel(Tensor xt, NoiseLevel level)
    {
        if (!_shared)
        {
            throw new NotSupportedException("The label of this data set is not a function of its latent event.");
        }
        using var scope = NewDisposeScope();
        var (value, gradient) = Data.Blockwise(
            xt,
            level,
            values =>
            {
                var r = values.LogTerms.softmax(1);
                var mean = r.mv(values.Labels);
                var gradient = values.MeanGradient(r * (values.Labels - mean.unsqueeze(1)));
                return (mean, gradient);
            }
        );
        return LatentMixture.Differentiable(xt, value, gradient).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Data.Dispose();
        Target.Dispose();
    }

    private Tensor EnergyAt(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        if (!_shared)
        {
            return (
                Data.LogDensity(xt, level) - Target.LogDensity(xt, level) - _logPartition
            ).MoveToOuterDisposeScope();
        }
        var (value, gradient) = Data.Blockwise(xt, level, Difference);
        return LatentMixture.Differentiable(xt, value, gradient).MoveToOuterDisposeScope();
    }

    private (Tensor Value, Tensor Gradient) Difference(ComponentValues values)
    {
        var tilted = values.LogTerms + Beta * values.Labels;
        return (
            values.LogTerms.logsumexp(1) - tilted.logsumexp(1),
            values.MeanGradient(values.LogTerms.softmax(1) - tilted.softmax(1))
        );
    }
}
