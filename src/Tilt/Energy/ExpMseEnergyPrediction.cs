namespace Tilt.Energy;

/// <summary>Which exponents the exp-MSE loss keeps within bounds.</summary>
/// <param name="Floor">The smallest exponent, in nats.</param>
/// <param name="Ceiling">The largest exponent, in nats.</param>
/// <param name="Model">Whether the model's exponent is bounded as well as the target's. Where it is, its gradient is zero.</param>
public sealed record ExpMseBounds(double Floor, double Ceiling, bool Model)
{
    /// <summary>Of the plane experiments: the target within [−100, 4], the model free (code).</summary>
    public static ExpMseBounds Plane { get; } = new(-100, 4, false);

    /// <summary>Of the RL experiments: target and model within [−100, 4.5] (code).</summary>
    public static ExpMseBounds Actions { get; } = new(-100, 4.5, true);

    /// <summary>No bounds: the loss whose optimum is exactly E_t.</summary>
    public static ExpMseBounds None { get; } = new(double.NegativeInfinity, double.PositiveInfinity, false);
}

/// <summary>exp-MSE: regresses exp(−β·E) instead of β·E, which makes the optimum exact but hard to reach.</summary>
/// <remarks>
/// Without bounds the optimum is E_t − reference, the right guidance: the mean of a target is what a squared loss finds, and here
/// the target is the weight itself. In practice the squares are dominated by the few largest weights, small weights (large
/// energies) hardly count, and a ceiling on the target changes the optimum (cep.md §5: "emse", in the code only).
/// </remarks>
public static class ExpMseEnergyPrediction
{
    /// <summary>Mean of (exp(−f_φ) − exp(reference − β·E))², exponents bounded.</summary>
    /// <param name="energies">β·E(x₀), [B]. No gradient flows into it.</param>
    /// <param name="predicted">f_φ(x_t, t) of the same samples, each noised to a t of its own, [B].</param>
    /// <param name="reference">
    /// β·E of what gets weight 1, [B]. In RL the lowest β·E among a state's support actions; with conditions it is added to
    /// what f_φ estimates, so it may depend on the condition only.
    /// </param>
    /// <param name="bounds">The exponents that are kept within bounds.</param>
    /// <returns>A scalar.</returns>
    public static Tensor Loss(Tensor energies, Tensor predicted, Tensor reference, ExpMseBounds bounds)
    {
        Expect.Shape(energies, -1);
        Expect.SameShape(energies, predicted);
        Expect.SameShape(energies, reference);
        ArgumentNullException.ThrowIfNull(bounds);
        using var scope = NewDisposeScope();

        var target = (reference - energies).detach().clamp(bounds.Floor, bounds.Ceiling);
        var model = bounds.Model ? (-predicted).clamp(bounds.Floor, bounds.Ceiling) : -predicted;
        return (model.exp() - target.exp()).square().mean().MoveToOuterDisposeScope();
    }

    /// <summary>The same with one reference for all samples.</summary>
    /// <param name="energies">β·E(x₀), [B]. No gradient flows into it.</param>
    /// <param name="predicted">f_φ(x_t, t), [B].</param>
    /// <param name="reference">β·E of what gets weight 1; for labels e up to 1 the code uses −β·1.</param>
    /// <param name="bounds">The exponents that are kept within bounds.</param>
    /// <returns>A scalar.</returns>
    public static Tensor Loss(Tensor energies, Tensor predicted, double reference, ExpMseBounds bounds)
    {
        using var scope = NewDisposeScope();
        return Loss(energies, predicted, full_like(energies, reference), bounds).MoveToOuterDisposeScope();
    }
}
