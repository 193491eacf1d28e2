using Tilt.Diffusion;
using Tilt.Networks;

namespace Tilt.Energy;

/// <summary>CEP: learns the exact intermediate energy by telling which of K noised samples carries how much weight.</summary>
/// <remarks>
/// K clean samples are drawn independently for one condition (none in the plane, a state in RL), noised to one t, and
/// f_φ has to reproduce, by a softmax over the K noised samples, how exp(−β·E) is shared among the clean ones
/// (Lu et al. 2023, theorem 2 of the poster; cep.md §4). β·E is what comes in, so β may differ from condition to condition:
/// an f_φ that is told β then learns all of them. The paper's plane experiments are [1, K] with K the whole batch, so that
/// the mean over conditions is the authors' sum over the batch; its RL experiments are [B, K] with the K support actions of
/// B states.
/// </remarks>
public static class ContrastiveEnergyPrediction
{
    /// <summary>Contrastive loss with self-normalized labels, the paper's: draws f_φ toward E_t up to a function of condition and t.</summary>
    /// <param name="energies">β·E(x₀) of the K clean samples of each condition, [B, K]. No gradient flows into it.</param>
    /// <param name="predicted">f_φ(x_t, t) of the same samples, noised to one t per condition, [B, K].</param>
    /// <returns>A scalar in nats, never below the entropy of softmax(−β·E).</returns>
    /// <remarks>
    /// −Σᵢ softmax(−β·E)ᵢ · log softmax(−f_φ)ᵢ, averaged over conditions. Both softmaxes run over K: shifting all energies of a
    /// condition changes nothing, so the level of f_φ is arbitrary and only its gradient means anything.
    /// Departure: the theorem weighs by exp(−β·E). Normalizing the weights over the K samples, as the authors' code does,
    /// cannot overflow, but moves the minimizer by O(1/K), since a label then depends on the other draws; it is exact as
    /// K → ∞. <see cref="UnbiasedLoss(Tensor, Tensor, Tensor)"/> has no such bias.
    /// </remarks>
    public static Tensor Loss(Tensor energies, Tensor predicted)
    {
        using var scope = NewDisposeScope();
        return PerCondition(energies, predicted).mean().MoveToOuterDisposeScope();
    }

    /// <summary>Contrastive loss with the theorem's own weights, kept in range by a constant: exact for every K.</summary>
    /// <param name="energies">β·E(x₀) of the K clean samples of each condition, [B, K]. No gradient flows into it.</param>
    /// <param name="predicted">f_φ(x_t, t) of the same samples, noised to one t per condition, [B, K].</param>
    /// <param name="shift">
    /// What is taken off −β·E before the exponential, [B], one number per condition. It may depend on the condition and on β
    /// but not on which samples were drawn, else the labels are biased again; log Z (<see cref="LogNormalizer"/>) makes the
    /// labels sum to 1 on average.
    /// </param>
    /// <returns>A scalar in nats.</returns>
    /// <remarks>
    /// −Σᵢ wᵢ · log softmax(−f_φ)ᵢ with wᵢ = exp(−β·Eᵢ − shift)/K, averaged over conditions (theorem 2; cep.md §4.1). Another
    /// shift multiplies the loss of a condition by a constant and leaves the minimizer. The price is variance: a batch without a
    /// good sample teaches little, one with several teaches much.
    /// </remarks>
    public static Tensor UnbiasedLoss(Tensor energies, Tensor predicted, Tensor shift)
    {
        using var scope = NewDisposeScope();
        return UnbiasedPerCondition(energies, predicted, shift).mean().MoveToOuterDisposeScope();
    }

    /// <summary>The same with one shift for all conditions.</summary>
    /// <param name="energies">β·E(x₀), [B, K]. No gradient flows into it.</param>
    /// <param name="predicted">f_φ(x_t, t), [B, K].</param>
    /// <param name="shift">Such as log Z; not to be computed from this very batch.</param>
    /// <returns>A scalar in nats.</returns>
    public static Tensor UnbiasedLoss(Tensor energies, Tensor predicted, double shift)
    {
        using var scope = NewDisposeScope();
        var same = energies.new_full([energies.shape[0]], shift);
        return UnbiasedLoss(energies, predicted, same).MoveToOuterDisposeScope();
    }

