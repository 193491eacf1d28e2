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

        if (MixedPrecision.Covers(x) && (_inside || _layers.Length > 2))
        {
            var shape = new StackShape(_activation, ExactFirst: !_inside, ExactLast: !_inside, ActivateLast: _inside);
            return BFloat16Stack.Apply(x, _layers, shape).MoveToOuterDisposeScope();
        }
        var h = _layers[0].call(x);
        foreach (var layer in _layers.AsSpan(1))
        {
            h = layer.call(Act(h));
        }
        return (_inside ? Act(h) : h).MoveToOuterDisposeScope();
    }

    private Tensor Act(Tensor h) => _activation == Activation.Silu ? nn.functional.silu(h) : nn.functional.relu(h);
}
