using Tilt.OfflineRl.Data;

namespace Tilt.Tests.OfflineRl.Data;

public class TransitionDatasetTests
{
    [Fact]
    public void Recorded_successors_make_every_step_a_transition()
    {
        using var steps = SampleSteps.Make(next: true);
        var data = TransitionDataset.FromSteps(steps);
        Assert.Equal(steps.Count, data.Count);
        for (var k = 0; k < data.Count; k++)
        {
            Assert.Equal(steps.NextObservation(k).ToArray(), data.NextObservation(k).ToArray());
            Assert.Equal(steps.Terminated(k) ? 1 : 0, data.Terminated[k]);
        }
    }

    [Fact]
    public void Data_without_marks_of_cut_off_episodes_need_the_step_limit()
    {
        using var steps = RecordedSteps.FromArrays(new float[6], new float[6], new float[6], new bool[6]);
        var error = Assert.Throws<DataException>(() => TransitionDataset.FromSteps(steps));
        Assert.Contains("--episode-steps", error.Remedy);
        Assert.Equal(5, TransitionDataset.FromSteps(steps, new() { EpisodeSteps = int.MaxValue }).Count);
        Assert.Equal([0, 2, 4], TransitionDataset.FromSteps(steps, new() { EpisodeSteps = 2 }).Steps.ToArray());
    }

    [Fact]
    public void Copies_of_consecutive_observations_are_those_of_the_transitions()
    {
        using var steps = SampleSteps.Make();
        var data = TransitionDataset.FromSteps(steps);
        var (observations, next) = (new float[4 * 3], new float[4 * 3]);
        data.CopyObservations(7, observations);
        data.CopyNextObservations(7, next);
        for (var i = 0; i < 4; i++)
        {
            Assert.Equal(data.Observation(7 + i).ToArray(), observations[(3 * i)..(3 * i + 3)]);
            Assert.Equal(data.NextObservation(7 + i).ToArray(), next[(3 * i)..(3 * i + 3)]);
        }
    }

    [Fact]
    public void Moments_are_those_of_the_transitions_observations()
    {
        using var steps = SampleSteps.Make();
        var data = TransitionDataset.FromSteps(steps);
        var (mean, deviation) = data.ObservationMoments();
        for (var j = 0; j < 3; j++)
        {
            var column = Enumerable.Range(0, data.Count).Select(k => (double)data.Observation(k)[j]).ToList();
            var expected = column.Average();
            // Two orders of summation in float64.
            Assert.Equal(expected, mean[j], 1e-12);
            Assert.Equal(Math.Sqrt(column.Average(x => (x - expected) * (x - expected))), deviation[j], 1e-12);
        }
    }

    [Fact]
    public void Named_tunings_are_their_formulas()
    {
        float[] rewards = [0, 1, 0, 0, 1, 0.5f];
        using var steps = RecordedSteps.FromArrays(
            new float[6],
            new float[6],
            rewards,
            [false, true, false, false, false, false],
            [false, false, false, false, true, false]
        );
        var data = TransitionDataset.FromSteps(steps);
        Assert.Equal([0, 1, 2, 3], data.Steps.ToArray());
        Assert.Equal([0, 1, 0, 0], RewardTunings.Named("none")(data));
        Assert.Equal([-1, 0, -1, -1], RewardTunings.Named("iql-antmaze")(data));
        Assert.Equal([-2, 2, -2, -2], RewardTunings.Named("cql-antmaze")(data));
        Assert.Equal([-0.5f, 1.5f, -0.5f, -0.5f], RewardTunings.Named("antmaze")(data));
        // Mean 1/4, sum of squared deviations 3/4, divided by 3: deviation 1/2.
        Assert.Equal([-0.5f, 1.5f, -0.5f, -0.5f], RewardTunings.Named("standardize")(data));
        var error = Assert.Throws<TiltException>(() => RewardTunings.Named("iql_antmaze"));
        Assert.Contains("Did you mean 'iql-antmaze'?", error.Message);
        Assert.Equal(2, error.ExitCode);
    }

    [Fact]
    public void The_episode_range_sees_the_cut_off_step_that_windows_over_transitions_miss()
    {
        // Two episodes of three steps, cut off; the last step of each is no transition, and pays most.
        using var steps = RecordedSteps.FromArrays(
            new float[7],
            new float[7],
            [1, 1, 10, 2, 2, 20, 0],
            new bool[7],
            [false, false, true, false, false, true, false]
        );
        var data = TransitionDataset.FromSteps(steps);
        Assert.Equal([1, 1, 2, 2], data.Rewards.ToArray());
        // Returns 12 and 24: 1000 / 12 a unit of reward.
        Assert.Equal(1000f / 12, RewardTunings.EpisodeRange(data)[0], 1e-4);
        // Windows of three transitions slide over the border: 1 + 1 + 2 and nothing whole after it.
        Assert.Equal((4, 4), RewardTunings.ReturnRange(data, 3));
    }

    [Fact]
    public void Constant_rewards_cannot_be_standardized()
    {
        using var steps = RecordedSteps.FromArrays(new float[4], new float[4], [2, 2, 2, 2], new bool[4], new bool[4]);
        var error = Assert.Throws<DataException>(() =>
            TransitionDataset.FromSteps(steps).Tuned(RewardTunings.Standardize)
        );
        Assert.Contains("all 2", error.Found);
    }
}
