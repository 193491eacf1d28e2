using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>ADM's U-Net, scaled down: images and t in, images out. What comes out means what the noise model's parametrization says.</summary>
/// <remarks>
/// Input convolution of patches of pixels; per resolution residual blocks, the first of each lower one halving; in the middle a block, attention, a block;
/// back up with as many blocks, each joined with what the way down left, nearest-neighbor doubling between; at the end
/// GroupNorm–SiLU–zero convolution (images.md §4). The last convolutions of blocks start at zero, so F starts as 0.
/// With a skip scale s it gives x̂₀ = w·x_t/α_t + √(1 − w)·F, w = α_t²s²/(α_t²s² + σ_t²): where noise is weaker than s the pixel itself is the
/// best estimate, and the network learns what is off (the preconditioning of Karras et al. 2022, with a prior as narrow as what the neighbors
/// of a pixel leave open).
/// Departures: patches; a learned bias for every place after the input convolution, since these pictures are aligned; attention in the middle only;
/// halving is part of the first block of a resolution and doubling has no block of its own; full resolution alone has one block more on
/// the way up. Within <see cref="MixedPrecision"/> everything between the input and the last convolution is in bf16.
/// </remarks>
public sealed class ImageUNet : Network
{
    private readonly ImageNetworkOptions _options;
    private readonly NoiseSchedule _schedule;
    private readonly IndexEmbedding _embed;
    private readonly Conv2d _in;
    private readonly List<ImageBlock[]> _down = [];
    private readonly ImageBlock _middle1;
    private readonly ImageAttention _attention;
    private readonly ImageBlock _middle2;
    private readonly List<ImageBlock[]> _up = [];
    private readonly GroupNorm _norm;
    private readonly Conv2d _out;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="channels">C.</param>
    /// <param name="size">Height and width.</param>
    /// <param name="schedule">Gives α and σ at the times that the network is told.</param>
    /// <param name="options">Widths and depths.</param>
    /// <param name="generator">Where the draws come from.</param>
    public ImageUNet(long channels, long size, NoiseSchedule schedule, ImageNetworkOptions options, Generator generator)
        : base(nameof(ImageUNet))
    {
        options.Check(size);
        (_options, _schedule, SampleShape) = (options, schedule, [channels, size, size]);
        var embedding = 4 * options.Width;
        _embed = new(options.Width, embedding, schedule, generator);
        var (places, depth) = (size / options.Patch, channels * options.Patch * options.Patch);
        _in = Initialize.Convolution(depth, options.Width, 3, generator);
        register_module("embed", _embed);
        register_module("in", _in);
        register_parameter("place", ImageEncoder.Zeros(options.Width, places, places));

        var left = new Stack<long>([options.Width]);
        var width = options.Width;
        for (var level = 0; level < options.Multipliers.Count; level++)
        {
            var next = options.Width * options.Multipliers[level];
            var blocks = new ImageBlock[options.Blocks];
            for (var i = 0; i < blocks.Length; i++)
            {
                var halve = level > 0 && i == 0 ? Resampling.Halve : Resampling.None;
                blocks[i] = new(width, next, embedding, options.Groups, generator, halve);
                register_module($"down{level}_{i}", blocks[i]);
                width = next;
                left.Push(width);
            }
            _down.Add(blocks);
        }
        _middle1 = new(width, width, embedding, options.Groups, generator);
        _attention = new(width, options.HeadChannels, options.Groups, generator);
        _middle2 = new(width, width, embedding, options.Groups, generator);
        register_module("middle1", _middle1);
        register_module("attention", _attention);
        register_module("middle2", _middle2);
        for (var level = options.Multipliers.Count - 1; level >= 0; level--)
        {
            var next = options.Width * options.Multipliers[level];
            var blocks = new ImageBlock[options.Blocks + (level == 0 ? 1 : 0)];
            for (var i = 0; i < blocks.Length; i++)
            {
                blocks[i] = new(width + left.Pop(), next, embedding, options.Groups, generator);
                register_module($"up{level}_{i}", blocks[i]);
                width = next;
            }
            _up.Add(blocks);
        }
        _norm = Initialize.GroupNorm(options.Groups, width);
        _out = Initialize.Convolution(width, depth, 3, generator, zero: true);
        register_module("norm", _norm);
        register_module("out", _out);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<long> SampleShape { get; }

    /// <inheritdoc/>
    public override long Dimensions => SampleShape.Aggregate((product, axis) => product * axis);

    /// <inheritdoc/>
    public override long ConditionDimensions => 0;

    /// <summary>The network's images, [B, C, H, W].</summary>
    /// <param name="x">x_t, [B, C, H, W].</param>
    /// <param name="time">What the schedule tells of t, [B] or [1].</param>
    /// <param name="condition">None: null.</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        var embedded = nn.functional.silu(_embed.call(time));
        var h = ImageLayers.Convolve(_in, nn.functional.pixel_unshuffle(x, _options.Patch)) + get_parameter("place")!;
        if (MixedPrecision.Covers(x))
        {
            h = h.to(ScalarType.BFloat16);
        }
        var left = new Stack<Tensor>([h]);
        foreach (var block in _down.SelectMany(level => level))
        {
            h = block.call(h, embedded);
            left.Push(h);
        }
        h = _middle2.call(_attention.call(_middle1.call(h, embedded)), embedded);
        for (var level = 0; level < _up.Count; level++)
        {
            if (level > 0)
            {
                h = nn.functional.interpolate(h, scale_factor: [2.0, 2.0], mode: InterpolationMode.Nearest);
            }
            foreach (var block in _up[level])
            {
                h = block.call(cat([h, left.Pop()], 1), embedded);
            }
        }
        h = nn.functional.silu(ImageLayers.Normalize(_norm, _options.Groups, h)).to(x.dtype);
        var images = nn.functional.pixel_shuffle(ImageLayers.Convolve(_out, h), _options.Patch);
        return (_options.SkipScale == 0 ? images.alias() : Leaning(x, images, time)).MoveToOuterDisposeScope();
    }

    /// <summary>w·x_t/α_t + √(1 − w)·F.</summary>
    private Tensor Leaning(Tensor x, Tensor images, Tensor time)
    {
        using var scope = NewDisposeScope();
        var (alpha, sigma, _) = LevelFeatures.Of(_schedule, time);
        var signal = (alpha * _options.SkipScale).square();
        var w = signal / (signal + sigma.square());
        var (skip, own) = ((w / alpha).view(-1, 1, 1, 1), (1 - w).sqrt().view(-1, 1, 1, 1));
        return (skip * x + own * images).MoveToOuterDisposeScope();
    }
}
