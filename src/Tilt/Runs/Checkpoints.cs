using System.Text;
using System.Text.Json;

namespace Tilt.Runs;

/// <summary>How far a stage has come.</summary>
/// <param name="Name">The stage.</param>
/// <param name="Done">Gradient steps done in it.</param>
/// <param name="Steps">Gradient steps it was to have.</param>
public sealed record StagePosition(string Name, long Done, long Steps);

/// <summary>The mean of a metric since the last log line, as far as it has come.</summary>
/// <param name="Mean">Mean of the values so far.</param>
/// <param name="Count">How many.</param>
public sealed record PartialMean(double Mean, long Count)
{
    /// <summary>The mean with one value more. Equal values have exactly that mean.</summary>
    public PartialMean With(double value) => new(Mean + (value - Mean) / (Count + 1), Count + 1);
}

/// <summary>What a checkpoint says besides its tensors.</summary>
public sealed record CheckpointState
{
    /// <summary>Gradient steps done, over all stages.</summary>
    public long Step { get; init; }

    /// <summary>All stages in their order.</summary>
    public IReadOnlyList<StagePosition> Stages { get; init; } = [];

    /// <summary>Numbers that the training keeps on the host.</summary>
    public IReadOnlyDictionary<string, long> Counters { get; init; } = new SortedDictionary<string, long>();

    /// <summary>Means of metrics that are not complete yet.</summary>
    public IReadOnlyDictionary<string, PartialMean> Metrics { get; init; } =
        new SortedDictionary<string, PartialMean>();

    /// <summary>Seconds spent in training so far, over all starts.</summary>
    public double Seconds { get; init; }

    /// <summary>When it was written, UTC.</summary>
    public string Time { get; init; } = "";

    /// <summary>SHA-256 of the tensor files beside it.</summary>
    public IReadOnlyDictionary<string, string> Sha256 { get; init; } = new SortedDictionary<string, string>();
}

/// <summary>A checkpoint whose every byte has been verified.</summary>
/// <param name="Folder">Where it is.</param>
/// <param name="State">What it says besides its tensors.</param>
public sealed record Checkpoint(string Folder, CheckpointState State)
{
    /// <summary>Modules, targets, averages, normalizers: what sampling needs.</summary>
    public string ModelFile => Path.Combine(Folder, Checkpoints.ModelName);

    /// <summary>Optimizers, generators and the rest: what training needs besides.</summary>
    public string OptimizerFile => Path.Combine(Folder, Checkpoints.OptimizerName);
}

/// <summary>The checkpoints of a run: written whole or not at all, verified before they are used.</summary>
/// <remarks>
/// A checkpoint is a folder <c>step-N</c>. It is made under a name aside, forced to the disk, and renamed. state.json holds the
/// hashes of the tensor files and, around itself, its own: one altered byte anywhere is found, and the checkpoint before is used.
/// </remarks>
public sealed class Checkpoints
{
    /// <summary>The file of the model's tensors.</summary>
    public const string ModelName = "model.safetensors";

    /// <summary>The file of the training's other tensors.</summary>
    public const string OptimizerName = "optimizer.safetensors";

    /// <summary>The file of everything else.</summary>
    public const string StateName = "state.json";

    private const string Prefix = "step-";
    private const string DamagedPrefix = "damaged-";
    private const string DiscardedPrefix = "discarded-";
    private const int HashDigits = 64;

    /// <summary>The folder that holds them.</summary>
    public string Folder { get; }

    /// <summary>How many of the latest are kept.</summary>
    /// <value>3: the latest, and two to fall back on.</value>
    public int Keep { get; set; } = 3;

    /// <summary>The checkpoints below a run's folder.</summary>
    /// <param name="folder">The folder <c>checkpoints</c>.</param>
    public Checkpoints(string folder)
    {
        Folder = folder;
    }

