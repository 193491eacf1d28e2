using System.Text.Json.Nodes;
using Tilt.Runs;
using Tilt.Tests.Training;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Runs;

public class RunFolderTests
{
    private static readonly ToyOptions Options = new() { Steps = 20, SecondSteps = 10 };

    [Fact]
    public void A_run_leaves_the_files_that_the_documentation_draws()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("deep/er/run");
        ToyTraining.TrainIn(folder, Options);

        var names = Directory
            .EnumerateFileSystemEntries(folder)
            .Select(path => Path.GetFileName(path))
            .Order()
            .ToList();
        Assert.Equal(
            [".lock", "checkpoints", "events", "manifest.json", "metrics.jsonl", "options.json", "status.json"],
            names.Select(name => name.StartsWith("events.out.tfevents.", StringComparison.Ordinal) ? "events" : name)
        );
        Assert.Equal(
            ["model.safetensors", "optimizer.safetensors", "state.json"],
            Directory
                .EnumerateFiles(Path.Combine(folder, "checkpoints/step-30"))
                .Select(p => Path.GetFileName(p))
                .Order()
        );
        Assert.Equal(
            ["step-10", "step-20", "step-30"],
            Directory.EnumerateDirectories(Path.Combine(folder, "checkpoints")).Select(p => Path.GetFileName(p)).Order()
        );
    }

    [Fact]
    public void The_manifest_says_where_the_run_comes_from()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        ToyTraining.TrainIn(folder, Options);
        var manifest = RunReader.Open(folder).Manifest;

        Assert.Equal(1, manifest.Format);
        Assert.NotEmpty(manifest.Command);
        Assert.Equal(["dotnet", "libtorch", "tilt", "torchsharp"], manifest.Versions.Keys.Order());
        Assert.True(manifest.Threads > 0);
        Assert.NotEmpty(manifest.Cpu!.Model);
        Assert.NotEmpty(manifest.Cpu.Features);
        Assert.Equal(Options.Seed, manifest.Seed);
        using var streams = new RandomStreams(Options.Seed);
        Assert.Equal(["minibatches", "rows", "weights"], manifest.Streams.Keys.Order());
        Assert.Equal(streams.SeedOf("rows"), manifest.Streams["rows"]);
        Assert.True(manifest.Commit is null or { Length: 40 });
        Assert.Equal("finished", RunReader.Open(folder).Status()!.State);
        Assert.Equal(Options, RunReader.Open(folder).Options(ToyJson.Default.ToyOptions));
    }

    [Fact]
    public void The_commit_is_read_from_checkouts_and_linked_worktrees()
    {
        using var temporary = new TemporaryFolder();
        var hash = new string('a', 40);
        Write("plain/.git/HEAD", hash);
        Write("branch/.git/HEAD", "ref: refs/heads/main\n");
        Write("branch/.git/refs/heads/main", hash + "\n");
        Write("packed/.git/HEAD", "ref: refs/heads/main\n");
        Write("packed/.git/packed-refs", $"# pack-refs\n{hash} refs/heads/main\n");
        Write("linked/.git", $"gitdir: {temporary.File("branch/.git/worktrees/w")}\n");
        Write("branch/.git/worktrees/w/HEAD", "ref: refs/heads/main\n");
        Write("branch/.git/worktrees/w/commondir", "../..\n");
        Write("broken/.git", "nonsense");

        foreach (var name in new[] { "plain", "branch", "packed", "linked" })
        {
            Directory.CreateDirectory(temporary.File(name + "/bin/x"));
            Assert.Equal(hash, RunManifest.FindCommit(temporary.File(name + "/bin/x")));
        }
        Assert.Null(RunManifest.FindCommit(temporary.File("broken")));

        void Write(string name, string text)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(temporary.File(name))!);
            File.WriteAllText(temporary.File(name), text);
        }
    }

    [Fact]
    public void Other_options_are_refused_by_name_and_those_that_may_change_do()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        ToyTraining.TrainIn(folder, Options with { SecondSteps = 0 });

        var refused = Assert.Throws<TiltException>(() =>
            ToyTraining.TrainIn(folder, Options with { SecondSteps = 0, LearningRate = 0.1 })
        );
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains(
            "options.json: the run was begun with other options: 'learningRate' is 0.05 there and 0.1 now",
            refused.Message
        );

        var grown = Options with { Steps = 40, SecondSteps = 0 };
        Assert.Equal(ToyTraining.TrainIn(null, grown), ToyTraining.TrainIn(folder, grown));
        Assert.Equal(40, RunReader.Open(folder).Options(ToyJson.Default.ToyOptions).Steps);
        Assert.Equal(["option 'steps' changed from 20 to 40"], RunReader.Open(folder).Manifest.Resumes[^1].Notes);
    }

    [Fact]
    public void A_stage_can_only_grow_while_nothing_is_built_upon_it()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        ToyTraining.TrainIn(folder, Options);

        var longer = Assert.Throws<TiltException>(() => ToyTraining.TrainIn(folder, Options with { Steps = 25 }));
        Assert.Contains("steps of stage 'first': found 25, but the run", longer.Message);
        Assert.Contains("has done 20 already and gone on to the next stage; expected 20", longer.Message);
        var shorter = Assert.Throws<TiltException>(() => ToyTraining.TrainIn(folder, Options with { Steps = 5 }));
        Assert.Contains("expected 20", shorter.Message);
    }

    [Fact]
    public void Other_data_are_refused()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        Start(new DataSource("pool", "aaaa", 10)).Dispose();
        Start(new DataSource("renamed", "aaaa", 10)).Dispose();

        var refused = Assert.Throws<TiltException>(() => Start(new DataSource("pool", "bbbb", 10)));
        Assert.Contains("begun with other data: pool (aaaa) there and pool (bbbb) now", refused.Message);

        RunFolder Start(DataSource data) =>
            RunFolder.Start(folder, Options, ToyJson.Default.ToyOptions, RunManifest.Collect(1, data: [data]));
    }

    [Fact]
    public void A_folder_of_another_version_is_refused_with_the_version_that_wrote_it()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        ToyTraining.TrainIn(folder, Options);
        var file = Path.Combine(folder, "manifest.json");
        var manifest = JsonNode.Parse(File.ReadAllText(file))!;
        manifest["format"] = 2;
        manifest["versions"]!["tilt"] = "9.9";
        manifest["unknown"] = true;
        File.WriteAllText(file, manifest.ToJsonString());

        foreach (
            var action in new Action[] { () => ToyTraining.TrainIn(folder, Options), () => RunReader.Open(folder) }
        )
        {
            Assert.Contains(
                "has format 2, written by Tilt 9.9; this version reads format 1",
                Assert.Throws<TiltException>(action).Message
            );
        }
        foreach (var text in new[] { "{}", "[]", "{", """{"format": 1, "data": null}""" })
        {
            File.WriteAllText(file, text);
            Assert.Contains("not a run's manifest", Assert.Throws<TiltException>(() => RunReader.Open(folder)).Message);
        }
        File.WriteAllText(file, """{"format": 1}""");
        Assert.Empty(RunReader.Open(folder).Manifest.Data);
        File.WriteAllText(file, "{}");
        Assert.Contains("not a run's manifest", Assert.Throws<TiltException>(() => RunReader.Open(folder)).Message);
    }

    [Fact]
    public void What_is_no_run_s_folder_is_refused_and_left_alone()
    {
        using var temporary = new TemporaryFolder();
        File.WriteAllText(temporary.File("letter.txt"), "dear");
        Assert.Contains(
            "holds 'letter.txt'",
            Assert.Throws<TiltException>(() => ToyTraining.TrainIn(temporary.Path, Options)).Message
        );
        Assert.Contains(
            "is a file; expected a folder",
            Assert.Throws<TiltException>(() => ToyTraining.TrainIn(temporary.File("letter.txt"), Options)).Message
        );
        Assert.Contains("no such folder", Assert.Throws<TiltException>(() => RunReader.Open("/nowhere")).Message);
        Assert.Contains(
            "has no manifest.json",
            Assert.Throws<TiltException>(() => RunReader.Open(temporary.Path)).Message
        );
        Assert.Contains(
            "has no manifest.json",
            Assert.Throws<TiltException>(() => RunFolder.Attach(temporary.Path)).Message
        );
        Assert.Equal("dear", File.ReadAllText(temporary.File("letter.txt")));
    }

    [Fact]
    public void A_start_that_was_killed_before_the_manifest_was_there_begins_anew()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "options.json"), "{\"half\":");
        File.WriteAllText(Path.Combine(folder, "manifest.json.new"), "{");

        Assert.Equal(ToyTraining.TrainIn(null, Options), ToyTraining.TrainIn(folder, Options));
    }

    [Fact]
    public void Evaluations_are_appended_to_a_finished_run_and_survive_its_growth()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        var options = Options with { SecondSteps = 0 };
        ToyTraining.TrainIn(folder, options);
        using (var run = RunFolder.Attach(folder))
        {
            Assert.Throws<TiltException>(() => RunFolder.Attach(folder));
            run.Evaluations.Append(20, [new("return", 5.5)]);
            Assert.True(Directory.Exists(run.Folder("figures")));
        }
        ToyTraining.TrainIn(folder, options with { Steps = 30 });

        Assert.Equal(
            [(20L, 5.5)],
            RunReader.Open(folder).Evaluations().Select(l => (l.Step, l.Number("return")!.Value))
        );
    }

    [Fact]
    public void A_byte_flipped_anywhere_in_a_checkpoint_is_found()
    {
        using var temporary = new TemporaryFolder();
        var checkpoints = new Checkpoints(temporary.File("checkpoints"));
        using var weight = arange(8);
        checkpoints.Save(new CheckpointState { Step = 1 }, [("weight", weight)], [("moment", weight)]);
        var folder = temporary.File("checkpoints/step-1");
        Checkpoints.Verify(folder);

        foreach (var file in Directory.EnumerateFiles(folder))
        {
            var bytes = File.ReadAllBytes(file);
            for (var i = 0; i < bytes.Length; i++)
            {
                bytes[i] ^= (byte)(1 << (i % 8));
                File.WriteAllBytes(file, bytes);
                var error = Assert.Throws<TiltException>(() => Checkpoints.Verify(folder));
                Assert.StartsWith(folder, error.Message);
                bytes[i] ^= (byte)(1 << (i % 8));
            }
            File.WriteAllBytes(file, bytes);
        }
        Checkpoints.Verify(folder);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("optimizer.safetensors")]
    [InlineData("state.json")]
    public void A_damaged_checkpoint_is_passed_over_for_the_one_before_and_the_end_is_the_same(string name)
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        var expected = ToyTraining.TrainIn(folder, Options);
        var file = Path.Combine(folder, "checkpoints/step-30", name);
        var bytes = File.ReadAllBytes(file);
        bytes[bytes.Length / 2] ^= 4;
        File.WriteAllBytes(file, bytes);

        var said = new List<string>();
        Assert.Equal(20, RunReader.Open(folder).Checkpoint(said.Add).State.Step);
        Assert.Contains($"step-30/{name}: damaged", Assert.Single(said));
        Assert.EndsWith("Using the checkpoint of step 20 instead.", said[0]);
        Assert.Equal(expected, ToyTraining.TrainIn(folder, Options));
        Assert.Contains("damaged", RunReader.Open(folder).Manifest.Resumes[0].Notes[0]);
        Assert.Equal(30, RunReader.Open(folder).Checkpoint().State.Step);
    }

    [Fact]
    public void A_run_with_damaged_checkpoints_only_is_not_begun_anew_behind_the_user_s_back()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        ToyTraining.TrainIn(folder, Options);
        foreach (
            var file in Directory.EnumerateFiles(
                Path.Combine(folder, "checkpoints"),
                "state.json",
                SearchOption.AllDirectories
            )
        )
        {
            File.Delete(file);
        }

        Assert.Contains(
            "no checkpoint is whole",
            Assert.Throws<TiltException>(() => RunReader.Open(folder).Checkpoint()).Message
        );
        Assert.Contains(
            "no checkpoint is whole",
            Assert.Throws<TiltException>(() => ToyTraining.TrainIn(folder, Options)).Message
        );
        // Asking again must not find the damaged ones gone and start from nothing.
        Assert.Contains(
            "no checkpoint is whole",
            Assert.Throws<TiltException>(() => ToyTraining.TrainIn(folder, Options)).Message
        );
    }

    [Fact]
    public void Leftovers_of_a_killed_save_are_cleared_and_a_replaced_checkpoint_is_put_back()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        var expected = ToyTraining.TrainIn(folder, Options);
        var checkpoints = Path.Combine(folder, "checkpoints");
        Directory.CreateDirectory(Path.Combine(checkpoints, "step-40.new"));
        Directory.Move(Path.Combine(checkpoints, "step-30"), Path.Combine(checkpoints, "discarded-step-30"));

        Assert.Equal(expected, ToyTraining.TrainIn(folder, Options));
        Assert.Equal(
            ["step-10", "step-20", "step-30"],
            Directory.EnumerateDirectories(checkpoints).Select(p => Path.GetFileName(p)).Order()
        );
    }

    [Fact]
    public void A_checkpoint_of_another_algorithm_or_meaning_is_refused()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        ToyTraining.TrainIn(folder, Options);
        var checkpoint = RunReader.Open(folder).Checkpoint();
        using var toy = new ToyTraining(Options);
        toy.State.LoadModel(checkpoint);

        toy.State.Metadata["parametrization"] = "other";
        Assert.Contains(
            "saved with parametrization 'toy'; expected 'other'",
            Assert.Throws<TiltException>(() => toy.State.LoadModel(checkpoint)).Message
        );
        using var streams = new RandomStreams(1);
        using var average = zeros([], dtype: ScalarType.Float64);
        var part = new TrainingState(streams).AddModel("average", average);
        Assert.Contains("not expected", Assert.Throws<TiltException>(() => part.LoadModel(checkpoint)).Message);
        part.LoadModel(checkpoint, partial: true);
        Assert.NotEqual(0, average.item<double>());
    }
}
