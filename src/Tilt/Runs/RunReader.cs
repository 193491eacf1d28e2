using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Tilt.Runs;

/// <summary>A run's folder to look at, whoever may be training in it.</summary>
public sealed class RunReader
{
    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>Where the run comes from.</summary>
    public RunManifest Manifest { get; }

    private RunReader(string path)
    {
        Path = path;
        Manifest = RunManifest.Read(System.IO.Path.Combine(path, RunFolder.ManifestName));
    }

    /// <summary>Opens a run's folder for reading.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="TiltException">It is no run's folder, or of another version.</exception>
    public static RunReader Open(string path)
    {
        Expect(path);
        return new RunReader(path);
    }

    /// <summary>Whether a run was begun in that folder.</summary>
    /// <param name="path">The folder.</param>
    public static bool Exists(string path) => File.Exists(System.IO.Path.Combine(path, RunFolder.ManifestName));

    /// <summary>The options the run was begun with.</summary>
    /// <param name="type">The record's source-generated description.</param>
    /// <exception cref="TiltException">They are of another record, or damaged.</exception>
    public T Options<T>(JsonTypeInfo<T> type)
    {
        var file = System.IO.Path.Combine(Path, RunFolder.OptionsName);
        return OptionRecords.Parse(JsonText.ReadFile(file), file, type);
    }

    /// <summary>options.json as it stands.</summary>
    public JsonObject OptionsNode()
    {
        var file = System.IO.Path.Combine(Path, RunFolder.OptionsName);
        try
        {
            return JsonNode.Parse(JsonText.ReadFile(file))!.AsObject();
        }
        catch (Exception error) when (error is System.Text.Json.JsonException or InvalidOperationException)
        {
            throw new TiltException($"{file}: not a JSON object: {error.Message}", inner: error);
        }
    }

    /// <summary>How the run stands, or null before it has said so.</summary>
    public RunStatus? Status() => RunStatus.TryRead(System.IO.Path.Combine(Path, RunFolder.StatusName));

    /// <summary>What was logged, every step once.</summary>
    public IReadOnlyList<LogLine> Metrics() => JsonLines.Read(System.IO.Path.Combine(Path, RunFolder.MetricsName));

    /// <summary>What was evaluated.</summary>
    public IReadOnlyList<LogLine> Evaluations() =>
        JsonLines.Read(System.IO.Path.Combine(Path, RunFolder.EvaluationName));

    /// <summary>The latest checkpoint that is whole.</summary>
    /// <param name="say">Told of damaged ones that were passed over.</param>
    /// <exception cref="TiltException">There is none yet, or all are damaged.</exception>
    public Checkpoint Checkpoint(Action<string>? say = null) =>
        new Checkpoints(System.IO.Path.Combine(Path, RunFolder.CheckpointsName)).Latest(say)
        ?? throw new TiltException(
            $"{Path}: the run has no checkpoint yet. Train it first, or wait for its first checkpoint."
        );

    internal static void Expect(string path)
    {
        if (!Directory.Exists(path))
        {
            throw TiltException.Usage($"{path}: no such folder; expected a run's folder.");
        }
        if (!Exists(path))
        {
            throw TiltException.Usage($"{path}: has no {RunFolder.ManifestName}; expected a run's folder.");
        }
    }
}
