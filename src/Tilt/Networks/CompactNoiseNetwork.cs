namespace Tilt.Networks;

/// <summary>A small noise-prediction network that starts from the answer for Gaussian data and learns the rest.</summary>
/// <remarks>
/// For data N(0, s²·I) the best prediction is ε = (σ_t/v)·x_t with v = α_t²·s² + σ_t². The network F learns what is left, scaled
/// so that both its input and its target have about unit variance at every level:
/// ε(x_t, t) = (σ_t/v)·x_t + (α_t·s/√v)·F(x_t/√v, λ_t)
/// (the preconditioning of Karras et al. 2022, "Elucidating the design space of diffusion-based generative models", for
/// variance-preserving noise). F sees <see cref="PositionFeatures"/> and <see cref="LevelFeatures"/>.
/// Departure: the paper's network is <see cref="ScoreNetwork2d"/>, much larger.
/// </remarks>
public sealed class CompactNoiseNetwork : Network
{
    private readonly NoiseSchedule _schedule;
    private readonly double _scale;
    private readonly PositionFeatures _position;
    private readonly Mlp _layers;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="dimensions">D.</param>
    /// <param name="schedule">Gives α, σ and λ at the times that the network is told.</param>
    /// <param name="options">Sizes.</param>
    /// <param name="generator">Where the draws come from.</param>
    public CompactNoiseNetwork(long dimensions, NoiseSchedule schedule, CompactOptions options, Generator generator)
        : base(nameof(CompactNoiseNetwork))
    {
        (Dimensions, _schedule, _scale) = (dimensions, schedule, options.DataScale);
        _position = new(dimensions, options.PositionFrequencies, options.PositionScale, generator);
        _layers = new(
            [
                _position.Width + LevelFeatures.Width,
                .. Enumerable.Repeat(options.Width, (int)options.Depth),
                dimensions,
            ],
            Activation.Silu,
            generator
        );
        register_module("position", _position);
        register_module("layers", _layers);
    }

    /// <inheritdoc/>
    public override long Dimensions { get; }

    /// <inheritdoc/>
    public override long ConditionDimensions => 0;

    /// <summary>ε(x_t, t), [B, D].</summary>
    /// <param name="x">x_t, [B, D].</param>
    /// <param name="time">t, [B] or [1].</param>
    /// <param name="condition">None: null.</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        var (alpha, sigma, features) = LevelFeatures.Of(_schedule, time);
        var variance = (alpha * _scale).square() + sigma.square();
        var deviation = variance.sqrt();
        var rest = _layers.call(Rows.Join(_position.call(x / deviation), features));
        return (sigma / variance * x + alpha * _scale / deviation * rest).MoveToOuterDisposeScope();
    }
}