    /// <summary>The loss of <see cref="Loss"/> with noise, and one t for each condition uniform on [first time, T), both drawn.</summary>
    /// <param name="network">f_φ, one number a sample.</param>
    /// <param name="schedule">What noises the samples.</param>
    /// <param name="x0">K clean samples of each of B conditions, [B, K, D].</param>
    /// <param name="energies">β·E(x₀) of the same samples, [B, K]. No gradient flows into it.</param>
    /// <param name="generator">Where the draws come from: times first, then noise.</param>
    /// <param name="firstTime">The earliest t; null for where the schedule's samplers end.</param>
    /// <returns>A scalar in nats.</returns>
    public static Tensor Draw(
        Network network,
        NoiseSchedule schedule,
        Tensor x0,
        Tensor energies,
        Generator generator,
        double? firstTime = null
    )
    {
        ArgumentNullException.ThrowIfNull(schedule);
        using var scope = NewDisposeScope();

        var first = firstTime ?? schedule.SamplingEnd;
        var time = ForwardProcess.DrawTimes(x0.shape[0], first, schedule.End, generator);
        var noise = ForwardProcess.DrawNoise(x0, generator);
        return Loss(energies, Predicted(network, schedule, x0, time, noise)).MoveToOuterDisposeScope();
    }

    /// <summary>f_φ of contrast sets: K clean samples per condition, noised to one t per condition.</summary>
    /// <param name="network">f_φ, one number a sample.</param>
    /// <param name="schedule">What noises the samples.</param>
    /// <param name="x0">K clean samples of each of B conditions, [B, K, D].</param>
    /// <param name="time">t of each condition, [B]; best in float64.</param>
    /// <param name="noise">ε, [B, K, D].</param>
    /// <param name="condition">What the network is told besides x_t and t (a state, β), [B, C]; null for nothing.</param>
    /// <returns>f_φ(x_t, t), [B, K]: the <c>predicted</c> of the losses.</returns>
    public static Tensor Predicted(
        Network network,
        NoiseSchedule schedule,
        Tensor x0,
        Tensor time,
        Tensor noise,
        Tensor? condition = null
    )
    {
        ArgumentNullException.ThrowIfNull(network);
        Expect.Shape(x0, -1, -1, network.Dimensions);
        Expect.Shape(time, x0.shape[0]);
        var (b, k) = (x0.shape[0], x0.shape[1]);
        using var scope = NewDisposeScope();

        var levels = ForwardProcess.Levels(schedule, time, x0);
        var xt = ForwardProcess.Noised(levels, x0, noise);
        if (b == 1)
        {
            // One t and one condition for everything stay one row: the network repeats them after embedding them.
            return network.call(xt.squeeze(0), levels.NetworkTime, condition).reshape(1, k).MoveToOuterDisposeScope();
        }
        // What the K samples of a condition share stays one row of [B, 1, …]: it passes the first layer once, not K times.
        var (told, given) = (levels.NetworkTime.unsqueeze(1), condition?.unsqueeze(1));
        return network.call(xt, told, given).reshape(b, k).MoveToOuterDisposeScope();
    }

    /// <summary>Contrastive loss with given weights: for weights that were averaged before they came here.</summary>
    /// <param name="weights">
    /// w of the K clean samples of each condition, [B, K], with E[w | all x_t] ∝ E[exp(−β·E) | x_t]. No gradient flows into it.
    /// </param>
    /// <param name="predicted">f_φ(x_t, t) of the same samples, [B, K].</param>
    /// <returns>A scalar in nats.</returns>
    /// <remarks>−(1/K)·Σᵢ wᵢ · log softmax(−f_φ)ᵢ, averaged over conditions. Exact for every K, as <see cref="UnbiasedLoss(Tensor, Tensor, Tensor)"/> is.</remarks>
    public static Tensor WeightedLoss(Tensor weights, Tensor predicted)
    {
        Expect.Shape(weights, -1, -1);
        Expect.SameShape(weights, predicted);
        using var scope = NewDisposeScope();

        var model = nn.functional.log_softmax(-predicted, dim: -1);
        return (-(weights.detach() * model).mean()).MoveToOuterDisposeScope();
    }

    /// <summary>The terms of <see cref="Loss"/>, [B].</summary>
    internal static Tensor PerCondition(Tensor energies, Tensor predicted)
    {
        Expect.Shape(energies, -1, -1);
        Expect.SameShape(energies, predicted);
        using var scope = NewDisposeScope();

        var target = nn.functional.softmax(-energies.detach(), dim: -1);
        var model = nn.functional.log_softmax(-predicted, dim: -1);
        return (-(target * model).sum(-1)).MoveToOuterDisposeScope();
    }

    /// <summary>The terms of <see cref="UnbiasedLoss(Tensor, Tensor, Tensor)"/>, [B].</summary>
    internal static Tensor UnbiasedPerCondition(Tensor energies, Tensor predicted, Tensor shift)
    {
        Expect.Shape(energies, -1, -1);
        Expect.SameShape(energies, predicted);
        Expect.Shape(shift, energies.shape[0]);
        using var scope = NewDisposeScope();

        var target = (-energies.detach() - shift.detach().unsqueeze(-1)).exp() / energies.shape[1];
        var model = nn.functional.log_softmax(-predicted, dim: -1);
        return (-(target * model).sum(-1)).MoveToOuterDisposeScope();
    }
}
