namespace Tilt.Toys;

/// <summary>Gauss–Legendre quadrature on panels: nodes and weights with ∫f ≈ Σ w_i·f(x_i).</summary>
internal static class Quadrature
{
    private const int Order = 16;

    /// <summary>Mean distance of nodes on a curve in units of what blurs them; the largest in a panel is half as much again.</summary>
    private const double NodeSpacing = 0.25;

    private static readonly (double[] Nodes, double[] Weights) Rule = Legendre(Order);

    /// <summary>16 nodes in every panel between consecutive breaks.</summary>
    public static (double[] Nodes, double[] Weights) Panels(ReadOnlySpan<double> breaks)
    {
        var (nodes, weights) = (new List<double>(), new List<double>());
        for (var p = 0; p + 1 < breaks.Length; p++)
        {
            var (middle, half) = ((breaks[p] + breaks[p + 1]) / 2, (breaks[p + 1] - breaks[p]) / 2);
            for (var i = 0; i < Order; i++)
            {
                nodes.Add(middle + half * Rule.Nodes[i]);
                weights.Add(half * Rule.Weights[i]);
            }
        }
        return ([.. nodes], [.. weights]);
    }

    /// <summary>16 nodes in each of equally long panels.</summary>
    public static (double[] Nodes, double[] Weights) Even(double from, double to, int panels) =>
        Panels(Breaks(panels, u => from + (to - from) * u));

    /// <summary>16 nodes in each of the panels between the images of 0, 1/panels, …, 1.</summary>
    public static (double[] Nodes, double[] Weights) Mapped(int panels, Func<double, double> map) =>
        Panels(Breaks(panels, map));

    /// <summary>How many panels put the nodes on a curve of some length a quarter of a blur's width apart on average.</summary>
    public static int PanelsFor(double length, double width) =>
        Math.Max(2, (int)Math.Ceiling(length / (NodeSpacing * width * Order)));

    private static double[] Breaks(int panels, Func<double, double> map) =>
        [.. Enumerable.Range(0, panels + 1).Select(p => map(p / (double)panels))];

    /// <summary>Roots of the Legendre polynomial P_n by Newton's method, and their weights 2/((1 − x²)·P_n′(x)²).</summary>
    private static (double[] Nodes, double[] Weights) Legendre(int n)
    {
        var (nodes, weights) = (new double[n], new double[n]);
        for (var i = 0; i < n; i++)
        {
            var x = -Math.Cos(Math.PI * (i + 0.75) / (n + 0.5));
            double slope = 0;
            for (var iteration = 0; iteration < 50; iteration++)
            {
                var (before, value) = (1.0, x);
                for (var k = 2; k <= n; k++)
                {
                    (before, value) = (value, ((2 * k - 1) * x * value - (k - 1) * before) / k);
                }
                slope = n * (x * value - before) / (x * x - 1);
                var step = value / slope;
                x -= step;
                if (Math.Abs(step) < 1e-16)
                {
                    break;
                }
            }
            (nodes[i], weights[i]) = (x, 2 / ((1 - x * x) * slope * slope));
        }
        return (nodes, weights);
    }
}
