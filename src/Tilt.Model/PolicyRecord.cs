using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tilt.Model;

/// <summary>The architectures that a saved policy may have; widths follow from the shapes of its tensors.</summary>
public enum PolicyNetwork
{
    /// <summary>The U-shaped residual score network (<c>ResidualScoreNetwork</c>).</summary>
    ResidualScore,

    /// <summary>The score network of free depth (<c>ScoreNetwork</c>).</summary>
    Score,

    /// <summary>The guidance network [a_t, embedding(t), s] → E_t (<c>ConditionalEnergyNetwork</c>).</summary>
    ConditionalEnergy,

    /// <summary>The energy network of free depth, with or without a dial for β (<c>EnergyNetwork</c>).</summary>
    Energy,
}

/// <summary>How a saved policy is guided: its network's value is E_t, low is good, β inside.</summary>
public sealed record PolicyGuidance
{
    /// <summary>The architecture of the tensors whose names begin with <c>guidance.</c></summary>
    public required PolicyNetwork Network { get; init; }

    /// <summary>β: what the network was trained for or, on a dial, where the dial stands unless told otherwise.</summary>
    public required double Beta { get; init; }

    /// <summary>The largest β of the dial, which begins at 0; null where the network knows one β.</summary>
    public double? MaximumBeta { get; init; }

    /// <summary>The guidance scale, the factor of ∇E_t; 1 is exact.</summary>
    /// <value>1.</value>
    public double Scale { get; init; } = 1;
}

/// <summary>One evaluation of a recorded solver (<see cref="PlanStep"/>), its level given by t.</summary>
/// <param name="Time">t of the evaluation.</param>
/// <param name="Keep">Weight of the base state.</param>
/// <param name="Weights">Weights of the model's values, newest first.</param>
/// <param name="Advances">Whether the result becomes the base.</param>
public sealed record PolicyStep(double Time, double Keep, IReadOnlyList<double> Weights, bool Advances);

/// <summary>The solver of a saved policy: a name for people and the plan for machines.</summary>
/// <param name="Name">Such as <c>dpm-solver++-2s</c>.</param>
/// <param name="Prediction">What the plan combines: ε or x̂₀.</param>
/// <param name="Steps">In the order of evaluation.</param>
/// <param name="EndTime">t of the result.</param>
public sealed record PolicySolver(string Name, Prediction Prediction, IReadOnlyList<PolicyStep> Steps, double EndTime)
{
    /// <summary>The record of a plan.</summary>
    /// <param name="name">What to call it.</param>
    /// <param name="plan">The plan.</param>
    public static PolicySolver Of(string name, SolverPlan plan) =>
        new(
            name,
            plan.Prediction,
            [.. plan.Steps.Select(step => new PolicyStep(step.Level.Time, step.Keep, step.Weights, step.Advances))],
            plan.End.Time
        );

    /// <summary>The plan, with the levels of a schedule.</summary>
    /// <param name="schedule">The policy's own.</param>
    public SolverPlan Plan(NoiseSchedule schedule) =>
        new(
            Prediction,
            [.. Steps.Select(step => new PlanStep(schedule.At(step.Time), step.Keep, step.Weights, step.Advances))],
            schedule.At(EndTime)
        );
}

/// <summary>What a saved policy's numbers mean: everything that acting needs besides the weights.</summary>
/// <remarks>
/// Observations are normalized as (s − mean)/deviation before any network sees them; actions are the networks' own, clipped to
/// the bounds at the very end where <see cref="ClipActions"/> says so.
/// </remarks>
public sealed record PolicyRecord
{
    /// <summary>The version of this format that is written.</summary>
    public const int CurrentFormat = 1;

    /// <summary>The version of the format.</summary>
    public int Format { get; init; } = CurrentFormat;

    /// <summary>What the policy is for, such as <c>hopper-medium-replay</c>; null where nobody said.</summary>
    public string? Task { get; init; }

    /// <summary>S.</summary>
    public required int ObservationDimensions { get; init; }

    /// <summary>A.</summary>
    public required int ActionDimensions { get; init; }

    /// <summary>The noise schedule the networks were trained with.</summary>
    public required ScheduleRecord Schedule { get; init; }

    /// <summary>How noise is read from the score network's output.</summary>
    public required Parametrization Parametrization { get; init; }

    /// <summary>The earliest t the networks were trained at; the solver ends there or before.</summary>
    public required double FirstTime { get; init; }

    /// <summary>The architecture of the tensors whose names begin with <c>score.</c></summary>
    public required PolicyNetwork ScoreNetwork { get; init; }

    /// <summary>The guidance; null for a behavior policy, which has none.</summary>
    public PolicyGuidance? Guidance { get; init; }

    /// <summary>How actions are sampled.</summary>
    public required PolicySolver Solver { get; init; }

    /// <summary>Mean of each observation coordinate, [S]; null where observations are taken as they are.</summary>
    public IReadOnlyList<double>? ObservationMean { get; init; }

    /// <summary>Deviation of each observation coordinate, [S], above zero; null where observations are taken as they are.</summary>
    public IReadOnlyList<double>? ObservationDeviation { get; init; }

    /// <summary>The smallest allowed value of each action coordinate, [A].</summary>
    public required IReadOnlyList<double> ActionLow { get; init; }

    /// <summary>The largest allowed value of each action coordinate, [A].</summary>
    public required IReadOnlyList<double> ActionHigh { get; init; }

    /// <summary>Whether sampled actions are clipped to the bounds.</summary>
    /// <value>true.</value>
    public bool ClipActions { get; init; } = true;

