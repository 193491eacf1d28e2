using System.Text.Json;
using Tilt.Toys;

namespace Tilt.Tests.Cli;

/// <summary>The real commands of the 2-D experiment for a few steps.</summary>
public class Cep2dVerbTests : IDisposable
{
    private static readonly string[] Few =
    [
        "--steps",
        "3",
        "--set",
        "noiseBatch=32",
        "--set",
        "energyBatch=32",
        "--set",
        "references=8",
        "--set",
        "pool=20000",
        "--quiet",
    ];

    private readonly TemporaryFolder _folder = new();

    private string Run => _folder.File("a run with spaces and ü");

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private CommandLine.Result Train(params string[] more) =>
        CommandLine.Run(["train", "cep2d", "--out", Run, .. Few, .. more]);

    [Fact]
    public void Training_sampling_certifying_and_the_report_work_in_a_row()
    {
        var trained = Train("--task", "moons", "--method", "cep,mse");
        Assert.True(trained.ExitCode == 0, trained.Error);
        Assert.Contains("9 steps", trained.Output);

        var again = Train("--task", "moons", "--method", "cep,mse");
        Assert.Equal(0, again.ExitCode);

        var sampled = CommandLine.Run("sample", Run, "--beta", "0,3", "-n", "7");
        Assert.True(sampled.ExitCode == 0, sampled.Error);
        foreach (var beta in new[] { "0", "3" })
        {
            Assert.Equal(8, File.ReadAllLines(Path.Combine(Run, "samples", $"cep-beta-{beta}.csv")).Length);
        }

        var certified = CommandLine.Run("certify", Run, "-n", "200", "--repetitions", "3", "--json", "--quiet");
        Assert.True(certified.ExitCode == 3, certified.Error);
        using var json = JsonDocument.Parse(certified.Output);
        Assert.Equal("moons", json.RootElement.GetProperty("task").GetString());

        var report = CommandLine.Run("report", Run, "--quiet");
        Assert.True(report.ExitCode == 0, report.Error);
        var page = File.ReadAllText(Path.Combine(Run, "report.html"));
        Assert.DoesNotContain("http://", page.Replace("http://www.w3.org", "", StringComparison.Ordinal));
        Assert.Contains("not exact", page);
        foreach (
            var figure in new[]
            {
                "gallery",
                "energy-cep",
                "energy-mse",
                "guidance",
                "curves",
                "metrics",
                "solvers",
                "dial",
            }
        )
        {
            foreach (var kind in new[] { "png", "svg", "csv" })
            {
                Assert.True(
                    new FileInfo(Path.Combine(Run, "figures", $"{figure}.{kind}")).Length > 100,
                    $"{figure}.{kind}"
                );
            }
        }
    }

    [Theory]
    [InlineData("train cep2d --task moon", "Did you mean 'moons'?")]
    [InlineData("train cep2d --method cpe", "Did you mean 'cep'?")]
    [InlineData("train cep2d --preset papr", "Did you mean 'paper'?")]
    [InlineData("train cep2d --beta -1", "beta")]
    [InlineData("train cep2d --beta nan", "beta")]
    [InlineData("train cep2d --method dps --beta 0", "above 0")]
    [InlineData("train cep2d --steps 2 --set energyBatch=16", "32 training points")]
    [InlineData("train cep2d --set noiseStep=3", "noiseSteps")]
    [InlineData("train cep2d --set noiseSteps=-3", "noiseSteps")]
    [InlineData("train cep3d", "cep2d")]
    [InlineData("certify /nowhere", "no folder")]
    [InlineData("demo 3d", "2d")]
    [InlineData("demo --task moon", "Did you mean 'moons'?")]
    public void A_wrong_request_exits_with_2_and_says_why(string line, string expected)
    {
        var result = CommandLine.Run(line.Split(' '));

        Assert.True(result.ExitCode == 2, $"{result.ExitCode}: {result.Error}");
        Assert.Contains(expected, result.Error);
    }

    [Theory]
    [InlineData("--beta 25", "beta")]
    [InlineData("--beta -3", "--beta")]
    [InlineData("--beta nan", "--beta")]
    [InlineData("-n -5", "--count")]
    [InlineData("-n 10000000000", "--count")]
    [InlineData("--method emse", "emse")]
    [InlineData("--solver dpm-solver-2n", "dpm-solver-2m")]
    [InlineData("--evaluations 0", "--evaluations")]
    [InlineData("--scale nan", "--scale")]
    [InlineData("--scale -1", "--scale")]
    [InlineData("--beta 0,3 --out -", "one file")]
    [InlineData("--out /tmp", "is a folder")]
    public void A_sample_that_cannot_be_drawn_exits_with_2(string wrong, string expected)
    {
        Assert.Equal(0, Train("--task", "moons").ExitCode);

        var result = CommandLine.Run(["sample", Run, .. wrong.Split(' ')]);

        Assert.True(result.ExitCode == 2, $"{result.ExitCode}: {result.Error}");
        Assert.Contains(expected, result.Error);
    }

