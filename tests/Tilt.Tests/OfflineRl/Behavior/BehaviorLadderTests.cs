using System.Globalization;
using Tilt.Environments;
using Tilt.Inference;
using Tilt.OfflineRl.Behavior;
using Tilt.OfflineRl.Collection;
using Tilt.Tests.Environments;

namespace Tilt.Tests.OfflineRl.Behavior;

public class BehaviorLadderTests
{
    public static TheoryData<string> Tasks => [.. BehaviorLadder.ShippedTasks];

    [Theory]
    [MemberData(nameof(Tasks))]
    public void A_shipped_ladder_climbs_from_untrained_to_expert(string task)
    {
        var ladder = BehaviorLadder.Shipped(task)!;
        Assert.Equal(0, ladder.Random.Steps);
        Assert.InRange(ladder.Rungs.Count, 5, 12);
        Assert.InRange(ladder.Medium.Return / ladder.Expert.Return, 0.2, 0.47);
        Assert.InRange(ladder.Medium.Steps, 1, ladder.Expert.Steps - 1);
        Assert.Same(ladder.Rungs[^1], ladder.Expert);
        // 3 MB a robot at most.
        Assert.InRange(
            ladder.Rungs.Sum(rung => rung.Actor.ToBytes(ElementType.F16, rung.Actor.Metadata).Length),
            1,
            3_000_000
        );
        var known = Tilt.Environments.Tasks.Find(task);
        Assert.All(
            ladder.Rungs,
            rung =>
            {
                Assert.Equal((known.ObservationSize, known.ActionSize), (rung.Actor.Observations, rung.Actor.Actions));
                Assert.Contains("MIT", rung.Actor.Metadata["licence"], StringComparison.Ordinal);
            }
        );
    }

    [Theory]
    [MemberData(nameof(Tasks))]
    public void Its_policies_earn_what_their_files_say(string task)
    {
        Physics.Needed();
        const int Episodes = 4;
        var ladder = BehaviorLadder.Shipped(task)!;
        foreach (var rung in new[] { ladder.Random, ladder.Medium, ladder.Expert })
        {
            foreach (var sampled in new[] { true, false })
            {
                var told = SnapshotReturns.Read(rung.Actor.Metadata, sampled)!.Value;
                var found = BehaviorEvaluation.Run(
                    Tilt.Environments.Tasks.Find(task),
                    rung.Actor,
                    Episodes,
                    sampled,
                    seed: 11,
                    threads: 2,
                    TestContext.Current.CancellationToken
                );
                // Five standard errors of a mean of so few, and 2 % where a policy is almost deterministic.
                var error = 5 * told.Deviation / Math.Sqrt(Episodes) + 0.02 * Math.Abs(told.Mean) + 1;
                Assert.InRange(found.Mean, told.Mean - error, told.Mean + error);
            }
        }
    }

    [Fact]
    public void Thinning_keeps_the_first_the_best_and_a_third_of_it_in_the_order_of_training()
    {
        double[] returns = [0, 40, 90, 60, 130, 250, 320, 300, 410, 520, 480, 700, 640, 810, 900, 870];
        var ladder = new BehaviorLadder("hopper", returns.Select((value, i) => Rung(i * 1000, value)));
        var thin = ladder.Thinned(6);
        Assert.Equal(6, thin.Rungs.Count);
        Assert.Equal(0, thin.Random.Steps);
        Assert.Equal(900, thin.Expert.Return);
        Assert.InRange(thin.Medium.Return, 300 - 90, 300 + 90);
        Assert.Equal(thin.Rungs.Select(rung => rung.Steps).Order(), thin.Rungs.Select(rung => rung.Steps));
        Assert.Equal(thin.Rungs.Select(rung => rung.Return).Order(), thin.Rungs.Select(rung => rung.Return));
        Assert.Equal(3, new BehaviorLadder("hopper", ladder.Rungs.Take(3)).Thinned(8).Rungs.Count);
    }

    [Fact]
    public void Evaluations_do_not_depend_on_threads()
    {
        Physics.Needed();
        var actor = Rung(0, 0).Actor;
        var task = Tilt.Environments.Tasks.Find("hopper");
        var one = BehaviorEvaluation.Run(
            task,
            actor,
            5,
            sampled: true,
            3,
            threads: 1,
            TestContext.Current.CancellationToken
        );
        var three = BehaviorEvaluation.Run(
            task,
            actor,
            5,
            sampled: true,
            3,
            threads: 3,
            TestContext.Current.CancellationToken
        );
        Assert.Equal(one.Returns, three.Returns);
        Assert.Equal(one.Lengths, three.Lengths);
    }

    [Fact]
    public void A_folder_without_snapshots_or_with_another_tasks_is_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("no snapshots", Assert.Throws<TiltException>(() => BehaviorLadder.Open(folder.Path)).Message);
        foreach (var (task, step) in new[] { ("hopper", 0), ("ant", 1) })
        {
            var rung = Rung(step, 1);
            var texts = new Dictionary<string, string>(rung.Actor.Metadata) { ["task"] = task };
            File.WriteAllBytes(
                BehaviorTraining.SnapshotFile(folder.Path, step),
                rung.Actor.ToBytes(ElementType.F16, texts)
            );
        }
        Assert.Contains("a policy for", Assert.Throws<TiltException>(() => BehaviorLadder.Open(folder.Path)).Message);
    }

    private static Rung Rung(long steps, double value)
    {
        var random = new RandomStream(steps, "weights");
        LinearWeights Layer(int inputs, int outputs) =>
            new(
                [.. Enumerable.Range(0, inputs * outputs).Select(_ => (float)random.Normal() / MathF.Sqrt(inputs))],
                new float[outputs]
            );
        var text = value.ToString(CultureInfo.InvariantCulture);
        var texts = new Dictionary<string, string>
        {
            ["task"] = "hopper",
            ["steps"] = steps.ToString(CultureInfo.InvariantCulture),
        };
        foreach (var policy in new[] { "mean", "sampled" })
        {
            (texts[$"{policy}.return"], texts[$"{policy}.deviation"], texts[$"{policy}.episodes"]) = (text, "1", "10");
        }
        var actor = new GaussianActor([Layer(11, 16), Layer(16, 16), Layer(16, 6)]);
        actor = GaussianActor.Parse(actor.ToBytes(ElementType.F32, texts), $"step-{steps}");
        return new($"step-{steps}", steps, value, value, "", actor);
    }
}
