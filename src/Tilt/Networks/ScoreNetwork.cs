using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>The shape of a <see cref="ScoreNetwork"/>.</summary>
public sealed record ScoreNetworkOptions
{
    /// <summary>D, the coordinates of a sample.</summary>
    /// <value>2.</value>
    public long Dimensions { get; init; } = 2;

    /// <summary>C, the coordinates of a condition.</summary>
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
}

/// <summary>A network of any width and depth from x_t, t and a condition to a vector like x_t.</summary>
/// <remarks>
/// [x, SiLU(Linear(SiLU(embedding(t)))), condition] → hidden layers with SiLU → D. What the output means is the
/// <c>Parametrization</c> of the noise model that uses it.
/// </remarks>
public sealed class ScoreNetwork : Network
{
    private readonly FourierTimeEmbedding _embed;
    private readonly Linear _time;
    private readonly Mlp _layers;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="options">Its shape.</param>
    /// <param name="generator">Where the draws come from.</param>
    public ScoreNetwork(ScoreNetworkOptions options, Generator generator)
        : base(nameof(ScoreNetwork))
    {
        NetworkShape.Require(options.Dimensions, options.ConditionDimensions, options.Width, options.Depth);
        (Dimensions, ConditionDimensions) = (options.Dimensions, options.ConditionDimensions);
        _embed = new(generator, options.Frequencies, options.TimeScale);
        _time = Initialize.Linear(_embed.Width, _embed.Width, generator);
        var inputs = Dimensions + _embed.Width + ConditionDimensions;
        _layers = new(
            NetworkShape.Widths(inputs, options.Width, options.Depth, Dimensions),
            Activation.Silu,
            generator
        );
        register_module("embed", _embed);
        register_module("time", _time);
        register_module("layers", _layers);
    }

    /// <inheritdoc/>
    public override long Dimensions { get; }

    /// <inheritdoc/>
    public override long ConditionDimensions { get; }

    /// <summary>The network's vector, [B, D].</summary>
    /// <param name="x">x_t, [B, D].</param>
    /// <param name="time">t, [B] or [1].</param>
    /// <param name="condition">[B, C] or [1, C]; null where C = 0.</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        var embedded = nn.functional.silu(_time.call(nn.functional.silu(_embed.call(time))));
        var value = condition is null ? _layers.Join(x, embedded) : _layers.Join(x, embedded, condition);
        return value.MoveToOuterDisposeScope();
    }
}

/// <summary>What the networks of free shape share.</summary>
internal static class NetworkShape
{
    public static long[] Widths(long inputs, long width, int depth, long outputs) =>
        [inputs, .. Enumerable.Repeat(width, depth), outputs];

    public static void Require(long dimensions, long conditionDimensions, long width, int depth)
    {
        if (dimensions < 1 || conditionDimensions < 0 || width < 1 || depth < 1)
        {
            throw TiltException.Usage(
                $"a network of {dimensions} dimensions, {conditionDimensions} condition dimensions, width {width} and depth "
                    + $"{depth} cannot be built: condition dimensions may be 0, everything else has to be 1 or more."
            );
        }
    }
}
