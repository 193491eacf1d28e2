using Tilt.Environments;
using Tilt.Networks;
using Tilt.OfflineRl.Behavior;
using Tilt.Runs;
using Tilt.Tests.Environments;
using Tilt.Training;

namespace Tilt.Tests.OfflineRl.Behavior;

public class SoftActorCriticTests
{
    private static readonly SoftActorCriticOptions Small = new()
    {
        Width = 32,
        BatchSize = 64,
        LearningRate = 3e-3,
        TargetRate = 0.05,
        Precision = Precision.Float32,
    };

    [Fact]
    public void On_a_bandit_the_policy_becomes_the_soft_optimum()
    {
        // One state, one step, r = −4(a − 0.3)². The optimum is π ∝ exp(r/α), a Gaussian of variance α/8, whose entropy
        // ½·log(2πe·α/8) has to be −1: α = 4·e⁻²/(πe).
        using var scenario = new Scenario(Small);
        var random = new RandomStream(1, "bandit");
        for (var i = 0; i < 4000; i++)
        {
            var action = (float)random.Uniform(-1, 1);
            scenario.Memory.Add([1], [action], -4 * (action - 0.3f) * (action - 0.3f), terminated: true, [1]);
        }
        var last = scenario.Train(5000);

        var expected = 4 * Math.Exp(-2) / (Math.PI * Math.E);
        Assert.InRange(last["entropy"], -1.15, -0.85);
        Assert.InRange(last["temperature"], 0.75 * expected, 1.25 * expected);
        var (mean, deviation) = scenario.Policy();
        Assert.InRange(mean, 0.25, 0.35);
        Assert.InRange(deviation, 0.8 * Math.Sqrt(expected / 8), 1.2 * Math.Sqrt(expected / 8));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Values_satisfy_the_soft_Bellman_equation_and_only_termination_ends_them(bool terminates)
    {
        // One state, reward 1 whatever is done: Q = 1 where every step terminates, else Q = (1 + γ·α·H)/(1 − γ), H the policy's entropy.
        using var scenario = new Scenario(Small with { Discount = 0.8 });
        var random = new RandomStream(1, "chain");
        for (var i = 0; i < 1000; i++)
        {
            scenario.Memory.Add([1], [(float)random.Uniform(-1, 1)], 1, terminates, [1]);
        }
        var last = scenario.Train(3000);

        var expected = terminates ? 1 : (1 + 0.8 * last["temperature"] * last["entropy"]) / (1 - 0.8);
        Assert.InRange(last["q"], 0.97 * expected, 1.03 * expected);
    }

    [Fact]
    public void The_temperature_moves_toward_the_target_entropy()
    {
        foreach (var (target, rises) in new[] { (5.0, true), (-5.0, false) })
        {
            using var scenario = new Scenario(Small with { TargetEntropy = target });
            scenario.Memory.Add([1], [0], 0, terminated: true, [1]);
            scenario.Train(1);
            // Adam's first step is the learning rate in the gradient's direction.
            Assert.Equal(rises ? 3e-3 : -3e-3, scenario.Update.LogTemperature.item<float>(), 1e-5);
        }
    }

    [Fact]
    public void Halting_and_going_on_changes_no_bit()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var options = new SoftActorCriticOptions
        {
            Task = "hopper",
            RandomSteps = 100,
            Steps = 200,
            Width = 32,
            BatchSize = 16,
            SnapshotEvery = 150,
            SnapshotEpisodes = 2,
            Precision = Precision.Float32,
            Environments = 3,
        };
        var whole = Train(folder.File("whole"), options, parallel: false, []);
        // In the middle of random steps, right at the first update, and in the middle of learning.
        var halted = Train(folder.File("halted"), options, parallel: true, [60, 100, 217]);

        Assert.Equal(whole, halted);
        Assert.Equal(
            File.ReadAllBytes(BehaviorTraining.SnapshotFile(folder.File("whole/snapshots"), 300)),
            File.ReadAllBytes(BehaviorTraining.SnapshotFile(folder.File("halted/snapshots"), 300))
        );
        Assert.Equal(
            ContentHash.OfFile(folder.File("whole/replay.bin")),
            ContentHash.OfFile(folder.File("halted/replay.bin"))
        );

        // A file of steps that is not the checkpoint's is refused.
        var replay = folder.File("halted/replay.bin");
        var bytes = File.ReadAllBytes(replay);
        bytes[400] ^= 1;
        File.WriteAllBytes(replay, bytes);
        var error = Assert.Throws<TiltException>(() =>
            Train(folder.File("halted"), options with { Steps = 210 }, parallel: true, [])
        );
        Assert.Contains("replay.bin", error.Message, StringComparison.Ordinal);
    }

