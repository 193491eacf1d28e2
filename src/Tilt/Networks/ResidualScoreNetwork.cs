using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>The shape of a <see cref="ResidualScoreNetwork"/>.</summary>
public sealed record ResidualScoreShape
{
    /// <summary>Units of the outermost blocks.</summary>
    /// <value>512 (code).</value>
    public long Wide { get; init; } = 512;

    /// <summary>Units of the blocks inside those.</summary>
    /// <value>256 (code).</value>
    public long Middle { get; init; } = 256;

    /// <summary>Units of the innermost blocks.</summary>
    /// <value>128 (code).</value>
    public long Narrow { get; init; } = 128;

    /// <summary>Units of the joint embedding of state and time.</summary>
    /// <value>128 (code).</value>
    public long Embedding { get; init; } = 128;

    /// <summary>The smaller shape of the presets <c>quick</c> and <c>demo</c>: half of every width, a fourth of the work.</summary>
    public static ResidualScoreShape Half { get; } =
        new()
        {
            Wide = 256,
            Middle = 128,
            Narrow = 64,
            Embedding = 64,
        };
}

/// <summary>The paper's score network for actions, a U-shaped residual MLP: a_t, t and the state in, h = σ_t·score out.</summary>
/// <remarks>
/// Widths 512, 256, 128, 128, 256, 512 unless a <see cref="ResidualScoreShape"/> says otherwise; each block also sees m, an embedding of state and time, and the upward blocks see the
/// downward ones of the same width (cep.md §11c). h, not the score, is what comes out: h ≈ −ε, and the score is h/σ_t.
/// 1 634 278 trainable weights for A = 6, S = 17.
/// </remarks>
public sealed class ResidualScoreNetwork : Network
{
    private readonly FourierTimeEmbedding _embed;
    private readonly Linear _state;
    private readonly Mlp _joint;
    private readonly ResidualBlock _down1;
    private readonly ResidualBlock _down2;
    private readonly ResidualBlock _down3;
    private readonly ResidualBlock _bottom;
    private readonly ResidualBlock _up3;
    private readonly ResidualBlock _up2;
    private readonly Linear _last;

    /// <summary>The network in the authors' size, weights drawn.</summary>
    /// <param name="actionDimensions">A.</param>
    /// <param name="observationDimensions">S.</param>
    /// <param name="generator">Where the draws come from.</param>
    public ResidualScoreNetwork(long actionDimensions, long observationDimensions, Generator generator)
        : this(actionDimensions, observationDimensions, new(), generator) { }

    /// <summary>The network with drawn weights.</summary>
    /// <param name="actionDimensions">A.</param>
    /// <param name="observationDimensions">S.</param>
    /// <param name="shape">Its widths.</param>
    /// <param name="generator">Where the draws come from.</param>
    public ResidualScoreNetwork(
        long actionDimensions,
        long observationDimensions,
        ResidualScoreShape shape,
        Generator generator
    )
        : base(nameof(ResidualScoreNetwork))
    {
        var (wide, middle, narrow, embedded) = (shape.Wide, shape.Middle, shape.Narrow, shape.Embedding);
        (Dimensions, ConditionDimensions) = (actionDimensions, observationDimensions);
        _embed = new(generator);
        _state = Initialize.Linear(observationDimensions, _embed.Width, generator);
        _joint = new([2 * _embed.Width, embedded, embedded], Activation.Silu, generator);
        _down1 = new(actionDimensions, wide, embedded, generator, first: true);
        _down2 = new(wide, middle, embedded, generator);
        _down3 = new(middle, narrow, embedded, generator);
        _bottom = new(narrow, narrow, embedded, generator);
        _up3 = new(2 * narrow, middle, embedded, generator);
        _up2 = new(2 * middle, wide, embedded, generator);
        _last = Initialize.Linear(2 * wide, actionDimensions, generator);

        register_module("embed", _embed);
        register_module("pre_sort_condition", nn.Sequential(("0", nn.Sequential(("dense", _state)))));
        register_module("sort_t", _joint);
        register_module("down_block1", _down1);
        register_module("down_block2", _down2);
        register_module("down_block3", _down3);
        register_module("middle1", _bottom);
        register_module("up_block3", _up3);
        register_module("up_block2", _up2);
        register_module("last", _last);
    }

