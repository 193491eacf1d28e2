using Tilt.Energy;
using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Networks;

public class CompactNetworkTests
{
    private static readonly NoiseSchedule Schedule = new LinearSchedule();

    private static CumulantEnergyNetwork Energy(ulong seed)
    {
        var network = new CumulantEnergyNetwork(2, Schedule, new() { Width = 32 }, -0.5, 1.5, new Generator(seed));
        network.to(ScalarType.Float64);
        return network;
    }

    private static Tensor At(CumulantEnergyNetwork network, Tensor x, double time, double beta) =>
        network.call(x, full(1, time, dtype: ScalarType.Float64), full([1, 1], beta, dtype: ScalarType.Float64));

    [Fact]
    public void The_energy_is_a_cumulant_function_of_beta_for_any_weights()
    {
        using var scope = NewDisposeScope();
        using var network = Energy(1);
        var x = randn([20, 2], dtype: ScalarType.Float64, generator: new Generator(2)) * 2;
        const double H = 1e-4;

        var atZero = At(network, x, 0.3, 0);
        var slope = (At(network, x, 0.3, H) - At(network, x, 0.3, -H)) / (2 * H);
        var mean = network.MeanEnergy(x, full(1, 0.3, dtype: ScalarType.Float64));
        var curvature = At(network, x, 0.3, 5 + 0.5) - 2 * At(network, x, 0.3, 5) + At(network, x, 0.3, 5 - 0.5);
        var strong = At(network, x, 0.3, 10);

        Assert.True(atZero.abs().max().item<double>() < 1e-12);
        Assert.True(slope.allclose(mean, rtol: 1e-6, atol: 1e-7));
        Assert.True((curvature <= 1e-12).all().item<bool>());
        Assert.True(((strong >= -10 * 1.5 - 1e-5) & (strong <= 10 * 0.5 + 1e-5)).all().item<bool>());
    }

    [Fact]
    public void Gradients_agree_with_finite_differences()
    {
        using var scope = NewDisposeScope();
        using var network = Energy(3);
        var level = Schedule.At(0.2);
        IntermediateEnergy energy = (x, at) => network.At(x, at, full([1, 1], 4.0, dtype: ScalarType.Float64));
        var x = randn([10, 2], dtype: ScalarType.Float64, generator: new Generator(4));
        const double H = 1e-6;

        var gradient = energy.Gradient(x, level);

        for (var d = 0; d < 2; d++)
        {
            var step = zeros(2, dtype: ScalarType.Float64);
            step[d] = H;
            var difference = (energy(x + step, level) - energy(x - step, level)) / (2 * H);
            Assert.True(gradient.select(1, d).allclose(difference, rtol: 1e-5, atol: 1e-7));
        }
    }

    [Fact]
    public void A_silent_noise_network_is_exact_for_Gaussian_data()
    {
        using var scope = NewDisposeScope();
        using var network = new CompactNoiseNetwork(2, Schedule, new() { DataScale = 1.5 }, new Generator(1));
        network.to(ScalarType.Float64);
        using (no_grad())
        {
            foreach (var weight in network.parameters())
            {
                weight.zero_();
            }
        }
        var x = randn([30, 2], dtype: ScalarType.Float64, generator: new Generator(2));

        foreach (var time in new[] { 1e-3, 0.05, 0.4, 1 })
        {
            var level = Schedule.At(time);
            var variance = level.Alpha * level.Alpha * 1.5 * 1.5 + level.Sigma * level.Sigma;
            Assert.True(network.At(x, level).allclose(level.Sigma / variance * x, rtol: 1e-9, atol: 1e-12));
        }
    }

    [Fact]
    public void Weights_depend_on_the_generator_alone()
    {
        using var scope = NewDisposeScope();
        using var first = Energy(7);
        using var second = Energy(7);
        using var other = Energy(8);
        var x = randn([5, 2], dtype: ScalarType.Float64, generator: new Generator(1));

        Assert.True(At(first, x, 0.5, 3).equal(At(second, x, 0.5, 3)).all().item<bool>());
        Assert.False(At(first, x, 0.5, 3).allclose(At(other, x, 0.5, 3)));
    }

    [Fact]
    public void A_condition_of_the_wrong_width_is_refused()
    {
        using var scope = NewDisposeScope();
        using var network = Energy(1);
        var x = zeros([4, 2], dtype: ScalarType.Float64);

        var error = Assert.Throws<TiltException>(() => network.call(x, ones(1, dtype: ScalarType.Float64), null));

        Assert.Contains("condition", error.Message);
    }
}