    /// <summary>Steps of the checkpoints that are there, verified or not, latest first.</summary>
    public IReadOnlyList<long> Steps =>
        !Directory.Exists(Folder)
            ? []
            :
            [
                .. Directory
                    .EnumerateDirectories(Folder, Prefix + "*")
                    .Select(path => Path.GetFileName(path)[Prefix.Length..])
                    .Select(text => long.TryParse(text, out var step) ? step : -1)
                    .Where(step => step >= 0)
                    .OrderDescending(),
            ];

    /// <summary>Writes a checkpoint and removes those that are no longer kept.</summary>
    /// <param name="state">What it says besides its tensors; hashes and time are filled in.</param>
    /// <param name="model">The model's tensors.</param>
    /// <param name="optimizer">The training's other tensors.</param>
    /// <param name="metadata">Texts that go with the model: parametrization, schedule.</param>
    /// <exception cref="TiltException">The disk refused. The checkpoints before are as they were.</exception>
    public Checkpoint Save(
        CheckpointState state,
        IEnumerable<(string Name, Tensor Value)> model,
        IEnumerable<(string Name, Tensor Value)> optimizer,
        IReadOnlyDictionary<string, string>? metadata = null
    )
    {
        var final = PathOf(state.Step);
        var aside = final + DurableFile.AsideSuffix;
        try
        {
            Directory.CreateDirectory(Folder);
            Remove(aside);
            Directory.CreateDirectory(aside);
            var hashes = new SortedDictionary<string, string>(StringComparer.Ordinal)
            {
                [ModelName] = WriteTensors(Path.Combine(aside, ModelName), model, metadata),
                [OptimizerName] = WriteTensors(Path.Combine(aside, OptimizerName), optimizer, null),
            };
            var whole = state with { Sha256 = hashes, Time = Clock.Now() };
            DurableFile.Write(Path.Combine(aside, StateName), stream => stream.Write(Seal(whole)));
            DurableFile.ForceFolder(aside);

            var discarded = Path.Combine(Folder, DiscardedPrefix + Path.GetFileName(final));
            Remove(discarded);
            if (Directory.Exists(final))
            {
                Directory.Move(final, discarded);
            }
            Directory.Move(aside, final);
            DurableFile.ForceFolder(Folder);
            Remove(discarded);
            Prune();
            return new Checkpoint(final, whole);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            TryRemove(aside);
            var before = Steps.Where(step => step != state.Step).ToList();
            var intact = before.Count > 0 ? $" The checkpoint of step {before[0]} is intact." : "";
            throw new TiltException(
                $"{DurableFile.Refused(final, error).Message} The checkpoint of step {state.Step} was not written.{intact}",
                inner: error
            );
        }
    }

    /// <summary>The latest checkpoint that is whole, or null when there is none at all.</summary>
    /// <param name="say">Told of every damaged one that was passed over.</param>
    /// <param name="setAside">Whether damaged ones are renamed, so that they do not stand in the way.</param>
    /// <exception cref="TiltException">There are checkpoints, and all of them are damaged.</exception>
    public Checkpoint? Latest(Action<string>? say = null, bool setAside = false)
    {
        var damaged = new List<(long Step, string Problem)>();
        foreach (var step in Steps)
        {
            try
            {
                var whole = Verify(PathOf(step));
                foreach (var (passed, problem) in damaged)
                {
                    say?.Invoke($"{problem} Using the checkpoint of step {step} instead.");
                    // Only now: were none whole, setting all aside would look like a run without checkpoints.
                    if (setAside)
                    {
                        SetAside(PathOf(passed));
                    }
                }
                return whole;
            }
            catch (TiltException error)
            {
                damaged.Add((step, error.Message));
            }
        }
        return damaged.Count == 0
            ? null
            : throw new TiltException(
                $"{Folder}: no checkpoint is whole. {string.Join(" ", damaged.Select(one => one.Problem))} Train in another folder, or restore the files."
            );
    }

