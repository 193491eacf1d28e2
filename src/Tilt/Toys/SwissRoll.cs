using Tilt.Energy;
using Tilt.Metrics;

namespace Tilt.Toys;

/// <summary>A spiral whose label is the squared distance from the origin; the outside is good.</summary>
/// <remarks>
/// t = 1.5π(1 + 2U), x = ((t·cos t, t·sin t) + ξ)/5: noise 0.2 per axis (scikit-learn's roll with noise 1, seen from the side).
/// e = ‖x‖²/9 of the noisy point, so the label is a function of x, unbounded, and tilting acts on the noise too. With c = β/9,
/// s² = 0.04 and D = 1 − 2cs²: t has density ∝ exp(c·‖μ_t‖²/D) and x | t is N(μ_t/D, (s²/D)·I); β must stay below 112.5, where D = 0.
/// </remarks>
public sealed class SwissRoll : ToyDataset
{
    private const double From = 1.5 * Math.PI;
    private const double To = 4.5 * Math.PI;
    private const double Divisor = 5;
    private const double Variance = 1 / (Divisor * Divisor);
    private const double LabelDivisor = 9;
    private const int Panels = 24;

    private static readonly double[] RadiusEdges = [0, 0.9, 1.2, 1.5, 1.8, 2.1, 2.4, 2.7];

    /// <inheritdoc/>
    public override string Name => "swissroll";

    /// <inheritdoc/>
    public override string Description => "a spiral; e = squared radius / 9, of the noisy point";

    /// <inheritdoc/>
    public override double BetaLimit => LabelDivisor / (2 * Variance);

    /// <inheritdoc/>
    public override IReadOnlyList<BinPartition> Partitions { get; } =
    [
        new(
            "radius",
            [.. RadiusEdges.Select((r, i) => i + 1 < RadiusEdges.Length ? $"{r}-{RadiusEdges[i + 1]}" : $"over {r}")],
            RadiusMasses,
            points => searchsorted(tensor(RadiusEdges), (points * points).sum(1).sqrt(), right: true).sub(1)
        ),
        new(
            "sixths of the roll",
            [.. Enumerable.Range(1, 6).Select(i => $"sixth {i}")],
            SixthMasses,
            points => ((NearestParameter(points) - From) * (6 / (To - From))).floor().clamp(0, 5).to(ScalarType.Int64)
        ),
    ];

    /// <summary>Points from draws: ((t·cos t, t·sin t) + normals)/5 with t = 1.5π(1 + 2u).</summary>
    /// <param name="u">[n].</param>
    /// <param name="normals">[n, 2].</param>
    internal static Tensor Place(Tensor u, Tensor normals)
    {
        using var scope = NewDisposeScope();
        return ((Spiral(From * (1 + 2 * u)) + normals) / Divisor).MoveToOuterDisposeScope();
    }

