using Tilt.Runs;
using Tilt.Tests.Training;
using Tilt.Training;

namespace Tilt.Tests.Runs;

public class DiskTests
{
    private static readonly ToyOptions Options = new() { Steps = 40, SecondSteps = 10 };

    [Theory]
    [InlineData(1000, "the checkpoint")]
    [InlineData(1, "the log")]
    public void A_disk_that_fills_up_is_an_error_that_leaves_the_last_checkpoint_usable(int logEvery, string what)
    {
        using var disk = SmallDisk.Mount("size=2m");
        var folder = disk.File("run");
        var trainer = new TrainerOptions { LogEvery = logEvery, CheckpointEvery = 10 };
        var fill = new TrainingHook("fill", 25, hook => Fill(disk.File("filler")));

        var error = Assert.Throws<TiltException>(() => ToyTraining.TrainIn(folder, Options, trainer, hooks: [fill]));

        Assert.Contains("the disk is full; free some space", error.Message);
        Assert.Contains(what == "the log" ? "metrics.jsonl" : "The checkpoint of step 20 is intact", error.Message);
        Assert.Equal(20, RunReader.Open(folder).Checkpoint().State.Step);
        Assert.Contains(
            "disk is full",
            Assert.Throws<TiltException>(() => ToyTraining.TrainIn(disk.File("new"), Options)).Message
        );

        File.Delete(disk.File("filler"));
        Assert.Equal(ToyTraining.TrainIn(null, Options, trainer), ToyTraining.TrainIn(folder, Options, trainer));
        Assert.All(
            Directory.EnumerateDirectories(Path.Combine(folder, "checkpoints")),
            path => Assert.Matches("/step-[0-9]+$", path)
        );
    }

    [Fact]
    public void A_disk_mounted_read_only_can_be_read_and_says_so_when_it_should_be_written()
    {
        using var disk = SmallDisk.Mount("size=2m");
        var folder = disk.File("run");
        var half = new TrainingHook("stop", 25, _ => throw new OperationCanceledException());
        Assert.Throws<OperationCanceledException>(() => ToyTraining.TrainIn(folder, Options, hooks: [half]));
        Assert.Equal("failed", RunReader.Open(folder).Status()!.State);
        disk.Remount("ro");

        var old = Assert.Throws<TiltException>(() => ToyTraining.TrainIn(folder, Options));
        Assert.Contains($"{folder}: cannot be written: the file system is mounted read-only", old.Message);
        var fresh = Assert.Throws<TiltException>(() => ToyTraining.TrainIn(disk.File("new"), Options));
        Assert.Contains("mounted read-only", fresh.Message);
        var run = RunReader.Open(folder);
        Assert.Equal(20, run.Checkpoint().State.Step);
        Assert.Equal(3, run.Metrics().Count);

        disk.Remount("rw");
        Assert.Equal(ToyTraining.TrainIn(null, Options), ToyTraining.TrainIn(folder, Options));
    }

    [Fact]
    public void A_replaced_file_stays_as_it_was_when_the_disk_is_full()
    {
        using var disk = SmallDisk.Mount("size=256k");
        DurableFile.Replace(disk.File("note"), "old");
        Fill(disk.File("filler"));

        var error = Assert.Throws<TiltException>(() =>
            DurableFile.Replace(disk.File("note"), new string('x', 100_000))
        );

        Assert.Contains("disk is full", error.Message);
        Assert.Equal("old", File.ReadAllText(disk.File("note")));
        Assert.False(File.Exists(disk.File("note.new")));
    }

    [Fact]
    public void A_writer_that_gives_up_leaves_the_old_file_and_nothing_beside_it()
    {
        using var folder = new TemporaryFolder();
        DurableFile.Replace(folder.File("note"), "old");

        Assert.Throws<OperationCanceledException>(() =>
            DurableFile.Replace(
                folder.File("note"),
                stream =>
                {
                    stream.Write("half"u8);
                    throw new OperationCanceledException();
                }
            )
        );

        Assert.Equal("old", File.ReadAllText(folder.File("note")));
        Assert.Equal(["note"], Directory.GetFiles(folder.Path).Select(Path.GetFileName));
    }

    private static void Fill(string path)
    {
        if (File.Exists(path))
        {
            return;
        }
        try
        {
            using var stream = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0);
            for (var block = new byte[4096]; ; )
            {
                stream.Write(block);
            }
        }
        catch (IOException)
        {
            // Full, as it should be.
        }
    }
}
