using Tilt.Environments;

namespace Tilt.Tests.Environments;

/// <summary>What all environments promise.</summary>
public class EnvironmentTests
{
    public static TheoryData<string> All => Physics.AllTasks;

    [Theory]
    [MemberData(nameof(All))]
    public void Same_stream_same_bits(string name)
    {
        using var first = Physics.Started(name, seed: 5);
        using var second = Physics.Started(name, seed: 5);
        var random = new RandomStream(5, "actions");
        for (var step = 0; step < 20; step++)
        {
            Assert.True(first.Observation.SequenceEqual(second.Observation));
            var action = Physics.Action(first.Task, random);
            Assert.Equal(first.Step(action), second.Step(action));
        }
        using var other = Physics.Started(name, seed: 6);
        second.Reset(new RandomStream(5, "start"));
        Assert.False(other.Observation.SequenceEqual(second.Observation));
    }

    /// <remarks>Also for reused memory: what a reset leaves must not depend on what was simulated before.</remarks>
    [Theory]
    [MemberData(nameof(All))]
    public void A_reset_forgets_the_past(string name)
    {
        using var fresh = Physics.Started(name, seed: 1);
        using var used = Physics.Started(name, seed: 2);
        var random = new RandomStream(1, "actions");
        for (var step = 0; step < 30; step++)
        {
            used.Step(Physics.Action(used.Task, random));
        }
        used.Reset(new RandomStream(1, "start"));
        Assert.Equal(0, used.Steps);
        for (var step = 0; step < 10; step++)
        {
            Assert.True(fresh.Observation.SequenceEqual(used.Observation));
            var action = Physics.Action(fresh.Task, random);
            Assert.Equal(fresh.Step(action), used.Step(action));
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_restored_state_goes_on_to_the_bit(string name)
    {
        using var whole = Physics.Started(name, seed: 3);
        using var resumed = Physics.Started(name, seed: 4);
        var random = new RandomStream(3, "actions");
        for (var step = 0; step < 25; step++)
        {
            whole.Step(Physics.Action(whole.Task, random));
        }
        var state = new double[whole.StateSize];
        whole.SaveState(state);
        resumed.RestoreState(state);
        Assert.Equal(whole.Steps, resumed.Steps);
        Assert.Equal(whole.Time, resumed.Time);
        for (var step = 0; step < 25; step++)
        {
            Assert.True(whole.Observation.SequenceEqual(resumed.Observation));
            var action = Physics.Action(whole.Task, random);
            Assert.Equal(whole.Step(action), resumed.Step(action));
        }
        Assert.Throws<EnvironmentException>(() => resumed.RestoreState(state.AsSpan(1)));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Steps_and_resets_allocate_nothing(string name)
    {
        using var environment = Physics.Started(name);
        var random = new RandomStream(0, "allocation");
        var action = new double[environment.Task.ActionSize];
        var single = new float[environment.Task.ActionSize];
        long Count()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var step = 0; step < 20; step++)
            {
                for (var i = 0; i < action.Length; i++)
                {
                    action[i] = random.Uniform(-1, 1);
                    single[i] = (float)random.Normal();
                }
                environment.Step(action);
                if (environment.Step(single).Ended)
                {
                    environment.Reset(random);
                }
            }
            environment.Reset(random);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Count(); // what the runtime allocates once
        Assert.Equal(0, Count());
    }

    [Theory]
    [MemberData(nameof(All))]
    public void The_limit_truncates_and_the_rule_terminates_never_both(string name)
    {
        using var environment = Physics.Started(name);
        var home = environment.Position.ToArray();
        var rest = new double[environment.Velocity.Length];
        var state = new double[environment.StateSize];
        environment.SetState(home, rest);
        environment.SaveState(state);
        state[^1] = environment.Task.MaximumSteps - 2;
        environment.RestoreState(state);
        var action = new double[environment.Task.ActionSize];
        var before = environment.Step(action);
        Assert.False(before.Truncated);
        Assert.Equal(EndCause.None, before.Cause);
        var last = environment.Step(action);
        Assert.Equal(environment.Task.MaximumSteps, environment.Steps);
        Assert.True(last.Truncated && last.Ended && !last.Terminated);
        Assert.Equal(EndCause.TimeLimit, last.Cause);
    }

    [Fact]
    public void A_rule_that_acts_on_the_last_step_is_no_truncation()
    {
        using var environment = Physics.Started("hopper");
        var position = environment.Position.ToArray();
        position[2] = 0.5; // leans too far
        environment.SetState(position, new double[6]);
        var state = new double[environment.StateSize];
        environment.SaveState(state);
        state[^1] = environment.Task.MaximumSteps - 1;
        environment.RestoreState(state);
        var last = environment.Step(new double[3]);
        Assert.True(last.Terminated && !last.Truncated);
        Assert.Equal(EndCause.Rule, last.Cause);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Divergence_ends_the_episode_with_its_cause_and_finite_numbers(string name)
    {
        using var environment = Physics.Started(name);
        var action = new double[environment.Task.ActionSize];
        foreach (var bad in new[] { double.NaN, double.PositiveInfinity, 1e11 })
        {
            environment.Reset(new RandomStream(0, "start"));
            environment.Step(action);
            var last = environment.Observation.ToArray();
            environment.Data.Position[0] = bad;
            var result = environment.Step(action);

            Assert.True(result.Terminated && !result.Truncated);
            Assert.Equal(EndCause.Divergence, result.Cause);
            Assert.Equal(0, result.Reward);
            Assert.Equal(last, environment.Observation.ToArray());
            Assert.Contains(name, environment.Divergence);
            Assert.Contains("step 2", environment.Divergence);
            Assert.Contains("Reset", Assert.Throws<EnvironmentException>(() => environment.Step(action)).Message);

            environment.Reset(new RandomStream(0, "start"));
            Assert.Null(environment.Divergence);
            Assert.Equal(EndCause.None, environment.Step(action).Cause);
        }
    }

    [Fact]
    public void A_simulation_that_runs_away_by_itself_is_noticed()
    {
        using var environment = Physics.Started("halfcheetah");
        var velocity = new double[environment.Velocity.Length];
        velocity[3] = 9e9; // allowed as a state; the forces it brings are not
        environment.SetState(environment.Position.ToArray(), velocity);
        var result = environment.Step(new double[6]);
        Assert.Equal(EndCause.Divergence, result.Cause);
        Assert.Contains("not a number or above 1e10", environment.Divergence);
    }

    [Fact]
    public void Bad_actions_are_refused_and_named()
    {
        using var environment = Physics.Started("hopper");
        var message = Message(() => environment.Step(new double[2]));
        Assert.Contains("2 components, expected 3", message);
        Assert.Contains("component 1", Message(() => environment.Step([0, double.NaN, 0])));
        Assert.Contains("component 2", Message(() => environment.Step([0f, 0f, float.NaN])));
        Assert.Equal(0, environment.Steps);

        using var stock = Physics.Started("Hopper-v4");
        Assert.Contains("component 0", Message(() => stock.Step([double.PositiveInfinity, 0, 0])));
        Assert.False(environment.Step([double.PositiveInfinity, 0, 0]).Terminated); // clipped by D4RL's wrapper
    }

    [Fact]
    public void Bad_states_are_refused_and_named()
    {
        using var environment = Physics.Started("hopper");
        Assert.Contains("5 positions, expected 6", Message(() => environment.SetState(new double[5], new double[6])));
        Assert.Contains(
            "velocities[4]",
            Message(() => environment.SetState(new double[6], [0, 0, 0, 0, double.NaN, 0]))
        );
    }

    [Fact]
    public void A_step_before_the_first_reset_is_refused()
    {
        Physics.Needed();
        using var environment = Tasks.Find("hopper").Create();
        Assert.Contains("Reset", Message(() => environment.Step(new double[3])));
    }

    [Fact]
    public void A_disposed_environment_is_not_stepped()
    {
        var environment = Physics.Started("hopper");
        environment.Dispose();
        environment.Dispose();
        Assert.Throws<ObjectDisposedException>(() => environment.Step(new double[3]));
    }

    /// <remarks>numpy maps a float32 action in float32; its clipping makes ±1 of what lies beyond.</remarks>
    [Theory]
    [InlineData("halfcheetah", 1)]
    [InlineData("antmaze-umaze", 30)]
    [InlineData("maze2d-umaze", 1)]
    public void Actions_are_spread_over_the_motors_range_and_clipped(string name, float range)
    {
        using var environment = Physics.Started(name);
        var actions = new float[environment.Task.ActionSize];
        actions[0] = 0.3f;
        actions[1] = -7;
        environment.Step(actions);
        var expected = name == "maze2d-umaze" ? 0.3f : -range + (0.3f + 1f) * 0.5f * (range - -range);
        Assert.Equal(expected, environment.Data.Control[0]);
        Assert.Equal(-range, environment.Data.Control[1]);

        environment.Step(actions.Select(a => (double)a).ToArray());
        Assert.Equal(0.3f * range, environment.Data.Control[0], 1e-6);
        Assert.Equal(-range, environment.Data.Control[1]);
    }

    [Fact]
    public void Gymnasiums_tasks_take_actions_as_they_are()
    {
        using var environment = Physics.Started("HalfCheetah-v4");
        double[] action = [3, 0, 0, 0, 0, 0];
        var x = environment.Position[0];
        var result = environment.Step(action);
        Assert.Equal(3, environment.Data.Control[0]);
        Assert.Equal((environment.Position[0] - x) / 0.05 - 0.1 * 9, result.Reward, 1e-12);
    }

    private static string Message(Action act) => Assert.Throws<EnvironmentException>(act).Message;
}
