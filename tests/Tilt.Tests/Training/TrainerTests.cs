using Tilt.Runs;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Training;

public class TrainerTests
{
    [Fact]
    public void Training_again_from_the_same_seed_gives_the_same_bits()
    {
        var options = new ToyOptions();
        Assert.Equal(ToyTraining.TrainIn(null, options), ToyTraining.TrainIn(null, options));
        Assert.NotEqual(
            ToyTraining.TrainIn(null, options),
            ToyTraining.TrainIn(null, options with { Seed = options.Seed + 1 })
        );
    }

    [Fact]
    public void A_folder_changes_nothing_of_the_training()
    {
        using var temporary = new TemporaryFolder();
        Assert.Equal(
            ToyTraining.TrainIn(null, new ToyOptions()),
            ToyTraining.TrainIn(temporary.File("run"), new ToyOptions())
        );
    }

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(23)]
    [InlineData(59)]
    [InlineData(60)]
    [InlineData(61)]
    [InlineData(79)]
    public void A_run_stopped_anywhere_and_resumed_equals_an_uninterrupted_one(int stopAt)
    {
        using var temporary = new TemporaryFolder();
        var options = new ToyOptions();
        var expected = ToyTraining.TrainIn(temporary.File("whole"), options);

        using var stop = new CancellationTokenSource();
        var hook = new TrainingHook("stop", stopAt, _ => stop.Cancel());
        Assert.Throws<StoppedException>(() =>
            ToyTraining.TrainIn(temporary.File("halved"), options, stop: stop.Token, hooks: [hook])
        );
        var resumed = ToyTraining.TrainIn(temporary.File("halved"), options);

        Assert.Equal(expected, resumed);
        Assert.Equal(Curve(temporary.File("whole")), Curve(temporary.File("halved")));
        Assert.Equal("finished", RunReader.Open(temporary.File("halved")).Status()!.State);
    }

    [Fact]
    public void A_finished_run_asked_again_does_nothing()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        var expected = ToyTraining.TrainIn(folder, new ToyOptions());
        var progress = new RecordedProgress();

        Assert.Equal(expected, ToyTraining.TrainIn(folder, new ToyOptions(), progress: progress));
        Assert.Equal(["already finished: 80 steps"], progress.Said);
    }

    [Theory]
    [InlineData(
        33,
        "stage 'first', step 34: 'loss' is NaN; training stopped. The last good checkpoint, of step 30, is kept"
    )]
    [InlineData(3, "stage 'first', step 4: 'loss' is NaN; training stopped. No checkpoint had been written yet.")]
    public void A_NaN_stops_at_its_step_and_keeps_the_last_good_checkpoint(int at, string said)
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        var error = Assert.Throws<TiltException>(() => ToyTraining.TrainIn(folder, new ToyOptions { NanAt = at }));

        Assert.Contains(said, error.Message);
        Assert.Equal(1, error.ExitCode);
        var run = RunReader.Open(folder);
        Assert.Equal(("failed", error.Message), (run.Status()!.State, run.Status()!.Message));
        // What was wrong put right, the run goes on and ends as if nothing had been.
        Assert.Equal(ToyTraining.TrainIn(null, new ToyOptions()), ToyTraining.TrainIn(folder, new ToyOptions()));
        Assert.All(run.Metrics(), line => Assert.True(double.IsFinite(line.Number("loss")!.Value)));
    }

    [Fact]
    public void Weights_that_are_not_finite_are_never_saved_even_when_the_loss_is()
    {
        using var temporary = new TemporaryFolder();
        using var streams = new RandomStreams(1);
        using var module = nn.Linear(2, 2);
        var state = new TrainingState(streams).AddModule("module", module);
        var stage = new Stage(
            "only",
            30,
            context =>
            {
                if (context.Step == 14)
                {
                    using var recording = no_grad();
                    module.weight![0, 1].fill_(double.PositiveInfinity);
                }
                context.Record("loss", 1);
            }
        );
        using var run = Start(temporary.File("run"));

        var error = Assert.Throws<TiltException>(() => new Trainer(state, [stage], ToyTraining.Often, run).Run());
        Assert.Contains("stage 'only', step 20: 'module.weight' holds NaN or infinity", error.Message);
        Assert.Equal([10], run.Checkpoints.Steps);
    }

    [Fact]
    public void Metrics_are_means_since_the_last_line_and_appear_once_per_step()
    {
        using var temporary = new TemporaryFolder();
        using var streams = new RandomStreams(1);
        using var run = Start(temporary.File("run"));
        var stages = new[]
        {
            new Stage("a", 5, context => context.Record("x", context.TotalStep)),
            new Stage("none", 0, _ => Assert.Fail("a stage of no steps took one")),
            new Stage("b", 4, context => context.Record("y", tensor((float)context.Step))),
        };
        new Trainer(new TrainingState(streams), stages, new TrainerOptions { LogEvery = 3 }, run).Run();

        Assert.Equal(
            ["3 a 1 ", "5 a 3.5 ", "6 b  0", "9 b  2"],
            RunReader
                .Open(run.Path)
                .Metrics()
                .Select(line => $"{line.Step} {line.Text("stage")} {line.Number("x")} {line.Number("y")}")
        );
        Assert.True(RunReader.Open(run.Path).Metrics()[0].Number("stepsPerSecond") > 0);
    }

    [Fact]
    public void Hooks_see_the_same_random_numbers_whether_or_not_the_run_was_interrupted_and_shift_nobody_s()
    {
        using var temporary = new TemporaryFolder();
        var options = new ToyOptions();
        var plain = ToyTraining.TrainIn(null, options);
        var seen = new List<string>();
        var draw = new TrainingHook(
            "draw",
            25,
            hook => seen.Add($"{hook.Step} {randn(1, generator: hook.Streams["x"]).item<float>():R}")
        );

        Assert.Equal(plain, ToyTraining.TrainIn(null, options, hooks: [draw]));
        var whole = seen.ToList();
        seen.Clear();
        using var stop = new CancellationTokenSource();
        var halt = new TrainingHook("halt", 30, _ => stop.Cancel());
        Assert.Throws<StoppedException>(() =>
            ToyTraining.TrainIn(temporary.File("run"), options, stop: stop.Token, hooks: [draw, halt])
        );
        Assert.Equal(plain, ToyTraining.TrainIn(temporary.File("run"), options, hooks: [draw]));

        Assert.Equal(["25", "50", "75", "80"], whole.Select(line => line.Split(' ')[0]));
        Assert.Equal(whole, seen);
    }

    [Fact]
    public void Tensors_do_not_pile_up_over_two_thousand_steps()
    {
        using var temporary = new TemporaryFolder();
        var counts = new List<long>();
        // Counted per thread: other tests run beside this one.
        var count = new TrainingHook(
            "count",
            400,
            _ => counts.Add(DisposeScopeManager.Statistics.ThreadTotalLiveCount)
        );
        var trainer = new TrainerOptions { LogEvery = 50, CheckpointEvery = 200 };
        ToyTraining.TrainIn(temporary.File("run"), new ToyOptions { Steps = 2000 }, trainer, hooks: [count]);

        Assert.Equal(6, counts.Count);
        Assert.All(counts.Skip(1).SkipLast(1), later => Assert.Equal(counts[0], later));
    }

    [Fact]
    public void Memory_stays_flat_over_ten_thousand_steps()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        var trainer = new TrainerOptions { LogEvery = 500, CheckpointEvery = 1000 };
        var options = new ToyOptions
        {
            Steps = 10_000,
            SecondSteps = 0,
            Watch = true,
        };
        // Compiled once and for all, with small young generations: then what grows is the training's.
        var settled = new Dictionary<string, string>
        {
            ["DOTNET_TieredCompilation"] = "0",
            ["DOTNET_GCgen0size"] = "200000", // hexadecimal: 2 MiB
        };
        using (var process = new ToyProcess(folder, options, trainer, settled))
        {
            Assert.True(process.Wait() == 0, process.Errors);
        }
        var megabytes = RunReader
            .Open(folder)
            .Metrics()
            .ToDictionary(line => line.Step, line => line.Number("megabytes")!.Value);

        Assert.True(
            megabytes[10_000] - megabytes[2500] < 3,
            string.Join(", ", megabytes.Select(pair => $"{pair.Key}: {pair.Value:0.0}"))
        );
    }

    [Fact]
    public void Progress_hears_of_stages_steps_and_resumption()
    {
        using var temporary = new TemporaryFolder();
        var options = new ToyOptions { Pause = 5 };
        var progress = new RecordedProgress();
        using var stop = new CancellationTokenSource();
        var halt = new TrainingHook(
            "halt",
            70,
            hook =>
            {
                hook.Progress.Show(["a picture"]);
                stop.Cancel();
            }
        );
        Assert.Throws<StoppedException>(() =>
            ToyTraining.TrainIn(temporary.File("run"), options, stop: stop.Token, progress: progress, hooks: [halt])
        );

        Assert.Equal(["a picture"], progress.Shown);
        var first = progress.Reports[0];
        Assert.Equal(
            ("first", 1, 2, 60, 80),
            (first.Stage, first.StageNumber, first.StageCount, first.Steps, first.TotalSteps)
        );
        Assert.InRange(first.StepsPerSecond!.Value, 1, 200);
        Assert.NotNull(first.TimeLeft);
        Assert.Equal(("second", 10, 70), (progress.Ended!.Stage, progress.Ended.Step, progress.Ended.TotalStep));
        Assert.Contains("loss", progress.Ended.Metrics.Keys);

        var again = new RecordedProgress();
        ToyTraining.TrainIn(temporary.File("run"), options with { Pause = 0 }, progress: again);
        Assert.Equal(["option 'pause' changed from 5 to 0", "resuming after step 70 of 80"], again.Said);
    }

    [Fact]
    public void Throughput_forgets_a_slow_beginning_and_follows_a_change()
    {
        var throughput = new Throughput();
        throughput.Begin(TimeSpan.FromSeconds(3), 10);
        Assert.Null(throughput.StepsPerSecond);
        throughput.Update(TimeSpan.FromSeconds(3.2), 11);
        Assert.Equal(5, throughput.StepsPerSecond!.Value, 1e-9);
        Go(from: 3.2, step: 11, seconds: 2, rate: 100);
        // A step of 0.2 s and then two seconds at 100 per second: the slow one counts by its time, not more.
        Assert.InRange(throughput.StepsPerSecond!.Value, 91, 95);
        Go(from: 5.2, step: 211, seconds: 20, rate: 50);
        Assert.InRange(throughput.StepsPerSecond!.Value, 50, 51);

        void Go(double from, long step, int seconds, int rate)
        {
            for (var tenth = 1; tenth <= 10 * seconds; tenth++)
            {
                throughput.Update(TimeSpan.FromSeconds(from + 0.1 * tenth), step + rate * tenth / 10);
            }
        }
    }

    [Fact]
    public void Without_a_folder_a_stop_says_that_nothing_was_saved()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var stopped = Assert.Throws<StoppedException>(() =>
            ToyTraining.TrainIn(null, new ToyOptions(), stop: stop.Token)
        );

        Assert.Equal(130, stopped.ExitCode);
        Assert.Contains("stopped after step 1 of 80; nothing was saved", stopped.Message);
    }

    [Fact]
    public void What_takes_long_between_steps_can_be_given_up()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("run");
        using var stop = new CancellationTokenSource();
        var evaluate = new TrainingHook(
            "evaluate",
            35,
            hook =>
            {
                stop.Cancel();
                hook.Stop.ThrowIfCancellationRequested();
            }
        );
        var stopped = Assert.Throws<StoppedException>(() =>
            ToyTraining.TrainIn(folder, new ToyOptions(), stop: stop.Token, hooks: [evaluate])
        );

        Assert.Equal(
            (130, "stopped at step 35 of 80; the checkpoint of step 30 stands."),
            (stopped.ExitCode, stopped.Message)
        );
        Assert.Equal("stopped", RunReader.Open(folder).Status()!.State);
        Assert.Equal(ToyTraining.TrainIn(null, new ToyOptions()), ToyTraining.TrainIn(folder, new ToyOptions()));
    }

    [Fact]
    public void Metrics_that_wait_on_a_device_give_the_same_means_and_the_step_of_the_first_NaN()
    {
        using var scope = NewDisposeScope();
        var (atOnce, later) = (new MetricWindow(), new MetricWindow(keepAll: true));
        for (var step = 0; step < 10; step++)
        {
            using var turn = NewDisposeScope();
            var value = tensor(1f / (step + 1));
            atOnce.Record(step, "loss", value);
            later.Record(step, "loss", value);
            atOnce.Record(step, "rate", 0.05);
            later.Record(step, "rate", 0.05);
        }
        Assert.False(later.IsEmpty);
        var means = atOnce.Take();
        Assert.Equal(means, later.Take());
        Assert.Equal(0.05, means["rate"]);

        later.Record(10, "loss", tensor(1f));
        later.Record(11, "loss", tensor(float.NaN));
        later.Record(12, "loss", tensor(float.PositiveInfinity));
        Assert.Null(later.Bad);
        later.Collect();
        Assert.Equal(new BadMetric(11, "loss", double.NaN), later.Bad);
    }

    [Fact]
    public void What_makes_no_sense_is_refused_before_training()
    {
        using var streams = new RandomStreams(1);
        var state = new TrainingState(streams);
        var stage = new Stage("a", 1, _ => { });

        Assert.Throws<ArgumentException>(() => new Trainer(state, []));
        Assert.Throws<ArgumentException>(() => new Trainer(state, [stage, stage]));
        Assert.Equal(2, Assert.Throws<TiltException>(() => new Trainer(state, [stage with { Steps = -1 }])).ExitCode);
        Assert.Throws<TiltException>(() => new Trainer(state, [stage], new TrainerOptions { LogEvery = 0 }));
        Assert.Throws<ArgumentException>(() => state.AddCounter("random", () => 0, _ => { }));
        Assert.Throws<ArgumentException>(() =>
            new Trainer(state, [stage with { Step = context => context.Record("step", 1) }]).Run()
        );
        Assert.Throws<ArgumentException>(() =>
            new Trainer(state, [stage with { Step = context => context.Record("loss", zeros(2)) }]).Run()
        );
    }

    /// <summary>What the log says apart from times and speeds, digit for digit.</summary>
    public static IReadOnlyList<string> Curve(string run) =>
        [
            .. RunReader
                .Open(run)
                .Metrics()
                .Select(line => $"{line.Step} {line.Text("stage")} {line.Number("loss"):R} {line.Number("rate"):R}"),
        ];

    private static RunFolder Start(string folder) =>
        RunFolder.Start(folder, new ToyOptions(), ToyJson.Default.ToyOptions, RunManifest.Collect(1));

    private sealed class RecordedProgress : ITrainingProgress
    {
        public List<TrainingReport> Reports { get; } = [];

        public List<string> Said { get; } = [];

        public List<string> Shown { get; } = [];

        public TrainingReport? Ended { get; private set; }

        public void Update(TrainingReport report) => Reports.Add(report);

        public void Say(string message) => Said.Add(message);

        public void Show(IReadOnlyList<string> lines) => Shown.AddRange(lines);

        public void End(TrainingReport report) => Ended = report;
    }
}
