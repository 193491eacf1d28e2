using Tilt.Environments;
using Tilt.Environments.Mazes;

namespace Tilt.Tests.Environments;

public class AntHeadingTests
{
    [Fact]
    public void An_ant_seen_in_a_turned_frame_is_the_ant_turned_back()
    {
        const double Angle = 2.2;
        var body = new double[27];
        var random = new RandomStream(1, "body");
        for (var i = 0; i < body.Length; i++)
        {
            body[i] = random.Normal();
        }
        var length = Math.Sqrt(body[1..5].Sum(value => value * value));
        for (var i = 1; i < 5; i++)
        {
            body[i] /= length;
        }
        var (seen, back) = (new double[27], new double[27]);
        AntHeading.Turn(body, Angle, seen);
        AntHeading.Turn(seen, -Angle, back);
        var sign = Math.Sign(body[1]) * Math.Sign(back[1]);
        for (var i = 0; i < body.Length; i++)
        {
            Assert.Equal((i is >= 1 and < 5 ? sign : 1) * body[i], back[i], 1e-12);
        }
        // A body that faces and moves along the angle is seen facing and moving along x.
        var along = new double[27];
        (along[1], along[4]) = (Math.Cos(Angle / 2), Math.Sin(Angle / 2));
        (along[13], along[14]) = (3 * Math.Cos(Angle), 3 * Math.Sin(Angle));
        AntHeading.Turn(along, Angle, seen);
        Assert.Equal([1, 0, 0, 0], seen[1..5].Select(value => Math.Round(value, 12)));
        Assert.Equal([3, 0], seen[13..15].Select(value => Math.Round(value, 12)));
    }

    [Fact]
    public void The_reward_is_the_way_along_the_heading_which_changes_every_hundred_steps()
    {
        var ant = (AntHeading)Physics.Started("ant-heading", seed: 4);
        using var _ = ant;
        var random = new RandomStream(5, "actions");
        var headings = new HashSet<double>();
        for (var step = 0; step < 250; step++)
        {
            var (x, y, heading) = (ant.Position[0], ant.Position[1], ant.Heading);
            headings.Add(heading);
            var action = Physics.Action(ant.Task, random, 0.3);
            var reward = ant.Step(action).Reward;
            var way = (ant.Position[0] - x) * Math.Cos(heading) + (ant.Position[1] - y) * Math.Sin(heading);
            Assert.Equal(way / 0.1 + 0.5 - 0.1 * action.Sum(value => value * value), reward, 1e-9);
        }
        Assert.Equal(3, headings.Count);
    }
}
