namespace Tilt.Networks;

/// <summary>The shape of an <see cref="EnergyNetwork"/>.</summary>
public sealed record EnergyNetworkOptions
{
    /// <summary>D, the coordinates of a sample.</summary>
    /// <value>2.</value>
    public long Dimensions { get; init; } = 2;

    /// <summary>C, the coordinates of a condition, β not counted.</summary>
    /// <value>0: none.</value>
    public long ConditionDimensions { get; init; }

    /// <summary>Units of each hidden layer.</summary>
    /// <value>512 (paper).</value>
    public long Width { get; init; } = 512;

    /// <summary>Hidden layers.</summary>
    /// <value>4 (paper).</value>
    public int Depth { get; init; } = 4;

    /// <summary>Frequencies of the time embedding.</summary>
    /// <value>16 (paper).</value>
    public long Frequencies { get; init; } = 16;

    /// <summary>Standard deviation of those frequencies, in cycles per unit of t.</summary>
    /// <value>30 (paper).</value>
    public double TimeScale { get; init; } = 30;

    /// <summary>The largest β that the network may be asked for, or null when it is trained for one β and is told none.</summary>
    /// <value>null.</value>
    public double? MaximumBeta { get; init; }
}

/// <summary>An energy network of any width and depth; with a β dial, one network for every β up to a largest one.</summary>
/// <remarks>
/// [x, embedding(t), condition] → hidden layers with SiLU → 1. With a dial, the condition's first column is β, an embedding of β
/// joins the input, and the value is β·g(x, t, β, condition): E_t vanishes at β = 0 and is of the size of β·E for every β, so
/// that g stays of the size of E (cep.md §5: E_t → β·E[E(x₀) | x_t] for small β).
/// </remarks>
public sealed class EnergyNetwork : Network
{
    private const long BetaWidth = 32;

    private readonly FourierTimeEmbedding _embed;
    private readonly Mlp? _beta;
    private readonly Mlp _layers;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="options">Its shape.</param>
    /// <param name="generator">Where the draws come from.</param>
    public EnergyNetwork(EnergyNetworkOptions options, Generator generator)
        : base(nameof(EnergyNetwork))
    {
        NetworkShape.Require(options.Dimensions, options.ConditionDimensions, options.Width, options.Depth);
        if (options.MaximumBeta is { } largest && !(largest > 0 && double.IsFinite(largest)))
        {
            throw TiltException.Usage($"the largest beta of the dial is {largest}, expected a finite number above 0.");
        }
        MaximumBeta = options.MaximumBeta;
        Dimensions = options.Dimensions;
        ConditionDimensions = options.ConditionDimensions + (MaximumBeta is null ? 0 : 1);

        _embed = new(generator, options.Frequencies, options.TimeScale);
        register_module("embed", _embed);
        if (MaximumBeta is not null)
        {
            _beta = new([2, BetaWidth, BetaWidth], Activation.Silu, generator);
            register_module("beta", _beta);
        }
        var inputs = Dimensions + _embed.Width + options.ConditionDimensions + (_beta is null ? 0 : BetaWidth);
        _layers = new(NetworkShape.Widths(inputs, options.Width, options.Depth, 1), Activation.Silu, generator);
        register_module("layers", _layers);
    }

    /// <inheritdoc/>
    public override long Dimensions { get; }

    /// <summary>C, plus one for β where there is a dial.</summary>
    public override long ConditionDimensions { get; }

    /// <summary>The largest β of the dial, or null where there is none.</summary>
    public double? MaximumBeta { get; }

    /// <summary>The condition that sets the dial: β, then the rest.</summary>
    /// <param name="beta">β of each row, [B], or [1] for one that all share. Not checked against the range.</param>
    /// <param name="condition">[B, C] or [1, C]; null where C = 0.</param>
    public static Tensor Dial(Tensor beta, Tensor? condition = null)
    {
        using var scope = NewDisposeScope();

        var column = beta.unsqueeze(-1);
        return (condition is null ? column.alias() : Rows.Join(column, condition)).MoveToOuterDisposeScope();
    }

    /// <summary>The condition that sets the dial to one β for all rows.</summary>
    /// <param name="beta">β, in [0, <see cref="MaximumBeta"/>].</param>
    /// <param name="condition">[B, C] or [1, C]; null where C = 0.</param>
    /// <returns>[1, 1] or [B, 1 + C], in the number type of the weights.</returns>
    /// <exception cref="TiltException">β is outside the range, or there is no dial.</exception>
    public Tensor Dial(double beta, Tensor? condition = null)
    {
        if (MaximumBeta is not { } largest)
        {
            throw TiltException.Usage(
                "this energy network has no beta dial: it was trained for one beta. Train one with a dial, or use that beta."
            );
        }
        if (!(beta >= 0 && beta <= largest))
        {
            throw TiltException.Usage(
                $"beta {beta} is outside the dial's range [0, {largest}]. Choose one inside it, or train a dial with a larger range."
            );
        }
        using var scope = NewDisposeScope();

        var weight = parameters().First();
        return Dial(tensor([beta], dtype: weight.dtype, device: weight.device), condition).MoveToOuterDisposeScope();
    }

    /// <summary>The energy, [B].</summary>
    /// <param name="x">x_t, [B, D].</param>
    /// <param name="time">t, [B] or [1].</param>
    /// <param name="condition">[B, C] or [1, C], made by <c>Dial</c> where there is a dial; null where the width is 0.</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        var embedded = _embed.call(time);
        if (_beta is null)
        {
            var value = condition is null ? _layers.Join(x, embedded) : _layers.Join(x, embedded, condition);
            return value.squeeze(-1).MoveToOuterDisposeScope();
        }

        var beta = condition!.narrow(-1, 0, 1);
        var largest = MaximumBeta!.Value;
        var features = cat([beta / largest, (beta + 1).log() / Math.Log(1 + largest)], dim: -1);
        var rest = condition.narrow(-1, 1, ConditionDimensions - 1);
        var g = _layers.Join(x, embedded, _beta.call(features), rest);
        return (beta * g).squeeze(-1).MoveToOuterDisposeScope();
    }
}
