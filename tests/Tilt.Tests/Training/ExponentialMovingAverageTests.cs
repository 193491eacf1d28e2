using Tilt.Networks;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Training;

public class ExponentialMovingAverageTests
{
    private const double Decay = 0.9;

    [Fact]
    public void A_plain_average_is_the_geometric_sum()
    {
        // θ_i = i after update i, θ_0 = 0: average = Σ (1 − d)·d^(n−i)·i.
        var expected = Enumerable.Range(1, 12).Sum(i => (1 - Decay) * Math.Pow(Decay, 12 - i) * i);

        Assert.Equal(expected, AverageOfCounting(AverageStart.Plain, 12), 12);
    }

    [Fact]
    public void A_bias_corrected_average_is_the_normalized_geometric_sum()
    {
        var expected =
            Enumerable.Range(1, 12).Sum(i => (1 - Decay) * Math.Pow(Decay, 12 - i) * i) / (1 - Math.Pow(Decay, 12));

        Assert.Equal(expected, AverageOfCounting(AverageStart.BiasCorrected, 12), 12);
        Assert.Equal(1, AverageOfCounting(AverageStart.BiasCorrected, 1), 12);
    }

    [Fact]
    public void A_warmed_up_average_follows_its_recursion()
    {
        var expected = 0.0;
        for (var n = 1; n <= 12; n++)
        {
            var decay = Math.Min(Decay, (1.0 + n) / (10 + n));
            expected = decay * expected + (1 - decay) * n;
        }

        Assert.Equal(expected, AverageOfCounting(AverageStart.WarmUp, 12), 12);
    }

    [Fact]
    public void A_restored_average_goes_on_where_it_was()
    {
        using var scope = NewDisposeScope();
        var module = Counter();
        using var straight = new ExponentialMovingAverage(module, Decay);
        Count(module, straight, 1, 5);
        using var resumed = new ExponentialMovingAverage(module, Decay);
        using (no_grad())
        {
            foreach (var ((_, to), (_, from)) in resumed.NamedState().Zip(straight.NamedState()))
            {
                to.copy_(from);
            }
        }
        resumed.StateLoaded();

        Count(module, straight, 6, 9);
        Count(module, resumed, 6, 9);

        Assert.Equal(9, resumed.Updates);
        foreach (var ((name, found), (_, expected)) in resumed.NamedState().Zip(straight.NamedState()))
        {
            Assert.True(found.equal(expected).all().item<bool>(), name);
        }
    }

    [Fact]
    public void Using_the_average_leaves_the_training_weights_alone()
    {
        using var scope = NewDisposeScope();
        var module = Counter();
        var evaluated = Counter();
        using var average = new ExponentialMovingAverage(module, Decay);
        Count(module, average, 1, 5);

        average.CopyTo(evaluated);

        Assert.All(module.parameters(), weight => Assert.Equal(5, weight.max().item<double>()));
        Assert.All(evaluated.parameters(), weight => Assert.InRange(weight.max().item<double>(), 1, 4.9));
        Assert.All(evaluated.parameters(), weight => Assert.True(weight.requires_grad));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-0.1)]
    [InlineData(double.NaN)]
    public void A_decay_outside_zero_to_one_is_refused(double decay)
    {
        using var module = Counter();

        Assert.Throws<TiltException>(() => new ExponentialMovingAverage(module, decay));
    }

    private static double AverageOfCounting(AverageStart start, int updates)
    {
        using var scope = NewDisposeScope();
        var module = Counter();
        using var average = new ExponentialMovingAverage(module, Decay, start);
        Count(module, average, 1, updates);
        average.CopyTo(module);
        return module.parameters().First().mean().item<double>();
    }

    private static Mlp Counter()
    {
        var module = new Mlp([2, 3], Activation.Silu, new Generator(1)).to(ScalarType.Float64);
        Set(module, 0);
        return module;
    }

    private static void Count(Mlp module, ExponentialMovingAverage average, int first, int last)
    {
        for (var i = first; i <= last; i++)
        {
            Set(module, i);
            average.Update();
        }
    }

    private static void Set(Mlp module, double value)
    {
        using var _ = no_grad();
        foreach (var weight in module.parameters())
        {
            weight.fill_(value);
        }
    }
}
