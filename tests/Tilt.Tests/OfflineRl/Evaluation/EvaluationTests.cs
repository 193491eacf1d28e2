using Tilt.Environments;
using Tilt.OfflineRl.Evaluation;
using Tilt.Tests.Environments;

namespace Tilt.Tests.OfflineRl.Evaluation;

public class EvaluationTests
{
    /// <summary>Pushes by a function of observation and seed.</summary>
    private static void Push(ReadOnlySpan<float> observations, ReadOnlySpan<long> seeds, Span<float> actions)
    {
        for (var row = 0; row < seeds.Length; row++)
        {
            var random = new RandomStream(seeds[row], "push");
            actions[2 * row] = (float)Math.Sin(observations[4 * row]) * 0.3f;
            actions[2 * row + 1] = (float)random.Uniform(-1, 1);
        }
    }

    [Fact]
    public void An_episode_depends_on_its_number_alone_and_plays_again_to_the_same_bits()
    {
        Physics.Needed();
        var runner = new EpisodeRunner(Tasks.Find("maze2d-umaze-dense"), 7, 2);
        var many = runner.Run(Push, 5);
        var few = new EpisodeRunner(Tasks.Find("maze2d-umaze-dense"), 7, 1).Run(Push, 2);
        Assert.Equal(many.Take(2), few);
        Assert.Equal(5, many.Select(episode => episode.Return).Distinct().Count());

        var looks = 0;
        var again = runner.Replay(Push, 3, _ => looks++);
        Assert.Equal(many[3], again);
        Assert.Equal(again.Length + 1, looks);
        Assert.NotEqual(many[0], new EpisodeRunner(Tasks.Find("maze2d-umaze-dense"), 8).Run(Push, 1)[0]);
    }

    [Fact]
    public void Scores_are_D4RLs_normalization_in_percent()
    {
        Physics.Needed();
        var task = Tasks.Find("maze2d-umaze-dense");
        var episode = new EpisodeRunner(task, 0).Run(Push, 1)[0];
        var range = task.Score!;
        Assert.Equal(100 * (episode.Return - range.Random) / (range.Expert - range.Random), episode.Score!.Value, 1e-9);
    }

    [Fact]
    public void Episodes_that_fall_early_end_early_and_the_others_go_on()
    {
        Physics.Needed();
        var task = Tasks.Find("hopper");
        var episodes = new EpisodeRunner(task, 0).Run(
            (_, seeds, actions) =>
            {
                for (var row = 0; row < seeds.Length; row++)
                {
                    actions.Slice(3 * row, 3).Fill((seeds[row] & 1) == 0 ? 1 : -1);
                }
            },
            4
        );
        Assert.All(episodes, episode => Assert.True(episode.Terminated && episode.Length is > 1 and < 1000));
        Assert.True(episodes.Select(episode => episode.Length).Distinct().Count() > 1);
    }

    [Theory]
    [InlineData("hopper-medium-replay", "hopper")]
    [InlineData("tilt-walker2d-medium-expert", "walker2d")]
    [InlineData("antmaze-large-play-v2", "antmaze-large-play")]
    [InlineData("maze2d-umaze", "maze2d-umaze")]
    [InlineData("my-robot", null)]
    public void A_data_set_knows_its_environment_by_name(string dataSet, string? task) =>
        Assert.Equal(task, EnvironmentTasks.Find(dataSet)?.Name);

    [Fact]
    public void Intervals_are_Students_and_need_three_seeds()
    {
        Assert.Null(Intervals.Of([1, 2]).HalfWidth);
        Assert.Equal(1.5, Intervals.Of([1, 2]).Mean);
        // t of 2 degrees of freedom at 97.5 % is 4.3027; the standard error of 1, 2, 3 is 1/√3.
        Assert.Equal(4.3027 / Math.Sqrt(3), Intervals.Of([1, 2, 3]).HalfWidth!.Value, 1e-4);
    }

    [Fact]
    public void The_papers_rows_have_the_averages_that_it_prints()
    {
        Assert.Equal(15, PaperScores.All.Count);
        Assert.Equal(86.6, PaperScores.All.Take(9).Average(row => row.Mean), 0.06);
        Assert.Equal(78.3, PaperScores.All.Skip(9).Average(row => row.Mean), 0.06);
        Assert.Equal(96.9, PaperScores.Of("tilt-hopper-medium-replay")!.Mean);
        Assert.Null(PaperScores.Of("maze2d-umaze"));
    }
}
