using System.Text.Json;
using Tilt.Inference;
using Tilt.Runs;
using Tilt.Tests.Environments;

namespace Tilt.Tests.Cli;

/// <summary>The real commands of QGPO for a few steps.</summary>
public sealed class QgpoVerbTests : IDisposable
{
    private static readonly string[] Few =
    [
        "--steps",
        "3",
        "--set",
        "batch=8",
        "--set",
        "behaviorBatch=16",
        "--set",
        "behaviorNetwork.wide=16",
        "--set",
        "behaviorNetwork.middle=16",
        "--set",
        "behaviorNetwork.narrow=16",
        "--set",
        "supportActions=4",
        "--set",
        "backupActions=2",
        "--set",
        "supportSampler.evaluations=2",
        "--set",
        "sampler.evaluations=2",
        "--set",
        "precision=Float32",
        "--quiet",
    ];

    private readonly TemporaryFolder _folder = new();

    private string Run => _folder.File("a run with spaces and ü");

    private string Data => _folder.File("maze.hdf5");

    public void Dispose() => _folder.Dispose();

    private CommandLine.Result Train(params string[] more) =>
        CommandLine.Run(["train", "qgpo", "--out", Run, "--cache", _folder.File("cache"), .. Few, .. more]);

    private void MakeMaze()
    {
        Physics.Needed();
        var made = CommandLine.Run("data", "make", "maze2d-umaze", "--size", "600", "--out", Data, "--quiet");
        Assert.True(made.ExitCode == 0, made.Error);
    }

    [Fact]
    public void Training_evaluating_and_the_report_work_in_a_row()
    {
        MakeMaze();
        var trained = Train("--task", "maze2d-umaze", "--data", Data, "--method", "cep,mse,dps");
        Assert.True(trained.ExitCode == 0, trained.Error);
        foreach (
            var file in new[] { "policy.safetensors", "policy-mse.safetensors", "diagnostics.json", "options.json" }
        )
        {
            Assert.True(File.Exists(Path.Combine(Run, file)), file);
        }
        Assert.Equal(2, Policy.Load(Run).Act([1, 2, 0, 0], 5).Length);

        string[] eval = ["eval", Run, "-n", "2", "--scale", "0,1", "--json", "--quiet"];
        var evaluated = CommandLine.Run(eval);
        Assert.True(evaluated.ExitCode == 0, evaluated.Error);
        using (var json = JsonDocument.Parse(evaluated.Output))
        {
            Assert.Equal(
                ["behavior", "cep", "mse", "dps"],
                json.RootElement.EnumerateArray().Select(row => row.GetProperty("method").GetString())
            );
        }
        // One line per episode: 2 of the behavior, 2 of each method, of which dps cannot be saved and acts by tensors.
        var lines = File.ReadAllLines(Path.Combine(Run, "evaluation.jsonl"));
        Assert.Equal(8, lines.Length);
        Assert.All(lines, line => Assert.Contains("\"return\":", line));

        // Known episodes are read, not played: the same table, and nothing is added.
        Assert.Equal(evaluated.Output, CommandLine.Run(eval).Output);
        Assert.Equal(8, File.ReadAllLines(Path.Combine(Run, "evaluation.jsonl")).Length);

        var report = CommandLine.Run("report", Run, "--quiet");
        Assert.True(report.ExitCode == 0, report.Error);
        var page = File.ReadAllText(Path.Combine(Run, "report.html"));
        Assert.DoesNotContain("http://", page.Replace("http://www.w3.org", "", StringComparison.Ordinal));
        Assert.Contains("not D4RL", page);
        Assert.Contains("label ESS", page);
        foreach (var figure in new[] { "curves", "norms", "actions", "guidance" })
        {
            Assert.True(new FileInfo(Path.Combine(Run, "figures", $"{figure}.svg")).Length > 100, figure);
        }
    }

