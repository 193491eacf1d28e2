using Tilt.Model;

namespace Tilt.Inference;

/// <summary>How the packed layers of a policy are made.</summary>
internal sealed record Packing(WeightStorage Storage, LaneWidth Lanes)
{
    /// <summary>A multiple of the panel.</summary>
    public int Padded(int width) => (width + 2 * (int)Lanes - 1) / (2 * (int)Lanes) * (2 * (int)Lanes);

    /// <summary>A layer whose weights are read at every evaluation: stored as asked.</summary>
    public PackedLinear Streamed(Matrix weight, float[]? bias) =>
        new(weight.Values, bias, weight.Rows, weight.Columns, Storage, Lanes);

    /// <summary>A layer whose weights are few or are read once per action: float32 always.</summary>
    public PackedLinear Exact(Matrix weight, float[]? bias) =>
        new(weight.Values, bias, weight.Rows, weight.Columns, WeightStorage.Float32, Lanes);
}

/// <summary>The packed U-shaped residual score network (<c>ResidualScoreNetwork</c>; cep.md §11c).</summary>
internal sealed class ResidualScoreLayers
{
    /// <summary>A residual block: out = SiLU(L₃·(SiLU(L₁·x) + L₂·m)) + skip(x).</summary>
    /// <param name="First">L₁.</param>
    /// <param name="Second">L₃.</param>
    /// <param name="Skip">The skip connection's layer; null where it is the identity and x lies as the output does.</param>
    /// <param name="Embedded">L₂ with its bias: of state and level alone.</param>
    /// <param name="Width">Outputs, not padded.</param>
    public sealed record Block(
        PackedLinear First,
        PackedLinear Second,
        PackedLinear? Skip,
        PackedLinear Embedded,
        int Width
    );

    public TimeEmbedding Embed { get; }

    /// <summary>State → c = SiLU(·).</summary>
    public PackedLinear State { get; }

    /// <summary>c's part of the joint embedding's first layer, without bias.</summary>
    public PackedLinear JointState { get; }

    /// <summary>The level's part of it, with bias.</summary>
    public Layer JointTime { get; }

    /// <summary>The joint embedding's second layer.</summary>
    public PackedLinear Joint { get; }

    /// <summary>Down, down, down, bottom, up, up.</summary>
    public Block[] Blocks { get; }

    public NarrowLinear Last { get; }

