using Tilt.Networks;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Data;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.Tests.OfflineRl.Algorithms;

/// <summary>A QGPO training that is over in a second: every stage, tiny networks, made-up data.</summary>
internal static class QgpoSample
{
    public const string FolderVariable = "TILT_TEST_QGPO_FOLDER";

    public static QgpoOptions Options { get; } =
        QgpoOptions.For("quick", "made-up") with
        {
            BehaviorNetwork = new()
            {
                Wide = 32,
                Middle = 16,
                Narrow = 16,
                Embedding = 16,
            },
            BehaviorSteps = 25,
            BehaviorBatch = 32,
            CriticSteps = 15,
            GuidanceSteps = 15,
            Batch = 8,
            SupportActions = 4,
            BackupActions = 2,
            SupportSampler = SamplerOptions.CepRl with { Evaluations = 3 },
            Sampler = SamplerOptions.CepRl with { Evaluations = 3 },
            AverageDecay = 0.9,
            Precision = Precision.Float32,
        };

    /// <summary>Logs and saves often, at times that fall apart.</summary>
    public static TrainerOptions Often { get; } = new() { LogEvery = 7, CheckpointEvery = 4 };

    /// <summary>Episodes of 50 steps of a random walk that is paid for being near the origin.</summary>
    public static RecordedSteps Steps(
        int count = 1300,
        int s = 3,
        int a = 2,
        Func<int, float>? reward = null,
        int episode = 50
    )
    {
        var random = new Random(5);
        var (observations, actions, rewards) = (new float[count * s], new float[count * a], new float[count]);
        var state = new float[s];
        for (var i = 0; i < count; i++)
        {
            if (i % episode == 0)
            {
                Array.Clear(state);
            }
            state.CopyTo(observations, i * s);
            for (var j = 0; j < a; j++)
            {
                actions[i * a + j] = (float)Math.Clamp((random.NextSingle() - 0.5) * 1.6, -1, 1);
            }
            rewards[i] = reward?.Invoke(i) ?? -state.Sum(x => x * x);
            for (var j = 0; j < s; j++)
            {
                state[j] += 0.2f * actions[i * a + (j % a)] + 0.05f * (random.NextSingle() - 0.5f);
            }
        }
        var ends = Enumerable.Range(0, count).Select(i => i % episode == episode - 1).ToArray();
        return RecordedSteps.FromArrays(observations, actions, rewards, new bool[count], ends);
    }

    /// <summary>All weights, optimizer state and stream positions in one text: equal texts are equal bits.</summary>
    public static string Fingerprint(Qgpo training)
    {
        using var scope = NewDisposeScope();
        return string.Join(
            "\n",
            training
                .State.ModelTensors.Concat(training.State.OptimizerTensors)
                .Select(tensor => $"{tensor.Name}={ContentHash.Of(tensor.Value)}")
                .Concat(
                    training.State.Streams.States().Select(stream => $"{stream.Key}={ContentHash.Of(stream.Value)}")
                )
                .Order(StringComparer.Ordinal)
        );
    }

    /// <summary>Trains in a folder and gives the fingerprint before averages are put in place.</summary>
    public static string TrainIn(
        string? folder,
        QgpoOptions? options = null,
        string? cache = null,
        RecordedSteps? steps = null,
        ITrainingProgress? progress = null,
        IReadOnlyList<TrainingHook>? hooks = null,
        CancellationToken stop = default,
        TrainerOptions? trainer = null
    )
    {
        options ??= Options;
        using var recorded = steps ?? Steps();
        var data = TransitionDataset.FromSteps(recorded);
        var manifest = RunManifest.Collect(
            options.Seed,
            data: [new DataSource(recorded.Source, recorded.Sha256, recorded.Count)]
        );
        using var run = folder is null
            ? null
            : RunFolder.Start(folder, options, QgpoJson.Default.QgpoOptions, manifest);
        using var training = new Qgpo(options, data, cache: cache, runFolder: folder);
        new Trainer(training.State, training.Stages, trainer ?? Often, run, progress, hooks).Run(stop);
        return Fingerprint(training);
    }

    /// <summary>Runs in a child process: trains, slowly, and prints the fingerprint.</summary>
    public static int TrainAsChild(string folder)
    {
        try
        {
            var slowly = new TrainingHook("pause", 1, _ => Thread.Sleep(8));
            Console.Out.Write(TrainIn(folder, cache: Path.Combine(folder, "..", "cache"), hooks: [slowly]));
            return 0;
        }
        catch (TiltException error)
        {
            Console.Error.Write(error.Message);
            return error.ExitCode;
        }
    }
}

/// <summary>Remembers what was said.</summary>
internal sealed class HeardProgress : ITrainingProgress
{
    public List<string> Said { get; } = [];

    public void Update(TrainingReport report) { }

    public void Say(string message) => Said.Add(message);

    public void Show(IReadOnlyList<string> lines) { }

    public void End(TrainingReport report) { }
}
