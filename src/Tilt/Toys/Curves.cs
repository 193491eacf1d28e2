namespace Tilt.Toys;

/// <summary>The diagonal, without noise and without labels: x = 5U − 2.5, y = x.</summary>
public sealed class Line : ToyDataset
{
    private const double Length = 7.1;

    /// <inheritdoc/>
    public override string Name => "line";

    /// <inheritdoc/>
    public override string Description => "a diagonal without noise; no label";

    /// <inheritdoc/>
    public override bool HasLabels => false;

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator) =>
        CurveOver.Draw(n, generator, x => x);

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator) =>
        Generate(n, generator);

    /// <inheritdoc/>
    protected override LatentMixture LatentsOf(double beta, int refinement) =>
        CurveOver.Latents(x => x, Length, refinement);
}

/// <summary>A cosine-like wave, without noise and without labels: x = 5U − 2.5, y = 2.5·sin x.</summary>
/// <remarks>The authors call it cos.</remarks>
public sealed class Cosine : ToyDataset
{
    private const double Height = 2.5;

    /// <summary>No longer than this where it rises fastest, 2.7 per unit of x, throughout.</summary>
    private const double Length = 13.5;

    /// <inheritdoc/>
    public override string Name => "cos";

    /// <inheritdoc/>
    public override string Description => "a wave without noise; no label";

    /// <inheritdoc/>
    public override bool HasLabels => false;

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) Generate(long n, Generator generator) =>
        CurveOver.Draw(n, generator, x => Height * x.sin());

    /// <inheritdoc/>
    protected override (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator) =>
        Generate(n, generator);

    /// <inheritdoc/>
    protected override LatentMixture LatentsOf(double beta, int refinement) =>
        CurveOver.Latents(x => Height * x.sin(), Length, refinement);
}

/// <summary>Curves over x uniform on [−2.5, 2.5].</summary>
internal static class CurveOver
{
    private const double Reach = 2.5;

    /// <summary>n independent points and no labels.</summary>
    public static (Tensor X, Tensor Labels) Draw(long n, Generator generator, Func<Tensor, Tensor> height)
    {
        var x = rand(n, ScalarType.Float64, generator: generator) * (2 * Reach) - Reach;
        return (stack([x, height(x)], 1), zeros(n, ScalarType.Float64));
    }

    /// <summary>Points of no extent along the curve, as near to each other as the noise level asks for.</summary>
    public static LatentMixture Latents(Func<Tensor, Tensor> height, double length, int refinement) =>
        new(new LadderComponents(0.2, 0, 7, width => Nodes(height, length, width / refinement)), 0, 0);

    private static GaussianComponents Nodes(Func<Tensor, Tensor> height, double length, double width)
    {
        var (nodes, weights) = Quadrature.Even(-Reach, Reach, Quadrature.PanelsFor(length, width));
        using var x = tensor(nodes);
        using var y = height(x);
        var heights = y.data<double>().ToArray();
        var centres = new double[nodes.Length, 2];
        for (var i = 0; i < nodes.Length; i++)
        {
            (centres[i, 0], centres[i, 1]) = (nodes[i], heights[i]);
        }
        return new(centres, 0, [.. weights.Select(w => Math.Log(w / (2 * Reach)))], new double[nodes.Length]);
    }
}
