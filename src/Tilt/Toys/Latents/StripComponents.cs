namespace Tilt.Toys;

/// <summary>Line segments of Gaussian length: x_t | k is Gaussian with variance α²v + σ² along u_k and σ² across it.</summary>
internal sealed class StripComponents : LatentComponents
{
    private readonly Tensor _centres;
    private readonly Tensor _axes;
    private readonly Tensor _normals;
    private readonly Tensor _logWeights;
    private readonly Tensor _labels;
    private readonly double _variance;

    /// <summary>Strips.</summary>
    /// <param name="centres">c, [K, 2].</param>
    /// <param name="axes">Unit vectors u along which the points are spread, [K, 2].</param>
    /// <param name="variance">v along u.</param>
    /// <param name="logWeights">log w, [K].</param>
    /// <param name="labels">e, [K].</param>
    public StripComponents(double[,] centres, double[,] axes, double variance, double[] logWeights, double[] labels)
    {
        var normals = new double[axes.GetLength(0), 2];
        for (var k = 0; k < axes.GetLength(0); k++)
        {
            (normals[k, 0], normals[k, 1]) = (axes[k, 1], -axes[k, 0]);
        }
        (_centres, _axes, _normals) = (Kept(centres), Kept(axes), Kept(normals));
        (_logWeights, _labels, _variance) = (Kept(logWeights), Kept(labels), variance);
    }

    /// <inheritdoc/>
    public override int Count => (int)_labels.shape[0];

    /// <inheritdoc/>
    public override ComponentValues At(Tensor x, NoiseLevel level)
    {
        var across = level.Sigma * level.Sigma;
        var along = level.Alpha * level.Alpha * _variance + across;
        var alongOffset = x.mm(_axes.t()).sub_((_centres * _axes).sum(1) * level.Alpha);
        var acrossOffset = x.mm(_normals.t()).sub_((_centres * _normals).sum(1) * level.Alpha);
        var offset = _logWeights - Math.Log(2 * Math.PI * Math.Sqrt(along * across));
        var terms = (alongOffset.square() / (-2 * along)).sub_(acrossOffset.square() / (2 * across)).add_(offset);
        return new(
            terms,
            _labels,
            r => (r * alongOffset).mm(_axes) / -along - (r * acrossOffset).mm(_normals) / across,
            r =>
            {
                var (g, h) = (alongOffset / along, acrossOffset / across);
                var axes = (r * (g.square() - 1 / along)).mm(Outer(_axes, _axes));
                var normals = (r * (h.square() - 1 / across)).mm(Outer(_normals, _normals));
                var cross = (r * g * h).mm(Outer(_axes, _normals) + Outer(_normals, _axes));
                return (axes + normals + cross).reshape(-1, 2, 2);
            }
        );
    }

    /// <inheritdoc/>
    public override (Tensor LogWeights, Tensor Labels, Tensor Means, Tensor SecondMoments) Moments()
    {
        var second = Spread(_centres, 0) + _variance * _axes.unsqueeze(2) * _axes.unsqueeze(1);
        return (_logWeights, _labels, _centres, second);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _centres.Dispose();
        _axes.Dispose();
        _normals.Dispose();
        _logWeights.Dispose();
        _labels.Dispose();
    }

    /// <summary>a·bᵀ of each strip, flat: [K, 4].</summary>
    private static Tensor Outer(Tensor a, Tensor b) => (a.unsqueeze(2) * b.unsqueeze(1)).reshape(-1, 4);
}
