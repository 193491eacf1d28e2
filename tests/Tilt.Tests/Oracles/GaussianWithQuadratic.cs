namespace Tilt.Tests.Oracles;

/// <summary>q₀ = N(0, s²·I) with E = ½k‖x − c‖², in plain numbers (cep.md §14.3).</summary>
public sealed class GaussianWithQuadratic(double s, double k, double[] c, double beta)
{
    public double[] TargetMean => [.. c.Select(ci => beta * k * s * s * ci / (1 + beta * k * s * s))];

    public double TargetVariance => s * s / (1 + beta * k * s * s);

    public (double Value, double[] Gradient) Exact(double[] x, NoiseLevel level)
    {
        var (v, m, slope) = Posterior(x, level);
        var bend = 1 + beta * k * v;
        return (
            c.Length / 2.0 * Math.Log(bend) + beta * k * Squared(m) / (2 * bend),
            [.. m.Select((mi, i) => beta * k * (mi - c[i]) * slope / bend)]
        );
    }

    public (double Value, double[] Gradient) Mse(double[] x, NoiseLevel level)
    {
        var (v, m, slope) = Posterior(x, level);
        return (beta * k / 2 * (Squared(m) + c.Length * v), [.. m.Select((mi, i) => beta * k * (mi - c[i]) * slope)]);
    }

    public (double Value, double[] Gradient) Dps(double[] x, NoiseLevel level)
    {
        var (v, _, _) = Posterior(x, level);
        var (value, gradient) = Mse(x, level);
        return (value - beta * k / 2 * c.Length * v, gradient);
    }

    private (double Variance, double[] Mean, double Slope) Posterior(double[] x, NoiseLevel level)
    {
        var noisy = level.Alpha * level.Alpha * s * s + level.Sigma * level.Sigma;
        var slope = level.Alpha * s * s / noisy;
        return (s * s * level.Sigma * level.Sigma / noisy, [.. x.Select(xi => slope * xi)], slope);
    }

    private double Squared(double[] m) => m.Select((mi, i) => (mi - c[i]) * (mi - c[i])).Sum();
}
