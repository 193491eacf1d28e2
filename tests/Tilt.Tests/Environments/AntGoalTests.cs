using Tilt.Environments;
using Tilt.Environments.Mazes;

namespace Tilt.Tests.Environments;

public class AntGoalTests
{
    [Fact]
    public void The_goal_is_shown_as_a_direction_and_its_approach_is_rewarded()
    {
        using var ant = (AntGoal)Physics.Started("ant-goal");
        var random = new RandomStream(0, "actions");
        for (var step = 0; step < 200; step++)
        {
            var (x, y, goal) = (ant.Position[0], ant.Position[1], ant.Goal);
            var before = Math.Sqrt(Math.Pow(goal.X - x, 2) + Math.Pow(goal.Y - y, 2));
            var seen = ant.Observation;
            Assert.Equal(10 * (goal.X - x) / before, seen[27], 1e-9);
            Assert.Equal(10 * (goal.Y - y) / before, seen[28], 1e-9);
            Assert.Equal(ant.Position[2..].ToArray(), seen[..13].ToArray());
            Assert.Equal(ant.Velocity.ToArray(), seen[13..27].ToArray());
            var action = Physics.Action(ant.Task, random);
            var result = ant.Step(action);
            var after = Math.Sqrt(Math.Pow(goal.X - ant.Position[0], 2) + Math.Pow(goal.Y - ant.Position[1], 2));
            Assert.Equal((before - after) / 0.1 + 0.5 - 0.05 * action.Sum(a => a * a), result.Reward, 1e-9);
            if (result.Ended)
            {
                break;
            }
        }
    }

    [Fact]
    public void A_goal_that_is_reached_is_followed_by_the_next_and_lying_on_the_back_ends_it()
    {
        using var ant = (AntGoal)Physics.Started("ant-goal");
        var goal = ant.Goal;
        Assert.Equal(5, Math.Sqrt(Math.Pow(goal.X - ant.Position[0], 2) + Math.Pow(goal.Y - ant.Position[1], 2)), 1e-9);
        var (position, velocity) = (ant.Position.ToArray(), new double[14]);
        // The goal is drawn from where the robot is placed, so the robot is carried to it within an episode.
        var state = new double[ant.StateSize];
        ant.SaveState(state);
        (state[0], state[1]) = goal;
        ant.RestoreState(state);
        Assert.Equal(goal, ant.Goal);
        Assert.False(ant.Step(new double[8]).Ended);
        Assert.NotEqual(goal, ant.Goal);

        (position[3], position[4], position[5], position[6]) = (0, 1, 0, 0);
        ant.SetState(position, velocity);
        var result = ant.Step(new double[8]);
        Assert.True(result.Terminated);
        Assert.Equal(EndCause.Rule, result.Cause);
    }
}
