using Tilt.Networks;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Training;

public class AdamTests
{
    [Theory]
    [InlineData(ScalarType.Float64, 1e-13)]
    [InlineData(ScalarType.Float32, 2e-6)]
    public void Twenty_steps_are_those_of_torch(ScalarType type, double tolerance)
    {
        using var scope = NewDisposeScope();
        var ours = Small(type);
        var theirs = Small(type);
        using var adam = new Adam(ours.NamedParameters(), new() { LearningRate = 3e-3 });
        using var torchs = optim.Adam(theirs.parameters(), 3e-3);
        var data = randn([64, 7], dtype: type, generator: new Generator(3));

        for (var i = 0; i < 20; i++)
        {
            adam.ZeroGradients();
            Loss(ours, data).backward();
            adam.Step();
            torchs.zero_grad();
            Loss(theirs, data).backward();
            torchs.step();
        }

        foreach (var ((name, found), (_, expected)) in ours.NamedParameters().Zip(theirs.NamedParameters()))
        {
            var error = (found - expected).abs().max().ToDouble();
            Assert.True(error <= tolerance, $"{name}: {error:g3}");
        }
    }

    [Fact]
    public void A_restored_optimizer_goes_on_bit_for_bit()
    {
        using var scope = NewDisposeScope();
        var data = randn([64, 7], generator: new Generator(3));
        var straight = Small(ScalarType.Float32);
        using var adam = new Adam(straight.NamedParameters(), new());
        Train(straight, adam, data, 5);

        var resumed = Small(ScalarType.Float32);
        resumed.CopyFrom(straight);
        using var second = new Adam(resumed.NamedParameters(), new());
        using (no_grad())
        {
            foreach (var ((_, to), (_, from)) in second.NamedState().Zip(adam.NamedState()))
            {
                to.copy_(from);
            }
        }
        second.StateLoaded();
        Train(straight, adam, data, 5);
        Train(resumed, second, data, 5);

        Assert.Equal(10, second.Steps);
        foreach (var ((name, found), (_, expected)) in resumed.NamedParameters().Zip(straight.NamedParameters()))
        {
            Assert.True(found.equal(expected).all().item<bool>(), name);
        }
    }

    [Fact]
    public void A_weight_without_gradient_is_named()
    {
        using var scope = NewDisposeScope();
        var network = Small(ScalarType.Float32);
        using var adam = new Adam(network.NamedParameters(), new());

        var refused = Assert.Throws<InvalidOperationException>(adam.Step);

        Assert.Contains("'0.weight'", refused.Message);
    }

    [Fact]
    public void Steps_keep_no_tensors()
    {
        using var scope = NewDisposeScope();
        var network = Small(ScalarType.Float32);
        using var adam = new Adam(network.NamedParameters(), new());
        var data = randn([64, 7], generator: new Generator(3));
        Train(network, adam, data, 2);
        var count = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        Train(network, adam, data, 200);

        Assert.Equal(count, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static Mlp Small(ScalarType type) => new Mlp([7, 33, 65, 3], Activation.Silu, new Generator(1)).to(type);

    private static Tensor Loss(Mlp network, Tensor data) => network.call(data).square().sum(-1).mean();

    private static void Train(Mlp network, Adam adam, Tensor data, int steps)
    {
        for (var i = 0; i < steps; i++)
        {
            using var step = NewDisposeScope();
            adam.ZeroGradients();
            Loss(network, data).backward();
            adam.Step();
        }
    }
}
