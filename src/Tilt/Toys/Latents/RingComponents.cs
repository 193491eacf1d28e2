namespace Tilt.Toys;

/// <summary>Uniform circles about the origin with Gaussian noise of one variance.</summary>
/// <remarks>
/// With R = α·r and V = α²v + σ² the density at radius ρ is exp(−(ρ − R)²/2V)·e^(−z)·I₀(z)/(2πV), z = ρR/V, and its logarithm has the radial
/// derivative −ρ/V + (R/V)·I₁(z)/I₀(z). Both Bessel functions are used in their scaled form, which does not overflow.
/// </remarks>
internal sealed class RingComponents : LatentComponents
{
    /// <summary>Keeps 0/0 from happening; far below any radius, far above what underflows.</summary>
    private const double Tiny = 1e-100;

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
        var ratio = special.i1e(z) / zeroth;
        var slope = (radii * ratio - rho) / v;
        // At the origin the slope is 0 and the direction does not matter.
        var direction = x / rho.clamp_min(Tiny);
        return new(
            terms,
            _labels,
            r => (r * slope).sum(1, keepdim: true) * direction,
            r =>
            {
                // With A = I₁/I₀: A′ = 1 − A/z − A². Along the radius f″ + f′², across it f′/ρ.
                var bend = (radii / v).square() * (1 - ratio / z.clamp_min(Tiny) - ratio.square()) - 1 / v;
                var along = (r * (bend + slope.square())).sum(1);
                var across = (r * (slope / rho.clamp_min(Tiny))).sum(1);
                var (x0, x1) = (direction.select(1, 0), direction.select(1, 1));
                var more = along - across;
                return Symmetric(across + more * x0 * x0, more * x0 * x1, across + more * x1 * x1);
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
