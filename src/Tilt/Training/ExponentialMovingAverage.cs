using Tilt.Networks;

namespace Tilt.Training;

/// <summary>How an average of weights begins, when it has seen too little for its decay.</summary>
public enum AverageStart
{
    /// <summary>The decay is the same from the first update on; the starting weights fade as decayⁿ.</summary>
    Plain,

    /// <summary>The starting weights count for nothing: Σ (1 − d)·d^(n−i)·θᵢ / (1 − dⁿ).</summary>
    BiasCorrected,

    /// <summary>The n-th update uses min(d, (1 + n)/(10 + n)), so early weights are forgotten early.</summary>
    WarmUp,
}

/// <summary>A running average of a module's weights: what is sampled from, steadier than the weights that train.</summary>
/// <remarks>
/// average ← average + (1 − dₙ)·(θ − average) after every step. Only trainable weights are averaged; fixed ones are copied where
/// the average is used. Kept in the number type of the weights.
/// </remarks>
public sealed class ExponentialMovingAverage : IStateful, IDisposable
{
    private readonly IReadOnlyList<(string Name, Tensor Value)> _weights;
    private readonly Dictionary<string, Tensor> _averages = new(StringComparer.Ordinal);
    private readonly Tensor _updates;
    private readonly AverageStart _start;
    private long _count;

    /// <summary>An average that begins at the module's present weights.</summary>
    /// <param name="module">Whose weights are averaged. Kept; the caller disposes it.</param>
    /// <param name="decay">d, in [0, 1): about 1/(1 − d) updates are remembered.</param>
    /// <param name="start">How it begins.</param>
    public ExponentialMovingAverage(
        nn.Module module,
        double decay = 0.999,
        AverageStart start = AverageStart.BiasCorrected
    )
    {
        if (!(decay >= 0 && decay < 1))
        {
            throw TiltException.Usage($"the decay of averaged weights is {decay}, expected a number in [0, 1).");
        }
        using var scope = NewDisposeScope();
        (Decay, _start) = (decay, start);
        _weights = module.NamedParameters();
        foreach (var (name, weight) in _weights)
        {
            _averages.Add(name, weight.detach().clone().DetachFromDisposeScope());
        }
        _updates = zeros([], dtype: ScalarType.Int64).DetachFromDisposeScope();
    }

    /// <summary>d.</summary>
    public double Decay { get; }

    /// <summary>n, the updates so far.</summary>
    public long Updates => _count;

    /// <summary>Moves the average toward the module's present weights.</summary>
    public void Update()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();

        _count++;
        _updates.fill_(_count);
        var share = tensor(1 - DecayOf(_count), dtype: ScalarType.Float64);
        foreach (var (name, weight) in _weights)
        {
            var average = _averages[name];
            average.lerp_(weight, share.to(average.dtype).to(average.device));
        }
    }

    /// <summary>Overwrites a module's trainable weights with the average.</summary>
    /// <param name="module">One of the same make as the averaged one; may be that one itself.</param>
    public void CopyTo(nn.Module module) =>
        ModuleTensors.LoadInto(module.NamedParameters(), _averages, module.GetName(), "the averaged weights");

    /// <inheritdoc/>
    public IEnumerable<(string Name, Tensor Value)> NamedState() =>
        [("updates", _updates), .. _weights.Select(pair => ("average." + pair.Name, _averages[pair.Name]))];

    /// <inheritdoc/>
    public void StateLoaded() => _count = _updates.item<long>();

    /// <inheritdoc/>
    public void Dispose()
    {
        _updates.Dispose();
        foreach (var average in _averages.Values)
        {
            average.Dispose();
        }
    }

    private double DecayOf(long n) =>
        _start switch
        {
            AverageStart.Plain => Decay,
            // 1 − d·(1 − d^(n−1))/(1 − dⁿ) is the share that makes the weighted sum normalized after every update.
            AverageStart.BiasCorrected => 1 - (1 - Decay) / (1 - Math.Pow(Decay, n)),
            _ => Math.Min(Decay, (1.0 + n) / (10.0 + n)),
        };
}
