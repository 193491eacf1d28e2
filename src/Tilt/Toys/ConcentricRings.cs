namespace Tilt.Toys;

/// <summary>Noisy circles about the origin: what rings and circles have in common.</summary>
/// <param name="radii">Radii, outermost first.</param>
/// <param name="noise">Standard deviation of the Gaussian noise per axis.</param>
internal sealed class ConcentricRings(double[] radii, double noise)
{
    /// <summary>Radii, outermost first.</summary>
    public double[] Radii => radii;

    /// <summary>Variance of the noise per axis.</summary>
    public double Variance => noise * noise;

    /// <summary>n points, equally many per ring and equally spaced in angle, in random order; the innermost ring takes the rest.</summary>
    public (Tensor X, Tensor Ring) Even(long n, Generator generator)
    {
        var (rings, angles) = (new List<Tensor>(), new List<Tensor>());
        for (var k = 0; k < radii.Length; k++)
        {
            var each = n / radii.Length;
            var count = k + 1 < radii.Length ? each : n - each * (radii.Length - 1);
            rings.Add(full(count, k, ScalarType.Int64));
            angles.Add(arange(0, count, ScalarType.Float64) * (2 * Math.PI / Math.Max(count, 1)));
        }
        var order = randperm(n, ScalarType.Int64, generator: generator);
        var ring = cat(rings, 0).index_select(0, order);
        return (Place(ring, cat(angles, 0).index_select(0, order), generator), ring);
    }

    /// <summary>A point on each of the given rings, the angle uniform.</summary>
    public Tensor Random(Tensor ring, Generator generator) =>
        Place(ring, rand(ring.shape[0], ScalarType.Float64, generator: generator) * (2 * Math.PI), generator);

    /// <summary>The ring whose radius is nearest to that of each point, [N] of int64.</summary>
    public Tensor Nearest(Tensor points)
    {
        using var scope = NewDisposeScope();
        var radius = (points * points).sum(1).sqrt();
        return (radius.unsqueeze(1) - tensor(radii)).abs().argmin(1).MoveToOuterDisposeScope();
    }

    /// <summary>The exact law at every level: a closed form with Bessel functions, no quadrature.</summary>
    public RingComponents Components(double[] labels)
    {
        var weights = radii.Select(_ => Math.Log(1.0 / radii.Length)).ToArray();
        return new(radii, Variance, weights, labels);
    }

    private Tensor Place(Tensor ring, Tensor angle, Generator generator)
    {
        var circle = stack([angle.cos(), angle.sin()], 1) * tensor(radii).index_select(0, ring).unsqueeze(1);
        return circle + noise * randn(ring.shape[0], 2, ScalarType.Float64, generator: generator);
    }
}
