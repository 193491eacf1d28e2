using Tilt.Environments;

namespace Tilt.Tests.Environments;

public class VectorEnvironmentTests
{
    private const int Steps = 120;

    public static TheoryData<string> Some => ["hopper", "ant", "antmaze-umaze", "maze2d-medium"];

    [Theory]
    [MemberData(nameof(Some))]
    public void Results_do_not_depend_on_the_number_of_threads(string name)
    {
        Physics.Needed();
        var one = Run(name, count: 5, threads: 1);
        Assert.Equal(one, Run(name, count: 5, threads: 2));
        Assert.Equal(one, Run(name, count: 5, threads: 5));
    }

    [Fact]
    public void An_environments_results_do_not_depend_on_its_neighbours()
    {
        Physics.Needed();
        using var few = new VectorEnvironment(Tasks.Find("hopper"), 1, 1, seed: 9);
        using var many = new VectorEnvironment(Tasks.Find("hopper"), 4, 2, seed: 9);
        few.Reset();
        many.Reset();
        var random = new RandomStream(9, "actions");
        for (var step = 0; step < 60; step++)
        {
            Assert.True(few.Observations.SequenceEqual(many.Observations[..11]));
            var action = new float[12];
            for (var i = 0; i < action.Length; i++)
            {
                action[i] = (float)random.Uniform(-1, 1);
            }
            few.Step(action.AsSpan(0, 3));
            many.Step(action);
            Assert.Equal(few.Rewards[0], many.Rewards[0]);
        }
        Assert.False(many.Observations[..11].SequenceEqual(many.Observations[11..22]));
    }

    [Fact]
    public void It_is_the_single_environment_row_by_row()
    {
        Physics.Needed();
        const int count = 3;
        var task = Tasks.Find("hopper");
        using var vector = new VectorEnvironment(task, count, 2, seed: 4, name: "rows");
        vector.Reset();
        var singles = Enumerable.Range(0, count).Select(_ => task.Create()).ToArray();
        var streams = Enumerable.Range(0, count).Select(i => new RandomStream(4, $"rows/{i}")).ToArray();
        var (returns, lengths) = (new double[count], new int[count]);
        for (var i = 0; i < count; i++)
        {
            singles[i].Reset(streams[i]);
        }
        var random = new RandomStream(4, "actions");
        var (actions, ends) = (new float[count * 3], 0);
        for (var step = 0; step < 100; step++)
        {
            for (var i = 0; i < actions.Length; i++)
            {
                actions[i] = (float)random.Normal();
            }
            vector.Step(actions);
            for (var i = 0; i < count; i++)
            {
                var result = singles[i].Step(actions.AsSpan(3 * i, 3));
                Assert.Equal(result.Reward, vector.Rewards[i]);
                Assert.Equal(result.Terminated, vector.Terminated[i]);
                Assert.Equal(result.Truncated, vector.Truncated[i]);
                Assert.Equal(result.Cause, vector.Causes[i]);
                Assert.Equal(Row(singles[i]), vector.NextObservations.Slice(11 * i, 11).ToArray());
                (returns[i], lengths[i]) = (returns[i] + result.Reward, lengths[i] + 1);
                Assert.Equal(returns[i], vector.Returns[i]);
                Assert.Equal(lengths[i], vector.Lengths[i]);
                if (result.Ended)
                {
                    singles[i].Reset(streams[i]);
                    (returns[i], lengths[i], ends) = (0, 0, ends + 1);
                }
                Assert.Equal(Row(singles[i]), vector.Observations.Slice(11 * i, 11).ToArray());
            }
        }
        Assert.True(ends > 3, "episodes should have ended in this test");
        foreach (var single in singles)
        {
            single.Dispose();
        }
    }

    [Fact]
    public void Without_automatic_resets_ended_environments_wait()
    {
        Physics.Needed();
        using var vector = new VectorEnvironment(Tasks.Find("hopper"), 3, 2) { AutoReset = false };
        vector.Reset();
        var actions = new float[9];
        actions.AsSpan(0, 3).Fill(1);
        while (!vector.Waiting[0])
        {
            vector.Step(actions);
        }
        Assert.True(vector.Terminated[0]);
        var (length, value, last) = (vector.Lengths[0], vector.Returns[0], vector.Observations[..11].ToArray());
        vector.Step(actions);
        Assert.Equal(length, vector.Lengths[0]);
        Assert.Equal(value, vector.Returns[0]);
        Assert.Equal(last, vector.Observations[..11].ToArray());
        Assert.Equal(length + 1, vector.Lengths[1]);

        vector.Reset(0);
        Assert.False(vector.Waiting[0]);
        vector.Step(actions);
        Assert.Equal(1, vector.Lengths[0]);
    }

    [Fact]
    public void Steps_allocate_nothing_on_the_callers_thread()
    {
        Physics.Needed();
        using var vector = new VectorEnvironment(Tasks.Find("maze2d-umaze"), 8, 2);
        vector.Reset();
        var actions = new float[16];
        long Count()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var step = 0; step < 400; step++)
            {
                vector.Step(actions);
            }
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Count();
        // Waiting for a thread may make its wait handle, once.
        Assert.InRange(Math.Min(Count(), Count()), 0, 400);
    }

    [Fact]
    public void A_bad_action_is_told_and_the_others_go_on()
    {
        Physics.Needed();
        using var vector = new VectorEnvironment(Tasks.Find("hopper"), 3, 2);
        vector.Reset();
        var actions = new float[9];
        actions[4] = float.NaN;
        Assert.Contains("component 1", Assert.Throws<EnvironmentException>(() => vector.Step(actions)).Message);
        actions[4] = 0;
        vector.Step(actions);
        Assert.Equal([2, 1, 2], vector.Lengths.ToArray());
        Assert.Contains("expected 3 × 3", Assert.Throws<EnvironmentException>(() => vector.Step(new float[8])).Message);
    }

    [Fact]
    public void Bad_counts_are_refused()
    {
        Assert.Throws<EnvironmentException>(() => new VectorEnvironment(Tasks.Find("hopper"), 0));
        Assert.Throws<EnvironmentException>(() => new VectorEnvironment(Tasks.Find("hopper"), 1, -1));
    }

    [Fact]
    public void A_disposed_one_is_not_stepped()
    {
        Physics.Needed();
        var vector = new VectorEnvironment(Tasks.Find("hopper"), 2, 2);
        vector.Reset();
        vector.Dispose();
        vector.Dispose();
        Assert.Throws<ObjectDisposedException>(() => vector.Step(new float[6]));
    }

    private static float[] Row(IEnvironment environment) =>
        environment.Observation.ToArray().Select(value => (float)value).ToArray();

    /// <summary>Everything that came out of a run with random actions.</summary>
    private static double[] Run(string name, int count, int threads)
    {
        var task = Tasks.Find(name);
        using var vector = new VectorEnvironment(task, count, threads, seed: 2);
        vector.Reset();
        var random = new RandomStream(2, "actions");
        var actions = new float[count * task.ActionSize];
        var all = new List<double>();
        for (var step = 0; step < Steps; step++)
        {
            for (var i = 0; i < actions.Length; i++)
            {
                actions[i] = (float)random.Uniform(-1, 1);
            }
            vector.Step(actions);
            all.AddRange(vector.Observations.ToArray().Select(value => (double)value));
            all.AddRange(vector.Rewards.ToArray());
            all.AddRange(vector.Causes.ToArray().Select(cause => (double)cause));
        }
        return [.. all];
    }
}
