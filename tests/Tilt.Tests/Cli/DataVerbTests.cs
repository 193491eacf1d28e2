using System.Text.Json;
using System.Xml.Linq;
using Tilt.OfflineRl.Data;
using Tilt.Tests.OfflineRl.Data;

namespace Tilt.Tests.Cli;

public class DataVerbTests
{
    [Fact]
    public void A_table_is_imported_and_inspected_with_a_page()
    {
        using var folder = new TemporaryFolder();
        var (log, set, page) = (folder.File("my log.csv"), folder.File("sets/robot.hdf5"), folder.File("page"));
        File.WriteAllText(
            log,
            "height,speed,torque,r,fell,run\n"
                + string.Concat(
                    Enumerable
                        .Range(0, 60)
                        .Select(i => $"{i % 7},{i * 0.5},{i % 5 - 2},{i % 3},{(i % 20 == 19 ? 1 : 0)},{i / 15}\n")
                )
        );
        var imported = CommandLine.Run([
            "data",
            "import",
            log,
            "--to",
            set,
            .. "--field observations=height,speed --field actions=torque --field reward=r --field terminated=fell --field episode=run".Split(
                ' '
            ),
        ]);
        Assert.Equal((0, ""), (imported.ExitCode, imported.Output.Length > 0 ? "" : imported.Error));
        Assert.Contains("60 steps, 2 observations, 1 actions, 6 whole episodes", imported.Output);

        var again = CommandLine.Run("data", "import", log, "--to", set);
        Assert.Equal(2, again.ExitCode);
        Assert.Contains("--force", again.Error);

        var inspected = CommandLine.Run("data", "inspect", set, "--out", page);
        Assert.Equal(0, inspected.ExitCode);
        Assert.Contains("whole episodes                       6", inspected.Output);
        // −2 and 2 of five values are outside.
        Assert.Contains("steps with actions outside [-1, 1]   24", inspected.Output);
        var html = File.ReadAllText(Path.Combine(page, "report.html"));
        Assert.Contains("made_by", html);
        Assert.Contains("outside [−1, 1]", System.Net.WebUtility.HtmlDecode(html));
        Assert.Equal(
            ["Episodes", "Observations", "Actions", "Rewards", "Checks", "Contents of the file", "Provenance"],
            XDocument
                .Parse(html.Replace("<!DOCTYPE html>", ""))
                .Descendants()
                .Where(element => element.Name.LocalName == "h2")
                .Select(element => element.Value.Split(". ")[1])
        );
        Assert.Equal(
            2 * DataSummary.Bins + 1,
            File.ReadAllLines(Path.Combine(page, "figures", "observations.csv")).Length
        );
    }

    [Fact]
    public void An_inspection_counts_what_training_would_refuse()
    {
        using var folder = new TemporaryFolder();
        var path = D4rlGolden.PathOf("bad_nan_rewards.hdf5");
        var result = CommandLine.Run("data", "inspect", path, "--out", folder.Path, "--json", "--task", "hopper");
        Assert.Equal(0, result.ExitCode);
        using var document = JsonDocument.Parse(result.Output);
        var values = document
            .RootElement.EnumerateArray()
            .ToDictionary(row => row.GetProperty("quantity").GetString()!, row => row.GetProperty("value"));
        Assert.Equal(2, values["values not finite"].GetInt32());
        Assert.Equal(83, values["steps"].GetInt32());
        Assert.Contains("cannot be trained on", File.ReadAllText(folder.File("report.html")));
        Assert.Contains("report.html", result.Error);
    }

    [Fact]
    public void A_summary_counts_duplicates_repetitions_and_marks()
    {
        float[] observations = [1, 2, 2, 1, 1, 3];
        float[] actions = [0.5f, 1.5f, 0, 0.5f, -1, -1.25f];
        using var steps = RecordedSteps.FromArrays(
            observations,
            actions,
            [1, 2, 3, 4, 5, 6],
            [false, false, true, false, false, false],
            [false, false, true, false, true, false]
        );
        var summary = DataSummary.Of(steps);
        Assert.Equal((1, 2, 1), (summary.Duplicates, summary.RepeatedObservations, summary.MarkedTwice));
        Assert.Equal((2, 1), (summary.ActionsOutside, summary.UnfinishedSteps));
        Assert.Equal([6.0, 9.0], summary.Episodes.Select(episode => episode.Return));
        var observation = summary.Observations.Single();
        Assert.Equal((1.0, 3.0), (observation.Min, observation.Max));
        Assert.Equal(10 / 6.0, observation.Mean, 1e-12);
        Assert.Equal(6, observation.Histogram.Sum());
        Assert.Equal((3, 2, 1), (observation.Histogram[0], observation.Histogram[20], observation.Histogram[^1]));
    }

    [Fact]
    public void Scores_are_those_of_D4RL()
    {
        var given = CommandLine.Run("data", "score", "hopper", "-20.272305", "3234.3", "--json");
        using var document = JsonDocument.Parse(given.Output);
        Assert.Equal(
            [0, 100],
            document.RootElement.EnumerateArray().Select(row => row.GetProperty("score").GetDouble())
        );
        // A copy, since the verb keeps a cache beside the file.
        using var folder = new TemporaryFolder();
        var path = folder.File("locomotion_v2.hdf5");
        File.WriteAllBytes(path, File.ReadAllBytes(D4rlGolden.PathOf("locomotion_v2.hdf5")));
        var file = CommandLine.Run("data", "score", "hopper-medium-v2", "--data", path);
        Assert.Contains("mean of 4 episodes", file.Output);
        Assert.Equal(0, file.ExitCode);

        var other = CommandLine.Run("data", "score", "walker2d-medium-v2", "--data", path);
        Assert.Equal(1, other.ExitCode);
        Assert.Contains("found 11 dimensions, expected 17, as the task walker2d-medium-v2 has", other.Error);
    }

    [Theory]
    [InlineData("data score hoper 3", 2, "Did you mean 'hopper'?")]
    [InlineData("data score hopper nan", 2, "'nan' should be a return, a finite number")]
    [InlineData("data inspect /", 1, "found a folder, expected a file")]
    [InlineData("data score hopper three", 2, "'three' should be a return")]
    [InlineData("data inspect walker2d-expert-v2", 1, "walker2d_expert-v2.hdf5")]
    [InlineData("data inspect x.csv --field rewards=r", 2, "unknown field 'rewards'. Did you mean 'reward'?")]
    [InlineData("data inspect x.csv --field reward", 2, "expected FIELD=NAME")]
    [InlineData("data inspect x.csv --field reward=a,b", 2, "is one column")]
    [InlineData("data inspect x.csv --episode-steps 0", 2, "expected a whole number from 1")]
    [InlineData("data inspect x.csv --task hoper", 2, "unknown D4RL data set 'hoper'")]
    [InlineData("data inspekt", 2, "Did you mean 'inspect'?")]
    public void Wrong_requests_are_told_what_to_type(string line, int code, string expected)
    {
        var result = CommandLine.Run(line.Split(' '));
        Assert.Equal(code, result.ExitCode);
        Assert.Contains(expected, result.Error, StringComparison.Ordinal);
    }
}