    /// <summary>Checks every byte of a checkpoint against its hashes.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <exception cref="TiltException">A file is missing or was altered; the message names it.</exception>
    public static Checkpoint Verify(string folder)
    {
        var state = Unseal(Path.Combine(folder, StateName));
        foreach (var name in new[] { ModelName, OptimizerName })
        {
            var file = Path.Combine(folder, name);
            var found = ContentHash.OfFile(file);
            if (state.Sha256.GetValueOrDefault(name) is not { } expected || expected != found)
            {
                throw new TiltException($"{file}: damaged: its content does not have the hash that {StateName} gives.");
            }
        }
        return new Checkpoint(folder, state);
    }

    /// <summary>Removes what a killed process left half-made.</summary>
    internal void Tidy()
    {
        if (!Directory.Exists(Folder))
        {
            return;
        }
        foreach (var path in Directory.EnumerateDirectories(Folder).ToList())
        {
            var name = Path.GetFileName(path);
            if (name.StartsWith(DiscardedPrefix, StringComparison.Ordinal))
            {
                var final = Path.Combine(Folder, name[DiscardedPrefix.Length..]);
                if (!Directory.Exists(final))
                {
                    // Killed between the two renames of a replacement: the old one is whole.
                    Directory.Move(path, final);
                    continue;
                }
                TryRemove(path);
            }
            else if (name.EndsWith(DurableFile.AsideSuffix, StringComparison.Ordinal))
            {
                TryRemove(path);
            }
        }
    }

    private string PathOf(long step) => Path.Combine(Folder, Prefix + step);

    private static string WriteTensors(
        string path,
        IEnumerable<(string Name, Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata
    )
    {
        var hash = "";
        DurableFile.Write(
            path,
            stream => hash = ContentHash.While(stream, through => TensorFile.Write(through, tensors, metadata))
        );
        return hash;
    }

    private void Prune()
    {
        foreach (var step in Steps.Skip(Math.Max(1, Keep)))
        {
            TryRemove(PathOf(step));
        }
    }

    /// <summary>The state as text, with the hash of its own text in front: <c>{"sha256": "…", "content": …}</c>.</summary>
    private static byte[] Seal(CheckpointState state)
    {
        var content = Encoding.UTF8.GetBytes(OptionRecords.ToJson(state, RunsJson.Default.CheckpointState));
        return [.. Front(ContentHash.Of(content)), .. content, .. Back];
    }

    private static CheckpointState Unseal(string path)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new TiltException($"{path}: cannot be read: {error.Message}", inner: error);
        }
        var frontLength = Front(new string('0', HashDigits)).Length;
        if (bytes.Length > frontLength + Back.Length)
        {
            var content = bytes.AsSpan(frontLength, bytes.Length - frontLength - Back.Length);
            // Comparing the whole file with what sealing its content gives leaves no byte unchecked.
            if (bytes.AsSpan().SequenceEqual([.. Front(ContentHash.Of(content)), .. content, .. Back]))
            {
                try
                {
                    return JsonText.Read(Encoding.UTF8.GetString(content), RunsJson.Default.CheckpointState);
                }
                catch (JsonException error)
                {
                    throw new TiltException($"{path}: not a checkpoint of this version: {error.Message}", inner: error);
                }
            }
        }
        throw new TiltException($"{path}: damaged: its content does not have the hash that it gives.");
    }

    private static byte[] Front(string hash) => Encoding.UTF8.GetBytes($"{{\"sha256\": \"{hash}\",\n\"content\": ");

    private static ReadOnlySpan<byte> Back => "}\n"u8;

    private void SetAside(string folder)
    {
        var damaged = Path.Combine(Folder, DamagedPrefix + Path.GetFileName(folder));
        TryRemove(damaged);
        Directory.Move(folder, damaged);
    }

    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void TryRemove(string folder)
    {
        try
        {
            Remove(folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It takes room and does no harm.
        }
    }
}
