namespace Tilt.Energy;

/// <summary>Class-conditional CEP: tells which of K noised samples a condition belongs to, comparing within the data.</summary>
/// <remarks>
/// K pairs (x₀, c) are drawn and noised to one t; for anchor i, the condition c⁽ⁱ⁾ is held against all K samples. The optimum is
/// f(x_t, c) = −log q(c | x_t) + h(c): already the right gradient, without a softmax over classes, and the conditions need not be
/// classes (cep.md §6; contrastive predictive coding has the same form).
/// The poster prints c⁽ʲ⁾ in the denominator; with it the optimum is another. Here, as in the code, the anchor's condition stands.
/// Equal conditions in a batch belong in the denominator and bias nothing.
/// </remarks>
public static class ClassConditionalCep
{
    /// <summary>Contrastive loss for conditions of any kind, averaged over anchors.</summary>
    /// <param name="energies">f(x_t⁽ʲ⁾, c⁽ⁱ⁾, t) of anchor i (row) and sample j (column), [K, K]; the pairs are on the diagonal.</param>
    /// <returns>A scalar in nats.</returns>
    public static Tensor Loss(Tensor energies)
    {
        Expect.Shape(energies, -1, energies.shape[0]);
        using var scope = NewDisposeScope();

        var model = nn.functional.log_softmax(-energies, dim: -1);
        return (-model.diagonal().mean()).MoveToOuterDisposeScope();
    }

    /// <summary>Contrastive loss for classes, from a network with one output a class.</summary>
    /// <param name="classEnergies">f(x_t⁽ʲ⁾, m, t) of sample j (row) and class m (column), [K, M].</param>
    /// <param name="classes">c of each sample, [K], int64 in [0, M).</param>
    /// <returns>A scalar in nats.</returns>
    public static Tensor Loss(Tensor classEnergies, Tensor classes)
    {
        Expect.Shape(classEnergies, -1, -1);
        Expect.Shape(classes, classEnergies.shape[0]);
        using var scope = NewDisposeScope();

        // Row i holds every sample's energy for the class of anchor i.
        return Loss(classEnergies.t().index_select(0, classes)).MoveToOuterDisposeScope();
    }

    /// <summary>E_t of a class: its own output and nothing else.</summary>
    /// <param name="classEnergies">The trained network.</param>
    /// <param name="class">c.</param>
    public static IntermediateEnergy Energy(ClassScores classEnergies, long @class)
    {
        ArgumentNullException.ThrowIfNull(classEnergies);
        return (xt, level) =>
        {
            using var scope = NewDisposeScope();
            var energies = classEnergies(xt, level);
            ClassifierGuidance.RequireClass(@class, energies);
            return energies.select(1, @class).MoveToOuterDisposeScope();
        };
    }
}
