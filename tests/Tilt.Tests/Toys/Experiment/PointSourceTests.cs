using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Tests.Toys.Experiment;

public class PointSourceTests
{
    [Fact]
    public void A_batch_depends_on_the_step_alone_and_not_on_those_before()
    {
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(5);
        var dataset = ToyDatasets.Find("moons");
        using var walked = new PointSource(dataset, "points", 16, null, streams);
        using var jumped = new PointSource(dataset, "points", 16, null, streams);

        var last = walked.Batch(0);
        for (var step = 1; step <= 130; step++)
        {
            last = walked.Batch(step);
        }
        var direct = jumped.Batch(130);

        Assert.True(last.X.equal(direct.X).all().item<bool>());
        Assert.True(last.Labels.equal(direct.Labels).all().item<bool>());
        Assert.False(walked.Batch(131).X.equal(direct.X).all().item<bool>());
    }

    [Fact]
    public void An_epoch_shows_every_point_of_the_pool_once_and_the_next_in_another_order()
    {
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(5);
        var dataset = ToyDatasets.Find("8gaussians");
        using var pool = dataset.Sample(100, new Generator(1));
        using var source = new PointSource(dataset, "points", 32, pool, streams);

        var first = cat([.. Enumerable.Range(0, 4).Select(step => source.Batch(step).X)], 0);
        var second = cat([.. Enumerable.Range(4, 4).Select(step => source.Batch(step).X)], 0);

        Assert.Equal(4, source.StepsPerEpoch);
        Assert.Equal(100, first.shape[0]);
        Assert.False(first.equal(second).all().item<bool>());
        Assert.True(Sorted(first).allclose(Sorted(pool.X)));
        Assert.True(Sorted(second).allclose(Sorted(pool.X)));

        static Tensor Sorted(Tensor points) => points.sum(1).sort().Values;
    }
}
