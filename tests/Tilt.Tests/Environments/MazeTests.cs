using Tilt.Environments;
using Tilt.Environments.Mazes;
using Tilt.Environments.Simulation;

namespace Tilt.Tests.Environments;

/// <summary>Maps, walls, goals, rewards and starts of the mazes.</summary>
public class MazeTests
{
    public static TheoryData<string> Balls =>
        [.. Tasks.Names.Where(name => name.StartsWith("maze2d", StringComparison.Ordinal))];

    [Theory]
    [InlineData("umaze", 18, 0, 8)]
    [InlineData("medium", 38, 20, 20)]
    [InlineData("large", 62, 32, 24)]
    public void Ant_mazes_have_their_walls_and_goals(string name, int walls, double goalX, double goalY)
    {
        var map = new[] { MazeMaps.AntUmaze, MazeMaps.AntMedium, MazeMaps.AntLarge }.Single(map => map.Name == name);
        Assert.Equal((goalX, goalY), AntMazeGeometry.Center(map, map.Goal.Row, map.Goal.Column));
        Assert.Equal((0.0, 0.0), AntMazeGeometry.Center(map, 1, 1));
        Assert.Equal(walls, map.Walls.Count);
        Assert.Equal(
            2 * (map.Rows + map.Columns) - 4,
            map.Walls.Count(cell =>
                cell.Row == 0 || cell.Column == 0 || cell.Row == map.Rows - 1 || cell.Column == map.Columns - 1
            )
        );
    }

    [Fact]
    public void Maps_of_ant_and_ball_differ_only_in_start_and_goal()
    {
        static string Walls(MazeMap map) => new(map.ToString().Select(c => c == '#' || c == '\n' ? c : '.').ToArray());
        Assert.Equal(Walls(MazeMaps.AntUmaze), Walls(MazeMaps.PointUmaze));
        Assert.Equal(Walls(MazeMaps.AntMedium), Walls(MazeMaps.PointMedium));
        Assert.Equal(Walls(MazeMaps.AntLarge), Walls(MazeMaps.PointLarge));
    }

    [Theory]
    [InlineData("two goals", "####", "#GG#", "####")]
    [InlineData("no goal", "####", "#..#", "####")]
    [InlineData("uneven rows", "####", "#G#", "####")]
    [InlineData("odd cell", "####", "#G?#", "####")]
    public void Bad_maps_are_refused(string name, params string[] rows)
    {
        var error = Assert.Throws<EnvironmentException>(() => new MazeMap(name, rows));
        Assert.Contains($"maze {name}", error.Message);
    }

    [Theory]
    [InlineData("antmaze-umaze", 0, 8)]
    [InlineData("antmaze-medium-diverse", 20, 20)]
    [InlineData("antmaze-large-play", 32, 24)]
    public void Ant_goals_are_drawn_anew_by_D4rls_trapezoid(string name, double x, double y)
    {
        using var environment = (AntMaze)Physics.Started(name);
        var random = new RandomStream(0, "goals");
        const int n = 2000;
        var (sum, squares) = (0.0, 0.0);
        for (var i = 0; i < n; i++)
        {
            environment.Reset(random);
            var (dx, dy) = (environment.Goal.X - x, environment.Goal.Y - y);
            Assert.InRange(dx, 0, 1.5);
            Assert.InRange(dy, 0, 1.5);
            sum += dx + dy;
            squares += dx * dx + dy * dy;
        }
        // U(0, 1) + U(0, 1/2): mean 3/4, variance 5/48. Five standard errors.
        const double variance = 5.0 / 48;
        Assert.Equal(0.75, sum / (2 * n), 5 * Math.Sqrt(variance / (2 * n)));
        Assert.Equal(variance, squares / (2 * n) - Math.Pow(sum / (2 * n), 2), 0.01);
    }

    [Fact]
    public void The_ant_is_rewarded_and_done_within_half_a_metre_of_the_goal()
    {
        using var environment = (AntMaze)Physics.Started("antmaze-umaze");
        foreach (var (distance, reaches) in new[] { (0.4, true), (0.6, false) })
        {
            var position = environment.Data.Model.Home.ToArray();
            environment.Reset(new RandomStream(0, "start"));
            (position[0], position[1]) = (environment.Goal.X + distance, environment.Goal.Y);
            environment.SetState(position, new double[14]);
            var result = environment.Step(new double[8]);
            Assert.Equal(reaches ? 1 : 0, result.Reward);
            Assert.Equal(reaches, result.Terminated);
            Assert.Equal(reaches ? EndCause.Rule : EndCause.None, result.Cause);
            Assert.Equal(29, environment.Observation.Length);
            Assert.Equal(environment.Position[0], environment.Observation[0]);
        }
    }

