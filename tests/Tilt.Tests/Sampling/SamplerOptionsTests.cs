using Tilt.Sampling;
using Tilt.Tests.Oracles;
using static TorchSharp.torch;

namespace Tilt.Tests.Sampling;

public class SamplerOptionsTests
{
    private static readonly LinearSchedule Linear = new();

    public static TheoryData<SamplerOptions, string> Bad =>
        new()
        {
            {
                new() { Solver = "dpmsolver-2m" },
                "Did you mean 'dpm-solver-2m'?"
            },
            {
                new() { Solver = "dpm-solver++-3m", Evaluations = 2 },
                "needs from 3"
            },
            {
                new() { Evaluations = 0 },
                "evaluations is 0"
            },
            {
                new() { Evaluations = -5 },
                "evaluations is -5"
            },
            {
                new() { Evaluations = int.MaxValue },
                "1000000"
            },
            {
                new() { EndTime = 1 },
                "endTime < startTime"
            },
            {
                new() { StartTime = 0.5, EndTime = 0.6 },
                "endTime < startTime"
            },
            {
                new() { StartTime = 1.5 },
                "endTime < startTime <= 1"
            },
            {
                new() { EndTime = -1e-3 },
                "0 <= endTime"
            },
            {
                new() { EndTime = double.NaN },
                "NaN"
            },
            {
                new() { StartTime = double.PositiveInfinity },
                "endTime < startTime"
            },
            {
                new() { EndTime = 0 },
                "works in λ"
            },
            {
                new() { Solver = "ddim", EndTime = 0 },
                "logSNR spacing"
            },
            {
                new() { Solver = "ddim", Eta = -0.1 },
                "eta is -0.1"
            },
            {
                new() { Solver = "ddim", Eta = double.NaN },
                "eta is NaN"
            },
            {
                new() { Eta = 1 },
                "takes none"
            },
            {
                new() { Solver = "dpm-solver-2m", Thresholding = new(ThresholdingKind.Dynamic) },
                "never forms x0"
            },
            {
                new() { Thresholding = new(ThresholdingKind.Static, 0) },
                "limit is 0"
            },
            {
                new() { Thresholding = new(ThresholdingKind.Dynamic, 1, 1.5) },
                "quantile is 1.5"
            },
            {
                new() { Solver = "dpm-solver-12", AbsoluteTolerance = 0 },
                "absoluteTolerance"
            },
            {
                new() { Solver = "dpm-solver-12", RelativeTolerance = double.NaN },
                "relativeTolerance"
            },
            {
                new() { Solver = "dpm-solver-2s", Singlestep = SinglestepLayout.Fixed },
                "'dpm-solver-2s-fixed'"
            },
        };

    [Theory]
    [MemberData(nameof(Bad))]
    public void Bad_options_are_refused_and_say_why(SamplerOptions options, string fragment)
    {
        var refused = Assert.Throws<TiltException>(() => options.Validate(Linear));
        Assert.Contains(fragment, refused.Message);
        Assert.Equal(2, refused.ExitCode);
        using var x = zeros([1, 1], ScalarType.Float64);
        Assert.Throws<TiltException>(() => Sampler.Sample(new GaussianFlow().Noise, x, Linear, options, null));
    }

    [Fact]
    public void Defaults_fit_every_solver_and_schedule()
    {
        foreach (var schedule in NoiseSchedules.Names.Select(NoiseSchedules.Parse))
        {
            Assert.All(Solvers.Names, name => new SamplerOptions { Solver = name }.Validate(schedule));
            SamplerOptions.Cep2d.Validate(schedule);
            SamplerOptions.CepRl.Validate(schedule);
        }
    }

