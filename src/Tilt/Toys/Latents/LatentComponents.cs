namespace Tilt.Toys;

/// <summary>What every component says of a block of points at one level.</summary>
/// <param name="LogTerms">log of weight times density of x_t under component k, [B, K].</param>
/// <param name="Labels">e_k, [K].</param>
/// <param name="MeanGradient">Σ_k r_k·∇ log density_k for given [B, K] coefficients r, which need not sum to 1: [B, 2].</param>
/// <param name="MeanCurvature">Σ_k r_k·(∇∇ᵀ density_k)/density_k for given [B, K] coefficients r: [B, 2, 2].</param>
internal readonly record struct ComponentValues(
    Tensor LogTerms,
    Tensor Labels,
    Func<Tensor, Tensor> MeanGradient,
    Func<Tensor, Tensor> MeanCurvature
);

/// <summary>The latent events of a data set, each with the closed-form law of the points that it makes, noise added.</summary>
/// <remarks>
/// Conditional on a latent event k the clean point has a simple law (a Gaussian, a circle, a square), so x_t = α·x₀ + σ·ε has a closed-form
/// density for every level, and sums over k (or quadrature nodes of a continuous latent) give q_t, its score and E_t.
/// </remarks>
internal abstract class LatentComponents : IDisposable
{
    /// <summary>K.</summary>
    public abstract int Count { get; }

    /// <summary>K at the given level.</summary>
    public virtual int CountAt(NoiseLevel level) => Count;

    /// <summary>Log densities, labels and gradients at [B, 2] float64 points.</summary>
    public abstract ComponentValues At(Tensor x, NoiseLevel level);

    /// <summary>log w_k, e_k, the clean mean [K, 2] and clean second moments E[x₀x₀ᵀ] [K, 2, 2] of each component.</summary>
    public abstract (Tensor LogWeights, Tensor Labels, Tensor Means, Tensor SecondMoments) Moments();

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>σ² + α²·v, refusing a law that has no density.</summary>
    protected static double TotalVariance(double variance, NoiseLevel level)
    {
        var total = level.Alpha * level.Alpha * variance + level.Sigma * level.Sigma;
        return total > 0 ? total : throw NoDensity(level);
    }

    /// <summary>The error for a level at which the law is singular.</summary>
    protected static TiltException NoDensity(NoiseLevel level) =>
        new(
            $"this data set has no smooth density at t = {level.Time} (sigma = {level.Sigma}), since it has no noise of its own; use a noisier level."
        );

    /// <summary>Second moments m·mᵀ + v·I of components with means m, [K, 2, 2].</summary>
    protected static Tensor Spread(Tensor means, double variance)
    {
        using var scope = NewDisposeScope();
        return (
            means.unsqueeze(2) * means.unsqueeze(1) + variance * eye(2, dtype: ScalarType.Float64)
        ).MoveToOuterDisposeScope();
    }

    /// <summary>A symmetric matrix per row from its entries, each [B]: [B, 2, 2].</summary>
    protected static Tensor Symmetric(Tensor xx, Tensor xy, Tensor yy) => stack([xx, xy, xy, yy], 1).reshape(-1, 2, 2);

    /// <summary>A tensor for a field: outside every scope.</summary>
    protected static Tensor Kept(double[] values) => tensor(values).DetachFromDisposeScope();

    /// <inheritdoc cref="Kept(double[])"/>
    protected static Tensor Kept(double[,] values) => tensor(values).DetachFromDisposeScope();
}
