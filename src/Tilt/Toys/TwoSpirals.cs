using Tilt.Metrics;

namespace Tilt.Toys;

/// <summary>Two mirrored spiral arms; the centre is good.</summary>
/// <remarks>
/// n = 3π√U, d = (−n·cos n + ½U′, n·sin n + ½U″)/3; half of the points are d, the other half −d (the same n), plus noise 0.1 per axis.
/// e = 1 − n/10 on both arms. Tilted, n has density ∝ n·exp(−βn/10) on [0, 3π].
/// Departure: the authors' set lists one arm after the other and leaves an odd point out; here the order is random and an odd point is drawn.
/// </remarks>
public sealed class TwoSpirals : ToyDataset
{
    private const double End = 3 * Math.PI;
    private const double Divisor = 3;
    private const double Jitter = 0.5;
    private const double Noise = 0.1;
    private const double LabelSlope = 0.1;

    /// <inheritdoc/>
    public override string Name => "2spirals";

    /// <inheritdoc/>
    public override string Description => "two spiral arms; e falls from 1 in the centre to 0.06 at the ends";

    /// <inheritdoc/>
    public override IReadOnlyList<BinPartition> Partitions { get; } =
    [
        new(
            "sixths of the arms",
            [.. Enumerable.Range(1, 6).Select(i => $"sixth {i}")],
            SixthMasses,
            points => (NearestParameter(points) * (6 / End)).floor().clamp(0, 5).to(ScalarType.Int64)
        ),
    ];

    /// <summary>Both arms from uniform draws, the arm d first: [2m, 2].</summary>
    /// <param name="uN">[m], gives n = 3π√u.</param>
    /// <param name="uX">U′, [m].</param>
    /// <param name="uY">U″, [m].</param>
    /// <param name="normals">Noise, [2m, 2].</param>
    internal static Tensor Place(Tensor uN, Tensor uX, Tensor uY, Tensor normals)
    {
        using var scope = NewDisposeScope();
        var arm = Arm(uN.sqrt() * End, uX, uY);
        return (cat([arm, -arm], 0) + Noise * normals).MoveToOuterDisposeScope();
    }

