using CsCheck;
using Tilt.Energy;
using Tilt.Tests.Golden;
using static TorchSharp.torch;

namespace Tilt.Tests.Energy;

public class EnergyDialTests
{
    [Fact]
    public void Effective_sample_size_is_the_pool_untilted_and_follows_the_two_level_formula()
    {
        using var scope = NewDisposeScope();
        // Half the points have e = 1, half e = 0: E[e^βe]²/E[e^2βe].
        var energies = -(arange(1000, dtype: ScalarType.Float64) % 2);
        Assert.Equal(1000, EnergyDial.EffectiveSampleSize(energies, 0), 1e-9);
        foreach (var beta in new[] { 3.0, 10, 20 })
        {
            var share = Math.Pow((1 + Math.Exp(beta)) / 2, 2) / ((1 + Math.Exp(2 * beta)) / 2);
            Assert.Equal(1000 * share, EnergyDial.EffectiveSampleSize(energies, beta), 1e-8);
        }
        Assert.Equal(EnergyDial.Unlimited, EnergyDial.LargestBeta(energies, 400));
        Assert.Equal(0, EnergyDial.LargestBeta(energies, 1001));
    }

    [Fact]
    public void Effective_sample_size_never_rises_with_beta_and_the_largest_beta_is_where_it_falls_below() =>
        Gen.Double[-3, 3]
            .Array[50]
            .Sample(
                energies =>
                {
                    using var scope = NewDisposeScope();
                    var pool = tensor(energies);
                    var sizes = new[] { 0, 0.5, 1, 2, 5, 10, 30 }
                        .Select(beta => EnergyDial.EffectiveSampleSize(pool, beta))
                        .ToArray();
                    for (var i = 1; i < sizes.Length; i++)
                    {
                        Assert.True(sizes[i] <= sizes[i - 1] * (1 + 1e-12));
                    }
                    var largest = EnergyDial.LargestBeta(pool, 20);
                    Assert.True(EnergyDial.EffectiveSampleSize(pool, largest) >= 20);
                    Assert.True(EnergyDial.EffectiveSampleSize(pool, largest * 1.001) < 20);
                },
                iter: 20,
                threads: 1
            );

    [Fact]
    public void Gaussian_energies_run_out_where_theory_says()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(9);
        // e ~ N(0, 1): the share is exp(−β²), so half of the points are left at β = √log 2.
        var pool = randn(200_000, dtype: ScalarType.Float64, generator: generator);
        Assert.Equal(Math.Sqrt(Math.Log(2)), EnergyDial.LargestBeta(pool, 100_000), 0.02);
    }

    [Theory]
    [InlineData(-1.0, "finite number, 0 or more")]
    [InlineData(double.NaN, "finite number, 0 or more")]
    [InlineData(double.PositiveInfinity, "finite number, 0 or more")]
    [InlineData(0.5, "trained for beta from 1 to 20")]
    [InlineData(20.5, "trained for beta from 1 to 20")]
    [InlineData(15.0, "up to beta = 12 only")]
    public void A_beta_that_the_dial_does_not_have_is_refused_with_its_reason(double beta, string reason)
    {
        var dial = new EnergyDial(1, 20, poolLimit: 12);
        var error = Assert.Throws<TiltException>(() => dial.Require(beta));
        Assert.Equal(2, error.ExitCode);
        Assert.Contains(reason, error.Message);
        Assert.Throws<TiltException>(() => dial.At((xt, _, _) => xt.sum(-1), beta));
    }

    [Fact]
    public void Beyond_the_pool_is_allowed_on_request_and_marked()
    {
        var dial = new EnergyDial(0, 20, poolLimit: 12);
        dial.Require(12);
        dial.Require(15, beyondPool: true);
        Assert.Null(dial.Mark(12));
        Assert.Equal("limited by the pool", dial.Mark(15));
        Assert.Throws<TiltException>(() => dial.Require(21, beyondPool: true));
    }

    [Theory]
    [InlineData(-1, 3)]
    [InlineData(3, 3)]
    [InlineData(0, double.PositiveInfinity)]
    [InlineData(double.NaN, 3)]
    public void A_range_that_is_none_is_refused(double min, double max) =>
        Assert.Equal(2, Assert.Throws<TiltException>(() => new EnergyDial(min, max)).ExitCode);

    [Fact]
    public void The_dial_hands_beta_to_the_energy_and_zero_means_no_guidance()
    {
        using var scope = NewDisposeScope();
        var dial = new EnergyDial(0, 20);
        var level = new LinearSchedule().At(0.4);
        var x = ones(3, 2);
        DialedEnergy energy = (xt, _, beta) => beta * xt.square().sum(-1);
        Close.Absolute(14 * x, dial.At(energy, 7).Gradient(x, level), 1e-6, "β = 7");
        Close.Absolute(zeros(3, 2), dial.At(energy, 0).Gradient(x, level), 0, "β = 0");
    }

    [Fact]
    public void Draws_cover_the_range_in_every_batch()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        var dial = new EnergyDial(2, 10);
        var drawn = dial.Draw(16, generator);
        var part = ((drawn - 2) / 0.5).floor();
        Assert.Equal(Enumerable.Range(0, 16).Select(i => (double)i), part.sort().Values.data<double>().ToArray());
        Assert.False(part.diff(n: 1).gt(0).all().item<bool>(), "in random order");
        Assert.Equal(0, dial.Draw(0, generator).shape[0]);
    }

    [Fact]
    public void A_pool_with_a_broken_energy_is_refused()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<TiltException>(() => EnergyDial.ForPool(0, 3, tensor(new[] { 1, double.NaN })));
    }

    [Fact]
    public void The_log_normalizer_curve_follows_the_pool()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(9);
        var pool = randn(5000, dtype: ScalarType.Float64, generator: generator);
        var curve = new LogNormalizerCurve(pool, 0, 5);
        Assert.Equal(0, curve.At(0), 1e-12);
        foreach (var beta in new[] { 0.33, 1, 2.71, 5 })
        {
            Assert.Equal(LogNormalizer.Of(pool, beta), curve.At(beta), 1e-3);
        }
        var several = curve.At(tensor(new[] { 0.33, 2.71 }));
        Assert.Equal(curve.At(2.71), several[1].item<double>(), 1e-12);
        Assert.Equal(curve.At(5.0), curve.At(7.0));
    }
}
