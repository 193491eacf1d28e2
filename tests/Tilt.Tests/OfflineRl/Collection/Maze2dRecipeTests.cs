using Tilt.Environments;
using Tilt.Environments.Mazes;
using Tilt.OfflineRl.Collection;
using Tilt.Tests.Environments;

namespace Tilt.Tests.OfflineRl.Collection;

public class Maze2dRecipeTests
{
    private static CollectedSteps Collect(string name, int size, long seed = 0, int threads = 1)
    {
        Physics.Needed();
        return DataRecipes
            .Named(name)
            .Make(
                new()
                {
                    Size = size,
                    Seed = seed,
                    Threads = threads,
                }
            );
    }

    [Fact]
    public void Threads_change_nothing_and_a_small_set_begins_a_large_one()
    {
        var large = Collect("maze2d-umaze", 120_000);
        var twice = Collect("maze2d-umaze", 120_000, threads: 3);
        Assert.Equal(large.ContentSha256(), twice.ContentSha256());

        const int few = 60_000;
        var small = Collect("maze2d-umaze", few);
        Assert.Equal(small.Observations, large.Observations[..(4 * few)]);
        Assert.Equal(small.Actions, large.Actions[..(2 * few)]);
        Assert.Equal(small.Truncated[..^1], large.Truncated[..(few - 1)]);
        Assert.NotEqual(small.ContentSha256(), Collect("maze2d-umaze", few, seed: 1).ContentSha256());
    }

    [Theory]
    [InlineData("maze2d-umaze")]
    [InlineData("maze2d-medium")]
    [InlineData("maze2d-large")]
    [InlineData("maze2d-open")]
    public void Sparse_and_dense_are_the_same_steps_rewarded_by_their_rule(string name)
    {
        var (sparse, dense) = (Collect(name, 20_000), Collect($"{name}-dense", 20_000));
        Assert.Equal(sparse.Observations, dense.Observations);
        Assert.Equal(sparse.Actions, dense.Actions);
        Assert.Equal(sparse.Truncated, dense.Truncated);
        using var maze = (Maze2d)Tasks.Find(name).Create();
        for (var i = 0; i < sparse.Count; i++)
        {
            var distance = Math.Sqrt(
                Math.Pow(sparse.Observations[4 * i] - maze.Target.X, 2)
                    + Math.Pow(sparse.Observations[4 * i + 1] - maze.Target.Y, 2)
            );
            Assert.Equal(distance <= 0.5 ? 1 : 0, sparse.Rewards[i]);
            Assert.Equal((float)Math.Exp(-distance), dense.Rewards[i], 1e-7);
        }
        Assert.Contains(1, sparse.Rewards);
        Assert.DoesNotContain(true, sparse.Terminated);
    }

    [Fact]
    public void The_ball_goes_from_target_to_target_and_the_collector_looks_away_once()
    {
        var steps = Collect("maze2d-medium", 30_000);
        var (goals, map) = (Array("infos/goal", steps), MazeMaps.PointMedium);
        var limit = Tasks.Find("maze2d-medium").MaximumSteps;
        var (age, reached, visited) = (0, 0, new HashSet<(int, int)>());
        for (var i = 0; i + 1 < steps.Count; i++, age++)
        {
            var (goal, next) = ((goals[2 * i], goals[2 * i + 1]), (goals[2 * i + 2], goals[2 * i + 3]));
            var cell = ((int)Math.Round(goal.Item1), (int)Math.Round(goal.Item2));
            Assert.NotEqual('#', map[cell.Item1, cell.Item2]);
            Assert.InRange(Math.Abs(goal.Item1 - cell.Item1), 0, 0.1 + 1e-6);
            visited.Add(cell);
            if (!steps.Truncated[i])
            {
                Assert.Equal(goal, next);
                continue;
            }
            // The observation of before is stored again, and another target is on.
            Assert.NotEqual(goal, next);
            Assert.Equal(Row(steps, i), Row(steps, i + 1));
            var (x, y) = (steps.Observations[4 * i] - cell.Item1, steps.Observations[4 * i + 1] - cell.Item2);
            Assert.True(age == limit || Math.Sqrt(x * x + y * y) < 0.1, $"row {i}, {age} steps old");
            reached += age == limit ? 0 : 1;
            age = -1;
        }
        Assert.True(reached > 100, $"{reached} targets were reached");
        Assert.Equal(map.Cells(".RG").Count, visited.Count);
        Assert.True(steps.Truncated[^1]);
    }

    [Fact]
    public void Each_recorded_step_happens_again_in_the_environment()
    {
        var steps = Collect("maze2d-large", 3000);
        var (positions, velocities) = (Array("infos/qpos", steps), Array("infos/qvel", steps));
        using var maze = (Maze2d)Physics.Started("maze2d-large");
        for (var i = 0; i + 1 < steps.Count; i += 7)
        {
            maze.SetState([positions[2 * i], positions[2 * i + 1]], [velocities[2 * i], velocities[2 * i + 1]]);
            maze.Step(steps.Actions.AsSpan(2 * i, 2));
            // Float32 of the state, carried through a step and a possible contact.
            for (var k = 0; k < 2; k++)
            {
                Assert.Equal(maze.Position[k], positions[2 * i + 2 + k], 1e-5);
                Assert.Equal(maze.Velocity[k], velocities[2 * i + 2 + k], 1e-3);
            }
        }
    }

    [Fact]
    public void A_collection_that_is_given_up_stops_soon()
    {
        Physics.Needed();
        using var stop = new CancellationTokenSource();
        var told = 0;
        Assert.ThrowsAny<OperationCanceledException>(() =>
            DataRecipes
                .Named("maze2d-umaze")
                .Make(
                    new()
                    {
                        Size = 1_000_000,
                        Threads = 2,
                        Stop = stop.Token,
                        Progress = (stage, done, total) =>
                        {
                            Assert.Equal(("collecting", 1_000_000), (stage, total));
                            told++;
                            stop.Cancel();
                        },
                    }
                )
        );
        Assert.InRange(told, 1, 3);
    }

    private static float[] Row(CollectedSteps steps, int row) => steps.Observations[(4 * row)..(4 * row + 4)];

    private static float[] Array(string path, CollectedSteps steps) => steps.Array(path);
}
