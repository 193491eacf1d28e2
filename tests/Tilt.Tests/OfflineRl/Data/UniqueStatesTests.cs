using Tilt.OfflineRl.Data;
using Tilt.Tests.OfflineRl.Algorithms;

namespace Tilt.Tests.OfflineRl.Data;

public class UniqueStatesTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Every_transition_finds_its_states_and_a_successor_that_is_the_next_state_is_not_counted_twice(bool next)
    {
        using var steps = next ? WithNext() : QgpoSample.Steps(count: 200);
        var data = TransitionDataset.FromSteps(steps);
        var states = new UniqueStates(data);
        for (var k = 0; k < data.Count; k++)
        {
            Assert.Equal(data.Observation(k).ToArray(), states[(int)states.Current[k]].ToArray());
            if (data.Terminated[k] == 0)
            {
                Assert.Equal(data.NextObservation(k).ToArray(), states[(int)states.Next[k]].ToArray());
            }
        }
        // 200 recorded states; with successors recorded, those at the four cuts stand nowhere else.
        Assert.Equal(next ? 204 : 200, states.Count);
        var copied = new float[3 * data.ObservationSize];
        states.Copy(5, copied);
        Assert.Equal(states[7].ToArray(), copied[^data.ObservationSize..]);
    }

    [Fact]
    public void The_hash_tells_states_apart()
    {
        using var one = QgpoSample.Steps(count: 200);
        using var other = QgpoSample.Steps(count: 150);
        Assert.NotEqual(
            new UniqueStates(TransitionDataset.FromSteps(one)).Hash(),
            new UniqueStates(TransitionDataset.FromSteps(other)).Hash()
        );
    }

    private static RecordedSteps WithNext()
    {
        using var plain = QgpoSample.Steps(count: 200);
        var (s, a) = (plain.ObservationSize, plain.ActionSize);
        var (observations, nexts, actions) = (new List<float>(), new List<float>(), new List<float>());
        for (var i = 0; i < plain.Count; i++)
        {
            observations.AddRange(plain.Observation(i));
            nexts.AddRange(plain.Truncated(i) ? [.. Enumerable.Repeat(i + 0.5f, s)] : plain.Observation(i + 1));
            actions.AddRange(plain.Action(i));
        }
        return RecordedSteps.FromArrays(
            [.. observations],
            [.. actions],
            plain.Rewards,
            new bool[plain.Count],
            [.. Enumerable.Range(0, plain.Count).Select(plain.Truncated)],
            [.. nexts]
        );
    }
}
