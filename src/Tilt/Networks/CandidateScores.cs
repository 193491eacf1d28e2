using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>A <see cref="ResidualScoreNetwork"/> prepared to be evaluated in bf16 for many candidate actions of each state.</summary>
/// <remarks>
/// Three things make it faster than the network itself. What depends on state and level alone is formed once per state, not
/// once per candidate: c, m and all that m adds to the blocks, a sixth of the network. Hidden layers multiply in bf16, activations
/// between them stay in bf16. And each product is followed by one pass over memory that adds its bias, applies SiLU, adds the
/// embedding or the skip connection and writes where the layer above reads.
/// Products accumulate in float32; the first and the last layer multiply in float32. Only for sampling: there is no gradient.
/// </remarks>
public sealed class CandidateScores : IDisposable
{
    private readonly ResidualScoreNetwork _network;
    private readonly Dictionary<string, Tensor> _weights;
    private readonly Block[] _blocks;
    private readonly Tensor _firstWeights;
    private readonly Tensor _embeddedWeights;
    private readonly Tensor _embeddedBiases;
    private readonly Tensor _lastWeights;

    /// <summary>Weights of one block, hidden ones in bf16.</summary>
    private sealed record Block(
        Tensor First,
        Tensor FirstBias,
        Tensor Second,
        Tensor SecondBias,
        Tensor? Skip,
        Tensor? SkipBias,
        long At,
        long Width
    );

    /// <summary>Copies a network's weights. Later changes to them are not seen.</summary>
    /// <param name="network">A float32 network on the CPU.</param>
    public CandidateScores(ResidualScoreNetwork network)
    {
        using var scope = NewDisposeScope();
        using var recording = no_grad();
        _network = network;
        _weights = network.NamedTensors().ToDictionary(pair => pair.Name, pair => Kept(pair.Value.detach().clone()));
        string[] names = ["down_block1", "down_block2", "down_block3", "middle1", "up_block3", "up_block2"];
        _blocks = new Block[names.Length];
        var at = 0L;
        for (var i = 0; i < names.Length; i++)
        {
            var name = names[i];
            var bias = _weights[$"{name}.dense1.0.bias"];
            var skips = _weights.ContainsKey($"{name}.modify_x.weight");
            _blocks[i] = new(
                Half($"{name}.dense1.0.weight"),
                bias,
                Half($"{name}.dense2.0.weight"),
                _weights[$"{name}.dense2.0.bias"],
                skips ? Half($"{name}.modify_x.weight") : null,
                skips ? _weights[$"{name}.modify_x.bias"] : null,
                at,
                bias.shape[0]
            );
            at += bias.shape[0];
        }
        _firstWeights = _weights["down_block1.dense1.0.weight"];
        _embeddedWeights = Kept(cat([.. names.Select(name => _weights[$"{name}.time_mlp.1.weight"])]));
        _embeddedBiases = Kept(cat([.. names.Select(name => _weights[$"{name}.time_mlp.1.bias"])]));
        _lastWeights = _weights["last.weight"];

        Tensor Half(string name) => Kept(_weights[name].to(ScalarType.BFloat16));
        static Tensor Kept(Tensor tensor) => tensor.DetachFromDisposeScope();
    }

    /// <summary>h(a_t, t | s) of every candidate, [B·M, A].</summary>
    /// <param name="x">a_t, [B·M, A], the M candidates of a state side by side.</param>
    /// <param name="time">t, [1].</param>
    /// <param name="states">s, [B, S].</param>
    public Tensor Evaluate(Tensor x, Tensor time, Tensor states)
    {
        using var scope = NewDisposeScope();
        using var recording = no_grad();
        var group = checked((int)(x.shape[0] / states.shape[0]));
        if (group * states.shape[0] != x.shape[0])
        {
            throw new TiltException(
                $"{x.shape[0]} candidates for {states.shape[0]} states: expected as many for each state."
            );
        }

        var added = Added(time, states);
        var rows = x.shape[0];
        var (wide, middle, narrow) = (_blocks[0].Width, _blocks[1].Width, _blocks[2].Width);
        // [d1, u2], [d2, u3] and [d3, bottom], side by side as the layers above read them.
        var side1 = empty([rows, 2 * wide], dtype: ScalarType.BFloat16);
        var side2 = empty([rows, 2 * middle], dtype: ScalarType.BFloat16);
        var side3 = empty([rows, 2 * narrow], dtype: ScalarType.BFloat16);
        Apply(0, x, side1.narrow(1, 0, wide));
        Apply(1, side1.narrow(1, 0, wide), side2.narrow(1, 0, middle));
        Apply(2, side2.narrow(1, 0, middle), side3.narrow(1, 0, narrow));
        Apply(3, side3.narrow(1, 0, narrow), side3.narrow(1, narrow, narrow));
        Apply(4, side3, side2.narrow(1, middle, middle));
        Apply(5, side2, side1.narrow(1, wide, wide));
        return nn
            .functional.linear(side1.to(ScalarType.Float32), _lastWeights, _weights["last.bias"])
            .MoveToOuterDisposeScope();

        void Apply(int index, Tensor input, Tensor output)
        {
            using var layer = NewDisposeScope();
            var block = _blocks[index];
            var z = input.dtype == ScalarType.Float32 ? input.mm(_firstWeights.t()) : input.mm(block.First.t());
            var a = empty([rows, block.Width], dtype: ScalarType.BFloat16);
            ResidualKernels.Finish(z, block.FirstBias, added.narrow(1, block.At, block.Width), null, group, a);
            z = a.mm(block.Second.t());
            var skip =
                block.Skip is null ? input
                : input.dtype == ScalarType.Float32 ? input.mm(_weights["down_block1.modify_x.weight"].t())
                : input.mm(block.Skip.t());
            ResidualKernels.Finish(z, block.SecondBias, skip, block.SkipBias, 1, output);
        }
    }

    /// <summary>What state and level add to each block, side by side, [B, ΣN].</summary>
    private Tensor Added(Tensor time, Tensor states)
    {
        using var scope = NewDisposeScope();
        var c = nn.functional.silu(Linear("pre_sort_condition.0.dense", states));
        var angle = time.unsqueeze(-1) * _weights["embed.0.W"] * (2 * Math.PI);
        var embedded = Linear("embed.1", cat([angle.sin(), angle.cos()], dim: -1));
        var m = nn.functional.silu(Linear("sort_t.0", Rows.Join(c, embedded)));
        m = nn.functional.silu(Linear("sort_t.2", m));
        return nn.functional.linear(m, _embeddedWeights, _embeddedBiases).MoveToOuterDisposeScope();

        Tensor Linear(string name, Tensor input) =>
            nn.functional.linear(input, _weights[$"{name}.weight"], _weights[$"{name}.bias"]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in _weights.Values)
        {
            tensor.Dispose();
        }
        foreach (var block in _blocks)
        {
            block.First.Dispose();
            block.Second.Dispose();
            block.Skip?.Dispose();
        }
        _embeddedWeights.Dispose();
        _embeddedBiases.Dispose();
    }
}
