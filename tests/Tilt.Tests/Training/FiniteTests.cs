using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Training;

public class FiniteTests
{
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_loss_that_is_no_number_stops_with_stage_and_step(float value)
    {
        using var loss = tensor(value);

        var stopped = Assert.Throws<TiltException>(() => Finite.Require(loss, "score", 1234));

        Assert.Contains("'score'", stopped.Message);
        Assert.Contains("1234", stopped.Message);
    }

    [Fact]
    public void A_finite_loss_is_handed_back()
    {
        using var loss = tensor(0.25);

        Assert.Equal(0.25, Finite.Require(loss, "score", 1));
    }
}
