using Tilt.Energy;
using Tilt.Energy.Oracles;
using Tilt.Tests.Golden;
using static TorchSharp.torch;

namespace Tilt.Tests.Energy.Oracles;

public class EmpiricalPosteriorTests
{
    private static readonly LinearSchedule Schedule = new();

    [Theory]
    [InlineData(0.001)]
    [InlineData(0.05)]
    [InlineData(0.3)]
    [InlineData(1.0)]
    public void Agrees_with_the_sums_written_out(double time)
    {
        using var scope = NewDisposeScope();
        var (x, e) = Pool(300);
        using var posterior = new EmpiricalPosterior(x, e);
        var level = Schedule.At(time);
        var xt = Noised(x.narrow(0, 0, 40), level, 3);
        const double beta = 6;

        // The plain computation, all at once, with automatic differentiation.
        Tensor Logs(Tensor at) =>
            -((at.unsqueeze(1) - level.Alpha * x).pow(2)).sum(-1) / (2 * level.Sigma * level.Sigma);
        IntermediateEnergy exact = (at, _) => Logs(at).logsumexp(-1) - (Logs(at) - beta * e).logsumexp(-1);
        IntermediateEnergy mse = (at, _) => beta * (nn.functional.softmax(Logs(at), -1) * e).sum(-1);
        IntermediateEnergy density = (at, _) => Logs(at).logsumexp(-1);

        var scale = Math.Max(1, level.Alpha / level.Sigma);
        Close.Relative(exact(xt, level), posterior.Exact(beta)(xt, level), 1e-10, "E_t");
        Close.Relative(exact.Gradient(xt, level), posterior.Exact(beta).Gradient(xt, level), 1e-9 * scale, "∇E_t");
        Close.Relative(mse(xt, level), posterior.Mse(beta)(xt, level), 1e-10, "MSE");
        Close.Relative(mse.Gradient(xt, level), posterior.Mse(beta).Gradient(xt, level), 1e-9 * scale, "∇MSE");
        var weights = nn.functional.softmax(Logs(xt), -1);
        Close.Relative(weights.matmul(x), posterior.Mean(xt, level), 1e-10, "mean");
        var score = density.Gradient(xt, level);
        Close.Relative(-level.Sigma * score, posterior.Noise(xt, level), 1e-9, "noise");
        var constant = Math.Log(300) + Math.Log(2 * Math.PI * level.Sigma * level.Sigma);
        Close.Relative(density(xt, level) - constant, posterior.LogDensity(xt, level), 1e-10, "log q_t");
        IntermediateEnergy logDensity = posterior.LogDensity;
        Close.Relative(score, logDensity.Gradient(xt, level), 1e-9, "score");
        var tilted = nn.functional.softmax(Logs(xt) - beta * e, -1);
        Close.Relative(
            1 / tilted.pow(2).sum(-1),
            posterior.EffectiveSampleSize(xt, level, beta),
            1e-9,
            "effective sample size"
        );
    }

    [Theory]
    [InlineData(12, 5.0)]
    [InlineData(12, 400.0)]
    [InlineData(40, 5.0)]
    public void Agrees_with_the_sums_written_out_in_many_dimensions_and_at_any_beta(int dimensions, double beta)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(8);
        var x = randn(3000, dimensions, dtype: ScalarType.Float64, generator: generator);
        var e = randn(3000, dtype: ScalarType.Float64, generator: generator);
        using var posterior = new EmpiricalPosterior(x, e);
        var level = Schedule.At(0.4);
        var xt = Noised(x.narrow(0, 0, 70), level, 3);

        Tensor Logs(Tensor at) =>
            -((at.unsqueeze(1) - level.Alpha * x).pow(2)).sum(-1) / (2 * level.Sigma * level.Sigma);
        IntermediateEnergy exact = (at, _) => Logs(at).logsumexp(-1) - (Logs(at) - beta * e).logsumexp(-1);
        Close.Relative(exact(xt, level), posterior.Exact(beta)(xt, level), 1e-10, "E_t");
        Close.Relative(exact.Gradient(xt, level), posterior.Exact(beta).Gradient(xt, level), 1e-9, "∇E_t");

        var energy = QuadraticEnergy.Around(new double[dimensions], 0.7);
        IntermediateEnergy dps = (at, _) => beta * energy.At(nn.functional.softmax(Logs(at), -1).matmul(x));
        Close.Relative(dps(xt, level), posterior.Dps(energy.Function, beta)(xt, level), 1e-9, "DPS");
        Close.Relative(dps.Gradient(xt, level), posterior.Dps(energy.Function, beta).Gradient(xt, level), 1e-9, "∇DPS");

