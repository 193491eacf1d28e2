namespace Tilt.Toys;

/// <summary>Line segments of Gaussian length: x_t | k is Gaussian with variance α²v + σ² along u_k and σ² across it.</summary>
/// <remarks>
/// Across the strips only σ smooths the sum over k, so their spacing has to follow the level: each halving of σ/α asks for twice as many.
/// The nodes of every spacing that was used are kept.
/// </remarks>
/// <param name="at">The nodes of a given step of the latent variable.</param>
internal sealed class StripComponents(Func<double, StripComponents.Nodes> at) : LatentComponents
{
    private const double CoarsestStep = 0.04;
    private const int FinestHalvings = 7;

    /// <summary>How fast a point moves with the latent variable, at most, where there is mass.</summary>
    private const double Speed = 6;

    private readonly Dictionary<int, Nodes> _ladder = [];

    /// <inheritdoc/>
    public override int Count => Rung(0).Count;

    /// <inheritdoc/>
    public override int CountAt(NoiseLevel level) => Rung(HalvingsFor(level)).Count;

    /// <inheritdoc/>
    public override ComponentValues At(Tensor x, NoiseLevel level)
    {
        var nodes = Rung(HalvingsFor(level));
        var across = level.Sigma * level.Sigma;
        var along = level.Alpha * level.Alpha * nodes.Variance + across;
        var alongOffset = x.mm(nodes.Axes.t()).sub_((nodes.Centres * nodes.Axes).sum(1) * level.Alpha);
        var acrossOffset = x.mm(nodes.Normals.t()).sub_((nodes.Centres * nodes.Normals).sum(1) * level.Alpha);
        var offset = nodes.LogWeights - Math.Log(2 * Math.PI * Math.Sqrt(along * across));
        var terms = (alongOffset.square() / (-2 * along)).sub_(acrossOffset.square() / (2 * across)).add_(offset);
        return new(
            terms,
            nodes.Labels,
            r => (r * alongOffset).mm(nodes.Axes) / -along - (r * acrossOffset).mm(nodes.Normals) / across
        );
    }

    /// <inheritdoc/>
    public override (Tensor LogWeights, Tensor Labels, Tensor Means, Tensor SecondMoments) Moments()
    {
        var nodes = Rung(0);
        var second = Spread(nodes.Centres, 0) + nodes.Variance * nodes.Axes.unsqueeze(2) * nodes.Axes.unsqueeze(1);
        return (nodes.LogWeights, nodes.Labels, nodes.Centres, second);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var nodes in _ladder.Values)
        {
            nodes.Dispose();
        }
        _ladder.Clear();
    }

    private static int HalvingsFor(NoiseLevel level)
    {
        var step = level.Sigma / (level.Alpha * Speed);
        var halvings = Math.Max(0, (int)Math.Ceiling(Math.Log2(CoarsestStep / step)));
        return halvings <= FinestHalvings ? halvings : throw NoDensity(level);
    }

    private Nodes Rung(int halvings)
    {
        if (!_ladder.TryGetValue(halvings, out var nodes))
        {
            nodes = at(CoarsestStep / (1 << halvings));
            _ladder.Add(halvings, nodes);
        }
        return nodes;
    }

    /// <summary>Strips at one spacing.</summary>
    internal sealed class Nodes : IDisposable
    {
        /// <summary>Strips.</summary>
        /// <param name="centres">[K, 2].</param>
        /// <param name="axes">Unit vectors u along which the points are spread, [K, 2].</param>
        /// <param name="variance">v along u.</param>
        /// <param name="logWeights">log w, [K].</param>
        /// <param name="labels">e, [K].</param>
        public Nodes(double[,] centres, double[,] axes, double variance, double[] logWeights, double[] labels)
        {
            var normals = new double[axes.GetLength(0), 2];
            for (var k = 0; k < axes.GetLength(0); k++)
            {
                (normals[k, 0], normals[k, 1]) = (axes[k, 1], -axes[k, 0]);
            }
            (Centres, Axes, Normals) = (Kept(centres), Kept(axes), Kept(normals));
            (LogWeights, Labels, Variance) = (Kept(logWeights), Kept(labels), variance);
        }

        public Tensor Centres { get; }
        public Tensor Axes { get; }
        public Tensor Normals { get; }
        public Tensor LogWeights { get; }
        public Tensor Labels { get; }
        public double Variance { get; }
        public int Count => (int)Labels.shape[0];

        /// <inheritdoc/>
        public void Dispose()
        {
            Centres.Dispose();
            Axes.Dispose();
            Normals.Dispose();
            LogWeights.Dispose();
            Labels.Dispose();
        }
    }
}
