using Tilt.Environments;
using Tilt.Environments.Mazes;
using Tilt.OfflineRl.Collection;
using Tilt.Tests.Environments;

namespace Tilt.Tests.OfflineRl.Collection;

public class AntMazeCollectorTests
{
    private static readonly EnvironmentTask Point = Tasks.Find("antmaze-umaze") with
    {
        ObservationSize = 4,
        ActionSize = 2,
    };

    /// <summary>A point that walks 0.4 m a step where its action points, unless a wall is there.</summary>
    private sealed class Walker(MazeMap map) : IMazeBody
    {
        private readonly double[] _observation = new double[4];

        public ReadOnlySpan<double> Observation => _observation;

        public ReadOnlySpan<double> Position => _observation.AsSpan(0, 2);

        public ReadOnlySpan<double> Velocity => _observation.AsSpan(2);

        public void Start(RandomStream random, (double X, double Y)? at) =>
            (_observation[0], _observation[1]) = at ?? (random.Uniform(-0.1, 0.1), random.Uniform(-0.1, 0.1));

        public void Step(ReadOnlySpan<float> action)
        {
            for (var i = 0; i < 2; i++)
            {
                var before = _observation[i];
                _observation[i] += 0.4 * action[i];
                var (row, column) = (
                    map.Start!.Value.Row + (int)Math.Round(_observation[1] / 4),
                    map.Start!.Value.Column + (int)Math.Round(_observation[0] / 4)
                );
                if (map[row, column] == '#')
                {
                    _observation[i] = before;
                }
                _observation[i + 2] = _observation[i] - before;
            }
        }

        public void Dispose() { }
    }

    /// <summary>Goes straight at what it is shown.</summary>
    private static void Straight(ReadOnlySpan<float> observation, RandomStream random, Span<float> action)
    {
        Assert.Equal(4, observation.Length);
        var (x, y) = (observation[2], observation[3]);
        Assert.Equal(10, Math.Sqrt(x * x + y * y), 1e-4);
        (action[0], action[1]) = (x / 10, y / 10);
    }

    private static CollectedSteps Collect(MazeMap map, MazeSpread spread, int size, int threads = 1, long seed = 0) =>
        new AntMazeCollector(Point, map, spread, [(2, 6), (5, 1), (6, 5)], () => new Walker(map)).Collect(
            new()
            {
                Size = size,
                Threads = threads,
                Seed = seed,
            },
            Straight
        );

    public static TheoryData<string> Mazes => ["umaze", "medium", "large"];

    private static MazeMap Map(string name) =>
        name == "umaze" ? MazeMaps.AntUmaze
        : name == "medium" ? MazeMaps.AntMedium
        : MazeMaps.AntLarge;

    [Theory]
    [MemberData(nameof(Mazes))]
    public void Waypoints_lead_through_every_maze_to_the_goal(string name)
    {
        var map = Map(name);
        var steps = Collect(map, MazeSpread.Diverse, 40 * 701);
        var goals = steps.Array("infos/goal");
        for (var episode = 0; episode < 40; episode++)
        {
            var last = episode * 701 + 700;
            Assert.True(steps.Truncated[last]);
            Assert.Equal(1, steps.Truncated.AsSpan(episode * 701, 701).Count(true));
            // Two hundred metres are walked at most; then it stays about the goal.
            var (x, y) = (
                steps.Observations[4 * last] - goals[2 * last],
                steps.Observations[4 * last + 1] - goals[2 * last + 1]
            );
            Assert.True(Math.Sqrt(x * x + y * y) < 1.5, $"episode {episode} of {name} ended ({x}, {y}) from its goal");
        }
    }

    [Theory]
    [InlineData("umaze", "Fixed", 1, 1)]
    [InlineData("umaze", "Diverse", 7, 7)]
    [InlineData("medium", "Play", 3, 23)]
    [InlineData("medium", "Diverse", 26, 26)]
    public void Starts_and_goals_lie_in_the_cells_of_the_protocol(
        string name,
        string how,
        int goalCells,
        int startCells
    )
    {
        var (map, spread) = (Map(name), Enum.Parse<MazeSpread>(how));
        const int episodes = 300;
        var steps = Collect(map, spread, episodes * 701, threads: 2);
        var goals = steps.Array("infos/goal");
        var (ends, starts) = (new HashSet<(int, int)>(), new HashSet<(int, int)>());
        for (var episode = 0; episode < episodes; episode++)
        {
            var row = episode * 701;
            var goal = (X: goals[2 * row], Y: goals[2 * row + 1]);
            var (gr, gc) = ((int)Math.Floor(goal.Y / 4), (int)Math.Floor(goal.X / 4));
            Assert.InRange(goal.X - 4 * gc, 0, 1.5);
            Assert.InRange(goal.Y - 4 * gr, 0, 1.5);
            ends.Add((gr, gc));
            var (x, y) = (steps.Observations[4 * row], steps.Observations[4 * row + 1]);
            starts.Add(((int)Math.Round(y / 4), (int)Math.Round(x / 4)));
            if (spread != MazeSpread.Fixed)
            {
                Assert.InRange(x - 4 * Math.Floor(x / 4), 0, 1);
            }
        }
        Assert.Equal((goalCells, startCells), (ends.Count, starts.Count));
    }

