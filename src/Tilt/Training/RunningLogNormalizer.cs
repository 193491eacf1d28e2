using Tilt.Energy;

namespace Tilt.Training;

/// <summary>log Z estimated along the way, for energies that drift or have no pool: an average of exp(−β·E) over past batches.</summary>
/// <remarks>
/// It is the shift of <see cref="ContrastiveEnergyPrediction.UnbiasedLoss(Tensor, Tensor, double)"/>. Read <see cref="Value"/> for a
/// batch before that batch goes into <see cref="Update"/>: it then rests on earlier draws only, and the labels stay unbiased.
/// </remarks>
public sealed class RunningLogNormalizer : IStateful, IDisposable
{
    private readonly Tensor _value = zeros([], dtype: ScalarType.Float64).DetachFromDisposeScope();
    private readonly Tensor _updates = zeros([], dtype: ScalarType.Int64).DetachFromDisposeScope();

    /// <summary>An estimate that has seen nothing.</summary>
    /// <param name="rate">The weight of the newest batch, in (0, 1].</param>
    public RunningLogNormalizer(double rate = 0.01)
    {
        if (!(rate > 0 && rate <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(rate), rate, "Expected 0 < rate ≤ 1.");
        }
        Rate = rate;
    }

    /// <summary>The weight of the newest batch.</summary>
    public double Rate { get; }

    /// <summary>How many batches it has seen.</summary>
    public long Updates => _updates.item<long>();

    /// <summary>log Z, in nats.</summary>
    /// <exception cref="InvalidOperationException">Nothing has been seen: start with one <see cref="Update"/> on other draws.</exception>
    public double Value =>
        Updates > 0
            ? _value.item<double>()
            : throw new InvalidOperationException(
                "The running log normalizer has seen no batch yet: update it once first."
            );

    /// <summary>Takes a batch into the average.</summary>
    /// <param name="energies">β·E of any samples, any shape; the log of the mean of exp(−β·E) enters.</param>
    /// <exception cref="TiltException">An energy is not finite.</exception>
    public void Update(Tensor energies)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var batch = LogNormalizer.Of(energies.flatten(), 1);
        if (!double.IsFinite(batch))
        {
            throw new TiltException($"The log normalizer of a batch of energies is {batch}; expected finite energies.");
        }
        // The first updates are plain averages, so that the first batch does not outweigh the rest for long.
        var rate = Math.Max(Rate, 1.0 / (Updates + 1));
        var value = rate == 1 ? batch : Numerics.LogAddExp(Numerics.LogP1(-rate) + Value, Math.Log(rate) + batch);
        _value.fill_(value);
        _updates.add_(1);
    }

    /// <inheritdoc/>
    public IEnumerable<(string Name, Tensor Value)> NamedState() => [("value", _value), ("updates", _updates)];

    /// <inheritdoc/>
    public void Dispose()
    {
        _value.Dispose();
        _updates.Dispose();
    }
}
