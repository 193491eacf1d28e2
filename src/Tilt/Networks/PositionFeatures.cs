namespace Tilt.Networks;

/// <summary>Positions beside random Fourier features of them: [x, sin(x·W), cos(x·W)].</summary>
/// <remarks>
/// Plain networks learn smooth functions first and fine ones late; the features let a small network draw the sharp changes that
/// scores and energies of the plane have at low noise (Tancik et al. 2020, "Fourier features let networks learn high
/// frequency functions in low dimensional domains"). W ~ N(0, scale²) is drawn once, saved and never trained.
/// </remarks>
public sealed class PositionFeatures : nn.Module<Tensor, Tensor>
{
    /// <summary>The width of what comes out.</summary>
    public long Width { get; }

    /// <summary>Features with drawn frequencies.</summary>
    /// <param name="dimensions">D.</param>
    /// <param name="frequencies">F, how many; 0 passes positions through.</param>
    /// <param name="scale">Standard deviation of the frequencies, in radians per unit of x.</param>
    /// <param name="generator">Where the draws come from.</param>
    public PositionFeatures(long dimensions, long frequencies, double scale, Generator generator)
        : base(nameof(PositionFeatures))
    {
        using var scope = NewDisposeScope();

        Width = dimensions + 2 * frequencies;
        var drawn = empty([dimensions, frequencies], dtype: ScalarType.Float32).normal_(0, scale, generator);
        register_buffer("W", drawn.DetachFromDisposeScope());
    }

    /// <summary>The features of each position, [B, <see cref="Width"/>].</summary>
    /// <param name="x">Positions of unit scale, [B, D].</param>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();

        var angles = x.mm(get_buffer("W")!);
        return cat([x, angles.sin(), angles.cos()], dim: 1).MoveToOuterDisposeScope();
    }
}
