namespace Tilt.Metrics;

/// <summary>Draws n points of the truth, [n, D].</summary>
/// <param name="n">How many.</param>
/// <param name="generator">Where the randomness comes from.</param>
public delegate Tensor PointSampler(long n, Generator generator);

/// <summary>What a metric says of true samples against true samples: the least that any method can be held to.</summary>
/// <param name="Mean">Mean over the repetitions.</param>
/// <param name="StandardDeviation">Standard deviation over the repetitions (n − 1 in the denominator).</param>
/// <param name="Repetitions">Pairs of independent draws.</param>
/// <param name="Points">Points in each draw.</param>
public sealed record NoiseFloor(double Mean, double StandardDeviation, int Repetitions, long Points)
{
    /// <summary>The bound that a method has to stay below: max(2·mean, mean + 6 standard deviations).</summary>
    public double Bound => Math.Max(2 * Mean, Mean + 6 * StandardDeviation);

    /// <summary>The floor of one metric.</summary>
    /// <param name="metric">The metric.</param>
    /// <param name="sampler">Draws the truth.</param>
    /// <param name="n">Points in each draw, as many as the samples that will be judged.</param>
    /// <param name="repetitions">Pairs of draws, at least 2.</param>
    /// <param name="streams">Its stream <c>noise-floor</c> is used.</param>
    public static NoiseFloor Estimate(
        SampleMetric metric,
        PointSampler sampler,
        long n,
        int repetitions,
        RandomStreams streams
    ) =>
        EstimateAll(new Dictionary<string, SampleMetric> { ["metric"] = metric }, sampler, n, repetitions, streams)[
            "metric"
        ];

    /// <summary>The floors of several metrics, all computed on the same draws.</summary>
    /// <param name="metrics">Metrics by name.</param>
    /// <param name="sampler">Draws the truth.</param>
    /// <param name="n">Points in each draw.</param>
    /// <param name="repetitions">Pairs of draws, at least 2.</param>
    /// <param name="streams">Its stream <c>noise-floor</c> is used.</param>
    public static IReadOnlyDictionary<string, NoiseFloor> EstimateAll(
        IReadOnlyDictionary<string, SampleMetric> metrics,
        PointSampler sampler,
        long n,
        int repetitions,
        RandomStreams streams
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(repetitions, 2);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        var generator = streams["noise-floor"];
        var values = metrics.Keys.ToDictionary(name => name, _ => new double[repetitions]);
        for (var r = 0; r < repetitions; r++)
        {
            using var turn = NewDisposeScope();
            var (one, other) = (sampler(n, generator), sampler(n, generator));
            foreach (var (name, metric) in metrics)
            {
                values[name][r] = metric(one, other);
            }
        }
        return values.ToDictionary(
            pair => pair.Key,
            pair =>
            {
                var mean = pair.Value.Average();
                var variance = pair.Value.Sum(value => (value - mean) * (value - mean)) / (repetitions - 1);
                return new NoiseFloor(mean, Math.Sqrt(variance), repetitions, n);
            }
        );
    }
}
