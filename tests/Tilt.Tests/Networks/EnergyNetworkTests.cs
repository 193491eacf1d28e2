using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Networks;

public class EnergyNetworkTests
{
    private static readonly EnergyNetworkOptions Dialled = new()
    {
        Width = 24,
        Depth = 2,
        ConditionDimensions = 3,
        MaximumBeta = 20,
    };

    [Fact]
    public void The_energy_of_a_dial_vanishes_at_beta_zero_and_scales_with_small_beta()
    {
        using var scope = NewDisposeScope();
        var network = new EnergyNetwork(Dialled, new Generator(1)).to(ScalarType.Float64);
        var x = randn([5, 2], dtype: ScalarType.Float64, generator: new Generator(2));
        var observations = randn([5, 3], dtype: ScalarType.Float64, generator: new Generator(3));
        var time = tensor(new[] { 0.4 });

        Tensor At(double beta) => network.call(x, time, network.Dial(beta, observations));

        Assert.Equal(0, At(0).abs().max().item<double>());
        Assert.True((At(2e-6) / At(1e-6) - 2).abs().max().item<double>() < 1e-4);
    }

    [Fact]
    public void A_dial_takes_one_beta_for_all_or_one_per_row()
    {
        using var scope = NewDisposeScope();
        var network = new EnergyNetwork(Dialled with { ConditionDimensions = 0 }, new Generator(1));
        var x = randn([4, 2], generator: new Generator(2));
        var time = rand([4], generator: new Generator(3));

        var shared = network.call(x, time, network.Dial(3));
        var repeated = network.call(x, time, EnergyNetwork.Dial(full([4], 3f)));
        var mixed = network.call(x, time, EnergyNetwork.Dial(tensor(new[] { 3f, 10f, 3f, 10f })));

        var oneTime = network.call(x, time[..1], EnergyNetwork.Dial(full([4], 3f)));
        var onlyTime = network.call(x[..1], time[..1], EnergyNetwork.Dial(full([4], 3f)));

        Assert.Equal([4], shared.shape);
        Assert.Equal([4], onlyTime.shape);
        Assert.True(oneTime.allclose(network.call(x, time[..1].expand(4), network.Dial(3))));
        Assert.True(onlyTime[0].allclose(oneTime[0]));
        Assert.True(shared.allclose(repeated));
        Assert.True(mixed[0].allclose(shared[0]));
        Assert.False(mixed[1].allclose(shared[1]));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(20.5)]
    [InlineData(double.NaN)]
    public void A_beta_outside_the_dial_is_refused(double beta)
    {
        using var network = new EnergyNetwork(Dialled, new Generator(1));

        var refused = Assert.Throws<TiltException>(() => network.Dial(beta));

        Assert.Contains("[0, 20]", refused.Message);
        Assert.Equal(2, refused.ExitCode);
    }

    [Fact]
    public void A_network_without_a_dial_says_so()
    {
        using var network = new EnergyNetwork(new() { Width = 8, Depth = 1 }, new Generator(1));

        Assert.Contains("no beta dial", Assert.Throws<TiltException>(() => network.Dial(1)).Message);
    }

    [Fact]
    public void Shapes_that_cannot_be_built_are_refused()
    {
        Assert.Throws<TiltException>(() => new EnergyNetwork(new() { Width = 0 }, new Generator(1)));
        Assert.Throws<TiltException>(() => new ScoreNetwork(new() { Depth = 0 }, new Generator(1)));
        Assert.Throws<TiltException>(() => new EnergyNetwork(new() { MaximumBeta = 0 }, new Generator(1)));
    }
}
