namespace Tilt.Networks;

/// <summary>The paper's guidance network for points of the plane: x_t and t in, one number out.</summary>
/// <remarks>
/// [x, embedding(t)] (2 + 32) → 512 → 512 → 512 → 512 → 1, SiLU between, nothing after the last (cep.md §11b).
/// 807 457 trainable weights.
/// </remarks>
public sealed class EnergyNetwork2d : Network
{
    private const long Hidden = 512;

    private readonly FourierTimeEmbedding _embed;
    private readonly Mlp _layers;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="generator">Where the draws come from.</param>
    public EnergyNetwork2d(Generator generator)
        : base(nameof(EnergyNetwork2d))
    {
        _embed = new(generator);
        _layers = new([Dimensions + _embed.Width, Hidden, Hidden, Hidden, Hidden, 1], Activation.Silu, generator);
        register_module("qt", _layers);
        register_module("embed", _embed);
    }

    /// <inheritdoc/>
    public override long Dimensions => 2;

    /// <inheritdoc/>
    public override long ConditionDimensions => 0;

    /// <summary>f(x_t, t), [B].</summary>
    /// <param name="x">x_t, [B, 2].</param>
    /// <param name="time">t, [B] or [1].</param>
    /// <param name="condition">None: null.</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        return _layers.Join(x, _embed.call(time)).squeeze(-1).MoveToOuterDisposeScope();
    }
}
