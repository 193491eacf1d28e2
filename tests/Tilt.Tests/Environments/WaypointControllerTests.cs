using Tilt.Environments;
using Tilt.Environments.Mazes;

namespace Tilt.Tests.Environments;

public class WaypointControllerTests
{
    [Fact]
    public void The_way_is_shortest_and_runs_through_free_neighbours()
    {
        var map = MazeMaps.PointLarge;
        var free = map.Cells(".G");
        var random = new RandomStream(0, "ways");
        var action = new double[2];
        foreach (var (row, column) in free)
        {
            var controller = new WaypointController(map);
            controller.Act([row, column, 0, 0], (map.Goal.Row, map.Goal.Column), random, action);
            var at = (Row: row, Column: column);
            foreach (var (x, y) in controller.Waypoints)
            {
                var cell = (Row: (int)Math.Round(x + 0.1), Column: (int)Math.Round(y + 0.1));
                Assert.InRange(cell.Row - x, 0, 0.2);
                Assert.InRange(cell.Column - y, 0, 0.2);
                Assert.NotEqual('#', map[cell.Row, cell.Column]);
                Assert.True(at == cell || Math.Abs(at.Row - cell.Row) + Math.Abs(at.Column - cell.Column) == 1);
                at = cell;
            }
            Assert.Equal(map.Goal, at);
            Assert.Equal(Math.Max(1, Moves(map, (row, column))), controller.Waypoints.Count);
        }
    }

    [Fact]
    public void The_law_is_a_spring_to_the_waypoint_and_a_damper()
    {
        var controller = new WaypointController(MazeMaps.PointUmaze);
        var action = new double[2];
        var reached = controller.Act([1, 2, 0.25, -0.5], (1, 1), new RandomStream(0, "x"), action);
        Assert.False(reached);
        Assert.Equal([-0.25, -1], action); // 10·0 − 0.25; 10·(1 − 2) + 0.5, clipped

        Assert.False(controller.Act([1.05, 1.02, 0.1, 0.2], (1, 1), new RandomStream(0, "x"), action)); // came too fast
        Assert.True(controller.Act([1.05, 1.02, 0.1, 0.2], (1, 1), new RandomStream(0, "x"), action));
        Assert.Equal(10 * -0.05 - 0.1, action[0], 1e-12);
        Assert.Equal(10 * -0.02 - 0.2, action[1], 1e-12);
    }

    [Fact]
    public void A_position_that_rounds_to_a_wall_still_finds_its_way()
    {
        var controller = new WaypointController(MazeMaps.PointUmaze);
        var action = new double[2];
        controller.Act([2.45, 1.0, 0, 0], (1, 1), new RandomStream(0, "x"), action); // rounds to the wall (2, 1)
        Assert.Equal((1.0, 1.0), controller.Waypoints.Single());
        Assert.Contains(
            "no way",
            Assert
                .Throws<EnvironmentException>(() =>
                    new WaypointController(MazeMaps.PointUmaze).Act(
                        [1, 1, 0, 0],
                        (0, 0),
                        new RandomStream(0, "x"),
                        new double[2]
                    )
                )
                .Message
        );
    }

    [Theory]
    [InlineData("maze2d-umaze")]
    [InlineData("maze2d-medium")]
    [InlineData("maze2d-large")]
    public void Planning_anew_at_each_reset_reaches_every_target(string name)
    {
        using var environment = (Maze2d)Physics.Started(name);
        var controller = new WaypointController(environment.Map);
        var (starts, noise, action) = (new RandomStream(0, "starts"), new RandomStream(0, "ways"), new double[2]);
        for (var episode = 0; episode < 20; episode++)
        {
            environment.Reset(starts);
            controller.Forget();
            var reached = false;
            for (var step = 0; step < 2000 && !reached; step++)
            {
                reached = controller.Act(environment.Observation, environment.Target, noise, action);
                environment.Step(action);
            }
            Assert.True(reached, $"episode {episode} of {name} did not reach its target");
        }
    }

    /// <remarks>
    /// D4RL's own number is a mean of 100 episodes from one numpy seed, ours of as many as fit here; 5 standard errors of their
    /// difference. The bench's thousand episodes say it sharper (docs/environments.md).
    /// </remarks>
    [Theory]
    [InlineData("maze2d-umaze")]
    [InlineData("maze2d-umaze-dense")]
    [InlineData("maze2d-medium")]
    [InlineData("maze2d-medium-dense")]
    [InlineData("maze2d-large")]
    [InlineData("maze2d-large-dense")]
    public void D4rls_expert_scores_are_the_controllers(string name)
    {
        Physics.Needed();
        const int episodes = 120;
        var task = Tasks.Find(name);
        var returns = ReferenceScore.Returns(task, episodes, seed: 0);
        var mean = returns.Average();
        var deviation = Math.Sqrt(returns.Sum(value => (value - mean) * (value - mean)) / (episodes - 1));
        var error = deviation * Math.Sqrt(1.0 / episodes + 1.0 / 100);
        Assert.Equal(task.Score!.Expert, mean, 5 * error);
        Assert.True(error < 0.2 * mean, $"the standard error {error:F1} would forgive anything");
    }

    /// <summary>Moves of the shortest way to the goal, by relaxation over all cells.</summary>
    private static int Moves(MazeMap map, (int Row, int Column) from)
    {
        var free = map.Cells(".G");
        var distance = free.ToDictionary(cell => cell, cell => cell == map.Goal ? 0 : 1000);
        for (var pass = 0; pass < free.Count; pass++)
        {
            foreach (var (row, column) in free)
            {
                foreach (var (dr, dc) in new[] { (0, 1), (0, -1), (1, 0), (-1, 0) })
                {
                    if (distance.TryGetValue((row + dr, column + dc), out var next))
                    {
                        distance[(row, column)] = Math.Min(distance[(row, column)], next + 1);
                    }
                }
            }
        }
        return distance[from];
    }
}
