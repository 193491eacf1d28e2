using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>Intermediate energies of images: one head for each energy function, every β from one evaluation.</summary>
/// <remarks>
/// The exact energy is E_t(x_t) = −log E[exp(−β·E) | x_t]. As in <see cref="CumulantEnergyNetwork"/> the encoder predicts, for each head
/// h, how E is distributed given x_t over J atoms c_hj, which are trained too, and β is arithmetic:
/// f_h(x_t, t, β) = −log Σ_j P_hj·exp(−β·c_hj), P_h = softmax(b_h + k_t·F_h(x_t, t)), k_t = α_t·S/√(α_t²·S² + σ_t²).
/// So f is 0 at β = 0, lies between β times the lowest and the highest atom, and is concave in β, for any weights; k_t lets what the picture
/// adds fade where noise has taken everything, which for something as wide as an image's color is later than for a single pixel:
/// <see cref="SignalScale"/>.
/// Departure: images.md §3.2 has one number per head, for one β.
/// </remarks>
public sealed class ImageEnergyNetwork : Network
{
    /// <summary>S: how much of an image's mean stands out of the noise, √(pixels · 3) times its standard deviation of about ¼.</summary>
    public const double SignalScale = 8;

    private readonly NoiseSchedule _schedule;
    private readonly ImageEncoder _encoder;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="channels">C.</param>
    /// <param name="size">Height and width.</param>
    /// <param name="lowest">The lowest energy of each head among the data, where its first atom starts, [H].</param>
    /// <param name="highest">The highest, where its last atom starts, [H].</param>
    /// <param name="atoms">J.</param>
    /// <param name="schedule">Gives α and σ at the times that the network is told.</param>
    /// <param name="options">Widths and depths.</param>
    /// <param name="generator">Where the draws come from.</param>
    public ImageEnergyNetwork(
        long channels,
        long size,
        IReadOnlyList<double> lowest,
        IReadOnlyList<double> highest,
        int atoms,
        NoiseSchedule schedule,
        ImageNetworkOptions options,
        Generator generator
    )
        : base(nameof(ImageEnergyNetwork))
    {
        (_schedule, Heads, AtomCount) = (schedule, lowest.Count, atoms);
        _encoder = new(channels, size, Heads * atoms, schedule, options, generator);
        register_module("encoder", _encoder);
        using var scope = NewDisposeScope();
        var rows = lowest.Zip(highest, (low, high) => linspace(low, high, atoms, dtype: ScalarType.Float32));
        register_parameter("atoms", new Parameter(stack(rows.ToArray()).DetachFromDisposeScope()));
        register_parameter("prior", ImageEncoder.Zeros(Heads, atoms));
    }

    /// <summary>H.</summary>
    public int Heads { get; }

    /// <summary>J.</summary>
    public int AtomCount { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<long> SampleShape => _encoder.SampleShape;

    /// <inheritdoc/>
    public override long Dimensions => _encoder.Dimensions;

    /// <summary>1: β.</summary>
    public override long ConditionDimensions => 1;

    /// <summary>f_h(x_t, t, β) ≈ E_t of every head, [B, H], in nats.</summary>
    /// <param name="x">x_t, [B, C, H, W].</param>
    /// <param name="time">What the schedule tells of t, [B] or [1].</param>
    /// <param name="condition">β, [B, 1] or [1, 1].</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        var logits = Logits(x, time);
        var tilted = logits - condition!.unsqueeze(-1) * get_parameter("atoms")!;
        return (logits.logsumexp(-1) - tilted.logsumexp(-1)).MoveToOuterDisposeScope();
    }

    /// <summary>The energies at several β from one evaluation of the encoder, [β, B, H].</summary>
    /// <param name="x">x_t, [B, C, H, W].</param>
    /// <param name="time">What the schedule tells of t, [B] or [1].</param>
    /// <param name="betas">β, [n].</param>
    public Tensor Energies(Tensor x, Tensor time, Tensor betas)
    {
        using var scope = NewDisposeScope();

        var logits = Logits(x, time);
        var tilted = logits.unsqueeze(0) - betas.view(-1, 1, 1, 1) * get_parameter("atoms")!;
        return (logits.logsumexp(-1).unsqueeze(0) - tilted.logsumexp(-1)).MoveToOuterDisposeScope();
    }

