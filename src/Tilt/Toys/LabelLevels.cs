namespace Tilt.Toys;

/// <summary>A label that takes finitely many values: tilting reweighs them, p_k ∝ w_k·exp(β·e_k).</summary>
/// <param name="labels">e_k.</param>
/// <param name="shares">w_k, summing to 1.</param>
internal sealed class LabelLevels(double[] labels, double[] shares)
{
    /// <summary>e_k.</summary>
    public double[] Labels => labels;

    /// <summary>Equal shares.</summary>
    public static LabelLevels Even(params double[] labels) =>
        new(labels, [.. Enumerable.Repeat(1.0 / labels.Length, labels.Length)]);

    /// <summary>log Σ w_k·exp(β·e_k).</summary>
    public double LogPartition(double beta)
    {
        var highest = labels.Max();
        return beta * highest + Math.Log(labels.Zip(shares, (e, w) => w * Math.Exp(beta * (e - highest))).Sum());
    }

    /// <summary>p_k at β.</summary>
    public double[] Masses(double beta)
    {
        var logPartition = LogPartition(beta);
        return [.. labels.Zip(shares, (e, w) => w * Math.Exp(beta * e - logPartition))];
    }

    /// <summary>Σ p_k·e_k at β.</summary>
    public double Mean(double beta) => Masses(beta).Zip(labels, (p, e) => p * e).Sum();

    /// <summary>Independent draws of k, [n] of int64.</summary>
    public Tensor Draw(double beta, long n, Generator generator)
    {
        using var scope = NewDisposeScope();
        var cumulative = tensor(Masses(beta)).cumsum(0);
        var u = rand(n, ScalarType.Float64, generator: generator) * cumulative[-1];
        // The first k whose cumulative mass exceeds u: a level of mass 0 is never drawn.
        return searchsorted(cumulative, u, right: true).clamp_max(labels.Length - 1).MoveToOuterDisposeScope();
    }

    /// <summary>e of each k, [n] of float64.</summary>
    public Tensor LabelsOf(Tensor level)
    {
        using var table = tensor(labels);
        return table.index_select(0, level);
    }
}
