using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tilt.Runs;

/// <summary>Data that a run was trained on.</summary>
/// <param name="Name">What it is called, such as <c>8gaussians</c> or a file's name.</param>
/// <param name="Sha256">Hash of its content.</param>
/// <param name="Rows">N, its number of rows, if it has rows.</param>
public sealed record DataSource(string Name, string Sha256, long? Rows = null);

/// <summary>The processor and what it can do, as far as results and speed depend on it.</summary>
/// <param name="Model">Its name.</param>
/// <param name="Cores">Logical cores.</param>
/// <param name="Features">Vector instructions: avx2, fma, avx512f, avx512_bf16, amx_bf16 and the like.</param>
public sealed record Processor(string Model, int Cores, IReadOnlyList<string> Features)
{
    private static readonly string[] Wanted = ["avx", "fma", "amx", "sse4_2", "asimd", "sve", "bf16", "i8mm"];

    /// <summary>This machine's.</summary>
    public static Processor Current { get; } = Detect();

    private static Processor Detect()
    {
        var model = RuntimeInformation.ProcessArchitecture.ToString();
        string[] features = [];
        try
        {
            foreach (var line in File.ReadLines("/proc/cpuinfo"))
            {
                var colon = line.IndexOf(':', StringComparison.Ordinal);
                var key = colon < 0 ? "" : line[..colon].Trim();
                if (key == "model name")
                {
                    model = line[(colon + 1)..].Trim();
                }
                else if (key is "flags" or "Features")
                {
                    var flags = line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                    features =
                    [
                        .. flags
                            .Where(flag =>
                                Array.Exists(Wanted, wanted => flag.StartsWith(wanted, StringComparison.Ordinal))
                            )
                            .Order(StringComparer.Ordinal),
                    ];
                    break;
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            features =
                Avx512F.IsSupported ? ["avx2", "avx512f"]
                : Avx2.IsSupported ? ["avx2"]
                : [];
        }
        return new Processor(model, Environment.ProcessorCount, features);
    }
}

/// <summary>A later start of the same run.</summary>
/// <param name="Time">When, UTC.</param>
/// <param name="FromStep">The step of the checkpoint it went on from; 0 when there was none.</param>
/// <param name="Command">The command line.</param>
/// <param name="Threads">libtorch's threads.</param>
/// <param name="Notes">Options that changed, checkpoints that were damaged, a machine that differs.</param>
public sealed record ResumeNote(
    string Time,
    long FromStep,
    IReadOnlyList<string> Command,
    int Threads,
    IReadOnlyList<string> Notes
);

/// <summary>Where a run comes from: all that is needed to repeat it besides the options.</summary>
public sealed record RunManifest
{
    /// <summary>The version of the folder's layout.</summary>
    public int Format { get; init; } = RunFolder.Format;

    /// <summary>The program and its arguments.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>Versions that numbers may depend on: tilt, torchsharp, libtorch, dotnet, and what is added (physics).</summary>
    public IReadOnlyDictionary<string, string> Versions { get; init; } = new Dictionary<string, string>();

    /// <summary>The commit of the source checkout that the program was built in, if it was.</summary>
    public string? Commit { get; init; }

    /// <summary>The operating system.</summary>
    public string System { get; init; } = "";

    /// <summary>The processor.</summary>
    public Processor? Cpu { get; init; }

    /// <summary>libtorch's threads within an operation. Sums are split among them, so results depend on it.</summary>
    public int Threads { get; init; }

    /// <summary>The number format of the networks' matrix products, such as <c>float32</c> or <c>bfloat16</c>.</summary>
    public string Precision { get; init; } = "float32";

    /// <summary>The data, each with its hash.</summary>
    public IReadOnlyList<DataSource> Data { get; init; } = [];

    /// <summary>The seed that all random streams come from.</summary>
    public long Seed { get; init; }

    /// <summary>The named random streams that have been used, each with the seed it started from.</summary>
    public IReadOnlyDictionary<string, long> Streams { get; init; } = new SortedDictionary<string, long>();

    /// <summary>When the run began, UTC.</summary>
    public string Created { get; init; } = "";

    /// <summary>Later starts, oldest first.</summary>
    public IReadOnlyList<ResumeNote> Resumes { get; init; } = [];

    /// <summary>What can be found out about this process and machine.</summary>
    /// <param name="seed">The seed of the run's random streams.</param>
    /// <param name="precision">The number format of the networks' matrix products.</param>
    /// <param name="data">The data, hashed.</param>
    /// <param name="versions">Versions to add, such as that of the physics.</param>
    public static RunManifest Collect(
        long seed,
        string precision = "float32",
        IEnumerable<DataSource>? data = null,
        IEnumerable<KeyValuePair<string, string>>? versions = null
    )
    {
        var all = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["tilt"] = VersionOf(typeof(RunManifest).Assembly),
            ["torchsharp"] = VersionOf(typeof(torch).Assembly),
            ["libtorch"] = torch.__version__,
            ["dotnet"] = Environment.Version.ToString(),
        };
        foreach (var (name, version) in versions ?? [])
        {
            all[name] = version;
        }
        return new RunManifest
        {
            Command = Environment.GetCommandLineArgs(),
            Versions = all,
            Commit = FindCommit(AppContext.BaseDirectory),
            System = $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}",
            Cpu = Processor.Current,
            Threads = get_num_threads(),
            Precision = precision,
            Data = [.. data ?? []],
            Seed = seed,
            Created = Clock.Now(),
        };
    }

