using Tilt.Sampling;
using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Tests.Toys.Experiment;

/// <summary>Any number of samples comes in parts: the same points, never more than a part in memory.</summary>
public class SamplePartsTests
{
    private static readonly SamplerOptions Two = new() { Solver = "ddim", Evaluations = 2 };

    private static Cep2dModel Untrained()
    {
        using var streams = new RandomStreams(0);
        return new(Cep2dOptions.For("quick", "moons"), (0, 1), streams);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(7, 1)]
    [InlineData((1 << 17) + 3, 2)]
    public void Parts_are_the_samples_in_their_order(long n, int expected)
    {
        using var scope = NewDisposeScope();
        using var model = Untrained();

        var parts = model.SampleParts(GuidanceMethod.Cep, 0, n, new Generator(4), Two).ToList();
        var whole = model.Sample(GuidanceMethod.Cep, 0, n, new Generator(4), Two);

        Assert.Equal(expected, parts.Count);
        Assert.All(parts, part => Assert.InRange(part.shape[0], 1, 1 << 17));
        Assert.Equal(n, parts.Sum(part => part.shape[0]));
        Assert.True(parts.Count == 0 || whole.equal(cat(parts, 0)).all().item<bool>());
    }

    [Fact]
    public void A_hundred_million_begin_at_once_and_stop_between_two_evaluations()
    {
        using var scope = NewDisposeScope();
        using var model = Untrained();
        using var stop = new CancellationTokenSource();
        var parts = model.SampleParts(GuidanceMethod.Cep, 0, 100_000_000, new Generator(4), Two, stop: stop.Token);

        using var first = parts.First();
        stop.Cancel();

        Assert.Equal(1 << 17, first.shape[0]);
        Assert.Throws<OperationCanceledException>(() => parts.First());
    }

    [Fact]
    public void A_beta_that_the_dial_lacks_is_refused_before_the_first_part()
    {
        using var model = Untrained();

        Assert.Throws<TiltException>(() => model.SampleParts(GuidanceMethod.Cep, 25, 10, new Generator(4)));
        Assert.Throws<TiltException>(() => model.SampleParts(GuidanceMethod.Dps, -1, 10, new Generator(4)));
    }
}