    /// <summary>e = ‖x‖²/9, [n].</summary>
    internal static Tensor LabelsBy(Tensor x)
    {
        using var scope = NewDisposeScope();
        return ((x * x).sum(-1) / LabelDivisor).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator)
    {
        var x = Place(
            rand(n, ScalarType.Float64, generator: generator),
            randn(n, 2, ScalarType.Float64, generator: generator)
        );
        return (x, LabelsBy(x));
    }

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator)
    {
        var law = new Law(beta);
        var t = law.DrawParameter(n, generator);
        var noise = randn(n, 2, ScalarType.Float64, generator: generator);
        var x = Spiral(t) * (law.Stretch / Divisor) + noise * Math.Sqrt(law.VarianceOf);
        return (x, LabelsBy(x));
    }

    /// <inheritdoc/>
    protected override double LogPartitionOf(double beta) => new Law(beta).LogPartition();

    /// <inheritdoc/>
    /// <remarks>E‖x‖²/9 with E‖x‖² = E‖μ_t‖²/D² + 2s²/D.</remarks>
    protected override double MeanLabelOf(double beta)
    {
        var law = new Law(beta);
        var (nodes, masses) = law.Nodes(Panels);
        var square = nodes.Zip(masses, (t, mass) => mass * t * t).Sum() / (Divisor * Divisor);
        return (law.Stretch * law.Stretch * square + 2 * law.VarianceOf) / LabelDivisor;
    }

    /// <summary>The exact mean of t under the tilted law.</summary>
    /// <param name="beta">β.</param>
    internal static double MeanParameter(double beta)
    {
        var (nodes, masses) = new Law(beta).Nodes(Panels);
        return nodes.Zip(masses, (t, mass) => mass * t).Sum();
    }

    /// <inheritdoc/>
    protected override Tensor LabelsNear(Tensor points) => LabelsBy(points);

    /// <inheritdoc/>
    /// <remarks>Quadrature over t. The tilt is in the components already: none is left for the mixture.</remarks>
    protected override LatentMixture LatentsOf(double beta, int refinement)
    {
        var law = new Law(beta);
        var noise = Math.Sqrt(law.VarianceOf);
        return new(new LadderComponents(noise, law.VarianceOf, 0, width => Nodes(law, width / refinement)), 0, 0);
    }

    /// <summary>The tilted roll, for a given blur.</summary>
    private static GaussianComponents Nodes(Law law, double width)
    {
        // The roll is t·dt/5 long for a step dt, times its stretch.
        var length = law.Stretch * (To * To - law.Begin * law.Begin) / (2 * Divisor);
        var (nodes, masses) = law.Nodes(Quadrature.PanelsFor(length, width));
        var centres = new double[nodes.Length, 2];
        for (var i = 0; i < nodes.Length; i++)
        {
            var (sin, cos) = Math.SinCos(nodes[i]);
            var radius = nodes[i] * law.Stretch / Divisor;
            (centres[i, 0], centres[i, 1]) = (radius * cos, radius * sin);
        }
        return new(centres, law.VarianceOf, [.. masses.Select(mass => Math.Log(mass))], new double[nodes.Length]);
    }

    /// <inheritdoc/>
    /// <remarks>The label is a function of the point, so E_eff = −‖x‖²/9 for every β.</remarks>
    protected override EnergyFunction EffectiveEnergyOf(double beta) =>
        x =>
        {
            using var scope = NewDisposeScope();
            return ((x * x).sum(-1) / -LabelDivisor).MoveToOuterDisposeScope();
        };

    private static Tensor Spiral(Tensor t) => stack([t * t.cos(), t * t.sin()], 1);

    /// <summary>t of the nearest point of the noise-free roll.</summary>
    private static Tensor NearestParameter(Tensor points)
    {
        using var scope = NewDisposeScope();
        var t = linspace(From, To, 2001, ScalarType.Float64);
        return t.index_select(0, NearestOf.Rows(points, Spiral(t) / Divisor)).MoveToOuterDisposeScope();
    }

    private static double[] SixthMasses(double beta)
    {
        var law = new Law(beta);
        var step = (To - From) / 6;
        return [.. Enumerable.Range(0, 6).Select(i => law.Mass(From + i * step, From + (i + 1) * step))];
    }

    /// <summary>Radius of N(μ, v·I): density (r/v)·exp(−(r − ‖μ‖)²/2v)·e^(−z)·I₀(z), z = r‖μ‖/v (Rice), integrated bin by bin.</summary>
    private static double[] RadiusMasses(double beta)
    {
        using var scope = NewDisposeScope();
        using var inference = no_grad();
        var law = new Law(beta);
        var (nodes, masses) = law.Nodes(Panels);
        var centre = (tensor(nodes) * (law.Stretch / Divisor)).unsqueeze(1);
        var weight = tensor(masses);
        var result = new double[RadiusEdges.Length];
        for (var bin = 0; bin + 1 < result.Length; bin++)
        {
            var (radii, widths) = Quadrature.Even(RadiusEdges[bin], RadiusEdges[bin + 1], 4);
            var r = tensor(radii);
            var density =
                (r / law.VarianceOf)
                * ((r - centre).square() / (-2 * law.VarianceOf)).exp()
                * special.i0e(r * centre / law.VarianceOf);
            result[bin] = weight.dot(density.mv(tensor(widths))).item<double>();
        }
        result[^1] = Math.Max(0, 1 - result.Sum());
        return result;
    }

    /// <summary>What tilting by β makes of the roll.</summary>
    private readonly struct Law
    {
        /// <summary>c/(25·D): t has density ∝ exp(rate·t²).</summary>
        private readonly double _rate;
        private readonly double _d;

        public Law(double beta)
        {
            var c = beta / LabelDivisor;
            _d = 1 - 2 * c * Variance;
            _rate = c / (Divisor * Divisor * _d);
        }

        /// <summary>1/D, by which the roll grows.</summary>
        public double Stretch => 1 / _d;

        /// <summary>s²/D.</summary>
        public double VarianceOf => Variance / _d;

        /// <summary>Where the roll begins to matter: below it the density of t is less than e^(−60) of its peak.</summary>
        public double Begin => _rate == 0 ? From : Math.Sqrt(Math.Max(From * From, To * To - 60 / _rate));

        /// <summary>log E[e^(βe)] = −log D + log of the mean of exp(rate·t²) over t.</summary>
        public double LogPartition() => _rate * To * To + Math.Log(Integral(Begin, To) / (To - From)) - Math.Log(_d);

        /// <summary>The tilted probability of [from, to], a part of the range of t.</summary>
        public double Mass(double from, double to) =>
            to <= Begin ? 0 : Integral(Math.Max(from, Begin), to) / Integral(Begin, To);

        /// <summary>Nodes of t with their probabilities, summing to 1, in panels that are nearly equally long on the roll.</summary>
        public (double[] Nodes, double[] Masses) Nodes(int panels)
        {
            var (nodes, weights) = Weighted(Begin, To, panels);
            var total = weights.Sum();
            return (nodes, [.. weights.Select(weight => weight / total)]);
        }

        /// <summary>∫ exp(rate·(t² − t_max²)) dt.</summary>
        private double Integral(double from, double to) => Weighted(from, to, 4 * Panels).Weights.Sum();

        private (double[] Nodes, double[] Weights) Weighted(double from, double to, int panels)
        {
            var (nodes, weights) = Quadrature.Mapped(panels, u => Math.Sqrt(from * from + (to * to - from * from) * u));
            for (var i = 0; i < nodes.Length; i++)
            {
                weights[i] *= Math.Exp(_rate * (nodes[i] * nodes[i] - To * To));
            }
            return (nodes, weights);
        }

        /// <summary>Independent draws of t, [n].</summary>
        /// <remarks>
        /// w = t² has density ∝ exp(rate·w)/√w. Proposals have density ∝ exp(rate·w) (their distribution inverts in closed form) and are
        /// kept with probability t_min/√w, at least a third: exact, with no table.
        /// </remarks>
        public Tensor DrawParameter(long n, Generator generator)
        {
            var (low, high, rate) = (From * From, To * To, _rate);
            return Rejection.Draw(
                n,
                1.0 / 3,
                count =>
                {
                    var u = rand(count, ScalarType.Float64, generator: generator);
                    var w =
                        rate == 0
                            ? low + (high - low) * u
                            : high + ((1 - u) * Numerics.ExpM1(-rate * (high - low))).log1p() / rate;
                    var t = w.sqrt();
                    return (t, rand(count, ScalarType.Float64, generator: generator).lt(From / t));
                }
            );
        }
    }
}