    /// <inheritdoc/>
    public override long Dimensions { get; }

    /// <inheritdoc/>
    public override long ConditionDimensions { get; }

    /// <summary>h(a_t, t | s) = σ_t·score, [B, A].</summary>
    /// <param name="x">a_t, [B, A].</param>
    /// <param name="time">t, [B] or [1].</param>
    /// <param name="condition">States s, [B, S].</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        var state = nn.functional.silu(_state.call(condition!));
        var m = nn.functional.silu(_joint.call(Rows.Join(state, _embed.call(time))));
        var d1 = _down1.call(x, m);
        var d2 = _down2.call(d1, m);
        var d3 = _down3.call(d2, m);
        var u3 = _up3.call(Rows.Join(d3, _bottom.call(d3, m)), m);
        var u2 = _up2.call(Rows.Join(d2, u3), m);
        return _last.call(Rows.Join(d1, u2)).MoveToOuterDisposeScope();
    }
}

/// <summary>One residual block: two layers, the first shifted by an embedding of state and time, around a skip connection.</summary>
/// <remarks>
/// a = SiLU(L₁ x) + L₂ SiLU(m); out = SiLU(L₃ a) + skip(x), where skip is the identity for equal widths and a linear layer otherwise
/// (cep.md §11c, item 3).
/// </remarks>
public sealed class ResidualBlock : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly Linear _embedded;
    private readonly Linear _dense1;
    private readonly Linear _dense2;
    private readonly Linear? _skip;
    private readonly bool _first;

    /// <summary>A block with drawn weights.</summary>
    /// <param name="inputs">Width of x.</param>
    /// <param name="outputs">Width of the result.</param>
    /// <param name="embedding">Width of m.</param>
    /// <param name="generator">Where the draws come from.</param>
    /// <param name="first">Whether x is the network's input: then its layers multiply in float32 always.</param>
    public ResidualBlock(long inputs, long outputs, long embedding, Generator generator, bool first = false)
        : base(nameof(ResidualBlock))
    {
        _first = first;
        _embedded = Initialize.Linear(embedding, outputs, generator);
        _dense1 = Initialize.Linear(inputs, outputs, generator);
        _dense2 = Initialize.Linear(outputs, outputs, generator);
        register_module("time_mlp", nn.Sequential(("1", _embedded)));
        register_module("dense1", nn.Sequential(("0", _dense1)));
        register_module("dense2", nn.Sequential(("0", _dense2)));
        if (inputs != outputs)
        {
            _skip = Initialize.Linear(inputs, outputs, generator);
            register_module("modify_x", _skip);
        }
    }

    /// <summary>The block's value, [B, outputs].</summary>
    /// <param name="x">[B, inputs].</param>
    /// <param name="activated">SiLU(m), [B, embedding]: the same for all blocks, so it is formed once outside.</param>
    public override Tensor forward(Tensor x, Tensor activated)
    {
        using var scope = NewDisposeScope();

        var a = Activated(_dense1, x, _first) + Hidden(_embedded, activated, false);
        var b = Activated(_dense2, a, false);
        return (b + (_skip is null ? x : Hidden(_skip, x, _first))).MoveToOuterDisposeScope();
    }

    private static Tensor Activated(Linear layer, Tensor x, bool exact) =>
        MixedPrecision.Covers(x)
            ? BFloat16Stack.Apply(x, layer, Activation.Silu, exact)
            : nn.functional.silu(layer.call(x));

    private static Tensor Hidden(Linear layer, Tensor x, bool exact) =>
        MixedPrecision.Covers(x) ? BFloat16Stack.Apply(x, layer, null, exact) : layer.call(x);
}
