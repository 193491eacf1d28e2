namespace Tilt.Networks;

/// <summary>The paper's guidance network for actions: a_t, t and the state in, one number out.</summary>
/// <remarks>
/// [a_t, embedding(t), s] (A + 32 + S) → 256 → 256 → 256 → 256 → 1, SiLU between, nothing after the last (cep.md §11e).
/// 213 025 trainable weights for A = 6, S = 17.
/// </remarks>
public sealed class ConditionalEnergyNetwork : Network
{
    private const long Hidden = 256;

    private readonly FourierTimeEmbedding _embed;
    private readonly Mlp _layers;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="actionDimensions">A.</param>
    /// <param name="observationDimensions">S.</param>
    /// <param name="generator">Where the draws come from.</param>
    public ConditionalEnergyNetwork(long actionDimensions, long observationDimensions, Generator generator)
        : base(nameof(ConditionalEnergyNetwork))
    {
        (Dimensions, ConditionDimensions) = (actionDimensions, observationDimensions);
        _embed = new(generator);
        var inputs = actionDimensions + _embed.Width + observationDimensions;
        _layers = new([inputs, Hidden, Hidden, Hidden, Hidden, 1], Activation.Silu, generator);
        register_module("qt", _layers);
        register_module("embed", _embed);
    }

    /// <inheritdoc/>
    public override long Dimensions { get; }

    /// <inheritdoc/>
    public override long ConditionDimensions { get; }

    /// <summary>f(a_t, t | s), [B].</summary>
    /// <param name="x">a_t, [B, A].</param>
    /// <param name="time">t, [B] or [1].</param>
    /// <param name="condition">States s, [B, S].</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        return _layers.Join(x, _embed.call(time), condition!).squeeze(-1).MoveToOuterDisposeScope();
    }
}