    [Fact]
    public void No_samples_are_a_file_with_a_heading()
    {
        Assert.Equal(0, Train("--task", "moons").ExitCode);

        var result = CommandLine.Run("sample", Run, "-n", "0", "--out", "-");

        Assert.Equal(0, result.ExitCode);
        Assert.Equal("x,y\n", result.Output);
    }

    [Fact]
    public void What_the_pool_limits_is_refused_or_says_so_in_every_output()
    {
        const string mark = "limited by the pool";
        Assert.Equal(0, Train("--task", "swissroll", "--beta", "12").ExitCode);

        var refused = CommandLine.Run("sample", Run, "--beta", "12", "-n", "3");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("--beyond-pool", CommandLine.Run("sample", "--help").Output);
        Assert.Contains(mark, refused.Error);

        var sampled = CommandLine.Run("sample", Run, "--beta", "12", "-n", "3", "--beyond-pool");
        Assert.True(sampled.ExitCode == 0, sampled.Error);
        Assert.Contains(mark, sampled.Output);
        Assert.Contains(mark, File.ReadLines(Path.Combine(Run, "samples", "cep-beta-12.csv")).First());

        var certified = CommandLine.Run("certify", Run, "-n", "200", "--repetitions", "3", "--quiet");
        Assert.Equal(3, certified.ExitCode);
        Assert.Contains($"CEP cannot be certified (β = 12 is {mark})", certified.Output);

        var report = CommandLine.Run("report", Run, "--quiet");
        Assert.True(report.ExitCode == 0, report.Error);
        var page = System.Net.WebUtility.HtmlDecode(File.ReadAllText(Path.Combine(Run, "report.html")));
        foreach (
            var title in new[]
            {
                $"β = 20 ({mark})",
                $"the intermediate energy at β = 12 ({mark})",
                $"The guidance at β = 12 ({mark})",
                $"Distance to the truth, β = 12 {mark}",
                $"Solvers at β = 12 ({mark})",
                $"β as a dial (from 12 on {mark})",
            }
        )
        {
            Assert.Contains(title, page);
        }
    }

    [Fact]
    public void A_sampler_that_diverges_is_an_error_and_leaves_no_file()
    {
        Assert.Equal(0, Train("--task", "swissroll").ExitCode);

        // The label grows like the square of the distance, so every evaluation throws samples many times further out.
        var result = CommandLine.Run([
            "sample",
            Run,
            "--method",
            "dps",
            "--beta",
            "100",
            "--scale",
            "1000000",
            "-n",
            "50",
        ]);

        Assert.True(result.ExitCode == 1, $"{result.ExitCode}: {result.Error}");
        Assert.Contains("samples are NaN or infinite", result.Error);
        Assert.Empty(Directory.GetFiles(Path.Combine(Run, "samples")));
    }

    [Fact]
    public void The_same_folder_with_other_options_is_refused_and_names_them()
    {
        Assert.Equal(0, Train("--task", "moons").ExitCode);

        var result = Train("--task", "rings");

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("task", result.Error);
    }

    [Fact]
    public void A_dry_run_prints_every_option_and_an_estimate_and_makes_nothing()
    {
        var result = Train("--task", "swissroll", "--dry-run");

        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("energyLearningRate", result.Output);
        Assert.Contains("estimated time", result.Output);
        Assert.False(Directory.Exists(Run));
    }

    [Fact]
    public void Damaged_weights_are_told_and_an_untouched_checkpoint_is_used()
    {
        Assert.Equal(0, Train("--task", "moons").ExitCode);
        var newest = Directory.GetDirectories(Path.Combine(Run, "checkpoints")).Order(StringComparer.Ordinal).Last();
        var weights = Path.Combine(newest, "model.safetensors");
        var bytes = File.ReadAllBytes(weights);
        bytes[^3] ^= 1;
        File.WriteAllBytes(weights, bytes);

        var result = CommandLine.Run("sample", Run, "-n", "3", "--out", "-");

        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains(Path.GetFileName(newest), result.Error);
    }

    [Fact]
    public void A_narrow_terminal_gets_blocks_and_no_line_is_wider()
    {
        Assert.Equal(0, Train("--task", "moons").ExitCode);
        var before = Environment.GetEnvironmentVariable("COLUMNS");
        try
        {
            Environment.SetEnvironmentVariable("COLUMNS", "40");

            var result = CommandLine.Run("certify", Run, "-n", "200", "--repetitions", "3", "--beta", "3", "--quiet");

            Assert.Equal(3, result.ExitCode);
            Assert.All(result.Output.Split('\n'), line => Assert.True(line.Length <= 40, line));
        }
        finally
        {
            Environment.SetEnvironmentVariable("COLUMNS", before);
        }
    }

    [Fact]
    public void Every_paper_task_has_a_default_folder_of_its_own()
    {
        var folders = ToyDatasets
            .Labelled.Select(set => Tilt.Cli.Verbs.Cep2dCommandLine.DefaultFolder(Cep2dOptions.For("quick", set.Name)))
            .ToList();

        Assert.Equal(folders.Count, folders.Distinct().Count());
    }
}
