using System.Diagnostics;
using Tilt.OfflineRl.Behavior;
using Tilt.Runs;
using Tilt.Tests.Environments;

namespace Tilt.Tests.Cli;

public class DataTrainBehaviorTests
{
    private static readonly string[] Small =
    [
        "--task",
        "hopper",
        "--threads",
        "1",
        "--precision",
        "float32",
        "--set",
        "width=32",
        "--set",
        "batchSize=16",
        "--set",
        "randomSteps=150",
        "--set",
        "checkpointSeconds=0.1",
        "--set",
        "snapshotEpisodes=2",
    ];

    [Fact]
    public void The_command_trains_snapshots_and_builds_a_ladder()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var run = folder.File("run");
        var trained = CommandLine.Run([
            "data",
            "train-behavior",
            .. Small,
            "--set",
            "snapshotEvery=100",
            "--steps",
            "250",
            "--out",
            run,
        ]);
        Assert.True(trained.ExitCode == 0, trained.Error);
        Assert.Contains("400 steps", trained.Output, StringComparison.Ordinal);
        Assert.Equal(5, BehaviorLadder.Open(Path.Combine(run, BehaviorTraining.SnapshotFolder)).Rungs.Count);
        // Each of 5 snapshots: 2 episodes with noise, 2 without.
        Assert.Equal(20, RunReader.Open(run).Evaluations().Count);

        var made = CommandLine.Run(
            "data",
            "ladder",
            run,
            "--rungs",
            "3",
            "--episodes",
            "2",
            "--out",
            folder.File("ladder")
        );
        Assert.True(made.ExitCode == 0, made.Error);
        Assert.InRange(BehaviorLadder.Open(folder.File("ladder")).Rungs.Count, 2, 3);
        Assert.Contains("train-behavior --task hopper", File.ReadAllText(folder.File("ladder/README.md")));
        Assert.Equal(11, File.ReadAllLines(folder.File("ladder/returns.csv")).Length);
    }

    [Theory]
    [InlineData("discount=2", "discount")]
    [InlineData("batchSize=0", "batchSize")]
    [InlineData("batchsise=3", "batchSize")]
    public void Options_that_make_no_sense_are_refused_by_name(string assignment, string named)
    {
        var result = CommandLine.Run("data", "train-behavior", "--set", assignment);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(named, result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Killed_at_any_moment_it_goes_on_to_the_same_bits()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var expected = Finish(folder.File("whole"));
        var killed = folder.File("killed");
        for (var kills = 0; kills < 2; kills++)
        {
            using var process = Start(killed);
            var metrics = Path.Combine(killed, "metrics.jsonl");
            var before = File.Exists(metrics) ? new FileInfo(metrics).Length : 0;
            var clock = Stopwatch.StartNew();
            while (!process.HasExited && (!File.Exists(metrics) || new FileInfo(metrics).Length <= before))
            {
                Assert.True(clock.Elapsed < TimeSpan.FromMinutes(5), "no progress");
                Thread.Sleep(5);
            }
            // Beyond the first checkpoints.
            Thread.Sleep(300 * (kills + 1));
            process.Kill();
            process.WaitForExit();
        }
        Assert.Equal(expected, Finish(killed));
    }

    /// <summary>Runs to the end and gives the last checkpoint's fingerprint.</summary>
    private static string Finish(string folder)
    {
        using var process = Start(folder);
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(5)), "the process did not end");
        Assert.Equal(0, process.ExitCode);
        var checkpoint = RunReader.Open(folder).Checkpoint();
        Assert.Equal(4150, checkpoint.State.Step);
        return string.Join(
            ' ',
            ContentHash.OfFile(checkpoint.ModelFile),
            ContentHash.OfFile(checkpoint.OptimizerFile),
            ContentHash.OfFile(Path.Combine(folder, "replay.bin"))
        );
    }

    private static Process Start(string folder) =>
        Process.Start(
            new ProcessStartInfo(
                "dotnet",
                [
                    Path.Combine(AppContext.BaseDirectory, "Tilt.Cli.dll"),
                    "data",
                    "train-behavior",
                    .. Small,
                    "--set",
                    "snapshotEvery=1000",
                    "--steps",
                    "4000",
                    "--out",
                    folder,
                    "--quiet",
                ]
            )
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
}
