using System.Globalization;
using System.Text.Json;
using Tilt.Networks;
using Tilt.OfflineRl.Data;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>A QGPO training in a run's folder, from its start or wherever it stopped, to the saved policy.</summary>
public static class QgpoRun
{
    /// <summary>The file in a run's folder that holds <see cref="QgpoDiagnostics"/>.</summary>
    public const string DiagnosticsName = "diagnostics.json";

    /// <summary>The file in samples/ that holds states and actions of the data, for pages that are made without the data.</summary>
    public const string StatesName = "states.safetensors";

    private const int DiagnosticStates = 256;
    private const int SavedStates = 1024;

    /// <summary>Trains to the end and saves policies, diagnostics and a sample of the data's states.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="data">Transitions with rewards as recorded.</param>
    /// <param name="folder">The run's folder.</param>
    /// <param name="box">The range of actions; null for the data's own.</param>
    /// <param name="cache">The folder that keeps support actions for other runs; null for none.</param>
    /// <param name="versions">Versions to record, such as that of the physics.</param>
    /// <param name="progress">Where to tell how it is going.</param>
    /// <exception cref="TiltException">The folder is another run's or in use, a loss diverged, or the disk refused.</exception>
    public static (TrainingResult Result, QgpoDiagnostics Diagnostics) Train(
        QgpoOptions options,
        TransitionDataset data,
        string folder,
        ActionBox? box,
        string? cache,
        IEnumerable<KeyValuePair<string, string>> versions,
        ITrainingProgress progress
    )
    {
        var recorded = data.Recorded;
        var source = new DataSource(Path.GetFileName(recorded.Source), recorded.Sha256, recorded.Count);
        var manifest = RunManifest.Collect(options.Seed, MixedPrecision.Name(options.Precision), [source], versions);
        using var run = RunFolder.Start(folder, options, QgpoJson.Default.QgpoOptions, manifest);
        if (data.Count < options.Batch)
        {
            progress.Say(
                $"{data.Count} transitions fill no batch of {options.Batch}: each is drawn several times per step"
            );
        }
        using var training = new Qgpo(options, data, box: box, cache: cache, runFolder: folder);
        var result = training.Train(run, new TrainerOptions(), progress);
        SavePolicies(training.Model, folder, source);

        using var streams = new RandomStreams(options.Seed);
        var diagnostics = QgpoDiagnostics.Of(training, data, Math.Min(DiagnosticStates, data.Count), streams);
        DurableFile.Replace(
            Path.Combine(folder, DiagnosticsName),
            JsonSerializer.Serialize(diagnostics, QgpoDiagnosticsJson.Default.QgpoDiagnostics) + "\n"
        );
        using var batches = new MinibatchSampler(data, SavedStates, streams, "states");
        var batch = batches.Next();
        TensorFile.Save(
            Path.Combine(run.Folder("samples"), StatesName),
            [("observations", batch.Observations), ("actions", batch.Actions)]
        );
        return (result, diagnostics);
    }

    /// <summary>The saved policy of a method: policy.safetensors for the first that learns, a file of its own for every other.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="options">The run's options.</param>
    /// <param name="method">A method that learns an energy.</param>
    public static string PolicyOf(string folder, QgpoOptions options, string method) =>
        Path.Combine(folder, First(options) == method ? PolicyFile.DefaultName : $"policy-{method}.safetensors");

    private static string? First(QgpoOptions options) =>
        options.Methods.FirstOrDefault(method => ActionGuidance.Named(method).Loss is not null);

    private static void SavePolicies(QgpoModel model, string folder, DataSource data)
    {
        var notes = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["algorithm"] = "qgpo",
            ["data"] = data.Name,
            ["dataSha256"] = data.Sha256,
            ["seed"] = model.Options.Seed.ToString(CultureInfo.InvariantCulture),
        };
        foreach (var method in model.Learned)
        {
            model.PolicyFile(method, notes).Write(PolicyOf(folder, model.Options, method));
        }
        if (First(model.Options) is null)
        {
            model.PolicyFile(null, notes).Write(Path.Combine(folder, PolicyFile.DefaultName));
        }
    }
}
