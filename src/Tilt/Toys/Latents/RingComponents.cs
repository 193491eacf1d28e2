namespace Tilt.Toys;

/// <summary>Uniform circles about the origin with Gaussian noise of one variance.</summary>
/// <remarks>
/// With R = α·r and V = α²v + σ² the density at radius ρ is exp(−(ρ − R)²/2V)·e^(−z)·I₀(z)/(2πV), z = ρR/V, and its logarithm has the radial
/// derivative −ρ/V + (R/V)·I₁(z)/I₀(z). Both Bessel functions are used in their scaled form, which does not overflow.
/// </remarks>
internal sealed class RingComponents : LatentComponents
{
    private readonly Tensor _radii;
    private readonly Tensor _logWeights;
    private readonly Tensor _labels;
    private readonly double _variance;

    /// <summary>Components.</summary>
    /// <param name="radii">r, [K].</param>
    /// <param name="variance">v per axis.</param>
    /// <param name="logWeights">log w, [K].</param>
    /// <param name="labels">e, [K].</param>
    public RingComponents(double[] radii, double variance, double[] logWeights, double[] labels)
    {
        (_radii, _logWeights, _labels) = (Kept(radii), Kept(logWeights), Kept(labels));
        _variance = variance;
    }

    /// <inheritdoc/>
    public override int Count => (int)_labels.shape[0];

    /// <inheritdoc/>
    public override ComponentValues At(Tensor x, NoiseLevel level)
    {
        var v = TotalVariance(_variance, level);
        var radii = _radii * level.Alpha;
        var rho = (x * x).sum(1, keepdim: true).sqrt();
        var z = rho * radii / v;
        var zeroth = special.i0e(z);
        var terms = zeroth.log() - (rho - radii).square() / (2 * v) + (_logWeights - Math.Log(2 * Math.PI * v));
        return new(
            terms,
            _labels,
            r =>
            {
                var slope = (r * (radii * (special.i1e(z) / zeroth) - rho)).sum(1, keepdim: true) / v;
                // At the origin the slope is 0 and the direction does not matter.
                return slope * x / rho.clamp_min(double.Epsilon * 1e20);
            }
        );
    }

    /// <inheritdoc/>
    public override (Tensor LogWeights, Tensor Labels, Tensor Means, Tensor SecondMoments) Moments()
    {
        var within = (_radii.square() / 2 + _variance).reshape(-1, 1, 1) * eye(2, dtype: ScalarType.Float64);
        return (_logWeights, _labels, zeros(Count, 2, ScalarType.Float64), within);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _radii.Dispose();
        _logWeights.Dispose();
        _labels.Dispose();
    }
}
