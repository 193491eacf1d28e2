using Tilt.Inference;
using Tilt.Networks;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Data;
using Tilt.Runs;
using Tilt.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.Tests.OfflineRl.Algorithms;

public sealed class QgpoTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Stages_are_those_of_the_paper_in_its_order()
    {
        using var steps = QgpoSample.Steps();
        var data = TransitionDataset.FromSteps(steps);
        using var successive = new Qgpo(QgpoSample.Options with { Methods = ["cep", "mse", "dps"] }, data);
        Assert.Equal(["behavior", "support", "critic", "cep", "mse"], successive.Stages.Select(stage => stage.Name));

        using var interleaved = new Qgpo(QgpoSample.Options with { Interleaved = true, GuidanceSteps = 40 }, data);
        Assert.Equal(
            [("behavior", 25), ("support", 6), ("critic-guidance", 15), ("cep", 25)],
            interleaved.Stages.Select(stage => (stage.Name, (int)stage.Steps))
        );
    }

    [Theory]
    [InlineData("cep")]
    [InlineData("cep-unbiased")]
    [InlineData("mse")]
    [InlineData("emse")]
    public void Every_method_trains_saves_a_policy_and_acts_like_its_tensors(string method)
    {
        using var steps = QgpoSample.Steps();
        var data = TransitionDataset.FromSteps(steps);
        using var training = new Qgpo(QgpoSample.Options with { Methods = [method] }, data, box: Wide);
        training.Train();

        var file = _folder.File("policy.safetensors");
        training.Model.PolicyFile(method).Write(file);
        AssertSameActions(training.Model, Policy.Load(file), method, training.Model.Options.Beta, 1.5);
    }

    [Fact]
    public void A_dial_acts_like_its_tensors_at_every_beta()
    {
        using var steps = QgpoSample.Steps();
        using var training = new Qgpo(
            QgpoSample.Options with
            {
                BetaMax = 8,
            },
            TransitionDataset.FromSteps(steps),
            box: Wide
        );
        training.Train();

        var file = _folder.File("policy.safetensors");
        training.Model.PolicyFile("cep").Write(file);
        var policy = Policy.Load(file);
        foreach (var beta in new[] { 0.5, 3, 8 })
        {
            AssertSameActions(training.Model, policy.AtBeta(beta), "cep", beta, 1);
        }
    }

    /// <summary>A box so wide that nothing is clipped: a clip would hide how large a difference is.</summary>
    private static ActionBox Wide { get; } = new([-1e9, -1e9], [1e9, 1e9]);

    private static void AssertSameActions(QgpoModel model, Policy policy, string method, double beta, double scale)
    {
        const int Rows = 40;
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(3);
        var observations = randn([Rows, model.ObservationSize], generator: streams["observations"]);
        var xT = randn([Rows, model.ActionSize], generator: streams["noise"]);
        foreach (var (who, acts) in new[] { (method, policy.Guided(scale)), (null, policy.Behavior()) })
        {
            var expected = model.Act(who, observations, beta, scale, xT);
            var found = new float[Rows * model.ActionSize];
            acts.Denoise(observations.data<float>().ToArray(), xT.data<float>().ToArray(), found);
            var off = (tensor(found, [Rows, model.ActionSize]) - expected).abs().max().item<float>();
            // Networks that have learned little give samples far outside the data, so what counts is the error relative to those.
            // Both sides sum in float32, in different orders.
            var size = expected.abs().max().item<float>();
            Assert.True(off < 1e-4 * size, $"{who ?? "behavior"}: off by {off} of {size}");
        }
    }

    [Fact]
    public void A_run_stopped_in_every_stage_and_resumed_ends_with_the_same_bits()
    {
        foreach (
            var options in new[]
            {
                QgpoSample.Options,
                QgpoSample.Options with
                {
                    Interleaved = true,
                    GuidanceSteps = 30,
                },
            }
        )
        {
            var name = options.Interleaved ? "interleaved" : "successive";
            var expected = QgpoSample.TrainIn(_folder.File($"{name}-whole"), options);
            var folder = _folder.File($"{name}-stopped");
            string? found = null;
            // One stop in the middle of each stage: behavior, support, critic, cep.
            foreach (var at in new long[] { 13, 28, 37, 50, long.MaxValue })
            {
                using var stop = new CancellationTokenSource();
                var hook = new TrainingHook(
                    "stop",
                    1,
                    context =>
                    {
                        if (context.Step == at)
                        {
                            stop.Cancel();
                        }
                    }
                );
                try
                {
                    found = QgpoSample.TrainIn(folder, options, hooks: [hook], stop: stop.Token);
                }
                catch (StoppedException) { }
            }
            Assert.Equal(expected, found);
        }
    }

    [Fact]
    public void A_run_killed_in_every_stage_and_resumed_ends_with_the_same_bits()
    {
        var expected = QgpoSample.TrainIn(_folder.File("whole"), cache: _folder.File("cache-whole"));
        var folder = _folder.File("killed");
        foreach (var stage in new[] { "behavior", "support", "critic", "cep" })
        {
            using var process = new QgpoProcess(folder);
            process.WaitForStage(folder, stage);
            Thread.Sleep(Random.Shared.Next(0, 30));
            process.Kill();
            process.Wait();
        }
        using var last = new QgpoProcess(folder);
        Assert.True(last.Wait() == 0, last.Errors);
        Assert.Equal(expected, last.Output);
    }

    [Fact]
    public void SIGTERM_in_a_stage_leaves_a_checkpoint_and_the_run_goes_on()
    {
        var expected = QgpoSample.TrainIn(_folder.File("whole"));
        var folder = _folder.File("stopped");
        foreach (var stage in new[] { "behavior", "support", "critic", "cep" })
        {
            using var process = new QgpoProcess(folder);
            process.WaitForStage(folder, stage);
            process.Terminate();
            // A stage may be over before the signal arrives; then the training is.
            Assert.Contains(process.Wait(), new[] { 143, 0 });
        }
        using var last = new QgpoProcess(folder);
        Assert.True(last.Wait() == 0, last.Errors);
        Assert.Equal(expected, last.Output);
    }

    [Fact]
    public void Two_processes_on_one_folder_are_one_too_many()
    {
        var folder = _folder.File("run");
        using var process = new QgpoProcess(folder);
        process.WaitForStage(folder, "behavior");
        var refused = Assert.Throws<TiltException>(() => QgpoSample.TrainIn(folder));
        Assert.Contains("in use by another process", refused.Message);
        process.Kill();
        process.Wait();
    }

    [Fact]
    public void In_bf16_the_same_seed_gives_the_same_bits_also_when_stopped()
    {
        var options = QgpoSample.Options with { Precision = Precision.BFloat16 };
        var expected = QgpoSample.TrainIn(_folder.File("whole"), options);
        var folder = _folder.File("stopped");
        using (var stop = new CancellationTokenSource())
        {
            var hook = new TrainingHook(
                "stop",
                1,
                context =>
                {
                    if (context.Step == 28)
                    {
                        stop.Cancel();
                    }
                }
            );
            Assert.Throws<StoppedException>(() => QgpoSample.TrainIn(folder, options, hooks: [hook], stop: stop.Token));
        }
        Assert.Equal(expected, QgpoSample.TrainIn(folder, options));
    }

    [Fact]
    public void The_same_seed_gives_the_same_bits_and_another_seed_others()
    {
        var first = QgpoSample.TrainIn(null);
        Assert.Equal(first, QgpoSample.TrainIn(null));
        Assert.NotEqual(first, QgpoSample.TrainIn(null, QgpoSample.Options with { Seed = 1 }));
    }

    [Fact]
    public void Support_is_drawn_once_and_found_by_runs_that_share_the_behavior()
    {
        var cache = _folder.File("cache");
        var heard = new HeardProgress();
        QgpoSample.TrainIn(_folder.File("first"), cache: cache, progress: heard);
        Assert.DoesNotContain(heard.Said, line => line.Contains("found in the cache", StringComparison.Ordinal));
        Assert.Single(Directory.GetFiles(cache));

        // Another beta and another method leave behavior and support as they are.
        QgpoSample.TrainIn(
            _folder.File("second"),
            QgpoSample.Options with
            {
                Beta = 7,
                Methods = ["mse"],
            },
            cache,
            progress: heard
        );
        Assert.Contains(heard.Said, line => line.Contains("found in the cache", StringComparison.Ordinal));
        Assert.Single(Directory.GetFiles(cache));

        QgpoSample.TrainIn(_folder.File("third"), QgpoSample.Options with { Seed = 1 }, cache);
        Assert.Equal(2, Directory.GetFiles(cache).Length);
    }

    [Fact]
    public void A_run_may_take_over_the_behavior_model_of_another_and_finds_its_support()
    {
        var cache = _folder.File("cache");
        var first = _folder.File("first");
        QgpoSample.TrainIn(first, cache: cache);
        var taken = QgpoSample.Options with { BehaviorFrom = first, BehaviorSteps = 0, Beta = 5 };
        var heard = new HeardProgress();
        var found = QgpoSample.TrainIn(_folder.File("second"), taken, cache, progress: heard);
        Assert.Contains(heard.Said, line => line.Contains("found in the cache", StringComparison.Ordinal));
        // The same as if it had trained the behavior model itself: critic and energy see the same support.
        var trained = QgpoSample.TrainIn(null, QgpoSample.Options with { Beta = 5 });
        string[] Of(string fingerprint, string part) =>
            [.. fingerprint.Split('\n').Where(line => line.StartsWith(part, StringComparison.Ordinal))];
        Assert.Equal(Of(trained, "cep."), Of(found, "cep."));
        Assert.Equal(Of(trained, "critic."), Of(found, "critic."));

        var other = Assert.Throws<TiltException>(() =>
            QgpoSample.TrainIn(null, taken with { BehaviorNetwork = new() })
        );
        Assert.Contains("behaviorNetwork", other.Message);
        var changed = Assert.Throws<TiltException>(() => QgpoSample.TrainIn(null, taken with { BehaviorSha256 = "0" }));
        Assert.Contains("has changed", changed.Message);
    }

    [Fact]
    public void A_damaged_cache_is_said_and_drawn_again_to_the_same_bits()
    {
        var cache = _folder.File("cache");
        var expected = QgpoSample.TrainIn(_folder.File("first"), cache: cache);
        var file = Directory.GetFiles(cache).Single();
        var bytes = File.ReadAllBytes(file);
        bytes[^5] ^= 1;
        File.WriteAllBytes(file, bytes);

        var heard = new HeardProgress();
        Assert.Equal(expected, QgpoSample.TrainIn(_folder.File("second"), cache: cache, progress: heard));
        Assert.Contains(heard.Said, line => line.Contains("damaged", StringComparison.Ordinal));
    }

    [Fact]
    public void A_cache_that_cannot_be_written_ends_the_stage_with_the_reason_and_a_later_start_goes_on()
    {
        var expected = QgpoSample.TrainIn(_folder.File("whole"));
        var folder = _folder.File("run");
        // A file in the folder's place refuses, whoever asks.
        var blocked = _folder.File("blocked");
        File.WriteAllText(blocked, "");
        var refused = Assert.Throws<TiltException>(() => QgpoSample.TrainIn(folder, cache: blocked));
        Assert.Contains(blocked, refused.Message);
        Assert.Contains("cannot be written", refused.Message);
        Assert.Equal("failed", RunReader.Open(folder).Status()!.State);

        Assert.Equal(expected, QgpoSample.TrainIn(folder, cache: _folder.File("elsewhere")));
    }

    [Fact]
    public void A_disk_that_fills_up_while_the_cache_is_written_is_named_and_leaves_no_half_file()
    {
        var expected = QgpoSample.TrainIn(_folder.File("whole"));
        var folder = _folder.File("run");
        // The actions of the sample take 42 kB.
        using var disk = SmallDisk.Mount("size=24k");
        var cache = disk.File("cache");
        var refused = Assert.Throws<TiltException>(() => QgpoSample.TrainIn(folder, cache: cache));
        Assert.Contains(cache, refused.Message);
        Assert.Contains("the disk is full", refused.Message);
        Assert.Empty(Directory.GetFiles(cache));
        Assert.Equal("failed", RunReader.Open(folder).Status()!.State);

        disk.Remount("size=1m");
        Assert.Equal(expected, QgpoSample.TrainIn(folder, cache: cache));
        Assert.Single(Directory.GetFiles(cache));
    }

    [Fact]
    public void A_full_disk_while_support_is_drawn_is_named_and_the_run_goes_on_once_there_is_room()
    {
        var folder = _folder.File("run");
        Directory.CreateDirectory(folder);
        var part = Path.Combine(folder, "support.part");
        var options = QgpoSample.Options;
        using (var steps = QgpoSample.Steps())
        {
            var data = TransitionDataset.FromSteps(steps);
            using var training = new Qgpo(options, data, runFolder: folder);
            File.CreateSymbolicLink(part, "/dev/full");
            var refused = Assert.Throws<TiltException>(() => training.Train());
            Assert.Contains("support.part", refused.Message);
            Assert.Contains("the disk is full", refused.Message);
        }
        File.Delete(part);
        using (var steps = QgpoSample.Steps())
        {
            using var training = new Qgpo(options, TransitionDataset.FromSteps(steps), runFolder: folder);
            new Trainer(training.State, training.Stages).Run();
            Assert.Equal(QgpoSample.TrainIn(null), QgpoSample.Fingerprint(training));
        }
    }

    [Fact]
    public void A_checkpoint_with_a_flipped_byte_is_passed_over_and_the_bits_stay()
    {
        var expected = QgpoSample.TrainIn(_folder.File("whole"));
        var folder = _folder.File("run");
        using (var stop = new CancellationTokenSource())
        {
            var hook = new TrainingHook(
                "stop",
                1,
                context =>
                {
                    if (context.Step == 40)
                    {
                        stop.Cancel();
                    }
                }
            );
            Assert.Throws<StoppedException>(() => QgpoSample.TrainIn(folder, hooks: [hook], stop: stop.Token));
        }
        var weights = Path.Combine(folder, "checkpoints", "step-40", "optimizer.safetensors");
        var bytes = File.ReadAllBytes(weights);
        bytes[bytes.Length / 2] ^= 4;
        File.WriteAllBytes(weights, bytes);

        var heard = new HeardProgress();
        Assert.Equal(expected, QgpoSample.TrainIn(folder, progress: heard));
        Assert.Contains(heard.Said, line => line.Contains("step-40", StringComparison.Ordinal));
    }

    [Fact]
    public void A_loss_that_diverges_names_stage_and_step_and_keeps_the_last_good_checkpoint()
    {
        var folder = _folder.File("run");
        var error = Assert.Throws<TiltException>(() =>
            QgpoSample.TrainIn(folder, QgpoSample.Options with { CriticLearningRate = 1e18, CriticSteps = 400 })
        );
        Assert.Contains("stage 'critic'", error.Message);
        Assert.Contains("step", error.Message);
        Assert.Contains("last good checkpoint", error.Message);
        Assert.NotNull(RunReader.Open(folder).Checkpoint());
    }

    [Fact]
    public void Constant_rewards_cannot_be_scaled_by_their_range_but_can_be_used_raw()
    {
        var options = QgpoSample.Options with { RewardTuning = "episode-range" };
        var error = Assert.Throws<DataException>(() =>
            QgpoSample.TrainIn(null, options, steps: QgpoSample.Steps(reward: _ => 1))
        );
        Assert.Contains("spread", error.Message);
        QgpoSample.TrainIn(null, steps: QgpoSample.Steps(reward: _ => 1));
    }

    [Fact]
    public void Without_a_whole_episode_there_is_no_return_range_but_there_are_raw_rewards()
    {
        var options = QgpoSample.Options with { RewardTuning = "episode-range" };
        var error = Assert.Throws<DataException>(() =>
            QgpoSample.TrainIn(null, options, steps: QgpoSample.Steps(episode: 5000))
        );
        Assert.Contains("no whole episode", error.Message);
        QgpoSample.TrainIn(null, steps: QgpoSample.Steps(episode: 5000));
    }

    [Fact]
    public void A_single_state_a_single_transition_and_a_batch_larger_than_the_data_train()
    {
        QgpoSample.TrainIn(null, steps: RecordedSteps.FromArrays([1, 2], [0.5f], [1f], [true], [false], [1, 2]));
        QgpoSample.TrainIn(null, QgpoSample.Options with { Batch = 64 }, steps: QgpoSample.Steps(count: 20));
    }

    [Fact]
    public void One_support_action_is_no_contrast_but_serves_other_methods()
    {
        var one = QgpoSample.Options with { SupportActions = 1, BackupActions = 1 };
        var error = Assert.Throws<TiltException>(() => QgpoSample.TrainIn(null, one));
        Assert.Equal(2, error.ExitCode);
        Assert.Contains("supportActions", error.Message);
        QgpoSample.TrainIn(null, one with { Methods = ["mse"] });
    }

    [Theory]
    [InlineData("methods", "crp", "cep")]
    [InlineData("rewardTuning", "episode-rang", "episode-range")]
    [InlineData("discount", "1.5", "discount")]
    [InlineData("backupActions", "99", "backupActions")]
    [InlineData("beta", "-1", "beta")]
    [InlineData("betaMax", "1", "betaMax")]
    [InlineData("firstTime", "0", "firstTime")]
    [InlineData("averageDecay", "1", "averageDecay")]
    public void Options_that_make_no_sense_are_refused_by_name(string option, string value, string expected)
    {
        var error = Assert.Throws<TiltException>(() =>
        {
            var wrong =
                option == "methods"
                    ? QgpoSample.Options with
                    {
                        Methods = [value],
                    }
                    : OptionRecords.Apply(QgpoSample.Options, [$"{option}={value}"], QgpoJson.Default.QgpoOptions);
            wrong.Check();
        });
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public void Presets_differ_from_the_paper_where_the_page_says_so_and_tasks_have_their_own_values()
    {
        var paper = QgpoOptions.For("paper", "hopper-medium-replay-v2");
        Assert.Equal((600_000, 4096, 1e-4), (paper.BehaviorSteps, paper.BehaviorBatch, paper.BehaviorLearningRate));
        Assert.Equal((16, 16, 3, 1), (paper.SupportActions, paper.BackupActions, paper.Beta, paper.CriticBeta));
        Assert.Equal((500_000, 1_000_000, true), (paper.CriticSteps, paper.GuidanceSteps, paper.Interleaved));
        Assert.Equal(
            ("iql-locomotion", false, 0.0),
            (paper.RewardTuning, paper.NormalizeObservations, paper.AverageDecay)
        );
        var ant = QgpoOptions.For("paper", "antmaze-large-play-v2");
        Assert.Equal(
            ("iql-antmaze", 32, 32, 3.0),
            (ant.RewardTuning, ant.SupportActions, ant.BackupActions, ant.CriticBeta)
        );
        Assert.Equal("none", QgpoOptions.For("quick", "maze2d-umaze").RewardTuning);
        Assert.Equal("episode-range", QgpoOptions.For("quick", "tilt-hopper-medium").RewardTuning);
        Assert.All(QgpoOptions.Presets, preset => QgpoOptions.For(preset, "hopper-medium").Check());
    }

    [Fact]
    public void Values_of_the_target_by_kernels_are_those_of_its_tensors_also_after_it_has_moved()
    {
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(1);
        using var model = new QgpoModel(QgpoSample.Options, 3, 2, [], streams);
        var support = randn([37, 4, 2], generator: streams["actions"]);
        var observations = randn([37, 3], generator: streams["observations"]);
        using (no_grad())
        {
            foreach (var weight in model.Critic.parameters())
            {
                weight.mul_(2);
            }
        }
        foreach (var rate in new[] { 0, 0.5 })
        {
            model.MoveTarget(rate);
            var expected = model.TargetCritic.Values(support, observations);
            var found = model.TargetValues(support, observations);
            Assert.True((found - expected).abs().max().item<float>() < 1e-5 * expected.abs().max().item<float>());
        }
    }

    [Fact]
    public void Effective_actions_are_one_for_a_sharp_label_and_all_for_a_flat_one()
    {
        using var scope = NewDisposeScope();
        var tilts = tensor(new float[] { 0, 0, 0, 0, -100, 0, 0, 0, 0, 0, -50, -50 }, [3, 4]);
        var found = QgpoDiagnostics.EffectiveActions(tilts).data<float>().ToArray();
        Assert.Equal(4, found[0], 4f * 1e-6f);
        Assert.Equal(1, found[1], 1e-6f);
        Assert.Equal(2, found[2], 1e-5f);
    }

    [Fact]
    public void Labels_too_sharp_or_too_flat_are_told()
    {
        using var scope = NewDisposeScope();
        var energies = arange(16, dtype: ScalarType.Float32).expand(5, 16);
        Assert.Contains("Lower beta", QgpoDiagnostics.LabelWarning(energies, 10));
        Assert.Contains("Raise beta", QgpoDiagnostics.LabelWarning(energies, 1e-3));
        Assert.Null(QgpoDiagnostics.LabelWarning(energies, 0.3));
    }

    [Fact]
    public void Diagnostics_of_a_training_are_finite_and_count_what_they_say()
    {
        using var steps = QgpoSample.Steps();
        var data = TransitionDataset.FromSteps(steps);
        using var training = new Qgpo(QgpoSample.Options, data);
        training.Train();
        using var streams = new RandomStreams(0);
        var found = QgpoDiagnostics.Of(training, data, 32, streams);
        Assert.InRange(found.LabelEss, 1, 4);
        Assert.InRange(found.OutsideShare, 0, 1);
        Assert.Equal(3, found.Norms.Count);
        Assert.All(
            found.Norms,
            norm => Assert.True(norm.Score > 0 && norm.Guidance >= 0 && double.IsFinite(norm.Guidance))
        );
    }
}
