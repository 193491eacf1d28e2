namespace Tilt.Networks;

/// <summary>What a network is told of the noise level: smooth functions of λ_t, and the coefficients that scale its input and output.</summary>
/// <remarks>
/// Departure: the paper embeds t by random frequencies of standard deviation 30, which lets a network change abruptly between
/// neighboring times. E_t and the score are smooth in λ, and so are these features: λ/5 and sin, cos of k·(π/2)·λ/5, k = 1..8.
/// </remarks>
/// <param name="Alpha">α_t, [B, 1].</param>
/// <param name="Sigma">σ_t, [B, 1].</param>
/// <param name="Features">[B, <see cref="Width"/>].</param>
public readonly record struct LevelFeatures(Tensor Alpha, Tensor Sigma, Tensor Features)
{
    private const int Harmonics = 8;

    // λ of the usual schedules runs from about −5 to 5 where samplers go.
    private const double LambdaUnit = 5;

    /// <summary>The number of features.</summary>
    public const long Width = 1 + 2 * Harmonics;

    /// <summary>The features of each time.</summary>
    /// <param name="schedule">Gives α, σ and λ.</param>
    /// <param name="time">What the schedule tells networks of t, [B] or [1].</param>
    /// <remarks>Computed on the host in float64 and rounded once, so that σ_t keeps its digits at small t.</remarks>
    public static LevelFeatures Of(NoiseSchedule schedule, Tensor time)
    {
        using var scope = NewDisposeScope();

        using var wide = time.detach().to(ScalarType.Float64).cpu().contiguous();
        var times = wide.data<double>().ToArray();
        var table = new double[times.Length, 3];
        for (var i = 0; i < times.Length; i++)
        {
            var level = schedule.At(schedule.TimeTold(times[i]));
            (table[i, 0], table[i, 1], table[i, 2]) = (level.Alpha, level.Sigma, level.Lambda / LambdaUnit);
        }
        var columns = tensor(table, dtype: time.dtype).to(time.device);
        var lambda = columns.narrow(1, 2, 1);
        var angles = lambda * (arange(1, Harmonics + 1, dtype: time.dtype, device: time.device) * (Math.PI / 2));
        return new(
            columns.narrow(1, 0, 1).MoveToOuterDisposeScope(),
            columns.narrow(1, 1, 1).MoveToOuterDisposeScope(),
            cat([lambda, angles.sin(), angles.cos()], dim: 1).MoveToOuterDisposeScope()
        );
    }
}
