using Tilt.Diffusion;
using Tilt.Networks;
using Tilt.Sampling;
using static TorchSharp.torch;

namespace Tilt.Tests.Diffusion;

public sealed class CandidateNoiseTests
{
    [Theory]
    [InlineData(Parametrization.Score)]
    [InlineData(Parametrization.Clean)]
    public void Candidates_in_bf16_are_within_its_rounding_of_the_network(Parametrization parametrization)
    {
        using var scope = NewDisposeScope();
        using var recording = no_grad();
        using var generator = new Generator(1);
        using var network = new ResidualScoreNetwork(3, 11, generator);
        var model = new NoiseModel(network, new LinearSchedule(), parametrization);
        var states = randn([9, 11], generator: generator);
        var x = randn([9 * 5, 3], generator: generator);
        using var bf16 = new CandidateNoise(model, 5, Precision.BFloat16);
        using var float32 = new CandidateNoise(model, 5, Precision.Float32);
        foreach (var t in new[] { 1, 0.3, 0.01 })
        {
            var level = model.Schedule.At(t);
            var exact = model.Given(states.repeat_interleave(5, 0))(x, level);
            Assert.True(exact.equal(float32.Given(states)(x, level)).all().item<bool>());
            var found = bf16.Given(states)(x, level);
            // A dozen roundings of 2⁻⁹ relative in a row; the network's own output is what they act on.
            var scale = parametrization == Parametrization.Score ? 1 : level.Alpha / level.Sigma;
            var error = (found - exact).square().mean().sqrt().item<float>() / scale;
            var size = network.At(x, level, states.repeat_interleave(5, 0)).square().mean().sqrt().item<float>();
            Assert.InRange(error / size, 1e-6, 0.03);
        }
    }

    [Fact]
    public void A_sampler_takes_it_like_any_noise_and_nothing_leaks()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        using var network = new ResidualScoreNetwork(3, 11, generator);
        var model = new NoiseModel(network, new LinearSchedule());
        var states = randn([4, 11], generator: generator);
        var xT = randn([4 * 16, 3], generator: generator);
        using var candidates = new CandidateNoise(model, 16, Precision.BFloat16);
        var noise = candidates.Given(states);
        using var inner = NewDisposeScope();
        var before = inner.DisposablesCount;
        var sampled = Sampler.Sample(noise, xT, model.Schedule, SamplerOptions.CepRl, null);
        Assert.Equal([64, 3], sampled.shape);
        Assert.Equal(before + 1, inner.DisposablesCount);
    }

    [Fact]
    public void Candidates_that_do_not_divide_among_states_are_refused()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        using var network = new ResidualScoreNetwork(3, 11, generator);
        var model = new NoiseModel(network, new LinearSchedule());
        using var candidates = new CandidateNoise(model, 5, Precision.BFloat16);
        var noise = candidates.Given(zeros([2, 11]));
        Assert.Contains(
            "7 candidates for 2 states",
            Assert.Throws<TiltException>(() => noise(zeros([7, 3]), model.Schedule.At(0.5))).Message
        );
        Assert.Throws<TiltException>(() => new CandidateNoise(model, 0));
    }
}
