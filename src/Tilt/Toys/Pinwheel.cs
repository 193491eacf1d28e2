using Tilt.Metrics;

namespace Tilt.Toys;

/// <summary>Five swirling blades, labelled j/4 by blade.</summary>
/// <remarks>
/// f = (1 + 0.3ξ, 0.1ξ′), a = 2πj/5 + ¼·exp(f₁), x = 2·(f₁·cos a + f₂·sin a, −f₁·sin a + f₂·cos a).
/// Departure: the authors' set loses the blade and has no label; this one keeps it, and e = j/4 is our own. Their set also drops
/// n mod 5 points, here the first blades take them.
/// </remarks>
public sealed class Pinwheel : ToyDataset
{
    private const int Blades = 5;
    private const double RadialMean = 1;
    private const double RadialNoise = 0.3;
    private const double TangentialNoise = 0.1;
    private const double Swirl = 0.25;
    private const double Scale = 2;

    /// <summary>Blur of clean space that the widest grid of f₁ is made for; the grid may be refined seven times, to a blur of 0.0025.</summary>
    private const double BaseBlur = 0.32;

    /// <summary>
    /// Standard deviations of f₁ that the grid covers, inward and outward. Inward e^(−40) is left out: blades cross the centre there, and at
    /// β = 20 the worst blade weighs e^(−20) itself.
    /// </summary>
    private const double ReachInward = 9;

    private const double ReachOutward = 6.5;

    /// <summary>Distance of neighbouring nodes in units of what blurs them.</summary>
    private const double NodeSpacing = 0.5;

    private static readonly LabelLevels Levels = LabelLevels.Even([
        .. Enumerable.Range(0, Blades).Select(j => j / 4.0),
    ]);

    /// <inheritdoc/>
    public override string Name => "pinwheel";

    /// <inheritdoc/>
    public override string Description => "five swirling blades; e = j/4 by blade (our own label)";

    /// <inheritdoc/>
    public override IReadOnlyList<BinPartition> Partitions { get; } =
    [new("nearest blade", [.. Enumerable.Range(0, Blades).Select(j => $"j={j}")], Levels.Masses, NearestBlade)];

    /// <inheritdoc/>
    /// <remarks>Along its blade a point has no noise of its own; a tenth of the blades' width is added.</remarks>
    public override double EffectiveBlur => 0.02;

    /// <summary>The points of blades j and normal draws.</summary>
    /// <param name="blade">j, [n] of int64.</param>
    /// <param name="normals">(ξ, ξ′), [n, 2].</param>
    internal static Tensor Place(Tensor blade, Tensor normals)
    {
        using var scope = NewDisposeScope();
        var radial = RadialMean + RadialNoise * normals.select(1, 0);
        var tangential = TangentialNoise * normals.select(1, 1);
        var angle = blade.to(ScalarType.Float64) * (2 * Math.PI / Blades) + Swirl * radial.exp();
        var (cos, sin) = (angle.cos(), angle.sin());
        return (
            Scale * stack([radial * cos + tangential * sin, tangential * cos - radial * sin], 1)
        ).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator)
    {
        var blade = randperm(n, ScalarType.Int64, generator: generator) % Blades;
        return (Place(blade, randn(n, 2, ScalarType.Float64, generator: generator)), Levels.LabelsOf(blade));
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator)
    {
        var blade = Levels.Draw(beta, n, generator);
        return (Place(blade, randn(n, 2, ScalarType.Float64, generator: generator)), Levels.LabelsOf(blade));
    }

    /// <inheritdoc/>
    protected override double LogPartitionOf(double beta) => Levels.LogPartition(beta);

    /// <inheritdoc/>
    protected override double MeanLabelOf(double beta) => Levels.Mean(beta);

    /// <inheritdoc/>
    protected override Tensor LabelsNear(Tensor points) => Levels.LabelsOf(NearestBlade(points));

    /// <inheritdoc/>
    /// <remarks>
    /// Given f₁ a point is Gaussian across the blade and fixed along it, so f₁ is summed over a grid whose step follows the noise level
    /// (the trapezoidal rule, which for a smooth, rapidly falling integrand converges faster than any power of the step).
    /// </remarks>
    protected override LatentMixture LatentsOf(double beta, int refinement)
    {
        var ladder = new LadderComponents(BaseBlur, 0, 7, width => Nodes(width, NodeSpacing / refinement));
        return new(ladder, beta, Levels.LogPartition(beta));
    }