    /// <summary>Texts for people: the run, the data's hash, versions.</summary>
    public IReadOnlyDictionary<string, string> Notes { get; init; } = new SortedDictionary<string, string>();

    /// <summary>Throws unless the record makes sense.</summary>
    /// <param name="where">The file, for the message.</param>
    /// <exception cref="TiltException">A field is out of range or of the wrong length; the message names it.</exception>
    public void Validate(string where)
    {
        Require(
            Format == CurrentFormat,
            "format",
            $"{Format}",
            $"{CurrentFormat}: the file is of another version of Tilt"
        );
        Require(
            ObservationDimensions is >= 1 and <= 1_000_000,
            "observationDimensions",
            $"{ObservationDimensions}",
            "1 to 1000000"
        );
        Require(ActionDimensions is >= 1 and <= 1_000_000, "actionDimensions", $"{ActionDimensions}", "1 to 1000000");
        var schedule = NoiseSchedules.Parse(Schedule);
        Require(FirstTime >= 0 && FirstTime < schedule.End, "firstTime", $"{FirstTime}", $"0 to {schedule.End}");
        Require(
            ScoreNetwork is PolicyNetwork.ResidualScore or PolicyNetwork.Score,
            "scoreNetwork",
            $"{ScoreNetwork}",
            "a score network"
        );
        if (Guidance is { } guidance)
        {
            Require(
                guidance.Network is PolicyNetwork.ConditionalEnergy or PolicyNetwork.Energy,
                "guidance.network",
                $"{guidance.Network}",
                "an energy network"
            );
            Require(double.IsFinite(guidance.Scale), "guidance.scale", $"{guidance.Scale}", "a finite number");
            Require(
                guidance.Beta >= 0 && double.IsFinite(guidance.Beta),
                "guidance.beta",
                $"{guidance.Beta}",
                "0 or more"
            );
            if (guidance.MaximumBeta is { } largest)
            {
                Require(
                    guidance.Network == PolicyNetwork.Energy,
                    "guidance.maximumBeta",
                    $"{largest}",
                    "none: this network has no dial"
                );
                Require(largest > 0 && double.IsFinite(largest), "guidance.maximumBeta", $"{largest}", "above 0");
                Require(guidance.Beta <= largest, "guidance.beta", $"{guidance.Beta}", $"at most {largest}");
            }
        }
        Lengths(ObservationMean, "observationMean", ObservationDimensions);
        Lengths(ObservationDeviation, "observationDeviation", ObservationDimensions);
        Require(
            ObservationDeviation?.All(d => d > 0) ?? true,
            "observationDeviation",
            "a value of 0 or less",
            "values above 0"
        );
        Require(
            (ObservationMean is null) == (ObservationDeviation is null),
            "observationMean",
            "one of mean and deviation",
            "both or none"
        );
        Lengths(ActionLow, "actionLow", ActionDimensions);
        Lengths(ActionHigh, "actionHigh", ActionDimensions);
        Require(
            ActionLow.Zip(ActionHigh).All(pair => pair.First < pair.Second),
            "actionLow",
            "a value not below actionHigh",
            "low < high"
        );

        Require(
            Solver.Steps.Count is >= 1 and <= 1_000_000,
            "solver.steps",
            $"{Solver.Steps.Count} steps",
            "at least one"
        );
        // An inverse of λ may land a few ulps outside.
        const double slack = 1e-6;
        var first = FirstTime * (1 - slack);
        foreach (var (step, index) in Solver.Steps.Select((step, index) => (step, index)))
        {
            Require(
                step.Time >= first && step.Time <= schedule.End * (1 + slack),
                $"solver.steps[{index}].time",
                $"{step.Time}",
                $"{FirstTime} to {schedule.End}, where the networks are trained"
            );
            Require(
                step.Weights.Count >= 1
                    && step.Weights.Count <= index + 1
                    && step.Weights.Append(step.Keep).All(double.IsFinite),
                $"solver.steps[{index}].weights",
                $"{step.Weights.Count} of them",
                $"1 to {index + 1} finite numbers"
            );
        }
        Require(
            Solver.EndTime >= 0 && Solver.EndTime < schedule.End,
            "solver.endTime",
            $"{Solver.EndTime}",
            $"0 to {schedule.End}"
        );

        void Lengths(IReadOnlyList<double>? values, string field, int expected)
        {
            Require(values is null || values.Count == expected, field, $"{values?.Count} values", $"{expected}");
            Require(values?.All(double.IsFinite) ?? true, field, "a value that is not finite", "finite numbers");
        }

        void Require(bool holds, string field, string found, string expected)
        {
            if (!holds)
            {
                throw new TiltException($"{where}: {field} of the policy is {found}; expected {expected}.");
            }
        }
    }

    /// <summary>The record as JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, PolicyJson.Default.PolicyRecord);

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The text.</param>
    /// <param name="where">The file it was found in.</param>
    /// <exception cref="TiltException">It is no such record, or makes no sense.</exception>
    public static PolicyRecord FromJson(string json, string where)
    {
        PolicyRecord record;
        try
        {
            record =
                JsonSerializer.Deserialize(json, PolicyJson.Default.PolicyRecord)
                ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new TiltException(
                $"{where}: the policy's record cannot be read ({e.Message}). The file was written by another version of Tilt, or is "
                    + "damaged; export it again or restore it from a copy.",
                inner: e
            );
        }
        record.Validate(where);
        return record;
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    UseStringEnumConverter = true
)]
[JsonSerializable(typeof(PolicyRecord))]
internal sealed partial class PolicyJson : JsonSerializerContext;