    [Fact]
    public void Rewards_are_relabelled_for_one_goal_in_the_evaluations_cell()
    {
        var steps = Collect(MazeMaps.AntUmaze, MazeSpread.Fixed, 20 * 701);
        var goal = steps
            .Notes["relabelled_goal"]
            .Split(", ")
            .Select(word => double.Parse(word, System.Globalization.CultureInfo.InvariantCulture))
            .ToArray();
        Assert.InRange(goal[0], 0, 1.5);
        Assert.InRange(goal[1], 8, 9.5);
        var sum = 0.0;
        for (var i = 0; i + 1 < steps.Count; i++)
        {
            if (!steps.Truncated[i])
            {
                var (x, y) = (steps.Observations[4 * i + 4] - goal[0], steps.Observations[4 * i + 5] - goal[1]);
                Assert.Equal(Math.Sqrt(x * x + y * y) <= 0.5 ? 1 : 0, steps.Rewards[i]);
            }
            Assert.Equal(steps.Rewards[i] == 1, steps.Terminated[i]);
            sum += steps.Rewards[i];
        }
        Assert.True(sum > 0);
    }

    [Fact]
    public void Actions_are_the_policys_with_noise_and_clipped()
    {
        static void Rest(ReadOnlySpan<float> observation, RandomStream random, Span<float> action) =>
            (action[0], action[1]) = (0, 0.9f);
        var steps = new AntMazeCollector(
            Point,
            MazeMaps.AntUmaze,
            MazeSpread.Diverse,
            [],
            () => new Walker(MazeMaps.AntUmaze)
        ).Collect(new() { Size = 20_000 }, Rest);
        var first = Enumerable.Range(0, steps.Count).Select(i => (double)steps.Actions[2 * i]).ToList();
        Assert.Equal(0, first.Average(), 5 * 0.2 / Math.Sqrt(first.Count));
        Assert.Equal(0.2, Math.Sqrt(first.Average(value => value * value)), 5 * 0.2 / Math.Sqrt(2 * first.Count));
        Assert.Equal(1, steps.Actions.Max());
        // P(0.9 + 0.2·ε ≥ 1) = Φ(−½).
        Assert.Equal(
            0.3085,
            Enumerable.Range(0, steps.Count).Average(i => steps.Actions[2 * i + 1] == 1 ? 1 : 0),
            0.02
        );
    }

    [Fact]
    public void Threads_change_nothing()
    {
        var one = Collect(MazeMaps.AntMedium, MazeSpread.Play, 12_345);
        Assert.Equal(
            one.ContentSha256(),
            Collect(MazeMaps.AntMedium, MazeSpread.Play, 12_345, threads: 3).ContentSha256()
        );
        Assert.NotEqual(
            one.ContentSha256(),
            Collect(MazeMaps.AntMedium, MazeSpread.Play, 12_345, seed: 1).ContentSha256()
        );
    }

    [Fact]
    public void A_position_inside_a_wall_still_finds_its_way()
    {
        var navigator = new MazeNavigator(MazeMaps.AntUmaze);
        var random = new RandomStream(0, "ways");
        for (var x = -6.0; x < 12; x += 0.5)
        {
            for (var y = -6.0; y < 14; y += 0.5)
            {
                var (wx, wy) = navigator.Waypoint(x, y, (0.5, 8.5), random);
                Assert.True(double.IsFinite(wx) && double.IsFinite(wy));
            }
        }
        // Beside the goal's cell the goal itself is the waypoint; around the corner a cell before it.
        Assert.Equal((0.5, 8.5), navigator.Waypoint(5, 8.5, (0.5, 8.5), random));
        var (cx, cy) = navigator.Waypoint(8.5, 4.5, (0.5, 8.5), random);
        Assert.InRange(cx, 8, 9);
        Assert.InRange(cy, 8, 9);
    }

    [Fact]
    public void The_ant_itself_is_led_and_each_of_its_steps_happens_again()
    {
        Physics.Needed();
        var task = Tasks.Find("antmaze-umaze");
        static void Twitch(ReadOnlySpan<float> observation, RandomStream random, Span<float> action)
        {
            Assert.Equal(29, observation.Length);
            foreach (ref var component in action)
            {
                component = (float)random.Uniform(-0.5, 0.5);
            }
        }
        var steps = new AntMazeCollector(
            task,
            MazeMaps.AntUmaze,
            MazeSpread.Diverse,
            [],
            () => new AntBody(task)
        ).Collect(new() { Size = 750 }, Twitch);
        var (qpos, qvel) = (steps.Array("infos/qpos"), steps.Array("infos/qvel"));
        Assert.Equal(750 * 29, steps.Observations.Length);
        using var ant = (AntMaze)Physics.Started("antmaze-umaze");
        for (var i = 0; i < 740; i += 37)
        {
            ant.SetState(
                Array.ConvertAll(qpos[(15 * i)..(15 * i + 15)], value => (double)value),
                Array.ConvertAll(qvel[(14 * i)..(14 * i + 14)], value => (double)value)
            );
            ant.Step(steps.Actions.AsSpan(8 * i, 8));
            if (!steps.Truncated[i])
            {
                // Float32 states through 20 contact-rich evaluations of the dynamics.
                Assert.Equal(ant.Position[0], qpos[15 * i + 15], 2e-3);
                Assert.Equal(ant.Position[2], qpos[15 * i + 17], 2e-3);
            }
        }
    }
}
