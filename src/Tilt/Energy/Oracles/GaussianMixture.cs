using Tilt.Diffusion;

namespace Tilt.Energy.Oracles;

/// <summary>A Gaussian mixture q₀ with every noisy marginal q_t in closed form: density, score, noise, posterior of x₀.</summary>
/// <remarks>
/// q₀ = Σ_k w_k·N(μ_k, Σ_k) diffuses to q_t = Σ_k w_k·N(α_t·μ_k, α_t²·Σ_k + σ_t²·I), and q(x₀ | x_t) is a mixture with
/// weights r_k(x_t) (the responsibilities) and Gaussian parts. Each Σ_k is kept by its eigenvectors, in which all of these
/// are diagonal. Computed in float64 whatever type <c>xt</c> has; results have the type and device of <c>xt</c> and are
/// differentiable any number of times.
/// </remarks>
public sealed class GaussianMixture : IDisposable
{
    private readonly Tensor _logWeights; // [K]
    private readonly Tensor _means; // [K, D]
    private readonly Tensor _axes; // [K, D, D]: eigenvectors of Σ_k in columns
    private readonly Tensor _variances; // [K, D]: eigenvalues of Σ_k

    /// <summary>A mixture with full covariances.</summary>
    /// <param name="weights">w, [K], non-negative; they are divided by their sum.</param>
    /// <param name="means">μ, [K, D].</param>
    /// <param name="covariances">Σ, [K, D, D], symmetric and positive semidefinite.</param>
    /// <exception cref="ArgumentException">Shapes disagree, or a weight or covariance is not one.</exception>
    public GaussianMixture(Tensor weights, Tensor means, Tensor covariances)
    {
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentNullException.ThrowIfNull(means);
        ArgumentNullException.ThrowIfNull(covariances);
        Expect.Shape(weights, -1);
        Expect.Shape(means, weights.shape[0], -1);
        Expect.Shape(covariances, weights.shape[0], means.shape[1], means.shape[1]);
        using var scope = NewDisposeScope();
        using var constant = no_grad();

        var sigma = covariances.to(ScalarType.Float64).cpu();
        Require(sigma.isfinite().all(), "covariances hold a number that is not finite");
        Require(
            (sigma - sigma.transpose(-1, -2)).abs().max() <= 1e-9 * sigma.abs().max(),
            "covariances are not symmetric"
        );
        var (variances, axes) = linalg.eigh(0.5 * (sigma + sigma.transpose(-1, -2)));
        Require(
            variances.min() >= -1e-12 * sigma.abs().max(),
            "covariances are not positive semidefinite: a variance along an axis is negative"
        );
        (_logWeights, _means) = Checked(weights, means);
        _axes = axes.contiguous().DetachFromDisposeScope();
        _variances = variances.clamp(min: 0).DetachFromDisposeScope();
    }

    private GaussianMixture(Tensor weights, Tensor means, Tensor axes, Tensor variances)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();

