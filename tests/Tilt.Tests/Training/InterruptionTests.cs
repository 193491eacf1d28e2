using System.Runtime.InteropServices;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.Tests.Training;

public class InterruptionTests
{
    private static readonly ToyOptions Slow = new()
    {
        Steps = 150,
        SecondSteps = 150,
        Pause = 1,
    };

    [Fact]
    public void A_run_killed_at_random_moments_and_resumed_ends_with_the_same_bits()
    {
        using var temporary = new TemporaryFolder();
        var expected = ToyTraining.TrainIn(temporary.File("whole"), Slow with { Pause = 0 });
        var folder = temporary.File("killed");
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var kills = 0;
        string? found = null;
        while (found is null)
        {
            using var process = new ToyProcess(folder, Slow);
            if (kills < 4)
            {
                process.WaitForFirstLine(folder);
                Thread.Sleep(random.Next(0, 120));
                process.Kill();
                kills++;
            }
            if (process.Wait() == 0)
            {
                found = process.Output;
            }
            else
            {
                Assert.True(process.Errors.Length == 0, process.Errors);
            }
        }

        Assert.True(expected == found, $"seed {seed} of the moments: the weights differ");
        Assert.Equal(TrainerTests.Curve(temporary.File("whole")), TrainerTests.Curve(folder));
        var run = RunReader.Open(folder);
        Assert.Equal("finished", run.Status()!.State);
        Assert.InRange(run.Manifest.Resumes.Count, 1, kills);
        // The log was only appended to: each start that went on left its mark, also one that was killed right after it.
        var marks = File.ReadLines(Path.Combine(folder, "metrics.jsonl"))
            .Count(line => line.StartsWith("{\"resume\":", StringComparison.Ordinal));
        Assert.InRange(marks, run.Manifest.Resumes.Count, kills);
    }

    [Theory]
    [InlineData(PosixSignal.SIGINT, 130)]
    [InlineData(PosixSignal.SIGTERM, 143)]
    public void A_signal_stops_between_steps_with_a_checkpoint_and_its_own_exit_code(PosixSignal signal, int exitCode)
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        var sparse = new TrainerOptions
        {
            LogEvery = 7,
            CheckpointEvery = 0,
            CheckpointSeconds = 0,
        };
        using (var process = new ToyProcess(folder, Slow, sparse))
        {
            process.WaitForFirstLine(folder);
            process.Signal(signal);
            Assert.Equal(exitCode, process.Wait());
            Assert.Contains("a checkpoint was written", process.Errors);
        }
        var run = RunReader.Open(folder);
        var status = run.Status()!;
        Assert.Equal("stopped", status.State);
        Assert.InRange(status.Step, 7, 299);
        Assert.Equal(status.Step, run.Checkpoint().State.Step);

        Assert.Equal(
            ToyTraining.TrainIn(temporary.File("whole"), Slow with { Pause = 0 }, sparse),
            ToyTraining.TrainIn(folder, Slow with { Pause = 0 }, sparse)
        );
        Assert.Equal(TrainerTests.Curve(temporary.File("whole")), TrainerTests.Curve(folder));
    }

    [Fact]
    public void A_second_interrupt_ends_the_process_in_the_middle_of_a_step()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        using var process = new ToyProcess(folder, Slow with { Pause = 20_000 }, new TrainerOptions { LogEvery = 1 });
        // The first step sleeps for 20 s; status.json is there as soon as it has begun.
        while (!File.Exists(Path.Combine(folder, "status.json")))
        {
            Thread.Sleep(5);
        }
        process.Signal(PosixSignal.SIGINT);
        Thread.Sleep(50);
        process.Signal(PosixSignal.SIGINT);

        Assert.Equal(130, process.Wait());
        Assert.False(Directory.Exists(Path.Combine(folder, "checkpoints")));
    }

    [Fact]
    public void A_folder_in_use_by_another_process_is_refused_and_free_once_that_is_dead()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        using (var process = new ToyProcess(folder, Slow))
        {
            process.WaitForFirstLine(folder);
            var refused = Assert.Throws<TiltException>(() => ToyTraining.TrainIn(folder, Slow));
            Assert.Contains("in use by another process", refused.Message);
            Assert.Contains($"process {process.Id} on {Environment.MachineName}", refused.Message);
            process.Kill();
            process.Wait();
        }
        ToyTraining.TrainIn(folder, Slow with { Pause = 0 });
    }
}
