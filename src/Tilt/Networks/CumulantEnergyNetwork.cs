using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>An intermediate energy for every β at once: the network predicts how labels are distributed given x_t, β is arithmetic.</summary>
/// <remarks>
/// With labels e = −E, the exact energy is E_t(x_t) = −log E[exp(β·e) | x_t]: minus the cumulant generating function of e given
/// x_t, taken at β. The network gives a distribution over J label atoms c_j (trained along with it) and reads the function off:
/// f(x_t, t, β) = −log Σ_j P_j(x_t, t)·exp(β·c_j), P = softmax(b + (α_t·s/√v)·F(x_t/√v, λ_t)), v = α_t²·s² + σ_t².
/// b is the distribution of labels where x_t says nothing; what x_t adds shrinks with α_t as noise grows, and the factor lets the
/// network F have targets of one size at every level.
/// So f is 0 at β = 0, lies between −β·max c and −β·min c, is concave in β with slope −E[e | x_t] at 0, and is flat in x_t wherever
/// the label is certain, all by construction, for every weight.
/// β is the condition, [B, 1]. Trained by contrastive energy prediction with β drawn over a range.
/// Departure: the paper trains one <see cref="EnergyNetwork2d"/> for each β.
/// </remarks>
public sealed class CumulantEnergyNetwork : Network
{
    private readonly NoiseSchedule _schedule;
    private readonly double _scale;
    private readonly PositionFeatures _position;
    private readonly Mlp _layers;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="dimensions">D.</param>
    /// <param name="schedule">Gives α, σ and λ at the times that the network is told.</param>
    /// <param name="options">Sizes.</param>
    /// <param name="lowest">The lowest label of the data, where the first atom starts.</param>
    /// <param name="highest">The highest label of the data, where the last atom starts.</param>
    /// <param name="generator">Where the draws come from.</param>
    public CumulantEnergyNetwork(
        long dimensions,
        NoiseSchedule schedule,
        CompactOptions options,
        double lowest,
        double highest,
        Generator generator
    )
        : base(nameof(CumulantEnergyNetwork))
    {
        (Dimensions, _schedule, _scale) = (dimensions, schedule, options.DataScale);
        _position = new(dimensions, options.PositionFrequencies, options.PositionScale, generator);
        _layers = new(
            [
                _position.Width + LevelFeatures.Width,
                .. Enumerable.Repeat(options.Width, (int)options.Depth),
                options.Atoms,
            ],
            Activation.Silu,
            generator
        );
        using (var scope = NewDisposeScope())
        {
            var atoms = linspace(lowest, highest, options.Atoms, dtype: ScalarType.Float32);
            register_parameter("atoms", new Parameter(atoms.DetachFromDisposeScope()));
            register_parameter(
                "prior",
                new Parameter(zeros(options.Atoms, dtype: ScalarType.Float32).DetachFromDisposeScope())
            );
        }
        register_module("position", _position);
        register_module("layers", _layers);
    }

    /// <inheritdoc/>
    public override long Dimensions { get; }

    /// <summary>1: β.</summary>
    public override long ConditionDimensions => 1;

    // Looked up at each use: moving a module to another number type or device replaces its parameters.
    private Tensor Atoms => get_parameter("atoms")!;

    /// <summary>f(x_t, t, β) ≈ E_t, [B], in nats.</summary>
    /// <param name="x">x_t, [B, D].</param>
    /// <param name="time">t, [B] or [1].</param>
    /// <param name="condition">β, [B, 1] or [1, 1].</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        var logits = Logits(x, time);
        return (logits.logsumexp(1) - (logits + condition! * Atoms).logsumexp(1)).MoveToOuterDisposeScope();
    }

    /// <summary>−E[e | x_t], [B]: the slope of the energy at β = 0, which is what regression onto E learns.</summary>
    /// <param name="x">x_t, [B, D].</param>
    /// <param name="time">t, [B] or [1].</param>
    public Tensor MeanEnergy(Tensor x, Tensor time)
    {
        using var scope = NewDisposeScope();

        return (-(nn.functional.softmax(Logits(x, time), 1) * Atoms).sum(1)).MoveToOuterDisposeScope();
    }

    private Tensor Logits(Tensor x, Tensor time)
    {
        using var scope = NewDisposeScope();

        var (alpha, sigma, features) = LevelFeatures.Of(_schedule, time);
        var deviation = ((alpha * _scale).square() + sigma.square()).sqrt();
        var seen = _layers.call(Rows.Join(_position.call(x / deviation), features));
        return (get_parameter("prior")! + alpha * _scale / deviation * seen).MoveToOuterDisposeScope();
    }
}