        Require(variances.isfinite().all() & (variances >= 0).all(), "a variance is negative or not finite");
        (_logWeights, _means) = Checked(weights, means);
        _axes = axes.clone().DetachFromDisposeScope();
        _variances = variances.clone().DetachFromDisposeScope();
    }

    /// <summary>A mixture of round components, Σ_k = v_k·I.</summary>
    /// <param name="weights">w, [K], non-negative; they are divided by their sum.</param>
    /// <param name="means">μ, [K, D].</param>
    /// <param name="variances">v, [K].</param>
    public static GaussianMixture Isotropic(Tensor weights, Tensor means, Tensor variances)
    {
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentNullException.ThrowIfNull(means);
        ArgumentNullException.ThrowIfNull(variances);
        Expect.Shape(weights, -1);
        Expect.Shape(means, weights.shape[0], -1);
        Expect.Shape(variances, weights.shape[0]);
        using var scope = NewDisposeScope();
        var (k, d) = (means.shape[0], means.shape[1]);

        var axes = eye(d, dtype: ScalarType.Float64).expand(k, d, d);
        var spread = variances.detach().to(ScalarType.Float64).cpu().unsqueeze(-1).expand(k, d);
        return new(weights, means, axes, spread);
    }

    /// <summary>A mixture of equal, equally likely round components.</summary>
    /// <param name="means">μ, [K, D].</param>
    /// <param name="standardDeviation">Of every component, per axis.</param>
    public static GaussianMixture Equal(Tensor means, double standardDeviation)
    {
        ArgumentNullException.ThrowIfNull(means);
        using var scope = NewDisposeScope();
        var weights = ones(means.shape[0], dtype: ScalarType.Float64);
        return Isotropic(weights, means, weights * (standardDeviation * standardDeviation));
    }

    /// <summary>K, the number of components.</summary>
    public int Components => (int)_means.shape[0];

    /// <summary>D, the dimension of x.</summary>
    public int Dimension => (int)_means.shape[1];

    /// <summary>w, [K], float64, summing to 1. A new tensor.</summary>
    public Tensor Weights => _logWeights.exp();

    /// <summary>μ, [K, D], float64. A new tensor.</summary>
    public Tensor Means => _means.clone();

    /// <summary>Σ, [K, D, D], float64. A new tensor.</summary>
    public Tensor Covariances => Along(_axes, _variances);

    /// <summary>ε(x_t, t) = −σ_t·∇log q_t(x_t): what a perfect noise model of q₀ predicts.</summary>
    public NoisePredictor Noise =>
        (xt, level) =>
        {
            using var scope = NewDisposeScope();
            return (-level.Sigma * Score(xt, level)).MoveToOuterDisposeScope();
        };

    /// <summary>log q_t(x_t), in nats.</summary>
    /// <param name="xt">Noisy samples, [B, D].</param>
    /// <param name="level">Their level; at t = 0 this is log q₀.</param>
    /// <returns>[B].</returns>
    public Tensor LogDensity(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        var joint = Parts(xt, level).LogJoint;
        return joint.logsumexp(-1).to(xt.dtype, xt.device).MoveToOuterDisposeScope();
    }

    /// <summary>r(x_t), the probability of each component given x_t.</summary>
    /// <param name="xt">Noisy samples, [B, D].</param>
    /// <param name="level">Their level.</param>
    /// <returns>[B, K], rows summing to 1.</returns>
    public Tensor Responsibilities(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        var joint = Parts(xt, level).LogJoint;
        return nn.functional.softmax(joint, -1).to(xt.dtype, xt.device).MoveToOuterDisposeScope();
    }

    /// <summary>∇log q_t(x_t).</summary>
    /// <param name="xt">Noisy samples, [B, D].</param>
    /// <param name="level">Their level.</param>
    /// <returns>[B, D].</returns>
    public Tensor Score(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        var (joint, along, noisy) = Parts(xt, level);

        var responsibility = nn.functional.softmax(joint, -1);
        var pull = einsum("bke,kde->bkd", -along / noisy, _axes.to(along.device));
        var score = (responsibility.unsqueeze(-1) * pull).sum(1);
        return score.to(xt.dtype, xt.device).MoveToOuterDisposeScope();
    }

    /// <summary>E[x₀ | x_t].</summary>
    /// <param name="xt">Noisy samples, [B, D].</param>
    /// <param name="level">Their level.</param>
    /// <returns>[B, D].</returns>
    public Tensor PosteriorMean(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        var posterior = Posterior(xt, level);
        var mean = (posterior.LogWeights.exp().unsqueeze(-1) * posterior.Means).sum(1);
        return mean.to(xt.dtype, xt.device).MoveToOuterDisposeScope();
    }

    /// <summary>E[x₀] and Cov[x₀].</summary>
    /// <returns>[D] and [D, D], float64. New tensors.</returns>
    public (Tensor Mean, Tensor Covariance) Moments()
    {
        using var scope = NewDisposeScope();
        var weights = _logWeights.exp();
        var mean = weights.matmul(_means);
        var offset = _means - mean;
        var covariance =
            einsum("k,kij->ij", weights, Along(_axes, _variances)) + einsum("k,ki,kj->ij", weights, offset, offset);
        return (mean.MoveToOuterDisposeScope(), covariance.MoveToOuterDisposeScope());
    }

    /// <summary>Independent draws from q₀.</summary>
    /// <param name="count">How many.</param>
    /// <param name="generator">Source of the draws, on the CPU.</param>
    /// <returns>The samples, [count, D] float64, and the component that each came from, [count] int64.</returns>
    public (Tensor Samples, Tensor Components) Sample(long count, Generator generator)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        using var scope = NewDisposeScope();

        var uniform = rand(count, dtype: ScalarType.Float64, generator: generator);
        var normal = randn(count, Dimension, dtype: ScalarType.Float64, generator: generator);
        var component = searchsorted(_logWeights.exp().cumsum(0, ScalarType.Float64), uniform, right: true)
            .clamp(max: Components - 1);
        var spread = einsum("kde,ke->kde", _axes, _variances.sqrt())[component];
        var samples = _means[component] + einsum("bde,be->bd", spread, normal);
        return (samples.MoveToOuterDisposeScope(), component.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _logWeights.Dispose();
        _means.Dispose();
        _axes.Dispose();
        _variances.Dispose();
    }

    /// <summary>q(x₀ | x_t) as a mixture of Gaussians, in float64 tensors of the current scope.</summary>
    /// <remarks>Σ_k's eigenvectors stay; a variance s along one becomes s·σ²/(α²·s + σ²), and the mean moves by the gain α·s/(α²·s + σ²).</remarks>
    internal MixturePosterior Posterior(Tensor xt, NoiseLevel level)
    {
        var (joint, along, noisy) = Parts(xt, level);
        var axes = _axes.to(along.device);
        var variances = _variances.to(along.device);

        // At σ = 0 a point component (s = 0) divides 0 by 0; its posterior is the point.
        var safe = where(noisy > 0, noisy, ones_like(noisy));
        var means = _means.to(along.device) + einsum("bke,kde->bkd", along * (level.Alpha * variances / safe), axes);
        var remaining = variances * (level.Sigma * level.Sigma) / safe;
        return new(nn.functional.log_softmax(joint, -1), means, axes, remaining);
    }

    /// <summary>The mixture itself in the same form, with one row: what a posterior becomes when x_t says nothing.</summary>
    internal MixturePosterior Prior() => new(_logWeights.unsqueeze(0), _means.unsqueeze(0), _axes, _variances);

    /// <summary>A·diag(v)·Aᵀ for each component, [K, D, D].</summary>
    internal static Tensor Along(Tensor axes, Tensor values)
    {
        using var scope = NewDisposeScope();
        return einsum("kde,ke,kfe->kdf", axes, values, axes).MoveToOuterDisposeScope();
    }

    /// <summary>log w_k·N(x_t; k) [B, K], x_t − α·μ_k along the eigenvectors [B, K, D], and q_t's variances there [K, D].</summary>
    private (Tensor LogJoint, Tensor Along, Tensor Noisy) Parts(Tensor xt, NoiseLevel level)
    {
        Expect.Shape(xt, -1, Dimension);
        var x = xt.to(ScalarType.Float64);
        var device = x.device;

        var noisy = level.Alpha * level.Alpha * _variances.to(device) + level.Sigma * level.Sigma;
        var along = einsum("bkd,kde->bke", x.unsqueeze(1) - level.Alpha * _means.to(device), _axes.to(device));
        var logNormal =
            -0.5 * ((along * along / noisy).sum(-1) + noisy.log().sum(-1) + Dimension * Math.Log(2 * Math.PI));
        return (_logWeights.to(device) + logNormal, along, noisy);
    }

    private static (Tensor LogWeights, Tensor Means) Checked(Tensor weights, Tensor means)
    {
        var w = weights.detach().to(ScalarType.Float64).cpu();
        Require(
            w.isfinite().all() & (w >= 0).all() & (w.sum() > 0),
            "weights must be non-negative with a positive sum"
        );
        var mu = means.detach().to(ScalarType.Float64).cpu().clone();
        Require(mu.isfinite().all(), "means hold a number that is not finite");
        return ((w / w.sum()).log().DetachFromDisposeScope(), mu.DetachFromDisposeScope());
    }

    private static void Require(Tensor condition, string message)
    {
        if (!condition.item<bool>())
        {
            throw new ArgumentException($"Gaussian mixture: {message}.");
        }
    }
}

/// <summary>A mixture per row of a batch, whose components share their axes and variances across rows.</summary>
/// <param name="LogWeights">[B, K].</param>
/// <param name="Means">[B, K, D].</param>
/// <param name="Axes">[K, D, D], eigenvectors in columns.</param>
/// <param name="Variances">[K, D], along the axes.</param>
internal readonly record struct MixturePosterior(Tensor LogWeights, Tensor Means, Tensor Axes, Tensor Variances);
