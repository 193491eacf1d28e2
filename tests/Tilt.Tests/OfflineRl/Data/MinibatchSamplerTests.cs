using Tilt.OfflineRl.Data;

namespace Tilt.Tests.OfflineRl.Data;

public class MinibatchSamplerTests
{
    [Fact]
    public void A_batch_holds_the_transitions_it_names()
    {
        using var steps = SampleSteps.Make();
        var data = TransitionDataset.FromSteps(steps).Tuned(RewardTunings.IqlAntMaze);
        using var streams = new RandomStreams(5);
        using var sampler = new MinibatchSampler(data, 64, streams);
        var batch = sampler.Next();
        Assert.Equal([64, 3], batch.Observations.shape);
        Assert.Equal([64], batch.Rewards.shape);
        var rows = batch.Transitions.data<long>().ToArray();
        for (var i = 0; i < 64; i++)
        {
            var k = (int)rows[i];
            Assert.Equal(data.Observation(k).ToArray(), batch.Observations[i].data<float>().ToArray());
            Assert.Equal(data.NextObservation(k).ToArray(), batch.NextObservations[i].data<float>().ToArray());
            Assert.Equal(data.Action(k).ToArray(), batch.Actions[i].data<float>().ToArray());
            Assert.Equal(data.Rewards[k], batch.Rewards[i].item<float>());
            Assert.Equal(data.Terminated[k], batch.Terminated[i].item<float>());
        }
    }

    [Fact]
    public void Drawing_allocates_nothing()
    {
        using var steps = SampleSteps.Make(count: 5000, observationSize: 111, actionSize: 8);
        using var streams = new RandomStreams(5);
        using var sampler = new MinibatchSampler(TransitionDataset.FromSteps(steps), 256, streams);
        for (var i = 0; i < 100; i++)
        {
            sampler.Next();
        }
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            sampler.Next();
        }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(1100, sampler.Drawn);
    }

    [Fact]
    public void Draws_depend_on_seed_and_name_only_and_go_on_from_a_restored_position()
    {
        using var steps = SampleSteps.Make(count: 5000);
        var data = TransitionDataset.FromSteps(steps);
        long[] Draw(MinibatchSampler sampler) => [.. sampler.Next().Transitions.data<long>()];

        using var streams = new RandomStreams(5);
        using var other = new RandomStreams(6);
        using var a = new MinibatchSampler(data, 32, streams);
        using var b = new MinibatchSampler(data, 32, streams);
        using var named = new MinibatchSampler(data, 32, streams, "behavior");
        using var seeded = new MinibatchSampler(data, 32, other);
        var first = Draw(a);
        Assert.Equal(first, Draw(b));
        Assert.NotEqual(first, Draw(named));
        Assert.NotEqual(first, Draw(seeded));

        Draw(a);
        using (torch.no_grad())
        {
            b.NamedState().Single().Value.copy_(a.NamedState().Single().Value);
        }
        Assert.Equal(Draw(a), Draw(b));
    }

    [Fact]
    public void Every_transition_is_equally_likely()
    {
        using var steps = SampleSteps.Make(count: 21);
        var data = TransitionDataset.FromSteps(steps);
        using var streams = new RandomStreams(1);
        using var sampler = new MinibatchSampler(data, 1000, streams);
        var counts = new double[data.Count];
        const int batches = 200;
        for (var i = 0; i < batches; i++)
        {
            foreach (var k in sampler.Next().Transitions.data<long>())
            {
                counts[k]++;
            }
        }
        var expected = batches * 1000.0 / data.Count;
        // χ² with Count − 1 = 17 degrees of freedom: 45 is passed once in 4000 seeds, and this one is fixed.
        Assert.InRange(counts.Sum(n => (n - expected) * (n - expected) / expected), 2, 45);
    }
}