    [Theory]
    [InlineData("ddpm")]
    [InlineData("dpm-solver-12")]
    [InlineData("sde-dpm-solver++-2m")]
    public void What_cannot_be_inverted_or_planned_is_refused(string solver)
    {
        using var x = zeros([1, 1], ScalarType.Float64);
        var options = new SamplerOptions { Solver = solver };
        Assert.Contains(
            "dpm-solver++-2m or ddim",
            Assert.Throws<TiltException>(() => Sampler.Invert(new GaussianFlow().Noise, x, Linear, options)).Message
        );
        Assert.Contains("cannot be planned", Assert.Throws<TiltException>(() => Sampler.Plan(Linear, options)).Message);
    }

    [Fact]
    public void Samples_without_a_batch_or_of_integers_are_refused()
    {
        using var scope = NewDisposeScope();
        var noise = new GaussianFlow().Noise;
        Assert.Throws<ArgumentException>(() => Sampler.Sample(noise, zeros(3), Linear, new(), null));
        Assert.Throws<ArgumentException>(() =>
            Sampler.Sample(noise, zeros([2, 2], ScalarType.Int64), Linear, new(), null)
        );
    }

    [Fact]
    public void An_adaptive_run_on_a_broken_model_stops_and_says_where()
    {
        using var scope = NewDisposeScope();
        var options = new SamplerOptions { Solver = "dpm-solver-23" };
        var stopped = Assert.Throws<TiltException>(() =>
            Sampler.Sample((xt, _) => xt * double.NaN, ones([2, 2], ScalarType.Float64), Linear, options, null)
        );
        Assert.Contains("not finite near t = ", stopped.Message);
    }

    /// <summary>
    /// Derived numbers, not measured ones: 1-D data N(0.7, 0.3²), linear schedule, x(1) = 1.25, computed independently in double
    /// precision (dpm-solver.md §12).
    /// </summary>
    [Theory]
    [InlineData("dpm-solver-2m", TimeSpacing.Uniform, 25, SinglestepLayout.Upstream, 1.1212066274)]
    [InlineData("dpm-solver++-2s", TimeSpacing.Uniform, 15, SinglestepLayout.Upstream, 0.9938816694)]
    [InlineData("dpm-solver++-2s", TimeSpacing.Uniform, 14, SinglestepLayout.CepCopy, 0.9769731753)]
    [InlineData("dpm-solver++-3m", TimeSpacing.Uniform, 15, SinglestepLayout.Upstream, 1.3218134012)]
    [InlineData("dpm-solver++-3m", TimeSpacing.LogSnr, 15, SinglestepLayout.Upstream, 1.0768578471)]
    [InlineData("dpm-solver++-3s-fixed", TimeSpacing.LogSnr, 15, SinglestepLayout.Upstream, 1.0737797752)]
    [InlineData("dpm-solver-3s", TimeSpacing.Quadratic, 15, SinglestepLayout.Upstream, 1.0860836246)]
    public void Derived_numbers_for_a_Gaussian_are_met(
        string solver,
        TimeSpacing spacing,
        int evaluations,
        SinglestepLayout layout,
        double expected
    )
    {
        using var scope = NewDisposeScope();
        var x = tensor(new[] { 1.25 }).reshape(1, 1);
        var options = new SamplerOptions
        {
            Solver = solver,
            Spacing = spacing,
            Evaluations = evaluations,
            Singlestep = layout,
        };
        var end = Sampler.Sample(new GaussianFlow().Noise, x, Linear, options, null);
        Assert.Equal(expected, end.item<double>(), 1e-9);
    }

    [Fact]
    public void Multistep2_is_the_plain_form_of_the_named_solvers()
    {
        using var scope = NewDisposeScope();
        var x = tensor(new[] { 1.25, -0.5 }).reshape(2, 1);
        var data = new GaussianFlow();
        var levels = TimeGrid.Levels(Linear, TimeSpacing.Uniform, 25, 1, 1e-3);
        var named = Sampler.Sample(data.Noise, x, Linear, SamplerOptions.Cep2d, null);
        Assert.True(DpmSolver.Multistep2(data.Noise, x, levels).equal(named).all().item<bool>());
    }
}
