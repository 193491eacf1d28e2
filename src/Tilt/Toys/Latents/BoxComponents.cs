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
    private const double Narrow = 1e-4;
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
        var first = new Axis(x.select(1, 0), level.Alpha * _centres.select(1, 0), deviation, half);
        var second = new Axis(x.select(1, 1), level.Alpha * _centres.select(1, 1), deviation, half);
        // The densities are per unit of x/s: two axes make it per s².
        var offset = _logWeights - 2 * Math.Log(2 * half * deviation);
        return new(
            first.Log + second.Log + offset,
            _labels,
            r => stack([(r * first.Slope()).sum(1), (r * second.Slope()).sum(1)], 1) / deviation,
            r =>
                Symmetric(
                    (r * first.Bend()).sum(1),
                    (r * first.Slope() * second.Slope()).sum(1),
                    (r * second.Bend()).sum(1)
                ) / (deviation * deviation)
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

    /// <summary>One axis, in units of s: log(Φ(b) − Φ(a)) of every point and component, and its derivatives.</summary>
    private sealed class Axis
    {
        private readonly Tensor _d;
        private readonly Tensor _near;
        private readonly Tensor _gap;
        private readonly double _half;

        public Axis(Tensor x, Tensor centres, double deviation, double half)
        {
            _half = half;
            _d = (x.unsqueeze(1) - centres) / deviation;
            var distance = _d.abs();
            _near = distance - half;
            // (b² − a²)/2 = 2·|d|·w: by this exponent the far edge weighs less than the near one.
            _gap = distance * (2 * half);
            Log = half < Narrow ? NarrowLog(_d.square(), half) : WideLog(distance);
        }

        /// <summary>log(Φ(b) − Φ(a)), [B, K].</summary>
        public Tensor Log { get; }

        /// <summary>d log/dd = (φ(b) − φ(a))/(Φ(b) − Φ(a)), negative on the right of the centre.</summary>
        public Tensor Slope() => _d.sign() * Relative() * _gap.neg().expm1();

        /// <summary>Second derivative of the density, relative to it: (a·φ(a) − b·φ(b))/(Φ(b) − Φ(a)).</summary>
        public Tensor Bend() => Relative() * (_near - (_near + 2 * _half) * _gap.neg().exp());

        /// <summary>φ(a)/(Φ(b) − Φ(a)).</summary>
        private Tensor Relative() => (_near.square() / -2 - HalfLogTau - Log).exp();

        /// <summary>So narrow that the difference would cancel: 2w·φ(d)·(1 + (d² − 1)·w²/6).</summary>
        private static Tensor NarrowLog(Tensor square, double half) =>
            ((square - 1) * (half * half / 6)).log1p() - square / 2 + (Math.Log(2 * half) - HalfLogTau);

        private Tensor WideLog(Tensor distance)
        {
            var root = Math.Sqrt(0.5);
            var log = ((_near * root).erfc_() - ((distance + _half) * root).erfc_()).mul_(0.5).log_();
            if (_near.numel() == 0 || _near.max().item<double>() <= Far)
            {
                return log;
            }
            var far = _near.clamp_min(Far);
            var ratio = Tail(far + 2 * _half) / Tail(far) * (-_gap).exp();
            var tail = Tail(far).log() - far.square() / 2 - HalfLogTau + (-ratio).log1p();
            return where(_near.gt(Far), tail, log);
        }

        /// <summary>Q(y)/φ(y) ≈ (1 − 1/y² + 3/y⁴ − 15/y⁶)/y for y of 25 and more.</summary>
        private static Tensor Tail(Tensor y)
        {
            var inverse = y.square().reciprocal();
            return (1 - inverse * (1 - inverse * (3 - 15 * inverse))) / y;
        }
    }
}
