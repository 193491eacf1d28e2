namespace Tilt.Energy;

/// <summary>log Z(β) = log E[exp(−β·E)] of a pool of energies: the shift that makes unbiased labels sum to 1 on average.</summary>
/// <remarks>
/// The pool is the whole data set, not the batch at hand, so the shift does not depend on the draw. It need not be accurate:
/// any constant leaves the minimizer where it is (cep.md §4.1).
/// </remarks>
public static class LogNormalizer
{
    /// <summary>log of the mean of exp(−β·E), in nats.</summary>
    /// <param name="energies">E of a pool, [N], N ≥ 1.</param>
    /// <param name="beta">β, at least 0.</param>
    public static double Of(Tensor energies, double beta)
    {
        Expect.Shape(energies, -1);
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var tilted = -beta * energies.to(ScalarType.Float64);
        return tilted.logsumexp(0).item<double>() - Math.Log(energies.shape[0]);
    }
}

/// <summary>log Z over a range of β, tabulated once from a pool: the shift for energies that are trained at every β.</summary>
public sealed class LogNormalizerCurve
{
    private readonly double[] _values;

    /// <summary>The curve of a pool.</summary>
    /// <param name="energies">E of the pool, [N].</param>
    /// <param name="min">The smallest β.</param>
    /// <param name="max">The largest β.</param>
    /// <param name="nodes">How many β are computed; between them the curve is straight, which for a shift is accurate enough.</param>
    public LogNormalizerCurve(Tensor energies, double min, double max, int nodes = 129)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(nodes, 2);
        if (!(min >= 0 && max > min && double.IsFinite(max)))
        {
            throw new ArgumentOutOfRangeException(nameof(max), $"Expected 0 ≤ min < max, found {min} and {max}.");
        }
        (Min, Max) = (min, max);
        _values = new double[nodes];
        for (var i = 0; i < nodes; i++)
        {
            _values[i] = LogNormalizer.Of(energies, min + (max - min) * i / (nodes - 1));
        }
    }

    /// <summary>The smallest β of the table.</summary>
    public double Min { get; }

    /// <summary>The largest β of the table.</summary>
    public double Max { get; }

    /// <summary>log Z(β); β outside the range is moved to its end.</summary>
    /// <param name="beta">β.</param>
    public double At(double beta)
    {
        var place = (Math.Clamp(beta, Min, Max) - Min) / (Max - Min) * (_values.Length - 1);
        var left = Math.Min((int)place, _values.Length - 2);
        return _values[left] + (place - left) * (_values[left + 1] - _values[left]);
    }

    /// <summary>log Z of several β, one a condition.</summary>
    /// <param name="betas">β, [B].</param>
    /// <returns>[B], of the type and device of <paramref name="betas"/>.</returns>
    public Tensor At(Tensor betas)
    {
        Expect.Shape(betas, -1);
        using var scope = NewDisposeScope();
        var asked = betas.detach().to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
        return tensor(Array.ConvertAll(asked, At)).to(betas.dtype, betas.device).MoveToOuterDisposeScope();
    }
}
