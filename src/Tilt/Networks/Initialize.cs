using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>Draws the starting weights of layers from a given generator, so that a seed decides them and nothing else does.</summary>
/// <remarks>
/// The distribution is PyTorch's default for linear layers: weight and bias uniform on ±1/√fan_in (cep.md §11). Draws happen on
/// the CPU in float32, weight before bias.
/// </remarks>
public static class Initialize
{
    /// <summary>A linear layer, y = x·Wᵀ + b, with weights drawn from the generator.</summary>
    /// <param name="inputs">fan_in, the width of x.</param>
    /// <param name="outputs">The width of y.</param>
    /// <param name="generator">Where the draws come from.</param>
    public static Linear Linear(long inputs, long outputs, Generator generator)
    {
        var layer = nn.Linear(inputs, outputs, dtype: ScalarType.Float32);
        Draw(layer, generator);
        return layer;
    }

    /// <summary>Re-draws a layer's weights in place: U(−1/√fan_in, 1/√fan_in).</summary>
    /// <param name="layer">The layer. Its weight is [outputs, inputs].</param>
    /// <param name="generator">Where the draws come from.</param>
    public static void Draw(Linear layer, Generator generator)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();

        var bound = 1 / Math.Sqrt(layer.weight.shape[1]);
        Fill(layer.weight, bound, generator);
        if (layer.bias is { } bias)
        {
            Fill(bias, bound, generator);
        }
    }

    private static void Fill(Tensor target, double bound, Generator generator) =>
        target.copy_(empty(target.shape, dtype: ScalarType.Float32).uniform_(-bound, bound, generator));
}
