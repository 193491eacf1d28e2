namespace Tilt.Energy;

/// <summary>One number for every class: logits or energies of noisy samples.</summary>
/// <param name="xt">Noisy samples, [B, D].</param>
/// <param name="level">The noise level that all of them have.</param>
/// <returns>[B, M], differentiable with respect to <paramref name="xt"/>.</returns>
public delegate Tensor ClassScores(Tensor xt, NoiseLevel level);

/// <summary>Classifier guidance: a classifier of noisy samples, compared across classes.</summary>
/// <remarks>
/// For E(x₀) = −log q(c | x₀), β = 1, the target is q(x₀ | c). The cross-entropy over the M classes has its optimum where
/// log softmax of the logits is log q(c | x_t), and −log q(c | x_t) is E_t: exact, but only after the softmax over classes,
/// for a logit alone is free up to a function of x_t (cep.md §6). <see cref="ClassConditionalCep"/> compares samples instead.
/// </remarks>
public static class ClassifierGuidance
{
    /// <summary>Cross-entropy over classes, averaged over samples.</summary>
    /// <param name="logits">g(x_t, m, t) of each sample and class, [B, M].</param>
    /// <param name="classes">c of each sample, [B], int64 in [0, M).</param>
    /// <returns>A scalar in nats.</returns>
    public static Tensor Loss(Tensor logits, Tensor classes)
    {
        Expect.Shape(logits, -1, -1);
        Expect.Shape(classes, logits.shape[0]);
        using var scope = NewDisposeScope();

        var model = nn.functional.log_softmax(logits, dim: -1);
        return (-model.gather(1, classes.unsqueeze(1)).squeeze(1).mean()).MoveToOuterDisposeScope();
    }

    /// <summary>E_t = −log q(c | x_t).</summary>
    /// <param name="logits">The trained classifier.</param>
    /// <param name="class">c.</param>
    public static IntermediateEnergy Energy(ClassScores logits, long @class)
    {
        ArgumentNullException.ThrowIfNull(logits);
        return (xt, level) =>
        {
            using var scope = NewDisposeScope();
            var scores = logits(xt, level);
            RequireClass(@class, scores);
            return (-nn.functional.log_softmax(scores, dim: -1).select(1, @class)).MoveToOuterDisposeScope();
        };
    }

    /// <summary>Throws unless there is a column for the class.</summary>
    internal static void RequireClass(long @class, Tensor scores)
    {
        Expect.Shape(scores, -1, -1);
        if (@class < 0 || @class >= scores.shape[1])
        {
            throw TiltException.Usage(
                $"class {@class} does not exist: the model has {scores.shape[1]} classes, 0 to {scores.shape[1] - 1}."
            );
        }
    }
}
