using Tilt.OfflineRl.Behavior;
using Tilt.OfflineRl.Collection;
using Tilt.OfflineRl.Data;
using Tilt.Tests.Environments;

namespace Tilt.Tests.OfflineRl.Collection;

public class LocomotionRecipeTests
{
    public static TheoryData<string> Names =>
        [
            .. from task in BehaviorLadder.ShippedTasks
            where task is "hopper" or "halfcheetah" or "walker2d"
            from kind in new[] { "random", "medium", "medium-replay", "expert", "medium-expert" }
            select $"{task}-{kind}",
        ];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_recipe_gives_the_same_consistent_steps_on_any_number_of_threads(string name)
    {
        Physics.Needed();
        var recipe = DataRecipes.Named(name);
        Assert.Null(recipe.Missing());
        var request = new CollectionRequest { Size = 10_800, Seed = 3 };
        var steps = recipe.Make(request);
        Assert.Equal(steps.ContentSha256(), recipe.Make(request with { Threads = 3 }).ContentSha256());
        var few = request with { Size = 200 };
        Assert.NotEqual(recipe.Make(few).ContentSha256(), recipe.Make(few with { Seed = 4 }).ContentSha256());
        Assert.Equal(request.Size, steps.Policies.Sum(policy => policy.Steps));
        Assert.All(steps.Policies, policy => Assert.Equal(64, policy.Sha256!.Length));
        Assert.Equal(
            recipe.PolicyHashes(request.Size).ToHashSet(),
            steps.Policies.Select(policy => policy.Sha256!).ToHashSet()
        );

        var size = steps.ObservationSize;
        var length = 0;
        for (var i = 0; i < steps.Count; i++)
        {
            length++;
            Assert.False(steps.Terminated[i] && steps.Truncated[i]);
            Assert.InRange(length, 1, 1000);
            if (steps.Terminated[i] || steps.Truncated[i])
            {
                length = 0;
                continue;
            }
            Assert.Equal(
                steps.NextObservations.AsSpan(i * size, size),
                steps.Observations.AsSpan((i + 1) * size, size)
            );
        }
        Assert.True(steps.Truncated[^1] || steps.Terminated[^1]);
        Assert.All(steps.Actions, action => Assert.InRange(action, -1, 1));
    }

    [Fact]
    public void Replay_follows_the_training_and_mixtures_are_halves()
    {
        Assert.SkipUnless(BehaviorLadder.ShippedTasks.Contains("hopper"), "no ladder of hopper ships yet");
        Physics.Needed();
        var ladder = BehaviorLadder.Shipped("hopper")!;
        var replay = DataRecipes.Named("hopper-medium-replay").Make(new() { Size = 6000 });
        var names = replay.Policies.Select(policy => policy.Name).ToList();
        Assert.Equal(ladder.Random.Name, names[0]);
        Assert.Equal(ladder.Medium.Name, names[^1]);
        Assert.Equal(names.Order(StringComparer.Ordinal), names);

        var mixture = DataRecipes.Named("hopper-medium-expert").Make(new() { Size = 4000 });
        Assert.Equal(
            [(ladder.Medium.Name, 2000), (ladder.Expert.Name, 2000)],
            mixture.Policies.Select(policy => (policy.Name, policy.Steps!.Value))
        );
        Assert.True(mixture.Rewards[2000..].Average() > mixture.Rewards[..2000].Average());
    }

    [Fact]
    public void The_file_holds_the_acting_policy_under_D4rls_names()
    {
        Assert.SkipUnless(BehaviorLadder.ShippedTasks.Contains("hopper"), "no ladder of hopper ships yet");
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var file = folder.File("made.hdf5");
        OwnDataSet.Make(DataRecipes.Named("hopper-medium"), new() { Size = 1500 }, file, "1");
        var contents = FileContents.Of(file);
        Assert.Contains("step-", contents.Attributes["policies"], StringComparison.Ordinal);
        using var steps = RecordedSteps.Open(file, new() { Cache = false });
        Assert.Equal((1500, 11, 3), (steps.Count, steps.ObservationSize, steps.ActionSize));
    }
}
