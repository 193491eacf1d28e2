using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Networks;

public class ReluStackTests
{
    // 40 columns leave a tail after whole vectors; 3 outputs are a narrow head.
    private const int Batch = 19;
    private const int Inputs = 7;
    private const int Width = 40;
    private const int Outputs = 3;

    [Theory]
    [InlineData(Precision.Float32, 2e-6)]
    [InlineData(Precision.BFloat16, 2e-2)] // 8 bits of fraction: 2⁻⁹ per rounding, a few in a row
    public void Values_and_gradients_are_those_of_automatic_differentiation(Precision precision, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        using var network = new Mlp([Inputs, Width, Width, Outputs], Activation.Relu, generator);
        var x = randn([Batch, Inputs], generator: generator).requires_grad_(true);
        var g = randn([Batch, Outputs], generator: generator);
        var y = network.call(x);
        y.backward([g]);
        var expected = network.parameters().Select(parameter => parameter.grad!.clone()).ToList();
        var inputGradient = x.grad!.clone();

        using var stack = new ReluStack(network, Batch, precision);
        Near(y, stack.Forward(x.detach()));
        Near(inputGradient, stack.InputGradient(g));
        Near(inputGradient.narrow(1, 5, 2), stack.InputGradient(g, 5));
        stack.Backward(g);
        foreach (var (parameter, gradient) in network.parameters().Zip(expected))
        {
            Near(gradient, parameter.grad!);
        }

        // Relative to the whole tensor: a rectifier that bf16 flips changes single entries, not the direction.
        void Near(Tensor wanted, Tensor found)
        {
            Assert.Equal(wanted.shape, found.shape);
            Assert.InRange((wanted - found).norm().item<float>() / wanted.norm().item<float>(), 0, tolerance);
        }
    }

    [Fact]
    public void A_batch_of_another_size_or_a_backward_without_forward_is_refused()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        using var network = new Mlp([Inputs, Width, Width, Outputs], Activation.Relu, generator);
        using var stack = new ReluStack(network, Batch, Precision.Float32);
        Assert.ThrowsAny<ArgumentException>(() => stack.Forward(zeros([Batch + 1, Inputs])));
        Assert.Throws<InvalidOperationException>(() => stack.Backward(zeros([Batch, Outputs])));
        using var deep = new Mlp([Inputs, Width, Width, Width, Outputs], Activation.Relu, generator);
        Assert.Throws<ArgumentException>(() => new ReluStack(deep, Batch, Precision.Float32));
    }
}
