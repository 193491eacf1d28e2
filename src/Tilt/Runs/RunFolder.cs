using System.Text.Json.Serialization.Metadata;

namespace Tilt.Runs;

/// <summary>A run's folder, held by this process: nobody else trains or appends in it meanwhile.</summary>
/// <remarks>
/// docs/runs.md draws it. options.json, manifest.json and status.json are replaced by renaming; metrics.jsonl, evaluation.jsonl
/// and the event files are only appended to; checkpoints are folders that appear whole. The hold is a lock of the operating
/// system on the file <c>.lock</c>: it ends with the process, however that ends.
/// </remarks>
public sealed class RunFolder : IDisposable
{
    /// <summary>The version of the layout that this code writes and reads.</summary>
    public const int Format = 1;

    internal const string OptionsName = "options.json";
    internal const string ManifestName = "manifest.json";
    internal const string StatusName = "status.json";
    internal const string MetricsName = "metrics.jsonl";
    internal const string EvaluationName = "evaluation.jsonl";
    internal const string CheckpointsName = "checkpoints";
    private const string LockName = ".lock";

    private readonly FileStream _hold;
    private JsonLines? _metrics;
    private JsonLines? _evaluations;
    private TensorBoardLog? _tensorBoard;
    private long? _resumedAt;

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>Whether this start made it.</summary>
    public bool IsNew { get; private init; }

    /// <summary>Where the run comes from.</summary>
    public RunManifest Manifest { get; private set; }

    /// <summary>Its checkpoints.</summary>
    public Checkpoints Checkpoints { get; }

    /// <summary>What a user should know about this start: options that changed, another machine. For the terminal.</summary>
    public IReadOnlyList<string> Notes { get; private init; } = [];

    /// <summary>metrics.jsonl: one object per log step.</summary>
    public JsonLines Metrics => _metrics ??= Open(MetricsName);

    /// <summary>evaluation.jsonl: one object per episode or repetition, not per mean.</summary>
    public JsonLines Evaluations => _evaluations ??= Open(EvaluationName);

    /// <summary>The event file of this start, for TensorBoard.</summary>
    public TensorBoardLog TensorBoard => _tensorBoard ??= new TensorBoardLog(Path, _resumedAt);

    private RunFolder(string path, FileStream hold, RunManifest manifest)
    {
        Path = path;
        _hold = hold;
        Manifest = manifest;
        Checkpoints = new Checkpoints(System.IO.Path.Combine(path, CheckpointsName));
    }

    /// <summary>Begins a run in a new folder, or goes on with the run of an existing one.</summary>
    /// <typeparam name="T">The options record.</typeparam>
    /// <param name="path">The folder; made if need be.</param>
    /// <param name="options">Everything resolved, defaults included.</param>
    /// <param name="type">The record's source-generated description.</param>
    /// <param name="manifest">Where the run comes from; see <see cref="RunManifest.Collect"/>.</param>
    /// <exception cref="TiltException">
    /// The folder is used by another process, is of another version, is not a run's, or its options differ in one that is not
    /// marked <see cref="MayChangeOnResumeAttribute"/>; or the disk refused.
    /// </exception>
    public static RunFolder Start<T>(string path, T options, JsonTypeInfo<T> type, RunManifest manifest)
    {
        var hold = Hold(path, make: true);
        try
        {
            var optionsFile = System.IO.Path.Combine(path, OptionsName);
            var manifestFile = System.IO.Path.Combine(path, ManifestName);
            if (File.Exists(manifestFile))
            {
                return Resume(path, hold, options, type, manifest);
            }
            RefuseForeign(path);
            DurableFile.Replace(optionsFile, OptionRecords.ToJson(options, type));
            // The manifest comes last: a folder without one was never begun.
            DurableFile.Replace(manifestFile, manifest.ToJson());
            return new RunFolder(path, hold, manifest) { IsNew = true };
        }
        catch
        {
            hold.Dispose();
            throw;
        }
    }

    /// <summary>Holds an existing run's folder to add to it: evaluations, samples, figures.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="TiltException">It is no run's folder, of another version, or used by another process.</exception>
    public static RunFolder Attach(string path)
    {
        RunReader.Expect(path);
        var hold = Hold(path, make: false);
        try
        {
            return new RunFolder(path, hold, RunManifest.Read(System.IO.Path.Combine(path, ManifestName)));
        }
        catch
        {
            hold.Dispose();
            throw;
        }
    }