    [Fact]
    public void Policies_start_from_the_same_states_and_episodes_do_not_depend_on_how_many_there_are()
    {
        MakeMaze();
        Assert.Equal(0, Train("--task", "maze2d-umaze-dense", "--data", Data).ExitCode);
        Assert.Equal(0, CommandLine.Run("eval", Run, "-n", "1", "--scale", "0", "--quiet").ExitCode);
        Assert.Equal(0, CommandLine.Run("eval", Run, "-n", "3", "--scale", "0", "--quiet").ExitCode);
        var returns = RunReader
            .Open(Run)
            .Evaluations()
            .Where(line => line.Number("episode") == 0)
            .Select(line => line.Number("return"))
            .ToList();
        Assert.Equal(2, returns.Count);
        Assert.Equal(returns[0], returns[1]);
    }

    [Fact]
    public void Data_without_an_environment_train_and_end_in_a_report_that_says_what_it_cannot_know()
    {
        var log = _folder.File("robot.csv");
        var random = new Random(2);
        using (var writer = new StreamWriter(log))
        {
            writer.WriteLine("observation_0,observation_1,action_0,reward,terminated,truncated");
            for (var i = 0; i < 120; i++)
            {
                writer.WriteLine(
                    FormattableString.Invariant(
                        $"{random.NextDouble():f4},{random.NextDouble():f4},{random.NextDouble():f4},{random.NextDouble():f4},0,{(i % 20 == 19 ? 1 : 0)}"
                    )
                );
            }
        }
        var trained = Train("--data", log);
        Assert.True(trained.ExitCode == 0, trained.Error);

        var refused = CommandLine.Run("eval", Run, "--quiet");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("no environment", refused.Error);

        var report = CommandLine.Run("report", Run, "--quiet");
        Assert.True(report.ExitCode == 0, report.Error);
        var page = File.ReadAllText(Path.Combine(Run, "report.html"));
        Assert.Contains("cannot be known", page);
        Assert.Contains("distance to support", page);
    }

    [Fact]
    public void Data_of_the_wrong_size_for_the_task_are_refused()
    {
        MakeMaze();
        var result = Train("--task", "hopper-medium", "--data", Data);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("4 dimensions", result.Error);
        Assert.Contains("11", result.Error);
    }

    [Fact]
    public void A_run_folder_of_other_data_is_refused()
    {
        MakeMaze();
        Assert.Equal(0, Train("--task", "maze2d-umaze", "--data", Data).ExitCode);
        var other = _folder.File("other.hdf5");
        var made = CommandLine.Run(
            "data",
            "make",
            "maze2d-umaze",
            "--size",
            "600",
            "--seed",
            "1",
            "--out",
            other,
            "--quiet"
        );
        Assert.True(made.ExitCode == 0, made.Error);

        var result = Train("--task", "maze2d-umaze", "--data", other);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("other data", result.Error);
    }

    [Theory]
    [InlineData("train qgpo", "name a data set")]
    [InlineData("train qgpo --task hoper-medium", "hopper-medium")]
    [InlineData("train qgpo --task hopper-medium --preset quik", "quick")]
    [InlineData("train qgpo --task hopper-medium --method cpe", "cep")]
    [InlineData("train qgpo --task hopper-medium --set supportAction=3", "supportActions")]
    [InlineData("train qgpo --task hopper-medium --beta -1", "beta")]
    [InlineData("eval /nowhere", "no folder")]
    [InlineData("demo rll", "rl")]
    public void A_wrong_request_exits_with_2_and_says_why(string line, string expected)
    {
        var result = CommandLine.Run(line.Split(' '));

        Assert.True(result.ExitCode == 2, $"{result.ExitCode}: {result.Error}");
        Assert.Contains(expected, result.Error);
    }

    [Fact]
    public void A_dry_run_prints_every_option_and_an_estimate_and_makes_nothing()
    {
        MakeMaze();
        var result = Train("--task", "maze2d-umaze", "--data", Data, "--dry-run");

        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("guidanceLearningRate", result.Output);
        Assert.Contains("estimated time", result.Output);
        Assert.False(Directory.Exists(Run));
    }
}
