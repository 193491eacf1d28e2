using Tilt.OfflineRl.Behavior;
using static TorchSharp.torch;

namespace Tilt.Tests.OfflineRl.Behavior;

public class TanhGaussianTests
{
    [Theory]
    [InlineData(0.0, -1.0)]
    [InlineData(0.7, -0.3)]
    [InlineData(-1.5, 0.4)]
    public void The_density_of_actions_integrates_to_one_and_gives_the_mean(double mean, double logDeviation)
    {
        // Nodes of u from −8σ to 8σ; the density is in a, so the step is a's.
        const int Nodes = 20_001;
        var (action, logDensity) = Draw(mean, logDeviation, [.. Nodes2(Nodes)]);
        var (mass, first, direct) = (0.0, 0.0, 0.0);
        for (var i = 1; i < Nodes; i++)
        {
            var step = (double)action[i] - action[i - 1];
            var density = (Math.Exp(logDensity[i]) + Math.Exp(logDensity[i - 1])) / 2;
            mass += density * step;
            first += density * step * (action[i] + action[i - 1]) / 2;
            var epsilon = -8 + 16.0 * i / (Nodes - 1);
            direct += action[i] * Math.Exp(-epsilon * epsilon / 2) / Math.Sqrt(2 * Math.PI) * 16 / (Nodes - 1);
        }
        // Float32 actions near ±1 are coarse: their steps are worth a few 1e-4 together.
        Assert.InRange(mass, 1 - 2e-3, 1 + 2e-3);
        Assert.InRange(first - direct, -2e-3, 2e-3);
    }

    [Fact]
    public void Log_densities_stay_finite_where_tanh_saturates()
    {
        var (action, logDensity) = Draw(0, 2, [-40, -12, 12, 40]);
        Assert.All(action, value => Assert.Equal(1, Math.Abs(value)));
        // log(1 − tanh²u) → 2·log 2 − 2|u|.
        var u = Math.Exp(2) * 40;
        var expected = -0.5 * 1600 - 2 - 0.5 * Math.Log(2 * Math.PI) - (2 * Math.Log(2) - 2 * u);
        Assert.Equal(expected, logDensity[3], Math.Abs(expected) * 1e-6);
    }

    [Fact]
    public void Gradients_are_those_of_automatic_differentiation()
    {
        const int Batch = 37;
        const int Actions = 3;
        const double Pull = 0.3;
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        // One log σ in ten or so lies beyond 2, where it is clipped and gets no gradient.
        var head = randn([Batch, 2 * Actions], generator: generator) * 1.6;
        var noise = randn([Batch, Actions], generator: generator);
        var actionGradient = randn([Batch, Actions], generator: generator);

        var exact = head.to(ScalarType.Float64).requires_grad_(true);
        var parts = exact.chunk(2, dim: -1);
        var deviation = parts[1].clamp(-20, 2);
        var u = parts[0] + deviation.exp() * noise.to(ScalarType.Float64);
        var normal = distributions.Normal(zeros_like(u), ones_like(u));
        var density = normal.log_prob(noise.to(ScalarType.Float64)) - deviation + 2 * u.cosh().log();
        var loss = (u.tanh() * actionGradient).sum() + Pull * density.sum();
        loss.backward();

        var policy = new TanhGaussian(Batch, Actions);
        var (actions, densities) = (new float[Batch * Actions], new float[Batch]);
        policy.Draw(head, noise, actions, Actions, densities);
        var found = new float[Batch * 2 * Actions];
        policy.Backward(actionGradient.data<float>().ToArray(), Actions, (float)Pull, found);

        Assert.InRange((tensor(actions).reshape(Batch, Actions) - u.tanh()).abs().max().item<double>(), 0, 1e-6);
        Assert.InRange((tensor(densities) - density.sum(-1)).abs().max().item<double>(), 0, 1e-3);
        var difference = tensor(found).reshape(Batch, 2 * Actions) - exact.grad!;
        Assert.InRange(difference.norm().item<double>() / exact.grad!.norm().item<double>(), 0, 1e-5);
    }

    private static IEnumerable<float> Nodes2(int count) =>
        Enumerable.Range(0, count).Select(i => (float)(-8 + 16.0 * i / (count - 1)));

    private static (float[] Action, float[] LogDensity) Draw(double mean, double logDeviation, float[] noise)
    {
        using var scope = NewDisposeScope();
        var head = tensor(new[] { (float)mean, (float)logDeviation }).repeat(noise.Length, 1);
        var (action, density) = (new float[noise.Length], new float[noise.Length]);
        new TanhGaussian(noise.Length, 1).Draw(head, tensor(noise).reshape(-1, 1), action, 1, density);
        return (action, density);
    }
}
