using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>The paper's score network for points of the plane: x_t and t in, h = σ_t·score out.</summary>
/// <remarks>
/// u = Linear 2→224 (x), v = Linear 32→32 (SiLU(embedding(t))), then [u, v] → 512 → 512 → 512 → 512 → 256 → 2 with SiLU between
/// (cep.md §11a). h, not the score, is what comes out: h ≈ −ε, and the score is h/σ_t.
/// 1 054 178 trainable weights.
/// </remarks>
public sealed class ScoreNetwork2d : Network
{
    private const long Hidden = 512;
    private const long Joined = 256;

    private readonly FourierTimeEmbedding _embed;
    private readonly Linear _dense1;
    private readonly Linear _dense2;
    private readonly Mlp _block;
    private readonly Linear _decoder;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="generator">Where the draws come from.</param>
    public ScoreNetwork2d(Generator generator)
        : base(nameof(ScoreNetwork2d))
    {
        _embed = new(generator);
        _dense1 = Initialize.Linear(_embed.Width, _embed.Width, generator);
        _dense2 = Initialize.Linear(Dimensions, Joined - _embed.Width, generator);
        _block = new([Joined, Hidden, Hidden, Hidden, Hidden, Joined], Activation.Silu, generator, inside: true);
        _decoder = Initialize.Linear(Joined, Dimensions, generator);

        register_module("embed", _embed);
        register_module("dense1", nn.Sequential(("dense", _dense1)));
        register_module("dense2", nn.Sequential(("dense", _dense2)));
        register_module("block1", _block);
        register_module("decoder", nn.Sequential(("dense", _decoder)));
    }

    /// <inheritdoc/>
    public override long Dimensions => 2;

    /// <inheritdoc/>
    public override long ConditionDimensions => 0;

    /// <summary>h(x_t, t) = σ_t·score, [B, 2].</summary>
    /// <param name="x">x_t, [B, 2].</param>
    /// <param name="time">t, [B] or [1].</param>
    /// <param name="condition">None: null.</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        var u = MixedPrecision.Covers(x) ? BFloat16Stack.Apply(x, _dense2, null, exact: true) : _dense2.call(x);
        var v = _dense1.call(nn.functional.silu(_embed.call(time)));
        var h = _block.call(Rows.Join(u, v));
        return _decoder.call(h).MoveToOuterDisposeScope();
    }
}