        IntermediateEnergy generic = DiffusionPosteriorSampling.Energy(posterior.Noise, energy.Function, beta);
        if (dimensions <= 32)
        {
            Close.Relative(dps.Gradient(xt, level), generic.Gradient(xt, level), 1e-9, "∇DPS through the noise");
        }
        else
        {
            Assert.Throws<NotSupportedException>(() => generic.Gradient(xt, level));
        }
    }

    [Fact]
    public void Posteriors_obey_the_identities_that_guidance_rests_on()
    {
        using var scope = NewDisposeScope();
        var (x, e) = Pool(150);
        using var posterior = new EmpiricalPosterior(x, e);
        var level = Schedule.At(0.25);
        var xt = Noised(x.narrow(0, 0, 25), level, 9);
        const double beta = 4;
        var pull = level.Alpha / (level.Sigma * level.Sigma);
        Tensor Log(Tensor at) =>
            -((at.unsqueeze(1) - level.Alpha * x).pow(2)).sum(-1) / (2 * level.Sigma * level.Sigma);

        // ∇ log q(x₀ | x_t) = (α/σ²)·(x₀ − E[x₀ | x_t]), for one x₀.
        IntermediateEnergy one = (at, _) => nn.functional.log_softmax(Log(at), -1).select(1, 7);
        Close.Relative(pull * (x[7] - posterior.Mean(xt, level)), one.Gradient(xt, level), 1e-9, "posterior score");

        // p(x₀ | x_t) = q(x₀ | x_t)·exp(−β·E(x₀) + E_t(x_t)).
        var q = nn.functional.softmax(Log(xt), -1);
        var p = nn.functional.softmax(Log(xt) - beta * e, -1);
        var exact = posterior.Exact(beta)(xt, level).unsqueeze(1);
        Close.Absolute(p, q * (-beta * e + exact).exp(), 1e-12, "tilted posterior");

        // −∇E_t = (α/σ²)·(E_p[x₀ | x_t] − E_q[x₀ | x_t]).
        Close.Relative(pull * (q.matmul(x) - p.matmul(x)), posterior.Exact(beta).Gradient(xt, level), 1e-9, "means");

        // Without signal the posterior is the data and E_t is −log Z.
        var deaf = Schedule.At(1) with
        {
            Alpha = 0,
            Sigma = 1,
        };
        var end = posterior.Exact(beta)(xt, deaf);
        Close.Absolute(full_like(end, -posterior.LogNormalizer(beta)), end, 1e-12, "−log Z");
        Close.Absolute(zeros_like(xt), posterior.Exact(beta).Gradient(xt, deaf), 1e-12, "no guidance");
    }

    [Fact]
    public void Exact_energy_is_the_log_ratio_of_the_marginals()
    {
        using var scope = NewDisposeScope();
        var (x, e) = Pool(500);
        using var posterior = new EmpiricalPosterior(x, e);
        var level = Schedule.At(0.2);
        var xt = Noised(x.narrow(0, 0, 30), level, 4);

        var expected =
            posterior.LogDensity(xt, level) - posterior.TiltedLogDensity(xt, level, 8) - posterior.LogNormalizer(8);
        Close.Relative(expected, posterior.Exact(8)(xt, level), 1e-10, "E_t = log q_t − log p_t − log Z");
    }

    [Fact]
    public void Blocks_do_not_show()
    {
        using var scope = NewDisposeScope();
        var (x, e) = Pool(9000); // more than two blocks of points
        using var whole = new EmpiricalPosterior(x, e);
        var level = Schedule.At(0.1);
        var xt = Noised(x.narrow(0, 0, 300), level, 5); // more than two blocks of samples

        var order = randperm(9000, dtype: ScalarType.Int64);
        using var shuffled = new EmpiricalPosterior(x[order], e[order]);
        Close.Relative(whole.Exact(5)(xt, level), shuffled.Exact(5)(xt, level), 1e-11, "order of points");
        var parts = cat([whole.Exact(5).Gradient(xt[..77], level), whole.Exact(5).Gradient(xt[77..], level)], 0);
        Close.Relative(whole.Exact(5).Gradient(xt, level), parts, 1e-9, "samples apart");
    }

    [Fact]
    public void Many_draws_of_a_mixture_approach_the_mixture()
    {
        using var scope = NewDisposeScope();
        using var mixture = GaussianMixtureTests.EightGaussiansMixture();
        using var tilted = new TiltedMixture(mixture, [.. Enumerable.Range(0, 8).Select(k => -k / 7.0)], 3);
        using var generator = new Generator(11);
        var (x, k) = mixture.Sample(100_000, generator);
        using var posterior = new EmpiricalPosterior(x, -k.to(ScalarType.Float64) / 7);
        var level = Schedule.At(0.4);
        var xt = Noised(x.narrow(0, 0, 64), level, 6);

        // Posterior means of ~ESS points: error ~ 1/√ESS, some 0.02 here.
        Close.Absolute(tilted.Exact(xt, level), posterior.Exact(3)(xt, level), 0.15, "E_t");
        Close.Absolute(mixture.Noise(xt, level), posterior.Noise(xt, level), 0.15, "noise");
        Assert.Equal(tilted.LogNormalizer, posterior.LogNormalizer(3), 0.02);
    }

    [Fact]
    public void Dps_runs_through_the_posterior_covariance()
    {
        using var scope = NewDisposeScope();
        var (x, e) = Pool(200);
        using var posterior = new EmpiricalPosterior(x, e);
        var level = Schedule.At(0.3);
        var xt = Noised(x.narrow(0, 0, 20), level, 7);
        var energy = QuadraticEnergy.Around([1, -0.5], 1.3);

        var mean = posterior.Mean(xt, level);
        var logs = -((xt.unsqueeze(1) - level.Alpha * x).pow(2)).sum(-1) / (2 * level.Sigma * level.Sigma);
        var r = nn.functional.softmax(logs, -1);
        var covariance = einsum("bn,nd,ne->bde", r, x, x) - mean.unsqueeze(2) * mean.unsqueeze(1);
        var slope = 1.3 * (mean - tensor(new[] { 1, -0.5 }));
        var expected = level.Alpha / (level.Sigma * level.Sigma) * 4 * einsum("bde,be->bd", covariance, slope);
        Close.Relative(expected, posterior.Dps(energy.Function, 4).Gradient(xt, level), 1e-9, "∇DPS");
        Close.Relative(4 * energy.At(mean), posterior.Dps(energy.Function, 4)(xt, level), 1e-10, "DPS");
    }

    [Fact]
    public void Dps_refuses_a_noise_model_that_is_cut_off()
    {
        using var scope = NewDisposeScope();
        var xt = ones(2, 2);
        var dps = DiffusionPosteriorSampling.Energy((x, _) => (x * 0.5).detach(), x => x.sum(-1), 1);
        var message = Assert.Throws<InvalidOperationException>(() => dps.Gradient(xt, Schedule.At(0.5))).Message;
        Assert.Contains("no graph", message);
    }

    [Fact]
    public void Effective_energy_of_a_place_recovers_an_energy_that_is_a_function()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2);
        var x = rand(20_000, 2, dtype: ScalarType.Float64, generator: generator) * 2 - 1;
        using var posterior = new EmpiricalPosterior(x, x.select(1, 0));
        var at = tensor(
            new[,]
            {
                { 0.3, 0.1 },
                { -0.5, 0.4 },
            }
        );
        foreach (var beta in new[] { 0.0, 2 })
        {
            var found = posterior.Effective(beta, Schedule.At(0.01))(at);
            Close.Absolute(at.select(1, 0), found, 0.02, $"β={beta}");
        }
    }

    [Fact]
    public void Nothing_leaks_and_the_input_is_left_alone()
    {
        using var scope = NewDisposeScope();
        var (x, e) = Pool(5000);
        using var posterior = new EmpiricalPosterior(x, e);
        var xt = x.narrow(0, 0, 200).clone();
        var copy = xt.clone();
        var level = Schedule.At(0.2);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (var i = 0; i < 2; i++)
        {
            posterior.Exact(3).Gradient(xt, level).Dispose();
            posterior.Mse(3).Gradient(xt, level).Dispose();
            posterior.Dps(clean => clean.pow(2).sum(-1), 3).Gradient(xt, level).Dispose();
            posterior.Noise(xt, level).Dispose();
            posterior.LogDensity(xt, level).Dispose();
            posterior.TiltedLogDensity(xt, level, 2).Dispose();
            posterior.EffectiveSampleSize(xt, level, 2).Dispose();
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.True(xt.equal(copy).all().item<bool>());
    }

    [Fact]
    public void Bad_data_and_requests_are_refused_with_their_reason()
    {
        using var scope = NewDisposeScope();
        var (x, e) = Pool(10);
        var broken = x.clone();
        broken[3, 1] = double.NaN;
        Assert.Contains("row 3", Assert.Throws<ArgumentException>(() => new EmpiricalPosterior(broken)).Message);
        Assert.Throws<ArgumentException>(() => new EmpiricalPosterior(x[..0]));
        Assert.Throws<ArgumentException>(() => new EmpiricalPosterior(x, e.unsqueeze(1)));
        using var bare = new EmpiricalPosterior(x);
        Assert.Contains("no energies", Assert.Throws<InvalidOperationException>(() => bare.Exact(1)).Message);
        using var posterior = new EmpiricalPosterior(x, e);
        Assert.Throws<ArgumentOutOfRangeException>(() => posterior.Exact(-1));
        Assert.Contains(
            "needs noise",
            Assert.Throws<ArgumentException>(() => posterior.Noise(x, Schedule.At(0))).Message
        );
        Assert.Equal(0, posterior.Noise(x[..0], Schedule.At(0.5)).shape[0]);
    }

    /// <summary>Points on a ring with an energy that is no function of the place.</summary>
    private static (Tensor Points, Tensor Energies) Pool(int count)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var angle = 2 * Math.PI * rand(count, dtype: ScalarType.Float64, generator: generator);
        var noise = 0.1 * randn(count, 2, dtype: ScalarType.Float64, generator: generator);
        var x = 2 * stack([angle.cos(), angle.sin()], 1) + noise;
        var e = angle.cos() + 0.3 * randn(count, dtype: ScalarType.Float64, generator: generator);
        return (x.MoveToOuterDisposeScope(), e.MoveToOuterDisposeScope());
    }

    private static Tensor Noised(Tensor x, NoiseLevel level, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(seed);
        var noise = randn(x.shape, dtype: ScalarType.Float64, generator: generator);
        return (level.Alpha * x + level.Sigma * noise).MoveToOuterDisposeScope();
    }
}
