using Tilt.Metrics;

namespace Tilt.Toys;

/// <summary>Four concentric rings; the third from outside is the best.</summary>
/// <remarks>
/// Radii 3, 2.25, 1.5, 0.75 with labels 0.667, 0.333, 1, 0 (set from the noise-free squared radius), noise 0.08 per axis. A draw has
/// equally many points per ring, equally spaced in angle, in random order; the tilted draws have independent uniform angles.
/// </remarks>
public sealed class Rings : ToyDataset
{
    private static readonly ConcentricRings Shape = new([3, 2.25, 1.5, 0.75], 0.08);
    private static readonly LabelLevels Levels = LabelLevels.Even([.. Shape.Radii.Select(LabelAt)]);

    /// <inheritdoc/>
    public override string Name => "rings";

    /// <inheritdoc/>
    public override string Description => "four rings; e = 0.667, 0.333, 1, 0 from the outside in";

    /// <inheritdoc/>
    public override IReadOnlyList<BinPartition> Partitions { get; } =
    [new("nearest ring", [.. Shape.Radii.Select(r => $"r={r}")], Levels.Masses, Shape.Nearest)];

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator)
    {
        var (x, ring) = Shape.Even(n, generator);
        return (x, Levels.LabelsOf(ring));
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator)
    {
        var ring = Levels.Draw(beta, n, generator);
        return (Shape.Random(ring, generator), Levels.LabelsOf(ring));
    }

    /// <inheritdoc/>
    protected override double LogPartitionOf(double beta) => Levels.LogPartition(beta);

    /// <inheritdoc/>
    protected override double MeanLabelOf(double beta) => Levels.Mean(beta);

    /// <inheritdoc/>
    protected override Tensor LabelsNear(Tensor points) => Levels.LabelsOf(Shape.Nearest(points));

    /// <inheritdoc/>
    protected override LatentMixture LatentsOf(double beta, int refinement) =>
        new(Shape.Components(Levels.Labels), beta, Levels.LogPartition(beta));

    /// <summary>The label by the squared radius before noise.</summary>
    private static double LabelAt(double radius) =>
        (radius * radius) switch
        {
            >= 8.5 => 0.667,
            >= 5.0 => 0.333,
            >= 2.0 => 1.0,
            _ => 0.0,
        };
}
