namespace Tilt.Tests.Oracles;

/// <summary>The 8-Gaussians set written out in plain numbers (cep.md §14.2), independent of the library's mixtures.</summary>
public sealed class EightGaussians(double beta)
{
    public const double Deviation = 0.5 / 1.414;

    public static double[,] Centres { get; } = MakeCentres();

    /// <summary>Labels e = k/7, high is good.</summary>
    public static double[] Labels { get; } = [.. Enumerable.Range(0, 8).Select(k => k / 7.0)];

    public double LogNormalizer => LogSum([.. Labels.Select(e => beta * e - Math.Log(8))]);

    public double LogDensity(double x, double y, NoiseLevel level) =>
        LogSum(Logs(x, y, level)) - Math.Log(8) - Math.Log(2 * Math.PI * Variance(level));

    public (double, double) Score(double x, double y, NoiseLevel level)
    {
        var (mx, my) = Mean(Logs(x, y, level));
        var v = Variance(level);
        return ((level.Alpha * mx - x) / v, (level.Alpha * my - y) / v);
    }

    /// <summary>E_t in the sign where low is good, and its gradient.</summary>
    public (double Value, double X, double Y) Exact(double x, double y, NoiseLevel level)
    {
        var logs = Logs(x, y, level);
        var tilted = logs.Select((l, k) => l + beta * Labels[k]).ToArray();
        var ((qx, qy), (px, py)) = (Mean(logs), Mean(tilted));
        var pull = level.Alpha / Variance(level);
        return (LogSum(logs) - LogSum(tilted), pull * (qx - px), pull * (qy - py));
    }

    public (double Value, double X, double Y) Mse(double x, double y, NoiseLevel level)
    {
        var logs = Logs(x, y, level);
        var r = Softmax(logs);
        var (mx, my) = Mean(logs);
        var pull = level.Alpha / Variance(level);
        double value = 0,
            gx = 0,
            gy = 0;
        for (var k = 0; k < 8; k++)
        {
            var energy = -beta * Labels[k];
            value += r[k] * energy;
            gx += r[k] * energy * pull * (Centres[k, 0] - mx);
            gy += r[k] * energy * pull * (Centres[k, 1] - my);
        }
        return (value, gx, gy);
    }

    private static double Variance(NoiseLevel level) =>
        level.Alpha * level.Alpha * Deviation * Deviation + level.Sigma * level.Sigma;

    private static double[] Logs(double x, double y, NoiseLevel level)
    {
        var v = Variance(level);
        var logs = new double[8];
        for (var k = 0; k < 8; k++)
        {
            var (dx, dy) = (x - level.Alpha * Centres[k, 0], y - level.Alpha * Centres[k, 1]);
            logs[k] = -(dx * dx + dy * dy) / (2 * v);
        }
        return logs;
    }

    private static (double, double) Mean(double[] logs)
    {
        var r = Softmax(logs);
        return (r.Select((p, k) => p * Centres[k, 0]).Sum(), r.Select((p, k) => p * Centres[k, 1]).Sum());
    }

    private static double[] Softmax(double[] logs)
    {
        var total = LogSum(logs);
        return [.. logs.Select(l => Math.Exp(l - total))];
    }

    private static double LogSum(double[] logs)
    {
        var max = logs.Max();
        return max + Math.Log(logs.Sum(l => Math.Exp(l - max)));
    }

    private static double[,] MakeCentres()
    {
        var centres = new double[8, 2];
        for (var k = 0; k < 8; k++)
        {
            // Counter-clockwise from the top.
            var angle = Math.PI / 2 + k * Math.PI / 4;
            (centres[k, 0], centres[k, 1]) = (4 / 1.414 * Math.Cos(angle), 4 / 1.414 * Math.Sin(angle));
        }
        return centres;
    }
}