    public ResidualScoreLayers(PolicyTensorSource source, int actions, int observations, Packing packing)
    {
        const string prefix = PolicyFile.ScorePrefix;
        Embed = TimeEmbedding.Read(source, prefix + "embed");
        var state = source.Linear(prefix + "pre_sort_condition.0.dense", observations);
        State = packing.Exact(state.Weight, state.Bias);
        var joint1 = source.Linear(prefix + "sort_t.0", state.Outputs + Embed.Width);
        var joint2 = source.Linear(prefix + "sort_t.2", joint1.Outputs);
        JointState = packing.Exact(joint1.Weight.Part(0, state.Outputs), null);
        JointTime = new(joint1.Weight.Part(state.Outputs, Embed.Width), joint1.Bias);
        Joint = packing.Exact(joint2.Weight, joint2.Bias);

        Blocks = new Block[6];
        int[] input = [actions];
        Blocks[0] = Read("down_block1", input);
        Blocks[1] = Read("down_block2", [Blocks[0].Width]);
        Blocks[2] = Read("down_block3", [Blocks[1].Width]);
        Blocks[3] = Read("middle1", [Blocks[2].Width], Blocks[2].Width);
        Blocks[4] = Read("up_block3", [Blocks[2].Width, Blocks[3].Width], Blocks[1].Width);
        Blocks[5] = Read("up_block2", [Blocks[1].Width, Blocks[4].Width], Blocks[0].Width);
        var last = source.Linear(prefix + "last", Blocks[0].Width + Blocks[5].Width, actions);
        Last = new(
            Side(last.Weight, [Blocks[0].Width, Blocks[5].Width]).Values,
            last.Bias,
            actions,
            packing.Padded(Blocks[0].Width) + packing.Padded(Blocks[5].Width),
            packing.Lanes
        );

        Block Read(string name, int[] parts, int? outputs = null)
        {
            var inputs = parts.Sum();
            var first = source.Linear($"{prefix}{name}.dense1.0", inputs, outputs);
            var width = first.Outputs;
            var second = source.Linear($"{prefix}{name}.dense2.0", width, width);
            var embedded = source.Linear($"{prefix}{name}.time_mlp.1", joint2.Outputs, width);
            // Where the paper's network skips by the identity, x lies as the output does unless padding was put between its parts.
            Layer? skip =
                inputs != width ? source.Linear($"{prefix}{name}.modify_x", inputs, width)
                : parts.Length == 1 || packing.Padded(parts[0]) == parts[0] ? null
                : new(Identity(width), new float[width]);
            var isInput = name == "down_block1";
            return new(
                Pack(first, isInput, parts),
                Pack(second, false, [width]),
                skip is { } layer ? Pack(layer, isInput, parts) : null,
                packing.Exact(embedded.Weight, embedded.Bias),
                width
            );

            PackedLinear Pack(Layer layer, bool exact, int[] from)
            {
                var weight = exact ? layer.Weight : Side(layer.Weight, from);
                return exact ? packing.Exact(weight, layer.Bias) : packing.Streamed(weight, layer.Bias);
            }
        }

        // Columns for inputs that lie side by side, each padded to whole panels.
        Matrix Side(Matrix weight, int[] parts) =>
            parts.Length == 1
                ? weight
                : weight.Spread(
                    (0, parts[0], packing.Padded(parts[0])),
                    (parts[0], parts[1], packing.Padded(parts[1]))
                );

        static Matrix Identity(int width)
        {
            var values = new float[width * width];
            for (var i = 0; i < width; i++)
            {
                values[i * width + i] = 1;
            }
            return new(values, width, width);
        }
    }
}

/// <summary>A packed network of free depth whose input is x_t, things that depend on the level alone, and the state.</summary>
/// <remarks>Score networks end in <see cref="Last"/>; energy networks go back from its one row to x_t by <see cref="Backward"/>.</remarks>
internal sealed class StackLayers
{
    private readonly Func<double, double?, double[]> _levelFeatures;
    private readonly Layer _levelPart;

    /// <summary>x_t's part of the first layer, without bias.</summary>
    public PackedLinear Input { get; }

    /// <summary>The state's part of the first layer, without bias.</summary>
    public PackedLinear State { get; }

    /// <summary>The hidden layers after the first.</summary>
    public PackedLinear[] Hidden { get; }

    /// <summary>The last layer of a score network.</summary>
    public NarrowLinear? Last { get; }

    /// <summary>Of an energy network: the last layer's weights, padded to the panels of the layer before.</summary>
    public AlignedFloats? LastRow { get; }

    /// <summary>Of an energy network: <see cref="Hidden"/> transposed, in the same order.</summary>
    public PackedLinear[]? Backward { get; }

    /// <summary>Of an energy network: the gradient's way out of the first layer, to x_t.</summary>
    public NarrowLinear? Gradient { get; }

    /// <summary>Whether the value is β·g and the network is told β.</summary>
    public bool HasDial { get; }