    /// <summary>Strips on a grid of f₁, blade after blade.</summary>
    private static StripComponents Nodes(double width, double spacing)
    {
        var grid = Grid(width, spacing);
        var each = grid.Count;
        var (centres, noiseAxes) = (new double[Blades * each, 2], new double[Blades * each, 2]);
        var (logWeights, labels) = (new double[Blades * each], new double[Blades * each]);
        for (var j = 0; j < Blades; j++)
        {
            for (var i = 0; i < each; i++)
            {
                var (row, radial) = (j * each + i, grid[i].Radial);
                var (sin, cos) = Math.SinCos(2 * Math.PI * j / Blades + Swirl * Math.Exp(radial));
                (centres[row, 0], centres[row, 1]) = (Scale * radial * cos, -Scale * radial * sin);
                (noiseAxes[row, 0], noiseAxes[row, 1]) = (sin, cos);
                logWeights[row] = grid[i].LogWeight - Math.Log(Blades);
                labels[row] = Levels.Labels[j];
            }
        }
        var deviation = Scale * TangentialNoise;
        return new(centres, noiseAxes, deviation * deviation, logWeights, labels);
    }

    /// <summary>Values of f₁ that are equally many widths apart, with the logarithms of their probabilities.</summary>
    /// <remarks>
    /// The trapezoidal rule in the variable s with ds/df₁ = the speed of a strip in widths: it moves across itself by 2·(1 + f₂·a′), blurred by the
    /// width alone, and along itself by 2·f₁·a′, where its own length blurs it too; a′ = ¼·exp(f₁), and f₂ up to five deviations.
    /// </remarks>
    private static List<(double Radial, double LogWeight)> Grid(double width, double spacing)
    {
        var length = Math.Sqrt(width * width + Scale * TangentialNoise * (Scale * TangentialNoise));
        double Speed(double radial)
        {
            var turn = Swirl * Math.Exp(radial);
            var across = Scale * (1 + 5 * TangentialNoise * turn) / width;
            var along = Scale * radial * turn / length;
            return Math.Sqrt(across * across + along * along);
        }
        var nodes = new List<(double, double)>();
        foreach (var direction in new[] { -1, 1 })
        {
            double radial = RadialMean;
            var reach = RadialNoise * (direction < 0 ? ReachInward : ReachOutward);
            for (var first = direction > 0; Math.Abs(radial - RadialMean) <= reach; first = true)
            {
                var offset = (radial - RadialMean) / RadialNoise;
                if (first)
                {
                    var density = -offset * offset / 2 - Math.Log(RadialNoise * Math.Sqrt(2 * Math.PI));
                    nodes.Add((radial, density + Math.Log(spacing / Speed(radial))));
                }
                radial = Advance(radial, direction * spacing, Speed);
            }
        }
        // What lies beyond the reach, about 1e-9, goes to the nodes in proportion, so that the law is one of mass 1.
        var total = Math.Log(nodes.Sum(node => Math.Exp(node.Item2)));
        return [.. nodes.Select(node => (node.Item1, node.Item2 - total))];
    }

    /// <summary>Follows df/ds = 1/speed over a step of s, by four Runge–Kutta steps.</summary>
    private static double Advance(double f, double step, Func<double, double> speed)
    {
        var h = step / 4;
        for (var i = 0; i < 4; i++)
        {
            var a = h / speed(f);
            var b = h / speed(f + a / 2);
            var c = h / speed(f + b / 2);
            var d = h / speed(f + c);
            f += (a + 2 * b + 2 * c + d) / 6;
        }
        return f;
    }

    /// <summary>The blade whose noise-free middle line is nearest.</summary>
    private static Tensor NearestBlade(Tensor points)
    {
        using var scope = NewDisposeScope();
        const int Each = 400;
        var radial = linspace(RadialMean - 3 * RadialNoise, RadialMean + 4.5 * RadialNoise, Each, ScalarType.Float64);
        var normals = stack([(radial - RadialMean) / RadialNoise, zeros_like(radial)], 1);
        var lines = Enumerable.Range(0, Blades).Select(j => Place(full(Each, j, ScalarType.Int64), normals)).ToArray();
        return (NearestOf.Rows(points, cat(lines, 0)) / Each).floor().to(ScalarType.Int64).MoveToOuterDisposeScope();
    }
}
