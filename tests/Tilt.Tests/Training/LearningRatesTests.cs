using Tilt.Training;

namespace Tilt.Tests.Training;

public class LearningRatesTests
{
    [Fact]
    public void A_constant_rate_stays()
    {
        Assert.Equal(3e-4, LearningRates.Constant(3e-4)(0));
        Assert.Equal(3e-4, LearningRates.Constant(3e-4)(1_000_000));
    }

    [Fact]
    public void A_cosine_rises_to_the_rate_and_falls_to_its_share()
    {
        var rate = LearningRates.Cosine(1, steps: 1100, warmUp: 100, last: 0.1);

        Assert.Equal(1.0 / 101, rate(0), 12);
        Assert.Equal(100.0 / 101, rate(99), 12);
        Assert.Equal(1, rate(100), 12);
        Assert.Equal(0.55, rate(600), 12);
        Assert.Equal(0.1, rate(1100), 12);
        Assert.Equal(0.1, rate(5000), 12);
    }

    [Fact]
    public void A_line_rises_to_the_rate_and_falls_to_its_share()
    {
        var rate = LearningRates.Linear(2, steps: 10, last: 0.5);

        Assert.Equal(2, rate(0), 12);
        Assert.Equal(1.5, rate(5), 12);
        Assert.Equal(1, rate(10), 12);
        Assert.Equal(1, rate(11), 12);
    }

    [Fact]
    public void A_warm_up_as_long_as_the_whole_is_refused()
    {
        Assert.Throws<TiltException>(() => LearningRates.Cosine(1, 100, 100));
    }
}
