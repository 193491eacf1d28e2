using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Networks;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>What a step of guidance learns from: B states, each with K support actions and their energies.</summary>
/// <remarks>E(s, a) = −Q(s, a), low is good; β is not inside. Observations are as the networks see them.</remarks>
public sealed record GuidanceBatch
{
    /// <summary>f_φ, the network that learns E_t.</summary>
    public required Network Network { get; init; }

    /// <summary>What noises actions.</summary>
    public required NoiseSchedule Schedule { get; init; }

    /// <summary>The earliest t that is trained.</summary>
    public required double FirstTime { get; init; }

    /// <summary>s, [B, S].</summary>
    public required Tensor Observations { get; init; }

    /// <summary>Support actions, drawn from the behavior model once, [B, K, A].</summary>
    public required Tensor Support { get; init; }

    /// <summary>E(s, aⱼ) of the support actions, [B, K].</summary>
    public required Tensor Energies { get; init; }

    /// <summary>a of the data, [B, A].</summary>
    public required Tensor Actions { get; init; }

    /// <summary>Gives E(s, a) of the data's actions, [B]: only some methods ask.</summary>
    public required Func<Tensor> ActionEnergies { get; init; }

    /// <summary>β of each state, [B].</summary>
    public required Tensor Betas { get; init; }

    /// <summary>Whether the network is told β.</summary>
    public required bool HasDial { get; init; }

    /// <summary>Where times and noise are drawn.</summary>
    public required Generator Generator { get; init; }

    /// <summary>What the network is told besides a_t and t: s, after β where there is a dial.</summary>
    public Tensor Condition => HasDial ? EnergyNetwork.Dial(Betas, Observations) : Observations;

    /// <summary>β·E of the support actions, [B, K].</summary>
    public Tensor Tilts => Betas.unsqueeze(1) * Energies;
}

/// <summary>The loss that draws f_φ toward the intermediate energy, or toward what a method takes for it.</summary>
/// <param name="batch">States with support.</param>
/// <returns>A scalar.</returns>
public delegate Tensor GuidanceLoss(GuidanceBatch batch);

/// <summary>A way to get the intermediate energy of actions.</summary>
/// <param name="Name">As it is typed and logged.</param>
/// <param name="Summary">One line for listings.</param>
/// <param name="Loss">What its network learns by; null where nothing is learned and the energy is that of the estimated clean action.</param>
public sealed record ActionGuidance(string Name, string Summary, GuidanceLoss? Loss)
{
    /// <summary>All of them, the paper's first.</summary>
    public static IReadOnlyList<ActionGuidance> All { get; } =
    [
        new("cep", "contrastive energy prediction: exact as K grows", Contrastive),
        new(
            "cep-unbiased",
            "the same with labels whose shift does not depend on the draw: exact for every K",
            Unbiased
        ),
        new("mse", "regression onto β·E: not exact", Regression),
        new("emse", "regression onto exp(−β·E): exact in theory, hard to reach", Exponential),
        new("dps", "β·E of the estimated clean action, back-propagated: nothing learned, not exact", null),
    ];

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(guidance => guidance.Name)];

    /// <summary>The one of that name.</summary>
    /// <exception cref="TiltException">There is none; the message suggests the nearest.</exception>
    public static ActionGuidance Named(string name) =>
        All.FirstOrDefault(guidance => guidance.Name == name) ?? throw Suggest.Unknown("method", name, Names);

    /// <summary>In-support CEP with the authors' labels, softmax over the K support actions (qgpo.md §2, step 5).</summary>
    /// <remarks>
    /// One t per state, shared by its K actions. What is returned is the divergence KL(labels ‖ softmax(−f_φ)): the cross-entropy of the
    /// paper less the entropy of the labels, which no gradient sees, so that 0 is the best there is.
    /// </remarks>
    public static Tensor Contrastive(GuidanceBatch batch)
    {
        using var scope = NewDisposeScope();
        var predicted = PredictedSupport(batch);
        var least = ContrastiveEnergyPrediction.Loss(batch.Tilts, batch.Tilts);
        return (ContrastiveEnergyPrediction.Loss(batch.Tilts, predicted) - least.detach()).MoveToOuterDisposeScope();
    }

    /// <summary>In-support CEP with unbiased labels.</summary>
    /// <remarks>
    /// The theorem's weight is exp(−β·E) without a normalizer that depends on the contrast set (cep.md §4.1). A per-state shift that the
    /// draw does not decide keeps it in range: the support of a state is cut in two, and each half is labelled with the log-mean-exp of the
    /// other, which is independent of it.
    /// Departure: the authors normalize over the set itself, which is biased by O(1/K).
    /// </remarks>
    public static Tensor Unbiased(GuidanceBatch batch)
    {
        using var scope = NewDisposeScope();
        var half = batch.Energies.shape[1] / 2;
        var (tilts, predicted) = (batch.Tilts, PredictedSupport(batch));
        var (first, second) = (tilts.narrow(1, 0, half), tilts.narrow(1, half, half));
        var loss =
            ContrastiveEnergyPrediction.UnbiasedLoss(first, predicted.narrow(1, 0, half), LogMean(second))
            + ContrastiveEnergyPrediction.UnbiasedLoss(second, predicted.narrow(1, half, half), LogMean(first));
        return (loss / 2).MoveToOuterDisposeScope();

        Tensor LogMean(Tensor energies) => (-energies).logsumexp(1) - Math.Log(half);
    }

    /// <summary>MSE: f_φ regresses β·E of the data's action on the noised action (code: "mse").</summary>
    public static Tensor Regression(GuidanceBatch batch)
    {
        using var scope = NewDisposeScope();
        return MseEnergyPrediction
            .Loss(batch.Betas * batch.ActionEnergies(), PredictedActions(batch))
            .MoveToOuterDisposeScope();
    }

    /// <summary>exp-MSE: e^(−f_φ) regresses e^(reference − β·E), the reference being the lowest β·E of the state's support (code: "emse").</summary>
    public static Tensor Exponential(GuidanceBatch batch)
    {
        using var scope = NewDisposeScope();
        return ExpMseEnergyPrediction
            .Loss(
                batch.Betas * batch.ActionEnergies(),
                PredictedActions(batch),
                batch.Tilts.amin([1]),
                ExpMseBounds.Actions
            )
            .MoveToOuterDisposeScope();
    }

    private static Tensor PredictedSupport(GuidanceBatch batch)
    {
        var time = ForwardProcess.DrawTimes(
            batch.Support.shape[0],
            batch.FirstTime,
            batch.Schedule.End,
            batch.Generator
        );
        var noise = ForwardProcess.DrawNoise(batch.Support, batch.Generator);
        return ContrastiveEnergyPrediction.Predicted(
            batch.Network,
            batch.Schedule,
            batch.Support,
            time,
            noise,
            batch.Condition
        );
    }

    private static Tensor PredictedActions(GuidanceBatch batch)
    {
        var time = ForwardProcess.DrawTimes(
            batch.Actions.shape[0],
            batch.FirstTime,
            batch.Schedule.End,
            batch.Generator
        );
        var noise = ForwardProcess.DrawNoise(batch.Actions, batch.Generator);
        var levels = ForwardProcess.Levels(batch.Schedule, time, batch.Actions);
        var noised = ForwardProcess.Noised(levels, batch.Actions, noise);
        return batch.Network.call(noised, levels.NetworkTime, batch.Condition);
    }
}
