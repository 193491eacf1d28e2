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

    /// <summary>A convolution of stride 1 that keeps height and width, with weights drawn from the generator.</summary>
    /// <param name="inputs">Channels of x; fan_in is this times the size of the kernel.</param>
    /// <param name="outputs">Channels of the result.</param>
    /// <param name="kernel">Height and width of the kernel, odd.</param>
    /// <param name="generator">Where the draws come from.</param>
    /// <param name="zero">Whether it starts at zero instead, and draws nothing.</param>
    public static Conv2d Convolution(long inputs, long outputs, int kernel, Generator generator, bool zero = false)
    {
        var layer = nn.Conv2d(inputs, outputs, kernel, padding: kernel / 2, dtype: ScalarType.Float32);
        using var scope = NewDisposeScope();
        using var _ = no_grad();

        var bound = 1 / Math.Sqrt(inputs * kernel * kernel);
        foreach (var parameter in new[] { layer.weight, layer.bias! })
        {
            if (zero)
            {
                parameter.zero_();
            }
            else
            {
                Fill(parameter, bound, generator);
            }
        }
        return layer;
    }

    /// <summary>A group normalization that starts as the plain one: scale 1, shift 0.</summary>
    /// <param name="groups">Into how many groups the channels fall.</param>
    /// <param name="channels">Channels of its input.</param>
    public static GroupNorm GroupNorm(int groups, long channels)
    {
        // TorchSharp 0.107 leaves both as it finds the memory.
        var layer = nn.GroupNorm(groups, channels, dtype: ScalarType.Float32);
        using var _ = no_grad();
        layer.weight!.fill_(1);
        layer.bias!.zero_();
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
