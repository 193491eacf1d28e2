using System.Globalization;
using System.Text.Json.Nodes;
using Tilt.Inference;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.OfflineRl.Behavior;

/// <summary>A whole run of soft actor-critic: a folder that it can go on in, and snapshots of the actor with measured returns.</summary>
/// <remarks>
/// Besides what every run's folder holds there are <c>replay.bin</c>, all steps so far, and <c>snapshots/step-N.safetensors</c>, the actor
/// after N environment steps, in float16. A snapshot is measured as it is saved: rounded.
/// </remarks>
public static class BehaviorTraining
{
    /// <summary>The folder of snapshots in a run's folder.</summary>
    public const string SnapshotFolder = "snapshots";

    private const string ReplayName = "replay.bin";

    /// <summary>Trains to the end, or from where the run stands.</summary>
    /// <param name="run">The run.</param>
    /// <param name="options">Its options.</param>
    /// <param name="trainer">How often to log and save.</param>
    /// <param name="progress">Where to tell; null for nowhere.</param>
    /// <param name="stop">Asks to stop between two steps.</param>
    public static TrainingResult Train(
        RunFolder run,
        SoftActorCriticOptions options,
        TrainerOptions? trainer = null,
        ITrainingProgress? progress = null,
        CancellationToken stop = default
    )
    {
        using var training = new SoftActorCritic(options, Path.Combine(run.Path, ReplayName));
        var folder = run.Folder(SnapshotFolder);
        if (!File.Exists(SnapshotFile(folder, 0)))
        {
            // The checkpoint, if there is one, is loaded later: these are the weights at the start.
            using var streams = new RandomStreams(options.Seed);
            Snapshot(training, options, run, folder, 0, streams.SeedOf("snapshot/0"), progress, stop);
        }
        var hook = new TrainingHook(
            "snapshot",
            options.SnapshotEvery,
            context =>
                Snapshot(
                    training,
                    options,
                    run,
                    folder,
                    context.Step,
                    context.Streams.SeedOf("episodes"),
                    context.Progress,
                    context.Stop
                )
        );
        return new Trainer(
            training.State,
            training.Stages,
            trainer
                ?? new TrainerOptions
                {
                    LogEvery = 1000,
                    CheckpointEvery = 0,
                    CheckpointSeconds = options.CheckpointSeconds,
                },
            run,
            progress,
            [hook]
        ).Run(stop);
    }

    /// <summary>The file of a snapshot.</summary>
    /// <param name="folder">Where snapshots lie.</param>
    /// <param name="step">Environment steps.</param>
    public static string SnapshotFile(string folder, long step) =>
        Path.Combine(folder, $"step-{step.ToString("D8", CultureInfo.InvariantCulture)}.safetensors");

    private static void Snapshot(
        SoftActorCritic training,
        SoftActorCriticOptions options,
        RunFolder run,
        string folder,
        long step,
        long seed,
        ITrainingProgress? progress,
        CancellationToken stop
    )
    {
        var actor = GaussianActor.Parse(
            training.Actor().ToBytes(ElementType.F16, new Dictionary<string, string>()),
            "the actor"
        );
        var texts = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["task"] = training.Task.Name,
            ["algorithm"] = "soft actor-critic",
            ["steps"] = step.ToString(CultureInfo.InvariantCulture),
            ["seed"] = options.Seed.ToString(CultureInfo.InvariantCulture),
        };
        var said = new List<string>();
        foreach (var sampled in new[] { false, true })
        {
            var measured = BehaviorEvaluation.Run(
                training.Task,
                actor,
                options.SnapshotEpisodes,
                sampled,
                seed,
                threads: 1,
                stop
            );
            SnapshotReturns.Write(texts, sampled, measured);
            for (var i = 0; i < measured.Returns.Count; i++)
            {
                run.Evaluations.Append(
                    step,
                    [
                        new("policy", sampled ? "sampled" : "mean"),
                        new("episode", i),
                        new("return", measured.Returns[i]),
                        new("length", measured.Lengths[i]),
                        new("time", DateTime.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)),
                    ]
                );
            }
            said.Add(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{measured.Mean:0.#} ± {measured.Deviation:0.#} {(sampled ? "with noise" : "without")}"
                )
            );
        }
        DurableFile.Replace(SnapshotFile(folder, step), stream => stream.Write(actor.ToBytes(ElementType.F16, texts)));
        progress?.Say($"step {step}: return {string.Join(", ", said)}");
    }
}

/// <summary>The measured returns in a snapshot's metadata.</summary>
public static class SnapshotReturns
{
    /// <summary>Writes a measurement.</summary>
    /// <param name="texts">The metadata.</param>
    /// <param name="sampled">Whether actions were drawn; else they were tanh(μ).</param>
    /// <param name="measured">What came out.</param>
    public static void Write(IDictionary<string, string> texts, bool sampled, EpisodeReturns measured)
    {
        var policy = Policy(sampled);
        texts[$"{policy}.return"] = Text(measured.Mean);
        texts[$"{policy}.deviation"] = Text(measured.Deviation);
        texts[$"{policy}.episodes"] = measured.Returns.Count.ToString(CultureInfo.InvariantCulture);
        texts[$"{policy}.length"] = Text(measured.Lengths.Average());
    }

    /// <summary>Reads the mean return, the standard deviation over episodes and how many there were; null where none was written.</summary>
    /// <param name="texts">The metadata.</param>
    /// <param name="sampled">Which measurement.</param>
    public static (double Mean, double Deviation, int Episodes)? Read(
        IReadOnlyDictionary<string, string> texts,
        bool sampled
    )
    {
        var policy = Policy(sampled);
        return
            Number($"{policy}.return") is { } mean
            && Number($"{policy}.deviation") is { } deviation
            && Number($"{policy}.episodes") is { } episodes
            ? (mean, deviation, (int)episodes)
            : null;

        double? Number(string name) =>
            texts.TryGetValue(name, out var text)
            && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
                ? value
                : null;
    }

    private static string Policy(bool sampled) => sampled ? "sampled" : "mean";

    private static string Text(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
