namespace Tilt.Metrics;

/// <summary>Total variation of bin masses: ½·Σ|p̂_k − p_k|, the share of points that sit in the wrong bin.</summary>
public static class BinTotalVariation
{
    /// <summary>The distance between observed shares and true masses, between 0 and 1.</summary>
    /// <param name="shares">p̂, one per bin.</param>
    /// <param name="masses">p, one per bin.</param>
    public static double Distance(ReadOnlySpan<double> shares, ReadOnlySpan<double> masses)
    {
        if (shares.Length != masses.Length)
        {
            throw new ArgumentException($"{shares.Length} shares cannot be compared with {masses.Length} masses.");
        }
        double sum = 0;
        for (var i = 0; i < shares.Length; i++)
        {
            sum += Math.Abs(shares[i] - masses[i]);
        }
        return sum / 2;
    }

    /// <summary>The distance of points from the true masses at β.</summary>
    /// <param name="samples">[N, D].</param>
    /// <param name="bins">The partition.</param>
    /// <param name="beta">β of the target.</param>
    public static double Distance(Tensor samples, BinPartition bins, double beta) =>
        Distance(bins.Shares(samples), bins.Masses(beta));

    /// <summary>The same as a metric of samples; the true samples are not looked at, since the masses are exact.</summary>
    /// <param name="bins">The partition.</param>
    /// <param name="beta">β of the target.</param>
    public static SampleMetric Against(BinPartition bins, double beta)
    {
        var masses = bins.Masses(beta);
        return (samples, _) => Distance(bins.Shares(samples), masses);
    }
}
