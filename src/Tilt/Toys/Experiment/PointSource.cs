namespace Tilt.Toys;

/// <summary>Batches of labelled points as a function of the step: a resumed training sees what an uninterrupted one would have.</summary>
/// <remarks>Keeps no position. Fresh draws and the orders of epochs have seeds of their own, derived from the run's.</remarks>
public sealed class PointSource : IDisposable
{
    // One call of a generator serves this many batches: small calls cost more than the points they draw.
    private const long BatchesPerDraw = 64;

    private readonly ToyDataset _dataset;
    private readonly RandomStreams _streams;
    private readonly string _name;
    private readonly long _batch;
    private readonly LabelledPoints? _pool;
    private long _loaded = -1;
    private LabelledPoints? _points;
    private Tensor? _order;

    /// <summary>Batches from a pool in shuffled epochs, or drawn afresh.</summary>
    /// <param name="dataset">Where points come from.</param>
    /// <param name="name">Names the random streams.</param>
    /// <param name="batch">B, points per step. The last batch of an epoch may be smaller.</param>
    /// <param name="pool">Labelled points to go through; null draws every batch afresh. Stays the caller's.</param>
    /// <param name="streams">Only its seeds are used.</param>
    public PointSource(ToyDataset dataset, string name, long batch, LabelledPoints? pool, RandomStreams streams)
    {
        (_dataset, _name, _batch, _pool, _streams) = (dataset, name, batch, pool, streams);
    }

    /// <summary>Steps of one pass over the pool; 0 where there is none.</summary>
    public long StepsPerEpoch => _pool is null ? 0 : (_pool.Count + _batch - 1) / _batch;

    /// <summary>The points of a step: x₀ [B, 2] and their labels [B]. The caller's scope owns them.</summary>
    /// <param name="step">0, 1, …</param>
    public (Tensor X, Tensor Labels) Batch(long step) => _pool is null ? Fresh(step) : FromPool(step);

    private (Tensor X, Tensor Labels) Fresh(long step)
    {
        var draw = step / BatchesPerDraw;
        if (draw != _loaded)
        {
            _points?.Dispose();
            using var generator = new Generator((ulong)_streams.SeedOf($"{_name}/points/{draw}"));
            var drawn = _dataset.Sample(BatchesPerDraw * _batch, generator);
            _points = new(drawn.X.DetachFromDisposeScope(), drawn.Labels.DetachFromDisposeScope());
            _loaded = draw;
        }
        var start = step % BatchesPerDraw * _batch;
        return (_points!.X.narrow(0, start, _batch), _points.Labels.narrow(0, start, _batch));
    }

    private (Tensor X, Tensor Labels) FromPool(long step)
    {
        var epoch = step / StepsPerEpoch;
        if (epoch != _loaded)
        {
            _order?.Dispose();
            using var generator = new Generator((ulong)_streams.SeedOf($"{_name}/order/{epoch}"));
            _order = randperm(_pool!.Count, generator: generator).DetachFromDisposeScope();
            _loaded = epoch;
        }
        var start = step % StepsPerEpoch * _batch;
        var index = _order!.narrow(0, start, Math.Min(_batch, _pool!.Count - start));
        return (_pool.X.index_select(0, index), _pool.Labels.index_select(0, index));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _points?.Dispose();
        _order?.Dispose();
    }
}
