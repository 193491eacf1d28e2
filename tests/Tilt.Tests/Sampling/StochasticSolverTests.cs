using Tilt.Sampling;
using Tilt.Tests.Oracles;
using static TorchSharp.torch;

namespace Tilt.Tests.Sampling;

/// <summary>Solvers that draw noise, and DDIM between them and the ODE.</summary>
public class StochasticSolverTests
{
    private static readonly LinearSchedule Linear = new();

    public static TheoryData<string> Names =>
        [.. Solvers.All.Where(solver => solver.Stochastic).Select(solver => solver.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void The_samples_have_the_marginal_of_the_data(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var data = new GaussianFlow();
        const int count = 25_000;
        var (from, to) = (Linear.At(1), Linear.At(1e-3));
        var x =
            from.Alpha * data.Mean
            + Math.Sqrt(data.Variance(from)) * Sampler.Normal([count, 1], ScalarType.Float64, null, generator);
        var first = Solvers.Find(name).Order == 1;
        var options = new SamplerOptions { Solver = name, Evaluations = first ? 200 : 100 };

        var end = Sampler.Sample(data.Noise, x, Linear, options, generator);

        var (mean, deviation) = (end.mean().item<double>(), end.std().item<double>());
        var expected = Math.Sqrt(data.Variance(to));
        // Four standard errors of the draws, and the solver's own error: 4 % of the deviation at first order, 0.5 % above
        // (the order theory measures it without sampling error).
        var sampling = 4 * expected / Math.Sqrt(count);
        var solving = (first ? 0.04 : 0.005) * expected;
        Assert.Equal(to.Alpha * data.Mean, mean, sampling + solving);
        Assert.Equal(expected, deviation, sampling + solving);
    }

    [Fact]
    public void Ddim_with_eta_one_is_ancestral_sampling()
    {
        using var scope = NewDisposeScope();
        using var start = new Generator(2);
        var x = Sampler.Normal([64, 2], ScalarType.Float64, null, start);
        var data = new GaussianFlow();
        // Down to the clean end, where neither draws.
        var options = new SamplerOptions
        {
            Evaluations = 20,
            EndTime = 0,
            Spacing = TimeSpacing.Uniform,
        };
        using var one = new Generator(9);
        using var two = new Generator(9);
        var ddim = Sampler.Sample(data.Noise, x, Linear, options with { Solver = "ddim", Eta = 1 }, one);
        var ancestral = Sampler.Sample(data.Noise, x, Linear, options with { Solver = "ddpm" }, two);

        Assert.True((ddim - ancestral).abs().max().item<double>() < 1e-12);
    }

    [Fact]
    public void Ddim_with_eta_zero_is_first_order_dpm_solver_in_either_form()
    {
        using var scope = NewDisposeScope();
        using var start = new Generator(2);
        var x = Sampler.Normal([64, 2], ScalarType.Float64, null, start);
        var data = new GaussianFlow();
        var options = new SamplerOptions { Evaluations = 20 };
        var ends = new[] { "ddim", "dpm-solver-1", "dpm-solver++-1" }
            .Select(name => Sampler.Sample(data.Noise, x, Linear, options with { Solver = name }, null))
            .ToArray();

        Assert.True((ends[0] - ends[1]).abs().max().item<double>() < 1e-12);
        Assert.True((ends[0] - ends[2]).abs().max().item<double>() < 1e-12);
    }

    [Fact]
    public void Ancestral_sampling_over_all_indices_of_a_discrete_schedule_recovers_the_data()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        var data = new GaussianFlow();
        var schedule = DiscreteSchedule.Linear();
        var x = Sampler.Normal([5_000, 1], ScalarType.Float64, null, generator);
        foreach (var name in new[] { "ddpm", "ddpm-large" })
        {
            var options = new SamplerOptions
            {
                Solver = name,
                Evaluations = 1000,
                Spacing = TimeSpacing.Uniform,
                EndTime = 0,
            };
            var seen = new List<double>();
            var end = Sampler.Sample(
                (xt, level) =>
                {
                    seen.Add(level.NetworkTime);
                    return data.Noise(xt, level);
                },
                x,
                schedule,
                options,
                generator
            );

            // The network sees exactly the indices 999 … 0.
            Assert.Equal(Enumerable.Range(0, 1000).Select(n => 999.0 - n), seen, (a, b) => Math.Abs(a - b) < 1e-6);
            // Four standard errors of 5 000 draws, and 1 % for 1000 steps.
            Assert.Equal(data.Mean, end.mean().item<double>(), 0.017 + 0.007);
            Assert.Equal(data.Deviation, end.std().item<double>(), 0.012 + 0.003);
        }
    }

    [Fact]
    public void A_stochastic_solver_without_a_generator_is_refused()
    {
        using var scope = NewDisposeScope();
        var x = zeros([2, 1], ScalarType.Float64);
        foreach (
            var options in new[]
            {
                new SamplerOptions { Solver = "ddpm" },
                new SamplerOptions { Solver = "ddim", Eta = 0.5 },
            }
        )
        {
            var refused = Assert.Throws<TiltException>(() =>
                Sampler.Sample(new GaussianFlow().Noise, x, Linear, options, null)
            );
            Assert.Contains("generator", refused.Message);
        }
    }
}
