namespace Tilt.Energy.Oracles;

/// <summary>E(x) = ½(x − c)ᵀA(x − c) + a·(x − c): linear and quadratic energies, for which mixtures have closed forms.</summary>
/// <remarks>Kept on the host in float64. A is symmetric; it need not be positive.</remarks>
public sealed record QuadraticEnergy
{
    private readonly double[,] _curvature;
    private readonly double[] _centre;
    private readonly double[] _slope;

    /// <summary>An energy from its three parts.</summary>
    /// <param name="curvature">A, [D, D], symmetric.</param>
    /// <param name="centre">c, [D].</param>
    /// <param name="slope">a, the gradient at the centre, [D].</param>
    /// <exception cref="ArgumentException">Lengths disagree, A is not symmetric, or a number is not finite.</exception>
    public QuadraticEnergy(double[,] curvature, double[] centre, double[] slope)
    {
        ArgumentNullException.ThrowIfNull(curvature);
        ArgumentNullException.ThrowIfNull(centre);
        ArgumentNullException.ThrowIfNull(slope);
        var d = centre.Length;
        if (slope.Length != d || curvature.GetLength(0) != d || curvature.GetLength(1) != d)
        {
            throw new ArgumentException(
                $"curvature is {curvature.GetLength(0)}×{curvature.GetLength(1)}, centre has {d} entries and slope {slope.Length}; "
                    + "expected D×D, D and D."
            );
        }
        for (var i = 0; i < d; i++)
        {
            for (var j = 0; j < d; j++)
            {
                if (!double.IsFinite(curvature[i, j]))
                {
                    throw new ArgumentException($"curvature[{i}, {j}] is {curvature[i, j]}; expected a finite number.");
                }
                if (Math.Abs(curvature[i, j] - curvature[j, i]) > 1e-9 * (1 + Math.Abs(curvature[i, j])))
                {
                    throw new ArgumentException(
                        $"curvature[{i}, {j}] = {curvature[i, j]} but curvature[{j}, {i}] = {curvature[j, i]}; expected a "
                            + "symmetric matrix. Pass (A + Aᵀ)/2, which is the same energy."
                    );
                }
            }
            if (!double.IsFinite(centre[i]) || !double.IsFinite(slope[i]))
            {
                throw new ArgumentException(
                    $"centre[{i}] = {centre[i]}, slope[{i}] = {slope[i]}; expected finite numbers."
                );
            }
        }
        (_curvature, _centre, _slope) = ((double[,])curvature.Clone(), [.. centre], [.. slope]);
    }

    /// <summary>D, the dimension of x.</summary>
    public int Dimension => _centre.Length;

    /// <summary>E(x) = a·x.</summary>
    /// <param name="slope">a, [D].</param>
    public static QuadraticEnergy Linear(params double[] slope)
    {
        ArgumentNullException.ThrowIfNull(slope);
        return new(new double[slope.Length, slope.Length], new double[slope.Length], slope);
    }

    /// <summary>E(x) = ½(x − c)ᵀA(x − c).</summary>
    /// <param name="curvature">A, [D, D], symmetric.</param>
    /// <param name="centre">c, [D].</param>
    public static QuadraticEnergy Around(double[] centre, double[,] curvature)
    {
        ArgumentNullException.ThrowIfNull(centre);
        return new(curvature, centre, new double[centre.Length]);
    }

    /// <summary>E(x) = ½·k·‖x − c‖².</summary>
    /// <param name="centre">c, [D].</param>
    /// <param name="stiffness">k.</param>
    public static QuadraticEnergy Around(double[] centre, double stiffness)
    {
        ArgumentNullException.ThrowIfNull(centre);
        var curvature = new double[centre.Length, centre.Length];
        for (var i = 0; i < centre.Length; i++)
        {
            curvature[i, i] = stiffness;
        }
        return Around(centre, curvature);
    }

    /// <summary>E as a function of samples.</summary>
    public EnergyFunction Function => At;

    /// <summary>E(x), differentiable.</summary>
    /// <param name="x">Points, [..., D], any floating type.</param>
    /// <returns>Energies, [...], of the type of <paramref name="x"/>.</returns>
    public Tensor At(Tensor x)
    {
        using var scope = NewDisposeScope();
        var (curvature, centre, slope) = Tensors(x.dtype, x.device);

        var offset = x - centre;
        var energy = (offset * (0.5 * offset.matmul(curvature) + slope)).sum(-1);
        return energy.MoveToOuterDisposeScope();
    }

    /// <summary>A [D, D], c [D] and a [D] as tensors of the current scope.</summary>
    internal (Tensor Curvature, Tensor Centre, Tensor Slope) Tensors(ScalarType type, Device device) =>
        (
            tensor(_curvature, dtype: type, device: device),
            tensor(_centre, dtype: type, device: device),
            tensor(_slope, dtype: type, device: device)
        );
}
