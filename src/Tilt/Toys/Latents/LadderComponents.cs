namespace Tilt.Toys;

/// <summary>Quadrature whose nodes follow the noise level: the more is blurred, the fewer nodes are needed.</summary>
/// <remarks>
/// A node blurred to the width w = √(v + σ²/α²) of clean space needs neighbours within a fraction of w. Rungs are half as fine as the one before,
/// the nodes of every rung that was used are kept, and rung 0 belongs to the base width.
/// </remarks>
internal sealed class LadderComponents : LatentComponents
{
    /// <summary>Beyond this width a whole data set is one blur.</summary>
    private const double WidestBlur = 1.6;

    private readonly Dictionary<int, LatentComponents> _rungs = [];
    private readonly Func<double, LatentComponents> _at;
    private readonly double _baseWidth;
    private readonly double _variance;
    private readonly int _finest;
    private readonly int _coarsest;

    /// <summary>A ladder.</summary>
    /// <param name="baseWidth">w of rung 0, where <see cref="Count"/> and moments are taken.</param>
    /// <param name="variance">v, what the data set itself blurs along its curve.</param>
    /// <param name="halvings">How often the base width may be halved before the law counts as singular.</param>
    /// <param name="at">Components that suffice for a given width.</param>
    public LadderComponents(double baseWidth, double variance, int halvings, Func<double, LatentComponents> at)
    {
        (_baseWidth, _variance, _finest, _at) = (baseWidth, variance, -halvings, at);
        _coarsest = Math.Max(0, (int)Math.Floor(Math.Log2(WidestBlur / baseWidth)));
    }

    /// <inheritdoc/>
    public override int Count => Rung(0).Count;

    /// <inheritdoc/>
    public override int CountAt(NoiseLevel level) => For(level).Count;

    /// <inheritdoc/>
    public override ComponentValues At(Tensor x, NoiseLevel level) => For(level).At(x, level);

    /// <inheritdoc/>
    public override (Tensor LogWeights, Tensor Labels, Tensor Means, Tensor SecondMoments) Moments() =>
        Rung(0).Moments();

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var components in _rungs.Values)
        {
            components.Dispose();
        }
        _rungs.Clear();
    }

    private LatentComponents For(NoiseLevel level)
    {
        var blur = level.Sigma / level.Alpha;
        var width = Math.Sqrt(_variance + blur * blur);
        // A hair of rounding must not push the clean level of a set with noise of its own below its base.
        var rung = Math.Floor(Math.Log2(width / _baseWidth) + 1e-9);
        return rung >= _finest ? Rung((int)Math.Min(rung, _coarsest)) : throw NoDensity(level);
    }

    private LatentComponents Rung(int rung)
    {
        if (!_rungs.TryGetValue(rung, out var components))
        {
            components = _at(_baseWidth * Math.Pow(2, rung));
            _rungs.Add(rung, components);
        }
        return components;
    }
}