    /// <summary>E[E | x_t] of every head, [B, H]: the slope at β = 0, which is what regression onto E learns.</summary>
    /// <param name="x">x_t, [B, C, H, W].</param>
    /// <param name="time">What the schedule tells of t, [B] or [1].</param>
    public Tensor MeanEnergies(Tensor x, Tensor time)
    {
        using var scope = NewDisposeScope();

        return (nn.functional.softmax(Logits(x, time), -1) * get_parameter("atoms")!).sum(-1).MoveToOuterDisposeScope();
    }

    private Tensor Logits(Tensor x, Tensor time)
    {
        using var scope = NewDisposeScope();

        var seen = _encoder.call(x, time) * Fade(_schedule, time);
        return (seen.reshape(-1, Heads, AtomCount) + get_parameter("prior")!).MoveToOuterDisposeScope();
    }

    /// <summary>k_t, [B, 1] or [1, 1].</summary>
    internal static Tensor Fade(NoiseSchedule schedule, Tensor time)
    {
        using var scope = NewDisposeScope();

        var (alpha, sigma, _) = LevelFeatures.Of(schedule, time);
        var signal = alpha * SignalScale;
        return (signal / (signal.square() + sigma.square()).sqrt()).MoveToOuterDisposeScope();
    }
}

/// <summary>One number for each class and noisy image: energies for class-conditional CEP, logits for a classifier.</summary>
/// <remarks>b + k_t·F(x_t, t), with the fade k_t of <see cref="ImageEnergyNetwork"/>: log q(c | x_t) tends to log q(c) as noise grows.</remarks>
public sealed class ImageClassNetwork : Network
{
    private readonly NoiseSchedule _schedule;
    private readonly ImageEncoder _encoder;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="channels">C.</param>
    /// <param name="size">Height and width.</param>
    /// <param name="classes">M.</param>
    /// <param name="schedule">Gives α and σ at the times that the network is told.</param>
    /// <param name="options">Widths and depths.</param>
    /// <param name="generator">Where the draws come from.</param>
    public ImageClassNetwork(
        long channels,
        long size,
        int classes,
        NoiseSchedule schedule,
        ImageNetworkOptions options,
        Generator generator
    )
        : base(nameof(ImageClassNetwork))
    {
        (_schedule, Classes) = (schedule, classes);
        _encoder = new(channels, size, classes, schedule, options, generator);
        register_module("encoder", _encoder);
        register_parameter("prior", ImageEncoder.Zeros(classes));
    }

    /// <summary>M.</summary>
    public int Classes { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<long> SampleShape => _encoder.SampleShape;

    /// <inheritdoc/>
    public override long Dimensions => _encoder.Dimensions;

    /// <inheritdoc/>
    public override long ConditionDimensions => 0;

    /// <summary>The width of <see cref="Pooled"/>.</summary>
    public long Features => _encoder.Features;

    /// <summary>[B, M].</summary>
    /// <param name="x">x_t, [B, C, H, W].</param>
    /// <param name="time">What the schedule tells of t, [B] or [1].</param>
    /// <param name="condition">None: null.</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        using var scope = NewDisposeScope();

        var seen = _encoder.call(x, time, condition) * ImageEnergyNetwork.Fade(_schedule, time);
        return (seen + get_parameter("prior")!).MoveToOuterDisposeScope();
    }

    /// <summary>What the last, linear layer sees, [B, <see cref="Features"/>]: features of images.</summary>
    /// <param name="x">x_t, [B, C, H, W].</param>
    /// <param name="time">What the schedule tells of t, [B] or [1].</param>
    public Tensor Pooled(Tensor x, Tensor time) => _encoder.Pooled(x, time);
}
