using System.Text.Json;
using System.Text.Json.Nodes;

namespace Tilt.Runs;

/// <summary>One line of a log: what was measured after so many steps.</summary>
/// <param name="Step">Gradient steps done, over all stages.</param>
/// <param name="Fields">The line's other fields.</param>
public sealed record LogLine(long Step, JsonObject Fields)
{
    /// <summary>A number of the line, or null when it has none of that name.</summary>
    /// <param name="name">The field.</param>
    public double? Number(string name) =>
        Fields[name] is JsonValue value && value.TryGetValue<double>(out var number) ? number : null;

    /// <summary>A text of the line, or null when it has none of that name.</summary>
    /// <param name="name">The field.</param>
    public string? Text(string name) =>
        Fields[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}

/// <summary>A log of JSON objects, one a line, that is only ever appended to.</summary>
/// <remarks>
/// A run that was killed has logged steps after its last checkpoint; resumed, it takes those steps again. The file is not
/// rewritten: a line <c>{"resume": C}</c> is appended, which makes void all lines above it of steps after C. <see cref="Read"/>
/// applies that, so every step shows once. A reader that just takes the last line of each step gets the same numbers.
/// A line that was cut off by a crash is closed and followed by <c>{"cut": true}</c>; readers skip it.
/// </remarks>
public sealed class JsonLines : IDisposable
{
    /// <summary>The field that counts steps.</summary>
    public const string StepField = "step";

    /// <summary>The field of a line that says from which step a run went on.</summary>
    public const string ResumeField = "resume";

    private const string CutField = "cut";
    private readonly FileStream _stream;

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Opens a log to append to it, making it if it does not exist.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="TiltException">The disk refused.</exception>
    public JsonLines(string path)
    {
        Path = path;
        try
        {
            // No buffer: a line that was written survives the process.
            _stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite, 0);
            var length = _stream.Length;
            if (length > 0)
            {
                _stream.Position = length - 1;
                var whole = _stream.ReadByte() == '\n';
                if (!whole)
                {
                    _stream.Write("\n"u8);
                    Write(new JsonObject { [CutField] = true });
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _stream?.Dispose();
            throw DurableFile.Refused(path, error);
        }
    }

    /// <summary>Appends a line.</summary>
    /// <param name="step">Gradient steps done, over all stages.</param>
    /// <param name="fields">The other fields.</param>
    /// <exception cref="TiltException">The disk refused.</exception>
    public void Append(long step, IEnumerable<KeyValuePair<string, JsonNode?>> fields)
    {
        var line = new JsonObject { [StepField] = step };
        foreach (var (name, value) in fields)
        {
            line.Add(name, value);
        }
        Write(line);
    }

    /// <summary>Says that the run goes on from a checkpoint: lines above of later steps are void.</summary>
    /// <param name="step">The checkpoint's step.</param>
    /// <exception cref="TiltException">The disk refused.</exception>
    public void MarkResume(long step) => Write(new JsonObject { [ResumeField] = step, ["time"] = Clock.Now() });

    /// <summary>Forces what was appended to the disk.</summary>
    public void Force()
    {
        try
        {
            _stream.Flush(flushToDisk: true);
        }
        catch (IOException error)
        {
            throw DurableFile.Refused(Path, error);
        }
    }

    /// <summary>The lines that count, in order. Empty when there is no file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="TiltException">A line in the middle is not what this class writes; the message gives its number.</exception>
    public static IReadOnlyList<LogLine> Read(string path)
    {
        var lines = new List<LogLine>();
        if (!File.Exists(path))
        {
            return lines;
        }
        var number = 0;
        int? broken = null;
        foreach (var text in ReadShared(path))
        {
            number++;
            if (Parse(text) is not { } line)
            {
                broken ??= number;
                continue;
            }
            if (line.ContainsKey(CutField))
            {
                broken = null;
                continue;
            }
            if (broken is { } at)
            {
                throw new TiltException($"{path}: line {at} is not a JSON object with a step; the file was altered.");
            }
            if (Whole(line, ResumeField) is { } resumed)
            {
                lines.RemoveAll(earlier => earlier.Step > resumed);
            }
            else if (Whole(line, StepField) is { } step)
            {
                lines.Add(new LogLine(step, line));
            }
            else
            {
                broken = number;
            }
        }
        // A broken line at the very end was cut off by a crash, or is being written now.
        return lines;
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private void Write(JsonObject line)
    {
        try
        {
            var text = System.Text.Encoding.UTF8.GetBytes(line.ToJsonString(JsonText.Line) + "\n");
            _stream.Position = _stream.Length;
            _stream.Write(text);
        }
        catch (IOException error)
        {
            throw DurableFile.Refused(Path, error);
        }
    }

    private static IEnumerable<string> ReadShared(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            yield return line;
        }
    }

    private static JsonObject? Parse(string text)
    {
        try
        {
            return JsonNode.Parse(text) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static long? Whole(JsonObject line, string name) =>
        line[name] is JsonValue value && value.TryGetValue<long>(out var whole) ? whole : null;
}

/// <summary>Times as they stand in a run's files.</summary>
internal static class Clock
{
    /// <summary>Now, UTC, to the millisecond.</summary>
    public static string Now() => At(DateTime.UtcNow);

    /// <summary>A time, UTC, to the millisecond.</summary>
    public static string At(DateTime time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'");
}
