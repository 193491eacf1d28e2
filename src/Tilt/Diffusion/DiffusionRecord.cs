using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tilt.Diffusion;

/// <summary>What a noise model's weights mean, stored with them: without it, the same numbers read otherwise give garbage.</summary>
/// <remarks>
/// The schedule is recorded by name and by log α_t at 32 times, so two schedules agree here exactly when they noise alike,
/// whatever options they were built from.
/// </remarks>
public sealed record DiffusionRecord
{
    private const int Probes = 32;

    // Schedules are computed in float64 from the same formulas; anything above rounding is another schedule.
    private const double SameLogAlpha = 1e-9;

    /// <summary>The schedule's name, such as <c>linear</c>.</summary>
    public required string Schedule { get; init; }

    /// <summary>T, the schedule's noisiest time.</summary>
    public required double End { get; init; }

    /// <summary>log α_t at t = T/32, 2T/32, …, T.</summary>
    public required IReadOnlyList<double> LogAlphas { get; init; }

    /// <summary>What the network is told of those times.</summary>
    public required IReadOnlyList<double> NetworkTimes { get; init; }

    /// <summary>How noise is read from the network's output.</summary>
    public required Parametrization Parametrization { get; init; }

    /// <summary>The earliest t that the model is trained at. Sampling has to end there or before.</summary>
    public required double FirstTime { get; init; }

    /// <summary>D, the coordinates of a sample.</summary>
    public required long Dimensions { get; init; }

    /// <summary>The coordinates of a condition; 0 for none.</summary>
    public required long ConditionDimensions { get; init; }

    /// <summary>The record of a model with the given make.</summary>
    /// <param name="schedule">What noises its data.</param>
    /// <param name="parametrization">How noise is read from its network.</param>
    /// <param name="firstTime">The earliest t that it is trained at.</param>
    /// <param name="dimensions">D.</param>
    /// <param name="conditionDimensions">Coordinates of a condition.</param>
    public static DiffusionRecord Of(
        NoiseSchedule schedule,
        Parametrization parametrization,
        double firstTime,
        long dimensions,
        long conditionDimensions
    )
    {
        var times = Enumerable.Range(1, Probes).Select(i => schedule.End * i / Probes).ToArray();
        return new()
        {
            Schedule = schedule.Name,
            End = schedule.End,
            LogAlphas = [.. times.Select(schedule.LogAlpha)],
            NetworkTimes = [.. times.Select(schedule.NetworkTime)],
            Parametrization = parametrization,
            FirstTime = firstTime,
            Dimensions = dimensions,
            ConditionDimensions = conditionDimensions,
        };
    }

    /// <summary>Throws unless weights recorded under <paramref name="stored"/> mean here what they meant there.</summary>
    /// <param name="stored">The record found with the weights.</param>
    /// <param name="where">The file it was found in.</param>
    /// <exception cref="TiltException">They differ; the message names the field, what was found and what was expected.</exception>
    public void RequireSame(DiffusionRecord stored, string where)
    {
        Require("parametrization", stored.Parametrization, Parametrization);
        Require("dimensions", stored.Dimensions, Dimensions);
        Require("condition dimensions", stored.ConditionDimensions, ConditionDimensions);
        Require("first time", stored.FirstTime, FirstTime);
        Require("schedule", stored.Schedule, Schedule);
        Require("end of the schedule", stored.End, End);
        RequireNear("log alpha", stored.LogAlphas, LogAlphas);
        RequireNear("network time", stored.NetworkTimes, NetworkTimes);

        void Require<T>(string field, T found, T expected)
        {
            if (!EqualityComparer<T>.Default.Equals(found, expected))
            {
                throw Differs(field, $"{found}", $"{expected}");
            }
        }

        void RequireNear(string field, IReadOnlyList<double> found, IReadOnlyList<double> expected)
        {
            if (found.Count != expected.Count)
            {
                throw Differs($"number of {field} values", $"{found.Count}", $"{expected.Count}");
            }
            for (var i = 0; i < found.Count; i++)
            {
                // Written so that two NaNs agree and a NaN agrees with nothing else.
                var agree = found[i].Equals(expected[i]) || Math.Abs(found[i] - expected[i]) <= SameLogAlpha;
                if (!agree)
                {
                    throw Differs($"{field} at t = {End * (i + 1) / Probes:g6}", $"{found[i]:g9}", $"{expected[i]:g9}");
                }
            }
        }

        TiltException Differs(string field, string found, string expected) =>
            new(
                $"{where}: the {field} of the stored model is {found}, here it is {expected}. Build the model with the stored "
                    + "schedule and parametrization, or choose weights that were trained with these."
            );
    }

    /// <summary>The record as one line of JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, DiffusionJson.Default.DiffusionRecord);

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The text.</param>
    /// <param name="where">The file it was found in.</param>
    /// <exception cref="TiltException">It is no such record.</exception>
    public static DiffusionRecord FromJson(string json, string where)
    {
        try
        {
            return JsonSerializer.Deserialize(json, DiffusionJson.Default.DiffusionRecord)
                ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new TiltException(
                $"{where}: the record of schedule and parametrization cannot be read ({e.Message}). The file was not written by "
                    + "this version of Tilt, or is damaged; train again or restore it from a copy.",
                inner: e
            );
        }
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    UseStringEnumConverter = true
)]
[JsonSerializable(typeof(DiffusionRecord))]
internal sealed partial class DiffusionJson : JsonSerializerContext;