    [Fact]
    public void A_fallen_ant_goes_on()
    {
        using var environment = Physics.Started("antmaze-umaze");
        var position = environment.Data.Model.Home.ToArray();
        (position[2], position[3], position[4]) = (0.3, 0, 1); // on its back
        environment.SetState(position, new double[14]);
        for (var step = 0; step < 20; step++)
        {
            Assert.False(environment.Step(new double[8]).Ended);
        }
    }

    [Theory]
    [MemberData(nameof(Balls))]
    public void Balls_are_rewarded_by_their_distance(string name)
    {
        using var environment = (Maze2d)Physics.Started(name);
        var random = new RandomStream(0, "actions");
        for (var step = 0; step < 60; step++)
        {
            if (step % 20 == 0)
            {
                environment.SetState([environment.Target.X + 0.02 * step - 0.7, environment.Target.Y], new double[2]);
            }
            var result = environment.Step(Physics.Action(environment.Task, random));
            var (dx, dy) = (
                environment.Observation[0] - environment.Target.X,
                environment.Observation[1] - environment.Target.Y
            );
            var distance = Math.Sqrt(dx * dx + dy * dy);
            var expected =
                name.EndsWith("dense", StringComparison.Ordinal) ? Math.Exp(-distance)
                : distance <= 0.5 ? 1
                : 0;
            Assert.Equal(expected, result.Reward, 1e-15);
            Assert.False(result.Terminated);
        }
    }

    [Fact]
    public void Balls_start_in_every_free_cell_and_the_goals()
    {
        using var environment = (Maze2d)Physics.Started("maze2d-umaze");
        var random = new RandomStream(0, "starts");
        var counts = new Dictionary<(int, int), int>();
        for (var i = 0; i < 1400; i++)
        {
            environment.Reset(random);
            var (x, y) = (environment.Position[0], environment.Position[1]);
            var cell = ((int)Math.Round(x), (int)Math.Round(y));
            Assert.InRange(x - cell.Item1, -0.1, 0.1);
            Assert.InRange(y - cell.Item2, -0.1, 0.1);
            counts[cell] = counts.GetValueOrDefault(cell) + 1;
        }
        Assert.Equal(environment.Map.Cells(".G").Order(), counts.Keys.Order());
        Assert.All(counts.Values, count => Assert.InRange(count, 130, 270)); // 200 ± 5 standard errors
        Assert.Equal((1.0, 1.0), environment.Target);
    }

    [Fact]
    public void The_balls_velocity_is_clipped_to_five_before_a_step()
    {
        using var environment = Physics.Started("maze2d-open");
        environment.SetState([2, 2], [0, 40]);
        environment.Step(new double[2]);
        // Damping 1 N·s/m on 4.19 kg, implicit in velocity: v′ = v / (1 + Δt·d/m).
        var mass = environment.Data.Model.BodyMasses[1];
        Assert.Equal(5 / (1 + 0.01 / mass), environment.Velocity[1], 1e-9);
    }

    [Fact]
    public void Walls_stop_the_ball()
    {
        using var environment = Physics.Started("maze2d-umaze");
        environment.SetState([3, 1], new double[2]);
        for (var step = 0; step < 300; step++)
        {
            environment.Step([0.0, -1.0]);
        }
        // Cell (3, 1) begins at 1 − 0.7; the ball's radius is 0.1.
        Assert.Equal(0.4, environment.Position[1], 0.01);
    }

    [Fact]
    public void Every_wall_is_a_box_where_its_cell_is()
    {
        using var environment = (AntMaze)Physics.Started("antmaze-large-play");
        var model = environment.Data.Model;
        foreach (var (row, column) in environment.Map.Walls)
        {
            var geom = model.IdOf(MujocoModel.Geom, $"block_{row}_{column}");
            var (x, y) = AntMazeGeometry.Center(environment.Map, row, column);
            Assert.Equal([x, y, 1], model.Doubles("geom_pos").Slice(3 * geom, 3).ToArray());
        }
    }
}
