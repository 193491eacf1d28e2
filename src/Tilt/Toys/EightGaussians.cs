using Tilt.Metrics;

namespace Tilt.Toys;

/// <summary>Eight Gaussians on a circle, labelled k/7 counter-clockwise from the top.</summary>
/// <remarks>
/// x = (4·direction_k + ½·ξ)/1.414: modes at radius 2.82885 with standard deviation 0.35361 per axis (1.414, not √2, as in the
/// authors' generator). The title figure of the paper shows this set.
/// </remarks>
public sealed class EightGaussians : ToyDataset
{
    private const double Divisor = 1.414;
    private const double Noise = 0.5;

    private static readonly double C = 1 / Math.Sqrt(2);

    private static readonly double[,] Directions =
    {
        { 0, 1 },
        { -C, C },
        { -1, 0 },
        { -C, -C },
        { 0, -1 },
        { C, -C },
        { 1, 0 },
        { C, C },
    };

    private static readonly LabelLevels Levels = LabelLevels.Even([.. Enumerable.Range(0, 8).Select(k => k / 7.0)]);

    private static readonly BinPartition Modes = new(
        "nearest mode",
        [.. Enumerable.Range(0, 8).Select(k => $"k={k}")],
        Levels.Masses,
        NearestMode
    );

    /// <inheritdoc/>
    public override string Name => "8gaussians";

    /// <inheritdoc/>
    public override string Description => "eight Gaussians on a circle; e = k/7, counter-clockwise from the top";

    /// <inheritdoc/>
    public override IReadOnlyList<BinPartition> Partitions { get; } = [Modes];

    /// <summary>The points of modes k and normal draws ξ.</summary>
    /// <param name="mode">k, [n] of int64.</param>
    /// <param name="normals">ξ, [n, 2].</param>
    internal static Tensor Place(Tensor mode, Tensor normals)
    {
        using var scope = NewDisposeScope();
        return ((4 * tensor(Directions).index_select(0, mode) + Noise * normals) / Divisor).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator) =>
        GenerateTilted(0, n, generator);

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator)
    {
        var mode = Levels.Draw(beta, n, generator);
        return (Place(mode, randn(n, 2, ScalarType.Float64, generator: generator)), Levels.LabelsOf(mode));
    }

    /// <inheritdoc/>
    protected override double LogPartitionOf(double beta) => Levels.LogPartition(beta);

    /// <inheritdoc/>
    protected override double MeanLabelOf(double beta) => Levels.Mean(beta);

    /// <inheritdoc/>
    protected override Tensor LabelsNear(Tensor points) => Levels.LabelsOf(NearestMode(points));

    /// <inheritdoc/>
    /// <remarks>A closed form: eight components, no quadrature.</remarks>
    protected override LatentMixture LatentsOf(double beta, int refinement)
    {
        var centres = new double[8, 2];
        for (var k = 0; k < 8; k++)
        {
            (centres[k, 0], centres[k, 1]) = (4 * Directions[k, 0] / Divisor, 4 * Directions[k, 1] / Divisor);
        }
        var variance = Noise / Divisor * (Noise / Divisor);
        var weights = Enumerable.Repeat(Math.Log(1 / 8.0), 8).ToArray();
        return new(new GaussianComponents(centres, variance, weights, Levels.Labels), beta, Levels.LogPartition(beta));
    }

    private static Tensor NearestMode(Tensor points)
    {
        using var centres = tensor(Directions);
        return NearestOf.Rows(points, centres);
    }
}
