using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>The nonlinearity between layers.</summary>
public enum Activation
{
    /// <summary>x·sigmoid(x), also called swish. Smooth, so its input gradients are continuous.</summary>
    Silu,

    /// <summary>max(x, 0).</summary>
    Relu,
}

/// <summary>Linear layers with a nonlinearity between them and, where asked, after the last.</summary>
/// <remarks>
/// Saved as <c>0.weight</c>, <c>0.bias</c>, <c>2.weight</c>, …: even numbers are layers, odd ones nonlinearities. Under
/// <see cref="MixedPrecision"/> hidden layers multiply in bf16; the first and last do only where they stand inside a network.
/// </remarks>
public sealed class Mlp : nn.Module<Tensor, Tensor>
{
    private readonly Linear[] _layers;
    private readonly Activation _activation;
    private readonly bool _inside;

    /// <summary>Layers of the given widths, weights drawn.</summary>
    /// <param name="widths">Input width, hidden widths, output width.</param>
    /// <param name="activation">What stands between the layers.</param>
    /// <param name="generator">Where the draws come from.</param>
    /// <param name="inside">
    /// Whether other layers of the network stand before and after: then the last is activated too, and all count as hidden.
    /// </param>
    public Mlp(IReadOnlyList<long> widths, Activation activation, Generator generator, bool inside = false)
        : base(nameof(Mlp))
    {
        (_activation, _inside) = (activation, inside);
        _layers = new Linear[widths.Count - 1];
        for (var i = 0; i < _layers.Length; i++)
        {
            _layers[i] = Initialize.Linear(widths[i], widths[i + 1], generator);
            register_module($"{2 * i}", _layers[i]);
        }
    }

    /// <summary>The last layer's values, [B, outputs].</summary>
    /// <param name="x">[B, inputs].</param>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();

        return Through(x, _layers[0].weight, _layers[0].bias!).MoveToOuterDisposeScope();
    }

    /// <summary>The last layer's values for inputs that lie side by side; some may be shared by several rows.</summary>
    /// <param name="parts">
    /// [B, k] or [1, k] each; their widths add up to the input width. Or [B, K, k] and [B, 1, k]: what the K rows of a group share.
    /// </param>
    /// <remarks>
    /// What all rows share passes the first layer once and joins the bias: with one t for a batch, as in guidance steps and in
    /// sampling, that is most of the first layer. What the rows of a group share passes it once per group.
    /// </remarks>
    public Tensor Join(params ReadOnlySpan<Tensor> parts)
    {
        using var scope = NewDisposeScope();

        var (weight, bias) = (_layers[0].weight, _layers[0].bias!);
        var (own, ownWeights) = (new List<Tensor>(), new List<Tensor>());
        var (shared, sharedWeights) = (new List<Tensor>(), new List<Tensor>());
        long column = 0;
        long rows = 1;
        foreach (var part in parts)
        {
            rows = part.shape[^1] == 0 ? rows : Math.Max(rows, part.numel() / part.shape[^1]);
        }
        foreach (var part in parts)
        {
            if (part.shape[^1] == 0)
            {
                continue;
            }
            var columns = weight.narrow(1, column, part.shape[^1]);
            var isShared = part.numel() / part.shape[^1] < rows;
            (isShared ? shared : own).Add(part);
            (isShared ? sharedWeights : ownWeights).Add(columns);
            column += part.shape[^1];
        }
        if (own.Count == 0 || shared.Count == 0)
        {
            return Through(Rows.Join(parts), weight, bias).MoveToOuterDisposeScope();
        }
        if (shared.Any(part => part.numel() > part.shape[^1]))
        {
            var perGroup = nn.functional.linear(Rows.Join([.. shared]), cat(sharedWeights, 1), bias);
            return Through(Rows.Join([.. own]), cat(ownWeights, 1), perGroup.squeeze(-2)).MoveToOuterDisposeScope();
        }
        var common = Rows.Join([.. shared]).reshape(1, -1);
        var shifted = nn.functional.linear(common, cat(sharedWeights, 1), bias).squeeze(0);
        return Through(Rows.Join([.. own]), cat(ownWeights, 1), shifted).MoveToOuterDisposeScope();
    }

    /// <summary>All layers.</summary>
    /// <param name="x">[B, inputs], or [B, K, inputs].</param>
    /// <param name="firstWeight">[N, inputs].</param>
    /// <param name="firstBias">[N]; or [B, N] for x [B, K, inputs], one for each group of K rows.</param>
    private Tensor Through(Tensor x, Tensor firstWeight, Tensor firstBias)
    {
        if (MixedPrecision.Covers(x) && (_inside || _layers.Length > 2))
        {
            var layers = new (Tensor, Tensor)[_layers.Length];
            layers[0] = (firstWeight, firstBias);
            for (var i = 1; i < layers.Length; i++)
            {
                layers[i] = (_layers[i].weight, _layers[i].bias!);
            }
            return BFloat16Stack.Apply(x, layers, new(_activation, !_inside, !_inside, ActivateLast: _inside));
        }
        var h =
            firstBias.dim() == 1
                ? nn.functional.linear(x, firstWeight, firstBias)
                : nn.functional.linear(x, firstWeight) + firstBias.unsqueeze(-2);
        foreach (var layer in _layers.AsSpan(1))
        {
            h = layer.call(Act(h));
        }
        return _inside ? Act(h) : h;
    }

    private Tensor Act(Tensor h) => _activation == Activation.Silu ? nn.functional.silu(h) : nn.functional.relu(h);
}
