using Tilt.Environments;

namespace Tilt.Tests.Environments;

/// <summary>Rewards, ends, observations and starts of the walking robots, against their formulas.</summary>
public class LocomotionTests
{
    public static TheoryData<string, double, double, double> Rewards =>
        new()
        {
            // task, alive bonus, cost of control, Δt
            { "hopper", 1, 1e-3, 0.008 },
            { "halfcheetah", 0, 0.1, 0.05 },
            { "walker2d", 1, 1e-3, 0.008 },
            { "Hopper-v4", 1, 1e-3, 0.008 },
            { "HalfCheetah-v4", 0, 0.1, 0.05 },
            { "Walker2d-v4", 1, 1e-3, 0.008 },
        };

    [Theory]
    [MemberData(nameof(Rewards))]
    public void Reward_is_speed_plus_bonus_less_control(string name, double alive, double cost, double seconds)
    {
        using var environment = Physics.Started(name);
        var random = new RandomStream(0, "actions");
        for (var step = 0; step < 50; step++)
        {
            var x = environment.Position[0];
            var action = Physics.Action(environment.Task, random);
            var result = environment.Step(action);
            var expected = (environment.Position[0] - x) / seconds + alive - cost * action.Sum(a => a * a);
            Assert.Equal(expected, result.Reward, 1e-12);
        }
    }

    /// <remarks>
    /// The torso's place lags: with RK4 it is the last stage's. A forward pass in between would change the reward, and does in
    /// this test's second half, which shows that the first half looks at the right thing.
    /// </remarks>
    [Theory]
    [InlineData("ant")]
    [InlineData("Ant-v4")]
    public void The_ants_reward_uses_the_torsos_lagging_place(string name)
    {
        using var environment = Physics.Started(name);
        var random = new RandomStream(0, "actions");
        var before = environment.Data.BodyPositions[3];
        var lagged = 0.0;
        for (var step = 0; step < 50; step++)
        {
            var action = Physics.Action(environment.Task, random);
            var x = environment.Position[0];
            var result = environment.Step(action);
            var after = environment.Data.BodyPositions[3];
            Assert.Equal((after - before) / 0.05 + 1 - 0.5 * action.Sum(a => a * a), result.Reward, 1e-12);
            lagged = Math.Max(lagged, Math.Abs((after - before) - (environment.Position[0] - x)));
            before = after;
        }
        Assert.True(lagged > 1e-6, "the lag is what this test is about");
    }

    [Theory]
    [InlineData("hopper", 1, 0.69, true)]
    [InlineData("hopper", 1, 0.8, false)]
    [InlineData("hopper", 2, 0.21, true)]
    [InlineData("hopper", 2, -0.21, true)]
    [InlineData("hopper", 2, 0.19, false)]
    [InlineData("hopper", 3, -101, true)]
    [InlineData("walker2d", 1, 0.79, true)]
    [InlineData("walker2d", 1, 2.1, true)]
    [InlineData("walker2d", 1, 1.9, false)]
    [InlineData("walker2d", 2, 1.01, true)]
    [InlineData("walker2d", 2, -1.01, true)]
    [InlineData("walker2d", 2, 0.9, false)]
    [InlineData("halfcheetah", 2, 3.1, false)]
    [InlineData("ant", 2, 0.15, true)]
    [InlineData("ant", 2, 1.1, true)]
    [InlineData("ant", 2, 0.6, false)]
    public void Episodes_end_by_the_rule(string name, int coordinate, double value, bool ends)
    {
        using var environment = Physics.Started(name);
        var position = environment.Data.Model.Home.ToArray();
        var velocity = new double[environment.Velocity.Length];
        if (name is "hopper" or "walker2d")
        {
            // Legs drawn up, so that the floor does not lift a low torso.
            (position[3], position[4]) = (-1.2, -2.4);
            (position[^3], position[^2]) = (-1.2, -2.4);
        }
        position[coordinate] = value;
        if (name == "ant" && value < 0.2)
        {
            // The floor lifts a low ant: let it come down so fast that it is still below at the end of the step.
            (position[2], velocity[2]) = (0.6, -100);
        }
        environment.SetState(position, velocity);
        var result = environment.Step(new double[environment.Task.ActionSize]);
        Assert.Equal(ends, result.Terminated);
        Assert.Equal(ends ? EndCause.Rule : EndCause.None, result.Cause);
    }

    [Fact]
    public void The_hopper_ends_at_a_velocity_of_a_hundred_although_ten_is_seen()
    {
        using var environment = Physics.Started("hopper");
        var velocity = new double[6];
        velocity[0] = 150;
        environment.SetState(environment.Data.Model.Home.ToArray(), velocity);
        Assert.Equal(10, environment.Observation[5]);
        Assert.True(environment.Step(new double[3]).Terminated);
    }

    [Theory]
    [InlineData("hopper", 1, 10)]
    [InlineData("walker2d", 1, 10)]
    [InlineData("halfcheetah", 1, double.PositiveInfinity)]
    [InlineData("ant", 2, double.PositiveInfinity)]
    [InlineData("Ant-v4", 2, double.PositiveInfinity)]
    public void Observations_are_positions_then_clipped_velocities(string name, int hidden, double limit)
    {
        using var environment = Physics.Started(name);
        var position = environment.Data.Model.Home.ToArray();
        var velocity = Enumerable.Range(0, environment.Velocity.Length).Select(i => 4.0 * i - 15).ToArray();
        environment.SetState(position, velocity);
        var expected = environment
            .Position.ToArray()
            .Skip(hidden)
            .Concat(velocity.Select(v => Math.Clamp(v, -limit, limit)))
            .ToArray();
        Assert.Equal(expected, environment.Observation[..expected.Length].ToArray());
        // What remains are the ant's external forces, which the engine leaves zero.
        Assert.Equal(name == "ant" ? 84 : 0, environment.Observation.Length - expected.Length);
        Assert.All(environment.Observation[expected.Length..].ToArray(), force => Assert.Equal(0, force));
    }

    [Theory]
    [InlineData("hopper", 0.005, null)]
    [InlineData("walker2d", 0.005, null)]
    [InlineData("halfcheetah", 0.1, 0.1)]
    [InlineData("ant", 0.1, 0.1)]
    [InlineData("antmaze-umaze", 0.1, 0.1)]
    public void Starts_are_spread_as_they_should(string name, double width, double? normal)
    {
        using var environment = Physics.Started(name);
        var home = environment.Data.Model.Home.ToArray();
        var random = new RandomStream(0, "starts");
        var (inside, squares, velocitySquares, n) = (0.0, 0.0, 0.0, 0);
        // A free joint's quaternion is normalized after the draw, so only the other coordinates show their spread.
        var first = name.Contains("ant", StringComparison.Ordinal) ? 7 : 0;
        for (var episode = 0; episode < 400; episode++)
        {
            environment.Reset(random);
            for (var i = first; i < home.Length; i++)
            {
                var offset = environment.Position[i] - home[i];
                inside = Math.Max(inside, Math.Abs(offset));
                squares += offset * offset;
                n++;
            }
            foreach (var velocity in environment.Velocity)
            {
                velocitySquares += velocity * velocity;
            }
        }
        Assert.InRange(inside, 0.95 * width, width);
        Assert.Equal(width * width / 3, squares / n, 0.15 * width * width / 3);
        var variance = normal is { } scale ? scale * scale : width * width / 3;
        Assert.Equal(variance, velocitySquares / (400 * environment.Velocity.Length), 0.15 * variance);
    }
}
