using System.Runtime.Intrinsics;

namespace Tilt.Metrics;

/// <summary>Maximum mean discrepancy under a mean of Gaussian kernels.</summary>
/// <remarks>
/// MMD² = E k(X, X′) − 2·E k(X, Y) + E k(Y, Y′) with k(x, y) the mean over s of exp(−‖x − y‖²/(2s²)); all pairs, a point with itself
/// included (the biased statistic of Gretton et al. 2012), so it is never negative. The number is MMD, its square root.
/// </remarks>
public static class MaximumMeanDiscrepancy
{
    /// <summary>The kernel widths s that are averaged.</summary>
    /// <value>0.25, 0.5, 1, 2.</value>
    public static IReadOnlyList<double> DefaultBandwidths { get; } = [0.25, 0.5, 1, 2];

    /// <summary>MMD of two sets of points; dimensionless, between 0 and √2.</summary>
    /// <param name="samples">[N, D].</param>
    /// <param name="truth">[M, D]; M may differ from N.</param>
    /// <param name="bandwidths">Kernel widths s, in the unit of the points; the default where null.</param>
    public static double Distance(Tensor samples, Tensor truth, IReadOnlyList<double>? bandwidths = null)
    {
        var widths = bandwidths ?? DefaultBandwidths;
        if (widths.Count == 0 || widths.Any(s => !(s > 0)))
        {
            throw new ArgumentException(
                "Kernel widths must be positive, and at least one is needed.",
                nameof(bandwidths)
            );
        }
        using var scope = NewDisposeScope();

        var x = Samples.Checked(samples, "samples");
        var y = Samples.Checked(truth, "true samples");
        Samples.SameDimension(x, y);
        var (a, b) = (PairSums.Columns(x), PairSums.Columns(y));
        var kernel = new Kernel(widths);
        var squared = PairSums.SelfMean(a, kernel) - 2 * PairSums.Mean(a, b, kernel) + PairSums.SelfMean(b, kernel);
        return Math.Sqrt(Math.Max(squared, 0));
    }

    private readonly struct Kernel : IPairFunction
    {
        // Widest first. A width half of the one before needs no exponential: its kernel is the fourth power.
        private readonly double[] _rates;
        private readonly bool[] _halves;

        public Kernel(IReadOnlyList<double> widths)
        {
            var sorted = widths.OrderDescending().ToArray();
            _rates = sorted.Select(s => -1 / (2 * s * s)).ToArray();
            _halves = sorted.Select((s, i) => i > 0 && 2 * s == sorted[i - 1]).ToArray();
        }

        public Vector256<double> Of(Vector256<double> squared)
        {
            var (sum, last) = (Vector256<double>.Zero, Vector256<double>.Zero);
            for (var i = 0; i < _rates.Length; i++)
            {
                if (_halves[i])
                {
                    var square = last * last;
                    last = square * square;
                }
                else
                {
                    last = Vector256.Exp(squared * _rates[i]);
                }
                sum += last;
            }
            return sum / _rates.Length;
        }
    }
}
