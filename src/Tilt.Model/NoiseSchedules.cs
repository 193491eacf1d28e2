using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tilt.Model;

/// <summary>A noise schedule as a saved model records it: enough to make it again.</summary>
/// <param name="Name">The name of the kind, such as <c>linear</c>.</param>
/// <param name="Parameters">Its numbers by name; those left out have their defaults.</param>
/// <param name="LogAlphas">log α_n, for <c>discrete</c> alone: a schedule given by its values.</param>
public sealed record ScheduleRecord(
    string Name,
    IReadOnlyDictionary<string, double> Parameters,
    IReadOnlyList<double>? LogAlphas = null
);

/// <summary>Noise schedules by name, and the record that a saved model keeps of its own.</summary>
public static class NoiseSchedules
{
    private static readonly Dictionary<string, (string[] Parameters, Func<Reader, NoiseSchedule> Make)> Kinds = new(
        StringComparer.Ordinal
    )
    {
        ["linear"] = (
            ["firstRate", "lastRate"],
            read => new LinearSchedule(read.Number("firstRate", 0.1), read.Number("lastRate", 20))
        ),
        ["cosine"] = (["offset"], read => new CosineSchedule(read.Number("offset", 0.008))),
        ["discrete-linear"] = (
            ["steps", "firstBeta", "lastBeta", "clip"],
            read =>
                DiscreteSchedule.Linear(
                    read.Steps(),
                    read.Number("firstBeta", 1e-4),
                    read.Number("lastBeta", 0.02),
                    read.Clip()
                )
        ),
        ["discrete-scaled-linear"] = (
            ["steps", "firstBeta", "lastBeta", "clip"],
            read =>
                DiscreteSchedule.ScaledLinear(
                    read.Steps(),
                    read.Number("firstBeta", 0.00085),
                    read.Number("lastBeta", 0.012),
                    read.Clip()
                )
        ),
        ["discrete-cosine"] = (
            ["steps", "offset", "largestBeta", "clip"],
            read =>
                DiscreteSchedule.CosineBetas(
                    read.Steps(),
                    read.Number("offset", 0.008),
                    read.Number("largestBeta", 0.999),
                    read.Clip()
                )
        ),
        ["discrete"] = (["clip"], read => DiscreteSchedule.FromLogAlphas(read.LogAlphas(), read.Clip())),
    };

    /// <summary>The names that can be made without further numbers.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Kinds.Keys.Where(name => name != "discrete")];

    /// <summary>The record that makes this schedule again.</summary>
    public static ScheduleRecord Describe(NoiseSchedule schedule) =>
        schedule switch
        {
            LinearSchedule linear => new(
                linear.Name,
                Sorted(("firstRate", linear.FirstRate), ("lastRate", linear.LastRate))
            ),
            CosineSchedule cosine => new(cosine.Name, Sorted(("offset", cosine.Offset))),
            DiscreteSchedule { Recipe: { } recipe } => recipe,
            DiscreteSchedule discrete => new("discrete", Sorted(("clip", discrete.Clipped ? 1 : 0)), discrete.Full),
            _ => throw new TiltException(
                $"The schedule '{schedule.Name}' cannot be recorded: expected one of {string.Join(", ", Kinds.Keys)}."
            ),
        };

    /// <summary>The schedule that a record describes.</summary>
    /// <exception cref="TiltException">The name or a parameter is unknown, or a value is out of range.</exception>
    public static NoiseSchedule Parse(ScheduleRecord record)
    {
        if (!Kinds.TryGetValue(record.Name, out var kind))
        {
            throw Suggest.Unknown("noise schedule", record.Name, Kinds.Keys);
        }
        foreach (var name in record.Parameters.Keys)
        {
            if (!kind.Parameters.Contains(name, StringComparer.Ordinal))
            {
                throw Suggest.Unknown($"parameter of the schedule '{record.Name}'", name, kind.Parameters);
            }
        }
        if (record.LogAlphas is not null && record.Name != "discrete")
        {
            throw TiltException.Usage(
                $"The schedule '{record.Name}' takes no logAlphas; only 'discrete' does. Remove them."
            );
        }
        try
        {
            return kind.Make(new(record));
        }
        catch (ArgumentOutOfRangeException outside)
        {
            throw new TiltException($"The schedule '{record.Name}': {outside.Message}", 2, outside);
        }
    }

    /// <summary>A schedule from text: a bare name (<c>linear</c>) or the JSON that <see cref="ToJson"/> writes.</summary>
    /// <exception cref="TiltException">It is neither, or describes no schedule.</exception>
    public static NoiseSchedule Parse(string text)
    {
        if (!text.TrimStart().StartsWith('{'))
        {
            return Parse(new ScheduleRecord(text.Trim(), Sorted()));
        }
        try
        {
            var record = JsonSerializer.Deserialize(text, ScheduleJson.Default.ScheduleRecord);
            return record is { Name: not null, Parameters: not null }
                ? Parse(record)
                : throw TiltException.Usage(
                    "The noise schedule lacks its name or parameters; expected an object like "
                        + "{\"name\":\"linear\",\"parameters\":{\"firstRate\":0.1,\"lastRate\":20}}."
                );
        }
        catch (JsonException broken)
        {
            throw new TiltException($"The noise schedule is not valid JSON: {broken.Message}", 2, broken);
        }
    }

    /// <summary>The record as one line of JSON, for a model's metadata.</summary>
    public static string ToJson(NoiseSchedule schedule) =>
        JsonSerializer.Serialize(Describe(schedule), ScheduleJson.Default.ScheduleRecord);

    /// <summary>Whether two schedules give the same levels, so that a model of one may be sampled with the other.</summary>
    public static bool Same(NoiseSchedule a, NoiseSchedule b) =>
        string.Equals(ToJson(a), ToJson(b), StringComparison.Ordinal);

    private static SortedDictionary<string, double> Sorted(params ReadOnlySpan<(string Name, double Value)> entries)
    {
        var sorted = new SortedDictionary<string, double>(StringComparer.Ordinal);
        foreach (var (name, value) in entries)
        {
            sorted.Add(name, value);
        }
        return sorted;
    }

    private sealed class Reader(ScheduleRecord record)
    {
        public double Number(string name, double otherwise) =>
            record.Parameters.TryGetValue(name, out var value) ? value : otherwise;

        public int Steps()
        {
            var steps = Number("steps", 1000);
            return steps == Math.Floor(steps) && steps is >= 2 and <= 1_000_000
                ? (int)steps
                : throw TiltException.Usage(
                    $"The schedule '{record.Name}': steps is {steps}; expected a whole number from 2 to 1000000."
                );
        }

        public bool Clip() =>
            Number("clip", 1) switch
            {
                0 => false,
                1 => true,
                var other => throw TiltException.Usage(
                    $"The schedule '{record.Name}': clip is {other}; expected 1 (drop the tail below λ = −5.1) or 0."
                ),
            };

        public double[] LogAlphas() =>
            record.LogAlphas is { } values
                ? [.. values]
                : throw TiltException.Usage("The schedule 'discrete' needs logAlphas, its value at each index.");
    }
}

/// <summary>How a <see cref="ScheduleRecord"/> is written.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow
)]
[JsonSerializable(typeof(ScheduleRecord))]
internal sealed partial class ScheduleJson : JsonSerializerContext;
