namespace Tilt.Metrics;

/// <summary>A division of the plane into bins (modes, rings, radius classes) whose true masses are known for every β.</summary>
public sealed class BinPartition
{
    private readonly Func<double, double[]> _masses;
    private readonly Func<Tensor, Tensor> _assign;

    /// <summary>What the bins are, in a word or two, such as <c>nearest mode</c>.</summary>
    public string Name { get; }

    /// <summary>One name per bin.</summary>
    public IReadOnlyList<string> BinNames { get; }

    /// <summary>A partition.</summary>
    /// <param name="name">What the bins are.</param>
    /// <param name="binNames">One name per bin.</param>
    /// <param name="masses">The mass of each bin under the target at β; they sum to 1.</param>
    /// <param name="assign">The bin of each of [N, D] points, [N] of int64 in 0 … bins − 1.</param>
    public BinPartition(
        string name,
        IReadOnlyList<string> binNames,
        Func<double, double[]> masses,
        Func<Tensor, Tensor> assign
    )
    {
        (Name, BinNames, _masses, _assign) = (name, binNames, masses, assign);
    }

    /// <summary>The mass of each bin under the target at β.</summary>
    public double[] Masses(double beta) => _masses(beta);

    /// <summary>The bin of each point, [N] of int64.</summary>
    /// <param name="points">[N, D], of any floating type.</param>
    public Tensor Assign(Tensor points)
    {
        using var scope = NewDisposeScope();
        using var inference = no_grad();
        return _assign(points.detach().to(ScalarType.Float64).cpu()).MoveToOuterDisposeScope();
    }

    /// <summary>The share of the points in each bin.</summary>
    /// <param name="points">[N, D].</param>
    public double[] Shares(Tensor points)
    {
        using var scope = NewDisposeScope();
        var whole = Samples.Checked(points, "samples");
        var bins = Assign(whole).data<long>().ToArray();
        var shares = new double[BinNames.Count];
        foreach (var bin in bins)
        {
            shares[bin] += 1;
        }
        for (var i = 0; i < shares.Length; i++)
        {
            shares[i] /= bins.Length;
        }
        return shares;
    }
}
