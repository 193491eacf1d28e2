namespace Tilt.Toys;

/// <summary>Gaussians of one isotropic variance: x_t | k is N(α·c_k, (α²v + σ²)·I).</summary>
internal sealed class GaussianComponents : LatentComponents
{
    private readonly Tensor _centres;
    private readonly Tensor _logWeights;
    private readonly Tensor _labels;
    private readonly double _variance;

    /// <summary>Components.</summary>
    /// <param name="centres">c, [K, 2].</param>
    /// <param name="variance">v per axis; 0 for points.</param>
    /// <param name="logWeights">log w, [K].</param>
    /// <param name="labels">e, [K].</param>
    public GaussianComponents(double[,] centres, double variance, double[] logWeights, double[] labels)
    {
        (_centres, _logWeights, _labels) = (Kept(centres), Kept(logWeights), Kept(labels));
        _variance = variance;
    }

    /// <inheritdoc/>
    public override int Count => (int)_labels.shape[0];

    /// <inheritdoc/>
    public override ComponentValues At(Tensor x, NoiseLevel level)
    {
        var v = TotalVariance(_variance, level);
        var means = _centres * level.Alpha;
        var offset = _logWeights - (means * means).sum(1) / (2 * v) - Math.Log(2 * Math.PI * v);
        var terms = x.mm(means.t() / v).add_(offset).sub_((x * x).sum(1, keepdim: true) / (2 * v));
        return new(
            terms,
            _labels,
            r => (r.mm(means) - x * r.sum(1, keepdim: true)) / v,
            r =>
            {
                // Σ r·(m − x)(m − x)ᵀ/v² − Σ r·I/v, from the moments of m under r.
                var (sum, first) = (r.sum(1).reshape(-1, 1, 1), r.mm(means));
                var second = r.mm((means.unsqueeze(2) * means.unsqueeze(1)).reshape(-1, 4)).reshape(-1, 2, 2);
                var cross = first.unsqueeze(2) * x.unsqueeze(1);
                var outer = second - cross - cross.transpose(1, 2) + sum * x.unsqueeze(2) * x.unsqueeze(1);
                return outer / (v * v) - sum * eye(2, dtype: ScalarType.Float64) / v;
            }
        );
    }

    /// <inheritdoc/>
    public override (Tensor LogWeights, Tensor Labels, Tensor Means, Tensor SecondMoments) Moments() =>
        (_logWeights, _labels, _centres, Spread(_centres, _variance));

    /// <inheritdoc/>
    public override void Dispose()
    {
        _centres.Dispose();
        _logWeights.Dispose();
        _labels.Dispose();
    }
}