    private StackLayers(
        List<Layer> layers,
        int actions,
        (int First, int Count) level,
        (int First, int Count) state,
        Func<double, double?, double[]> levelFeatures,
        bool hasDial,
        bool isEnergy,
        Packing packing
    )
    {
        if (layers.Count < 2)
        {
            throw new TiltException("a network of the policy has no hidden layer; expected one or more.");
        }
        _levelFeatures = levelFeatures;
        HasDial = hasDial;
        var first = layers[0];
        _levelPart = new(first.Weight.Part(level.First, level.Count), first.Bias);
        Input = packing.Exact(first.Weight.Part(0, actions), null);
        State = packing.Exact(first.Weight.Part(state.First, state.Count), null);
        Hidden = [.. layers[1..^1].Select(layer => packing.Streamed(layer.Weight, layer.Bias))];
        var last = layers[^1];
        if (!isEnergy)
        {
            Last = new(last.Weight.Values, last.Bias, last.Outputs, last.Inputs, packing.Lanes);
            return;
        }
        LastRow = new(packing.Padded(last.Inputs));
        last.Weight.Values.CopyTo(LastRow.Span);
        Backward =
        [
            .. layers[1..^1]
                .Select(layer =>
                    PackedLinear.Transposed(
                        layer.Weight.Values,
                        layer.Outputs,
                        layer.Inputs,
                        packing.Storage,
                        packing.Lanes
                    )
                ),
        ];
        var turned = new float[actions * first.Outputs];
        for (var n = 0; n < first.Outputs; n++)
        {
            for (var k = 0; k < actions; k++)
            {
                turned[k * first.Outputs + n] = first.Weight.Values[n * first.Inputs + k];
            }
        }
        Gradient = new(turned, [], actions, first.Outputs, packing.Lanes);
    }

    /// <summary>Width of the first hidden layer.</summary>
    public int Width => Input.Outputs;

    /// <summary>What the first layer's sums of one level start from, whatever the state: bias, time and β.</summary>
    public double[] Level(double networkTime, double? beta) => _levelPart.Times(_levelFeatures(networkTime, beta));

    /// <summary><c>ScoreNetwork</c>: [x, SiLU(Linear(SiLU(embedding))), s] → A.</summary>
    public static StackLayers Score(PolicyTensorSource source, int actions, int observations, Packing packing)
    {
        const string prefix = PolicyFile.ScorePrefix;
        var embed = TimeEmbedding.Read(source, prefix + "embed");
        var time = source.Linear(prefix + "time", embed.Width, embed.Width);
        var layers = source.Stack(prefix + "layers", actions + embed.Width + observations, actions);
        return new(
            layers,
            actions,
            (actions, embed.Width),
            (actions + embed.Width, observations),
            (t, _) => Silu(time.Times(Silu(embed.Of(t)))),
            hasDial: false,
            isEnergy: false,
            packing
        );
    }

    /// <summary><c>ConditionalEnergyNetwork</c>: [x, embedding, s] → 1 (cep.md §11e).</summary>
    public static StackLayers ConditionalEnergy(
        PolicyTensorSource source,
        int actions,
        int observations,
        Packing packing
    )
    {
        const string prefix = PolicyFile.GuidancePrefix;
        var embed = TimeEmbedding.Read(source, prefix + "embed");
        var layers = source.Stack(prefix + "qt", actions + embed.Width + observations, 1);
        return new(
            layers,
            actions,
            (actions, embed.Width),
            (actions + embed.Width, observations),
            (t, _) => embed.Of(t),
            hasDial: false,
            isEnergy: true,
            packing
        );
    }

    /// <summary><c>EnergyNetwork</c>: [x, embedding, embedding of β where there is a dial, s] → 1.</summary>
    public static StackLayers Energy(
        PolicyTensorSource source,
        int actions,
        int observations,
        double? maximumBeta,
        Packing packing
    )
    {
        const string prefix = PolicyFile.GuidancePrefix;
        var embed = TimeEmbedding.Read(source, prefix + "embed");
        var dial = maximumBeta is null ? null : source.Stack(prefix + "beta", 2);
        var features = embed.Width + (dial?[^1].Outputs ?? 0);
        var layers = source.Stack(prefix + "layers", actions + features + observations, 1);
        return new(
            layers,
            actions,
            (actions, features),
            (actions + features, observations),
            (t, beta) => dial is null ? embed.Of(t) : [.. embed.Of(t), .. Dial(beta!.Value)],
            dial is not null,
            isEnergy: true,
            packing
        );

        double[] Dial(double beta)
        {
            var largest = maximumBeta!.Value;
            double[] value = [beta / largest, Math.Log(1 + beta) / Math.Log(1 + largest)];
            foreach (var layer in dial[..^1])
            {
                value = Silu(layer.Times(value));
            }
            return dial[^1].Times(value);
        }
    }

    private static double[] Silu(double[] values) => Array.ConvertAll(values, x => x / (1 + Math.Exp(-x)));
}
