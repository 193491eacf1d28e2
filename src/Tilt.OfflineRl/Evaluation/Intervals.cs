namespace Tilt.OfflineRl.Evaluation;

/// <summary>A mean over training seeds with its interval.</summary>
/// <param name="Mean">The mean.</param>
/// <param name="HalfWidth">Half of the 95 % interval; null below three seeds, where it would say nothing.</param>
/// <param name="Count">Seeds.</param>
public readonly record struct SeedMean(double Mean, double? HalfWidth, int Count);

/// <summary>Intervals over training seeds: seeds are what repeats, episodes of one policy are not.</summary>
public static class Intervals
{
    /// <summary>The fewest seeds that get an interval.</summary>
    public const int FewestSeeds = 3;

    // Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom.
    private static readonly double[] Quantiles =
    [
        12.7062,
        4.3027,
        3.1824,
        2.7764,
        2.5706,
        2.4469,
        2.3646,
        2.3060,
        2.2622,
        2.2281,
        2.2010,
        2.1788,
        2.1604,
        2.1448,
        2.1314,
        2.1199,
        2.1098,
        2.1009,
        2.0930,
        2.0860,
        2.0796,
        2.0739,
        2.0687,
        2.0639,
        2.0595,
        2.0555,
        2.0518,
        2.0484,
        2.0452,
        2.0423,
    ];

    /// <summary>The mean of one number per seed, with Student's interval from three seeds on.</summary>
    /// <param name="perSeed">One number per training seed.</param>
    public static SeedMean Of(IReadOnlyCollection<double> perSeed)
    {
        ArgumentNullException.ThrowIfNull(perSeed);
        var n = perSeed.Count;
        var mean = n == 0 ? double.NaN : perSeed.Average();
        if (n < FewestSeeds)
        {
            return new(mean, null, n);
        }
        var variance = perSeed.Sum(x => (x - mean) * (x - mean)) / (n - 1);
        var quantile = n - 1 <= Quantiles.Length ? Quantiles[n - 2] : 1.96;
        return new(mean, quantile * Math.Sqrt(variance / n), n);
    }
}