    /// <summary>e = clip(1 − n/10, 0, 1), [m]; the clip never acts on [0, 3π].</summary>
    internal static Tensor LabelsBy(Tensor n)
    {
        using var scope = NewDisposeScope();
        return (1 - n * LabelSlope).clamp(0, 1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator)
    {
        var half = (n + 1) / 2;
        var u = rand(half, ScalarType.Float64, generator: generator);
        var x = Place(
            u,
            rand(half, ScalarType.Float64, generator: generator),
            rand(half, ScalarType.Float64, generator: generator),
            randn(2 * half, 2, ScalarType.Float64, generator: generator)
        );
        var labels = LabelsBy(u.sqrt() * End);
        var order = randperm(2 * half, ScalarType.Int64, generator: generator).narrow(0, 0, n);
        return (x.index_select(0, order), cat([labels, labels], 0).index_select(0, order));
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator)
    {
        var parameter = DrawParameter(beta * LabelSlope, n, generator);
        var arm = Arm(
            parameter,
            rand(n, ScalarType.Float64, generator: generator),
            rand(n, ScalarType.Float64, generator: generator)
        );
        var sign = randint(2, n, ScalarType.Float64, generator: generator) * 2 - 1;
        var noise = randn(n, 2, ScalarType.Float64, generator: generator);
        return (arm * sign.unsqueeze(1) + Noise * noise, LabelsBy(parameter));
    }

    /// <inheritdoc/>
    protected override double LogPartitionOf(double beta)
    {
        var rate = beta * LabelSlope;
        return beta + Math.Log(Moment(1, End, rate) / Moment(1, End, 0));
    }

    /// <inheritdoc/>
    protected override double MeanLabelOf(double beta) => 1 - LabelSlope * MeanParameter(beta);

    /// <summary>The exact mean of n under the tilted law.</summary>
    /// <param name="beta">β.</param>
    internal static double MeanParameter(double beta)
    {
        var rate = beta * LabelSlope;
        return Moment(2, End, rate) / Moment(1, End, rate);
    }

    /// <inheritdoc/>
    protected override Tensor LabelsNear(Tensor points)
    {
        using var parameter = NearestParameter(points);
        return LabelsBy(parameter);
    }

    /// <inheritdoc/>
    /// <remarks>Quadrature over n; the two uniform jitters are integrated in closed form.</remarks>
    protected override LatentMixture LatentsOf(double beta, int refinement)
    {
        var ladder = new LadderComponents(Noise, Noise * Noise, 0, width => Nodes(width / refinement));
        return new(ladder, beta, LogPartitionOf(beta));
    }

    /// <summary>Both arms, for a given blur.</summary>
    private static BoxComponents Nodes(double width)
    {
        // Far out an arm is n·dn/3 long for a step dn: equal steps on it are nearly equal steps of n².
        var panels = Quadrature.PanelsFor(End * End / 2 / Divisor, width);
        var (nodes, weights) = Quadrature.Mapped(panels, u => End * Math.Sqrt(u));
        var half = nodes.Length;
        var centres = new double[2 * half, 2];
        var (logWeights, labels) = (new double[2 * half], new double[2 * half]);
        for (var i = 0; i < half; i++)
        {
            var n = nodes[i];
            var (sin, cos) = Math.SinCos(n);
            var (x, y) = ((-n * cos + Jitter / 2) / Divisor, (n * sin + Jitter / 2) / Divisor);
            (centres[i, 0], centres[i, 1]) = (x, y);
            (centres[half + i, 0], centres[half + i, 1]) = (-x, -y);
            logWeights[i] = logWeights[half + i] = Math.Log(weights[i] * n / (End * End));
            labels[i] = labels[half + i] = 1 - n * LabelSlope;
        }
        return new(centres, Jitter / Divisor / 2, Noise * Noise, logWeights, labels);
    }

    private static Tensor Arm(Tensor n, Tensor uX, Tensor uY) =>
        stack([-n * n.cos() + Jitter * uX, n * n.sin() + Jitter * uY], 1) / Divisor;

    /// <summary>∫₀ᵃ nᵏ·exp(−rate·n) dn for k = 1 or 2.</summary>
    private static double Moment(int k, double a, double rate)
    {
        var b = rate * a;
        if (b < 1)
        {
            // aᵏ⁺¹·Σ (−b)ʲ/(j!·(k + 1 + j)): the closed form below would cancel.
            var (sum, term) = (0.0, 1.0);
            for (var j = 0; j < 30; j++)
            {
                sum += term / (k + 1 + j);
                term *= -b / (j + 1);
            }
            return Math.Pow(a, k + 1) * sum;
        }
        var tail = Math.Exp(-b);
        return k == 1 ? (1 - (1 + b) * tail) / (rate * rate) : (2 - (2 + 2 * b + b * b) * tail) / (rate * rate * rate);
    }

    private static double[] SixthMasses(double beta)
    {
        var rate = beta * LabelSlope;
        var whole = Moment(1, End, rate);
        var below = Enumerable.Range(0, 7).Select(i => i == 0 ? 0 : Moment(1, End * i / 6, rate) / whole).ToArray();
        return [.. Enumerable.Range(0, 6).Select(i => below[i + 1] - below[i])];
    }

    /// <summary>Independent draws with density ∝ n·exp(−rate·n) on [0, 3π].</summary>
    /// <remarks>
    /// Rejection, exact: for a small rate from n = 3π√u, kept with probability exp(−rate·n); for a large one from the untruncated Gamma law,
    /// −log(uu′)/rate, kept where it lies below 3π. At least two fifths are kept, whatever the rate.
    /// </remarks>
    private static Tensor DrawParameter(double rate, long n, Generator generator)
    {
        if (rate == 0)
        {
            return rand(n, ScalarType.Float64, generator: generator).sqrt() * End;
        }
        var fits = Moment(1, End, rate);
        var (fromTriangle, fromGamma) = (fits / Moment(1, End, 0), fits * rate * rate);
        return fromTriangle > fromGamma
            ? Rejection.Draw(
                n,
                fromTriangle,
                count =>
                {
                    var value = rand(count, ScalarType.Float64, generator: generator).sqrt() * End;
                    return (value, rand(count, ScalarType.Float64, generator: generator).lt((-rate * value).exp()));
                }
            )
            : Rejection.Draw(
                n,
                fromGamma,
                count =>
                {
                    // 1 − u lies in (0, 1], so its logarithm is finite.
                    var first = (1 - rand(count, ScalarType.Float64, generator: generator)).log();
                    var second = (1 - rand(count, ScalarType.Float64, generator: generator)).log();
                    var value = (first + second) / -rate;
                    return (value, value.le(End));
                }
            );
    }

    /// <summary>n of the nearest point of either arm, the jitter at its middle.</summary>
    private static Tensor NearestParameter(Tensor points)
    {
        using var scope = NewDisposeScope();
        var n = linspace(0, 1, 1001, ScalarType.Float64).sqrt() * End;
        var middle = full_like(n, 0.5);
        var arm = Arm(n, middle, middle);
        var row = NearestOf.Rows(points, cat([arm, -arm], 0));
        return cat([n, n], 0).index_select(0, row).MoveToOuterDisposeScope();
    }
}
