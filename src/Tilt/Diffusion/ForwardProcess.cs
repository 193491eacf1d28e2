namespace Tilt.Diffusion;

/// <summary>α_t, σ_t and what a network is told of t, one per row: what noising a batch needs.</summary>
/// <param name="Alpha">α_t, [B].</param>
/// <param name="Sigma">σ_t, [B].</param>
/// <param name="NetworkTime">The number a network is given for t, [B].</param>
public readonly record struct RowLevels(Tensor Alpha, Tensor Sigma, Tensor NetworkTime);

/// <summary>Noises clean samples: x_t = α_t·x₀ + σ_t·ε.</summary>
/// <remarks>
/// Coefficients are computed on the host in float64 and rounded once, so a float32 batch sees σ_t to its last digit at small t,
/// where 1 − α_t² formed in float32 would be off by percents (cep.md §8).
/// </remarks>
public static class ForwardProcess
{
    /// <summary>Times drawn uniformly on [first, last).</summary>
    /// <param name="count">B.</param>
    /// <param name="first">The earliest t.</param>
    /// <param name="last">The latest t.</param>
    /// <param name="generator">Where the draws come from.</param>
    /// <returns>t, [B], float64, on the CPU.</returns>
    public static Tensor DrawTimes(long count, double first, double last, Generator generator)
    {
        using var scope = NewDisposeScope();

        var uniform = rand([count], dtype: ScalarType.Float64, generator: generator);
        return uniform.mul_(last - first).add_(first).MoveToOuterDisposeScope();
    }

    /// <summary>Standard normal noise of the shape, number type and device of a batch, drawn on the CPU.</summary>
    /// <param name="like">The batch. Left as it is.</param>
    /// <param name="generator">Where the draws come from.</param>
    public static Tensor DrawNoise(Tensor like, Generator generator)
    {
        using var scope = NewDisposeScope();

        var drawn = randn(like.shape, dtype: like.dtype, generator: generator);
        return drawn.to(like.device).MoveToOuterDisposeScope();
    }

    /// <summary>The levels of a batch of times.</summary>
    /// <param name="schedule">Gives α and σ.</param>
    /// <param name="time">t, [B]; best in float64. One row is fine: it is repeated where it is used.</param>
    /// <param name="like">Number type and device of what comes back.</param>
    public static RowLevels Levels(NoiseSchedule schedule, Tensor time, Tensor like)
    {
        using var scope = NewDisposeScope();

        var times = time.detach().to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
        var alpha = new double[times.Length];
        var sigma = new double[times.Length];
        var told = new double[times.Length];
        for (var i = 0; i < times.Length; i++)
        {
            var logAlpha = schedule.LogAlpha(times[i]);
            alpha[i] = Math.Exp(logAlpha);
            sigma[i] = Math.Sqrt(-Numerics.ExpM1(2 * logAlpha));
            told[i] = schedule.NetworkTime(times[i]);
        }
        return new(OnDevice(alpha), OnDevice(sigma), OnDevice(told));

        Tensor OnDevice(double[] values) =>
            tensor(values, dtype: ScalarType.Float64).to(like.dtype).to(like.device).MoveToOuterDisposeScope();
    }

    /// <summary>x_t = α_t·x₀ + σ_t·ε.</summary>
    /// <param name="levels">The levels of the rows, or one for all.</param>
    /// <param name="x0">Clean samples, [B, D].</param>
    /// <param name="noise">ε, [B, D].</param>
    public static Tensor Noised(RowLevels levels, Tensor x0, Tensor noise)
    {
        Expect.SameShape(x0, noise);
        using var scope = NewDisposeScope();

        return (Column(levels.Alpha, x0) * x0 + Column(levels.Sigma, x0) * noise).MoveToOuterDisposeScope();
    }

    /// <summary>[B] as [B, 1, …], so that it multiplies whole rows.</summary>
    internal static Tensor Column(Tensor perRow, Tensor like)
    {
        var shape = new long[like.dim()];
        Array.Fill(shape, 1);
        shape[0] = perRow.shape[0];
        return perRow.view(shape);
    }
}