    internal string ToJson() => OptionRecords.ToJson(this, RunsJson.Default.RunManifest);

    internal static RunManifest Read(string path)
    {
        var text = JsonText.ReadFile(path);
        try
        {
            // A later version may have other fields, so its number is looked at first.
            using var document = JsonDocument.Parse(text);
            var format = document.RootElement.GetProperty("format").GetInt32();
            if (format != RunFolder.Format)
            {
                var writer = document.RootElement.GetProperty("versions").GetProperty("tilt").GetString();
                throw new TiltException(
                    $"{path}: the run's folder has format {format}, written by Tilt {writer}; this version reads format "
                        + $"{RunFolder.Format}. Use that version of Tilt for it, or choose another folder."
                );
            }
            return JsonText.Read(text, RunsJson.Default.RunManifest);
        }
        catch (Exception error)
            when (error is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new TiltException(
                $"{path}: not a run's manifest: {error.Message} Choose another folder, or restore the file.",
                inner: error
            );
        }
    }

    private static string VersionOf(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? assembly.GetName().Version?.ToString()
        ?? "unknown";

    /// <summary>The commit that a git checkout around a folder stands at, without running git. Null when there is none.</summary>
    /// <param name="folder">Where to look; then upward.</param>
    internal static string? FindCommit(string folder)
    {
        try
        {
            for (var at = new DirectoryInfo(folder); at is not null; at = at.Parent)
            {
                var git = Path.Combine(at.FullName, ".git");
                if (File.Exists(git))
                {
                    // A linked worktree: a file that says where its own part of the repository is.
                    var text = File.ReadAllText(git).Trim();
                    git = Path.GetFullPath(text["gitdir:".Length..].Trim(), at.FullName);
                }
                if (Directory.Exists(git))
                {
                    return HeadOf(git);
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // Knowing the commit is a courtesy; a run does not fail for it.
        }
        return null;
    }

    private static string? HeadOf(string git)
    {
        var head = File.ReadAllText(Path.Combine(git, "HEAD")).Trim();
        if (!head.StartsWith("ref:", StringComparison.Ordinal))
        {
            return head;
        }
        var reference = head["ref:".Length..].Trim();
        var common = Path.Combine(git, "commondir");
        var root = File.Exists(common) ? Path.GetFullPath(File.ReadAllText(common).Trim(), git) : git;
        var loose = Path.Combine(root, reference);
        if (File.Exists(loose))
        {
            return File.ReadAllText(loose).Trim();
        }
        var packed = Path.Combine(root, "packed-refs");
        return File.Exists(packed)
            ? File.ReadLines(packed)
                .Where(line => line.EndsWith(" " + reference, StringComparison.Ordinal))
                .Select(line => line.Split(' ')[0])
                .FirstOrDefault()
            : null;
    }
}

/// <summary>How a run stands: what status.json says.</summary>
public sealed record RunStatus
{
    /// <summary><c>running</c>, <c>finished</c>, <c>stopped</c> (by a signal, with a checkpoint) or <c>failed</c>.</summary>
    public string State { get; init; } = "running";

    /// <summary>The stage that is being trained.</summary>
    public string Stage { get; init; } = "";

    /// <summary>Steps done, over all stages.</summary>
    public long Step { get; init; }

    /// <summary>Steps to do in all.</summary>
    public long Steps { get; init; }

    /// <summary>Throughput, in steps per second.</summary>
    public double? StepsPerSecond { get; init; }

    /// <summary>When this was written, UTC: a running run renews it every few seconds.</summary>
    public string Heartbeat { get; init; } = "";

    /// <summary>When it will be finished at the present rate, UTC.</summary>
    public string? Eta { get; init; }

    /// <summary>The process that trains it.</summary>
    public int Process { get; init; } = Environment.ProcessId;

    /// <summary>The machine that process runs on.</summary>
    public string Host { get; init; } = Environment.MachineName;

    /// <summary>Why it stopped or failed.</summary>
    public string? Message { get; init; }

    internal string ToJson() => OptionRecords.ToJson(this, RunsJson.Default.RunStatus);

    internal static RunStatus? TryRead(string path)
    {
        try
        {
            return JsonText.Read(JsonText.ReadFile(path), RunsJson.Default.RunStatus);
        }
        catch (Exception error) when (error is TiltException or JsonException)
        {
            return null; // It only informs.
        }
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true
)]
[JsonSerializable(typeof(RunManifest))]
[JsonSerializable(typeof(RunStatus))]
[JsonSerializable(typeof(CheckpointState))]
internal sealed partial class RunsJson : JsonSerializerContext;
