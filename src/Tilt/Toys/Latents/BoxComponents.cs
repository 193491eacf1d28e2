namespace Tilt.Toys;

/// <summary>Uniform squares of one size, with Gaussian noise of one variance.</summary>
/// <remarks>
/// Along each axis the density of a uniform of half width w = α·h plus noise of deviation s = √(α²v + σ²) is
/// (Φ(b) − Φ(a))/(2w) with a = (|d| − w)/s, b = (|d| + w)/s, d = x − α·c. By the symmetry in d both arguments are taken on the positive side,
/// where the difference is one of upper tails and does not cancel; beyond 25 deviations the tails' asymptotic series takes over, so that
/// logarithms and gradients stay right arbitrarily far away.
/// </remarks>
internal sealed class BoxComponents : LatentComponents
{
    private const double Far = 25;
    private static readonly double HalfLogTau = Math.Log(2 * Math.PI) / 2;

    private readonly Tensor _centres;
    private readonly Tensor _logWeights;
    private readonly Tensor _labels;
    private readonly double _halfWidth;
    private readonly double _variance;

    /// <summary>Components.</summary>
    /// <param name="centres">c, [K, 2].</param>
    /// <param name="halfWidth">h, half the side.</param>
    /// <param name="variance">v per axis; 0 for sharp edges.</param>
    /// <param name="logWeights">log w, [K].</param>
    /// <param name="labels">e, [K].</param>
    public BoxComponents(double[,] centres, double halfWidth, double variance, double[] logWeights, double[] labels)
    {
        (_centres, _logWeights, _labels) = (Kept(centres), Kept(logWeights), Kept(labels));
        (_halfWidth, _variance) = (halfWidth, variance);
    }

    /// <inheritdoc/>
    public override int Count => (int)_labels.shape[0];

    /// <inheritdoc/>
    public override ComponentValues At(Tensor x, NoiseLevel level)
    {
        var deviation = Math.Sqrt(TotalVariance(_variance, level));
        var half = level.Alpha * _halfWidth / deviation;
        var (first, firstSlope) = Axis(x, 0, level.Alpha, deviation, half);
        var (second, secondSlope) = Axis(x, 1, level.Alpha, deviation, half);
        // The densities are per unit of x/s: two axes make it per s².
        var offset = _logWeights - 2 * Math.Log(2 * half * deviation);
        return new(
            first + second + offset,
            _labels,
            r => stack([(r * firstSlope()).sum(1), (r * secondSlope()).sum(1)], 1) / deviation
        );
    }

    /// <inheritdoc/>
    public override (Tensor LogWeights, Tensor Labels, Tensor Means, Tensor SecondMoments) Moments() =>
        (_logWeights, _labels, _centres, Spread(_centres, _halfWidth * _halfWidth / 3 + _variance));

    /// <inheritdoc/>
    public override void Dispose()
    {
        _centres.Dispose();
        _logWeights.Dispose();
        _labels.Dispose();
    }

    /// <summary>log(Φ(b) − Φ(a)) along one axis in units of s, and its derivative there.</summary>
    private (Tensor Log, Func<Tensor> Slope) Axis(Tensor x, int axis, double alpha, double deviation, double half)
    {
        var d = (x.select(1, axis).unsqueeze(1) - alpha * _centres.select(1, axis)) / deviation;
        var distance = d.abs();
        var a = distance - half;
        // exp(−(b² − a²)/2) = exp(−2·|d|·w): how much less the far edge weighs than the near one.
        var gap = distance * (2 * half);
        Tensor log;
        if (half < 1e-4)
        {
            // So narrow that the difference would cancel: 2w·φ(d)·(1 + (d² − 1)·w²/6).
            var square = distance.square();
            log = (square - 1).mul_(half * half / 6).log1p_() - square / 2 + (Math.Log(2 * half) - HalfLogTau);
        }
        else
        {
            var root = Math.Sqrt(0.5);
            log = ((a * root).erfc_() - ((distance + half) * root).erfc_()).mul_(0.5).log_();
            if (a.max().item<double>() > Far)
            {
                // Q(a) ≈ φ(a)/a·(1 − 1/a² + 3/a⁴ − 15/a⁶); the far edge's tail likewise, relative to it.
                var far = a.clamp_min(Far);
                var farther = far + 2 * half;
                var ratio = Series(farther) / Series(far) * (-(gap.clamp_min(2 * half * Far))).exp();
                var tail = Series(far).log() - far.square() / 2 - HalfLogTau + (-ratio).log1p();
                log = where(a.gt(Far), tail, log);
            }
        }
        // (φ(b) − φ(a))/(Φ(b) − Φ(a)), negative on the right of the centre.
        return (log, () => d.sign() * (a.square() / -2 - HalfLogTau - log).exp() * gap.neg().expm1());

        static Tensor Series(Tensor y)
        {
            var inverse = y.square().reciprocal();
            return (1 - inverse * (1 - inverse * (3 - 15 * inverse))) / y;
        }
    }
}
