using Tilt.Metrics;

namespace Tilt.Toys;

/// <summary>Two interleaved crescents; the lower one is good.</summary>
/// <remarks>
/// scikit-learn's make_moons with noise 0.1 (upper (cos θ, sin θ), lower (1 − cos θ, ½ − sin θ), θ equally spaced on [0, π]), times 2,
/// plus (−1, −0.2): the noise becomes 0.2 per axis. e = 0 on the upper, 1 on the lower crescent.
/// </remarks>
public sealed class Moons : ToyDataset
{
    private const double Noise = 0.1;
    private const double Scale = 2;
    private const double ShiftX = -1;
    private const double ShiftY = -0.2;

    private static readonly LabelLevels Levels = LabelLevels.Even(0, 1);

    /// <inheritdoc/>
    public override string Name => "moons";

    /// <inheritdoc/>
    public override string Description => "two crescents; e = 0 on the upper, 1 on the lower";

    /// <inheritdoc/>
    public override IReadOnlyList<BinPartition> Partitions { get; } =
    [new("nearest crescent", ["upper", "lower"], Levels.Masses, NearestCrescent)];

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator)
    {
        static Tensor Evenly(long count) =>
            count < 2 ? zeros(count, ScalarType.Float64) : linspace(0, Math.PI, count, ScalarType.Float64);
        var upper = n / 2;
        var order = randperm(n, ScalarType.Int64, generator: generator);
        var angle = cat([Evenly(upper), Evenly(n - upper)], 0).index_select(0, order);
        var moon = order.ge(upper).to(ScalarType.Int64);
        return (Place(moon, angle, Normals(n, generator)), Levels.LabelsOf(moon));
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator)
    {
        var moon = Levels.Draw(beta, n, generator);
        var angle = rand(n, ScalarType.Float64, generator: generator) * Math.PI;
        return (Place(moon, angle, Normals(n, generator)), Levels.LabelsOf(moon));
    }

    /// <inheritdoc/>
    protected override double LogPartitionOf(double beta) => Levels.LogPartition(beta);

    /// <inheritdoc/>
    protected override double MeanLabelOf(double beta) => Levels.Mean(beta);

    /// <inheritdoc/>
    protected override Tensor LabelsNear(Tensor points) => Levels.LabelsOf(NearestCrescent(points));

    /// <inheritdoc/>
    /// <remarks>Quadrature over θ.</remarks>
    protected override LatentMixture LatentsOf(double beta, int refinement)
    {
        var noise = Scale * Noise;
        var ladder = new LadderComponents(noise, noise * noise, 0, width => Nodes(width / refinement));
        return new(ladder, beta, Levels.LogPartition(beta));
    }

    /// <summary>Both crescents, for a given blur.</summary>
    private static GaussianComponents Nodes(double width)
    {
        var (angles, weights) = Quadrature.Even(0, Math.PI, Quadrature.PanelsFor(Scale * Math.PI, width));
        var half = angles.Length;
        var centres = new double[2 * half, 2];
        var (logWeights, labels) = (new double[2 * half], new double[2 * half]);
        for (var i = 0; i < half; i++)
        {
            var (sin, cos) = Math.SinCos(angles[i]);
            (centres[i, 0], centres[i, 1]) = (Scale * cos + ShiftX, Scale * sin + ShiftY);
            (centres[half + i, 0], centres[half + i, 1]) = (Scale * (1 - cos) + ShiftX, Scale * (0.5 - sin) + ShiftY);
            logWeights[i] = logWeights[half + i] = Math.Log(weights[i] / (2 * Math.PI));
            labels[half + i] = 1;
        }
        return new(centres, Scale * Noise * (Scale * Noise), logWeights, labels);
    }

    private static Tensor Normals(long n, Generator generator) => randn(n, 2, ScalarType.Float64, generator: generator);

    private static Tensor Place(Tensor moon, Tensor angle, Tensor normals)
    {
        var lower = moon.to(ScalarType.Float64);
        // Upper (cos θ, sin θ); lower (1 − cos θ, ½ − sin θ).
        var turn = 1 - 2 * lower;
        var arc = stack([turn * angle.cos() + lower, turn * angle.sin() + 0.5 * lower], 1);
        return Scale * (arc + Noise * normals) + tensor(new[] { ShiftX, ShiftY });
    }

    private static Tensor NearestCrescent(Tensor points)
    {
        using var scope = NewDisposeScope();
        var (x, y) = (points.select(1, 0), points.select(1, 1));
        var upper = FromArc(x - ShiftX, y - ShiftY);
        // The lower crescent is the upper one turned by half a circle about the middle of both.
        var lower = FromArc(Scale + ShiftX - x, 0.5 * Scale + ShiftY - y);
        return lower.lt(upper).to(ScalarType.Int64).MoveToOuterDisposeScope();
    }

    /// <summary>Distance from the half circle of radius 2 about the origin that lies at y ≥ 0.</summary>
    private static Tensor FromArc(Tensor x, Tensor y)
    {
        var ends = ((x.abs() - Scale).square() + y.square()).sqrt();
        return where(y.ge(0), ((x.square() + y.square()).sqrt() - Scale).abs(), ends);
    }
}
