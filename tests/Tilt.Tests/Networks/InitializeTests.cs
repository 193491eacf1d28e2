using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Networks;

public class InitializeTests
{
    [Fact]
    public void Linear_weights_are_uniform_within_one_over_the_root_of_fan_in()
    {
        using var scope = NewDisposeScope();
        const double bound = 1.0 / 16;

        var layer = Initialize.Linear(256, 512, new Generator(3));

        foreach (var values in new[] { layer.weight, layer.bias! })
        {
            Assert.True(values.abs().max().item<float>() <= bound);
            // Mean and variance of U(−b, b) are 0 and b²/3; four standard errors of each.
            var n = values.numel();
            Assert.InRange(
                values.mean().item<float>(),
                -4 * bound / Math.Sqrt(3.0 * n),
                4 * bound / Math.Sqrt(3.0 * n)
            );
            var spread = 4 * bound * bound * Math.Sqrt(4.0 / 45 / n);
            Assert.InRange(values.var(false).item<float>(), bound * bound / 3 - spread, bound * bound / 3 + spread);
        }
    }

    [Fact]
    public void The_same_generator_gives_the_same_network_whatever_the_global_one_does()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        var first = new ScoreNetwork2d(new Generator(5));
        random.manual_seed(2);
        var second = new ScoreNetwork2d(new Generator(5));
        var other = new ScoreNetwork2d(new Generator(6));

        foreach (var ((name, value), (_, again)) in first.NamedTensors().Zip(second.NamedTensors()))
        {
            Assert.True(value.equal(again).all().item<bool>(), name);
        }
        Assert.All(
            first.NamedTensors().Zip(other.NamedTensors()),
            pair => Assert.False(pair.First.Value.equal(pair.Second.Value).all().item<bool>())
        );
    }

    [Fact]
    public void Fourier_frequencies_have_the_stated_spread_and_are_not_trained()
    {
        using var scope = NewDisposeScope();
        var features = new FourierFeatures(new Generator(4), 4096, 30);

        var drawn = features.NamedTensors().Single();

        Assert.Equal("W", drawn.Name);
        Assert.Empty(features.NamedParameters());
        // The standard error of a standard deviation over n draws is σ/√(2n); four of them.
        Assert.InRange(drawn.Value.std().item<float>(), 30 - 4 * 30 / Math.Sqrt(8192), 30 + 4 * 30 / Math.Sqrt(8192));
    }

    [Fact]
    public void Networks_outlive_the_scope_they_were_made_in()
    {
        ScoreNetwork2d network;
        Tensor[] weights;
        using (NewDisposeScope())
        {
            network = new ScoreNetwork2d(new Generator(5));
            weights = [.. network.NamedTensors().Select(pair => pair.Value)];
        }
        Assert.All(weights, tensor => Assert.False(tensor.IsInvalid));
        network.Dispose();
        Assert.All(weights, tensor => Assert.True(tensor.IsInvalid));
    }
}
