using Tilt.Metrics;

namespace Tilt.Toys;

/// <summary>Eight squares of a checkerboard with sharp edges; the columns [−4, −2] and (0, 2] are good.</summary>
/// <remarks>
/// x₁ = 4U − 2, x₂ = U′ − 2B + (⌊x₁⌋ mod 2) with a fair bit B, and X = 2·(x₁, x₂). The remainder is the mathematical one, 0 or 1, also
/// left of the origin. e = 1 where 0 &lt; X₁ ≤ 2 or X₁ ≤ −2, else 0.
/// </remarks>
public sealed class Checkerboard : ToyDataset
{
    private const double HalfSide = 1;

    private static readonly LabelLevels Levels = LabelLevels.Even(0, 1);

    /// <inheritdoc/>
    public override string Name => "checkerboard";

    /// <inheritdoc/>
    public override string Description => "eight squares; e = 1 in the first and third column, else 0";

    /// <inheritdoc/>
    public override IReadOnlyList<BinPartition> Partitions { get; } =
    [
        new(
            "nearest square",
            [.. Enumerable.Range(0, 8).Select(k => $"column {k / 2 + 1} {(k % 2 == 0 ? "upper" : "lower")}")],
            SquareMasses,
            points => NearestSquare(points)
        ),
        new("column class", ["bad", "good"], Levels.Masses, points => Good(points.select(1, 0)).to(ScalarType.Int64)),
    ];

    /// <inheritdoc/>
    /// <remarks>The squares have no noise of their own, so their sharp edges are blurred by a twentieth of a side.</remarks>
    public override double EffectiveBlur => 0.1;

    /// <summary>Points from uniform draws: X = 2·(4u₁ − 2, u₂ − 2·bit + ⌊4u₁ − 2⌋ mod 2).</summary>
    /// <param name="u1">[n].</param>
    /// <param name="u2">[n].</param>
    /// <param name="bit">0 or 1, [n].</param>
    internal static Tensor Place(Tensor u1, Tensor u2, Tensor bit)
    {
        using var scope = NewDisposeScope();
        var across = 4 * u1 - 2;
        var column = across.floor();
        var odd = column - 2 * (column / 2).floor();
        return (2 * stack([across, u2 - 2 * bit + odd], 1)).MoveToOuterDisposeScope();
    }

    /// <summary>Labels by the first coordinate, [n] of float64.</summary>
    internal static Tensor LabelsBy(Tensor across) => Good(across).to(ScalarType.Float64);

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator)
    {
        var x = Place(
            rand(n, ScalarType.Float64, generator: generator),
            rand(n, ScalarType.Float64, generator: generator),
            randint(2, n, ScalarType.Float64, generator: generator)
        );
        return (x, LabelsBy(x.select(1, 0)));
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator)
    {
        // The uniform that picks the column keeps its place within it; good columns are the first and third quarter of [0, 1).
        var good = Levels.Draw(beta, n, generator).to(ScalarType.Float64);
        var pair = randint(2, n, ScalarType.Float64, generator: generator);
        var u1 = (2 * pair + (1 - good) + rand(n, ScalarType.Float64, generator: generator)) / 4;
        var x = Place(
            u1,
            rand(n, ScalarType.Float64, generator: generator),
            randint(2, n, ScalarType.Float64, generator: generator)
        );
        return (x, good);
    }

    /// <inheritdoc/>
    protected override double LogPartitionOf(double beta) => Levels.LogPartition(beta);

    /// <inheritdoc/>
    protected override double MeanLabelOf(double beta) => Levels.Mean(beta);

    /// <inheritdoc/>
    protected override Tensor LabelsNear(Tensor points) => LabelsBy(points.select(1, 0));

    /// <inheritdoc/>
    /// <remarks>A closed form: eight squares, each a product of error functions once noise is added.</remarks>
    protected override LatentMixture LatentsOf(double beta, int refinement)
    {
        var labels = Enumerable.Range(0, 8).Select(k => k / 2 % 2 == 0 ? 1.0 : 0.0).ToArray();
        var weights = Enumerable.Repeat(Math.Log(1 / 8.0), 8).ToArray();
        return new(new BoxComponents(Centres(), HalfSide, 0, weights, labels), beta, Levels.LogPartition(beta));
    }

    private static double[] SquareMasses(double beta)
    {
        var masses = Levels.Masses(beta);
        return [.. Enumerable.Range(0, 8).Select(k => masses[k / 2 % 2 == 0 ? 1 : 0] / 4)];
    }

    /// <summary>Squares by column from the left, the upper one first.</summary>
    private static double[,] Centres()
    {
        var centres = new double[8, 2];
        for (var k = 0; k < 8; k++)
        {
            var column = k / 2;
            centres[k, 0] = 2 * column - 3;
            centres[k, 1] = 1 + 2 * (column % 2) - 4 * (k % 2);
        }
        return centres;
    }

    private static Tensor NearestSquare(Tensor points)
    {
        using var centres = tensor(Centres());
        // The centres are those of square tiles, so the nearest centre within a column's reach is the tile that holds the point;
        // a point beside its tile goes to the nearest square.
        using var scope = NewDisposeScope();
        var offset = (points.unsqueeze(1) - centres).abs() - HalfSide;
        return offset.clamp_min(0).square().sum(2).argmin(1).MoveToOuterDisposeScope();
    }

    private static Tensor Good(Tensor across) => (across.gt(0) & across.le(2)) | across.le(-2);
}
