using System.Text.Json.Serialization;
using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.OfflineRl.Data;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>The strength of guidance at one noise level, on average over states of the data.</summary>
/// <param name="Time">t.</param>
/// <param name="Score">‖ε‖, root mean square over states: σ_t times the score's norm.</param>
/// <param name="Guidance">‖σ_t·∇E_t‖, root mean square over states, at guidance scale 1.</param>
public sealed record GuidanceNorm(double Time, double Score, double Guidance);

/// <summary>What a finished training says about itself; docs/algorithms/qgpo.md explains each number.</summary>
public sealed record QgpoDiagnostics
{
    /// <summary>States and transitions looked at.</summary>
    public required int States { get; init; }

    /// <summary>K.</summary>
    public required int SupportActions { get; init; }

    /// <summary>Mean effective number of support actions that share the labels' weight, of K.</summary>
    public required double LabelEss { get; init; }

    /// <summary>Share of support actions with a component outside the box, before clipping.</summary>
    public required double OutsideShare { get; init; }

    /// <summary>Share of the data's actions with a component at the edge of the box: about half as many draws must be expected outside.</summary>
    public required double EdgeShare { get; init; }

    /// <summary>Mean of Q over the data's actions.</summary>
    public required double MeanQ { get; init; }

    /// <summary>Largest Q over the data's actions.</summary>
    public required double MaxQ { get; init; }

    /// <summary>R_max/(1 − γ), which no value can exceed.</summary>
    public required double ValueBound { get; init; }

    /// <summary>Guidance against score at each level that the sampler visits.</summary>
    public required IReadOnlyList<GuidanceNorm> Norms { get; init; }

    /// <summary>What a user should look at.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>(Σw)²/Σw² of the labels w = softmax(−β·E) of each state, [B]: between 1 and K.</summary>
    /// <param name="tilts">β·E of the support actions, [B, K].</param>
    public static Tensor EffectiveActions(Tensor tilts)
    {
        using var scope = NewDisposeScope();
        return (1 / nn.functional.softmax(-tilts, dim: -1).square().sum(-1)).MoveToOuterDisposeScope();
    }

    /// <summary>What is wrong with the sharpness of labels, or null.</summary>
    /// <param name="energies">E of the support actions of all states, [U, K].</param>
    /// <param name="beta">β.</param>
    public static string? LabelWarning(Tensor energies, double beta)
    {
        using var scope = NewDisposeScope();
        var (size, k) = (EffectiveActions(beta * energies).mean().item<float>(), energies.shape[1]);
        return k < 4 ? null
            : size < 2
                ? $"labels rest on {size:0.0} of {k} support actions on average: guidance will pick single actions. Lower beta, or draw "
                    + "more support actions."
            : size > k - 2
                ? $"labels are spread over {size:0.0} of {k} support actions: at this beta the policy will hardly differ from the "
                    + "behavior. Raise beta, or look at the scale of rewards."
            : null;
    }

    /// <summary>Looks at a finished training.</summary>
    /// <param name="training">The training; its networks hold the averaged weights.</param>
    /// <param name="data">Its transitions.</param>
    /// <param name="states">States to look at.</param>
    /// <param name="streams">Draws the states and their starting noise.</param>
    public static QgpoDiagnostics Of(Qgpo training, TransitionDataset data, int states, RandomStreams streams)
    {
        ArgumentNullException.ThrowIfNull(training);
        ArgumentNullException.ThrowIfNull(data);
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var model = training.Model;
        var options = model.Options;
        using var batches = new MinibatchSampler(data, states, streams, "diagnostics/states");
        var batch = batches.Next();
        var support = training.Support(Training.SilentProgress.Instance);
        var values = model.Value(batch.Observations, batch.Actions);
        var energies = training.EnergiesOf(batch);
        var maximum = values.max().item<float>();
        var warnings = new List<string>();
        if (LabelWarning(energies, options.Beta) is { } warning)
        {
            warnings.Add(warning);
        }
        if (maximum > 1.05 * training.ValueBound)
        {
            warnings.Add(
                $"the largest Q, {maximum:g4}, exceeds R_max/(1 − γ) = {training.ValueBound:g4}, which no return can: the critic overestimates. "
                    + "Train it longer, or lower criticBeta."
            );
        }
        var edge = EdgeShareOf(batch.Actions, model.ActionBox);
        if (support.OutsideShare > edge + 0.2)
        {
            warnings.Add(
                $"{support.OutsideShare:P0} of support actions leave the action box: the behavior model has not learned where it ends. "
                    + "Train it longer."
            );
        }
        return new()
        {
            States = states,
            SupportActions = options.SupportActions,
            LabelEss = EffectiveActions(options.Beta * energies).mean().item<float>(),
            OutsideShare = support.OutsideShare,
            EdgeShare = edge,
            MeanQ = values.mean().item<float>(),
            MaxQ = maximum,
            ValueBound = training.ValueBound,
            Norms = NormsOf(model, batch.Observations, streams),
            Warnings = warnings,
        };
    }

    private static double EdgeShareOf(Tensor actions, ActionBox box)
    {
        const double Near = 1e-3;
        using var scope = NewDisposeScope();
        var low = tensor(box.Low.Zip(box.High, (low, high) => (float)(low + Near * (high - low))).ToArray());
        var high = tensor(box.Low.Zip(box.High, (low, high) => (float)(high - Near * (high - low))).ToArray());
        return actions.le(low).logical_or(actions.ge(high)).any(-1).to(ScalarType.Float32).mean().item<float>();
    }

    private static List<GuidanceNorm> NormsOf(QgpoModel model, Tensor observations, RandomStreams streams)
    {
        var norms = new List<GuidanceNorm>();
        var method = model.Options.Methods[0];
        var noise = model.NoiseGiven(observations);
        var energy = model.EnergyGiven(method, observations, model.Options.Beta);
        Tensor Watched(Tensor xt, NoiseLevel level)
        {
            using var scope = NewDisposeScope();
            var epsilon = noise(xt, level);
            var guidance = level.Sigma * energy.Gradient(xt, level);
            norms.Add(new(level.Time, Rms(epsilon), Rms(guidance)));
            return (epsilon + guidance).MoveToOuterDisposeScope();
        }
        var xT = Sampling.Sampler.Normal(
            [observations.shape[0], model.ActionSize],
            ScalarType.Float32,
            null,
            streams["diagnostics/noise"]
        );
        Sampling.Sampler.Sample(Watched, xT, model.Schedule, model.Options.Sampler, null);
        return norms;

        static double Rms(Tensor rows) => Math.Sqrt(rows.square().sum(-1).mean().item<float>());
    }
}

/// <summary>How <see cref="QgpoDiagnostics"/> are written as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    WriteIndented = true
)]
[JsonSerializable(typeof(QgpoDiagnostics))]
public sealed partial class QgpoDiagnosticsJson : JsonSerializerContext;
