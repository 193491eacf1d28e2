namespace Tilt.Toys;

/// <summary>Two concentric circles, without labels.</summary>
/// <remarks>Radii 1 and 0.5 with noise 0.08, all times 3; equally many points on both, equally spaced in angle.</remarks>
public sealed class Circles : ToyDataset
{
    private static readonly ConcentricRings Both = new([3, 1.5], 0.24);

    /// <inheritdoc/>
    public override string Name => "circles";

    /// <inheritdoc/>
    public override string Description => "two circles; no label";

    /// <inheritdoc/>
    public override bool HasLabels => false;

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator) =>
        (Both.Even(n, generator).X, zeros(n, ScalarType.Float64));

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator)
    {
        var ring = LabelLevels.Even(0, 0).Draw(0, n, generator);
        return (Both.Random(ring, generator), zeros(n, ScalarType.Float64));
    }

    /// <inheritdoc/>
    protected override LatentMixture LatentsOf(double beta, int refinement) => new(Both.Components([0, 0]), 0, 0);
}