    private static string Train(string folder, SoftActorCriticOptions options, bool parallel, int[] halts)
    {
        options = options with { ParallelRollouts = parallel };
        var trainer = new TrainerOptions
        {
            LogEvery = 50,
            CheckpointEvery = 0,
            CheckpointSeconds = 0,
        };
        foreach (var halt in (int[])[.. halts, int.MaxValue])
        {
            using var run = RunFolder.Start(
                folder,
                options,
                BehaviorJson.Default.SoftActorCriticOptions,
                RunManifest.Collect(options.Seed)
            );
            using var stop = new CancellationTokenSource();
            try
            {
                BehaviorTraining.Train(run, options, trainer, new Halt(halt, stop), stop.Token);
            }
            catch (StoppedException) when (halt != int.MaxValue) { }
        }
        var checkpoint = RunReader.Open(folder).Checkpoint();
        return string.Join(
            ' ',
            checkpoint.State.Step,
            ContentHash.OfFile(checkpoint.ModelFile),
            ContentHash.OfFile(checkpoint.OptimizerFile)
        );
    }

    /// <summary>Asks to stop once a step is reached.</summary>
    private sealed class Halt(long step, CancellationTokenSource stop) : ITrainingProgress
    {
        public void Update(TrainingReport report)
        {
            if (report.TotalStep >= step)
            {
                stop.Cancel();
            }
        }

        public void Say(string message) { }

        public void Show(IReadOnlyList<string> lines) { }

        public void End(TrainingReport report) { }
    }

    /// <summary>Networks for one observation and one action, and a memory that a test fills.</summary>
    private sealed class Scenario : IDisposable
    {
        private readonly RandomStreams _streams = new(7);

        public Scenario(SoftActorCriticOptions options)
        {
            Update = new(1, 1, options, _streams["weights"]);
        }

        public ReplayMemory Memory { get; } = new(1, 1, 1_000_000);

        public SoftActorCriticUpdate Update { get; }

        /// <summary>Trains and gives the metrics' means over the last fifth.</summary>
        public IReadOnlyDictionary<string, double> Train(int steps)
        {
            using var folder = new TemporaryFolder();
            using var run = RunFolder.Start(
                folder.File("run"),
                Small,
                BehaviorJson.Default.SoftActorCriticOptions,
                RunManifest.Collect(0)
            );
            new Trainer(
                new TrainingState(_streams),
                [new("train", steps, step => Update.Step(Memory, step))],
                new()
                {
                    LogEvery = Math.Max(1, steps / 5),
                    CheckpointEvery = 0,
                    CheckpointSeconds = 0,
                },
                run
            ).Run(TestContext.Current.CancellationToken);
            var last = RunReader.Open(folder.File("run")).Metrics()[^1];
            return new[] { "q", "entropy", "temperature", "criticLoss", "actorLoss" }.ToDictionary(
                name => name,
                name => last.Number(name)!.Value
            );
        }

        /// <summary>Mean and deviation of drawn actions.</summary>
        public (double Mean, double Deviation) Policy()
        {
            const int Draws = 4000;
            var random = new RandomStream(2, "draws");
            var (states, noise, actions) = (new float[Draws], new float[Draws], new float[Draws]);
            Array.Fill(states, 1);
            for (var i = 0; i < Draws; i++)
            {
                noise[i] = (float)random.Normal();
            }
            Update.Actor().Act(states, noise, actions);
            var mean = actions.Average();
            return (mean, Math.Sqrt(actions.Average(action => (action - mean) * (action - mean))));
        }

        public void Dispose()
        {
            Update.Dispose();
            Memory.Dispose();
            _streams.Dispose();
        }
    }
}
