using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>Turns a time t into a vector: fixed random Fourier features, then one linear layer.</summary>
/// <remarks>
/// φ(t) = [sin(2π·W·t), cos(2π·W·t)], sines first, with W_k ~ N(0, scale²) drawn once, saved and never trained; then a
/// trainable layer 2K → 2K (cep.md §10). Saved as <c>0.W</c>, <c>1.weight</c> and <c>1.bias</c>.
/// </remarks>
public sealed class FourierTimeEmbedding : nn.Module<Tensor, Tensor>
{
    private readonly FourierFeatures _features;
    private readonly Linear _dense;

    /// <summary>Twice the number of frequencies: the width of what comes out.</summary>
    public long Width { get; }

    /// <summary>An embedding with drawn frequencies and weights.</summary>
    /// <param name="generator">Where the draws come from.</param>
    /// <param name="frequencies">K, the number of frequencies. The paper's networks use 16.</param>
    /// <param name="scale">Standard deviation of the frequencies, in cycles per unit of t. The paper's networks use 30.</param>
    public FourierTimeEmbedding(Generator generator, long frequencies = 16, double scale = 30)
        : base(nameof(FourierTimeEmbedding))
    {
        Width = 2 * frequencies;
        _features = new(generator, frequencies, scale);
        _dense = Initialize.Linear(Width, Width, generator);
        register_module("0", _features);
        register_module("1", _dense);
    }

    /// <summary>The embedding of each time, [B, 2K].</summary>
    /// <param name="time">t, [B].</param>
    public override Tensor forward(Tensor time)
    {
        using var scope = NewDisposeScope();

        return _dense.call(_features.call(time)).MoveToOuterDisposeScope();
    }
}

/// <summary>φ(t) = [sin(2π·W·t), cos(2π·W·t)] with fixed random frequencies W.</summary>
/// <remarks>cep.md §10. W is saved with the weights but is no parameter: it is never trained.</remarks>
public sealed class FourierFeatures : nn.Module<Tensor, Tensor>
{
    /// <summary>Features with K frequencies drawn from N(0, scale²).</summary>
    /// <param name="generator">Where the draws come from.</param>
    /// <param name="frequencies">K.</param>
    /// <param name="scale">Standard deviation of the frequencies, in cycles per unit of the argument.</param>
    public FourierFeatures(Generator generator, long frequencies, double scale)
        : base(nameof(FourierFeatures))
    {
        using var scope = NewDisposeScope();

        var drawn = empty([frequencies], dtype: ScalarType.Float32).normal_(0, scale, generator);
        register_buffer("W", drawn.DetachFromDisposeScope());
    }

    /// <summary>The features of each number, [B, 2K].</summary>
    /// <param name="time">[B].</param>
    public override Tensor forward(Tensor time)
    {
        using var scope = NewDisposeScope();

        var angle = time.unsqueeze(-1) * get_buffer("W")! * (2 * Math.PI);
        return cat([angle.sin(), angle.cos()], dim: -1).MoveToOuterDisposeScope();
    }
}