    /// <summary>A folder below the run's, made if need be: <c>samples</c>, <c>figures</c>.</summary>
    /// <param name="name">Its name.</param>
    public string Folder(string name)
    {
        var folder = System.IO.Path.Combine(Path, name);
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Refused(folder, error);
        }
        return folder;
    }

    /// <summary>Replaces status.json.</summary>
    /// <param name="status">How the run stands. The heartbeat is filled in.</param>
    public void WriteStatus(RunStatus status) =>
        DurableFile.Replace(
            System.IO.Path.Combine(Path, StatusName),
            (status with { Heartbeat = Clock.Now() }).ToJson(),
            force: false
        );

    /// <summary>Records which random streams have been used.</summary>
    /// <param name="streams">The run's streams.</param>
    public void RecordStreams(RandomStreams streams)
    {
        var used = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var name in streams.Names)
        {
            used[name] = streams.SeedOf(name);
        }
        if (!used.Keys.SequenceEqual(Manifest.Streams.Keys.Order(StringComparer.Ordinal)))
        {
            WriteManifest(Manifest with { Streams = used });
        }
    }

    /// <summary>Says in every log that training goes on from a checkpoint, and notes it in the manifest.</summary>
    /// <param name="step">The checkpoint's step; 0 when there was none.</param>
    /// <param name="notes">What is remarkable about it.</param>
    internal void MarkResumed(long step, IEnumerable<string> notes)
    {
        _resumedAt = step;
        Metrics.MarkResume(step);
        if (File.Exists(System.IO.Path.Combine(Path, EvaluationName)))
        {
            Evaluations.MarkResume(step);
        }
        var note = new ResumeNote(
            Clock.Now(),
            step,
            Environment.GetCommandLineArgs(),
            get_num_threads(),
            [.. Notes, .. notes]
        );
        WriteManifest(Manifest with { Resumes = [.. Manifest.Resumes, note] });
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _metrics?.Dispose();
        _evaluations?.Dispose();
        _tensorBoard?.Dispose();
        _hold.Dispose();
    }

    private static RunFolder Resume<T>(
        string path,
        FileStream hold,
        T options,
        JsonTypeInfo<T> type,
        RunManifest present
    )
    {
        var optionsFile = System.IO.Path.Combine(path, OptionsName);
        var manifest = RunManifest.Read(System.IO.Path.Combine(path, ManifestName));
        var stored = OptionRecords.Parse(JsonText.ReadFile(optionsFile), optionsFile, type);
        var differences = OptionRecords.Differences(stored, options, type);
        var fixedOnes = differences.Where(difference => !difference.MayChange).ToList();
        if (fixedOnes.Count > 0)
        {
            var list = string.Join(
                ", ",
                fixedOnes.Select(option => $"'{option.Name}' is {option.Before} there and {option.After} now")
            );
            throw TiltException.Usage(
                $"{optionsFile}: the run was begun with other options: {list}. A run keeps its options: ask for the same, or "
                    + "choose another folder."
            );
        }
        var data = manifest.Data.Select(source => source.Sha256).ToHashSet(StringComparer.Ordinal);
        if (!data.SetEquals(present.Data.Select(source => source.Sha256)))
        {
            throw TiltException.Usage(
                $"{path}: the run was begun with other data: {Names(manifest.Data)} there and {Names(present.Data)} now. "
                    + "Give it the same data, or choose another folder."
            );
        }
        var notes = differences
            .Select(option => $"option '{option.Name}' changed from {option.Before} to {option.After}")
            .ToList();
        if (differences.Count > 0)
        {
            DurableFile.Replace(optionsFile, OptionRecords.ToJson(options, type));
        }
        notes.AddRange(MachineNotes(manifest, present));
        var run = new RunFolder(path, hold, manifest) { Notes = notes };
        run.Checkpoints.Tidy();
        return run;
    }

    private static IEnumerable<string> MachineNotes(RunManifest before, RunManifest now)
    {
        const string May = "results may differ in the last bits";
        if (before.Threads != now.Threads)
        {
            yield return $"{now.Threads} threads now, {before.Threads} before: {May}";
        }
        if (
            before.Cpu is { } old
            && now.Cpu is { } cpu
            && (old.Model, old.Features.Count) != (cpu.Model, cpu.Features.Count)
        )
        {
            yield return $"processor {cpu.Model} now, {old.Model} before: {May}";
        }
        foreach (var name in new[] { "tilt", "torchsharp", "libtorch" })
        {
            var (was, @is) = (before.Versions.GetValueOrDefault(name), now.Versions.GetValueOrDefault(name));
            if (was != @is)
            {
                yield return $"{name} {@is} now, {was} before: {May}";
            }
        }
    }

    private static string Names(IReadOnlyList<DataSource> data) =>
        data.Count == 0
            ? "none"
            : string.Join(
                ", ",
                data.Select(source => $"{source.Name} ({source.Sha256[..Math.Min(12, source.Sha256.Length)]})")
            );

    private static FileStream Hold(string path, bool make)
    {
        var file = System.IO.Path.Combine(path, LockName);
        try
        {
            if (make)
            {
                Directory.CreateDirectory(path);
            }
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException error) when (File.Exists(file) && IsHeld(file))
        {
            var status = RunStatus.TryRead(System.IO.Path.Combine(path, StatusName));
            var who = status is { State: "running" } ? $" (process {status.Process} on {status.Host})" : "";
            throw new TiltException(
                $"{path}: the run is in use by another process{who}. Wait for it to end, stop it, or choose another folder.",
                inner: error
            );
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw File.Exists(path)
                ? TiltException.Usage($"{path}: is a file; expected a folder for the run.")
                : DurableFile.Refused(path, error);
        }
    }

    /// <summary>Whether opening failed because of somebody's lock, and not for want of room or permission.</summary>
    private static bool IsHeld(string file)
    {
        try
        {
            using var probe = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static void RefuseForeign(string path)
    {
        var foreign = Directory
            .EnumerateFileSystemEntries(path)
            .Select(entry => System.IO.Path.GetFileName(entry))
            .FirstOrDefault(name =>
                name is not (LockName or OptionsName)
                && !name.EndsWith(DurableFile.AsideSuffix, StringComparison.Ordinal)
            );
        if (foreign is not null)
        {
            throw TiltException.Usage(
                $"{path}: holds '{foreign}' but no {ManifestName}, so it is not a run's folder. Choose an empty or new one."
            );
        }
    }

    private void WriteManifest(RunManifest manifest)
    {
        DurableFile.Replace(System.IO.Path.Combine(Path, ManifestName), manifest.ToJson());
        Manifest = manifest;
    }

    private JsonLines Open(string name) => new(System.IO.Path.Combine(Path, name));
}
