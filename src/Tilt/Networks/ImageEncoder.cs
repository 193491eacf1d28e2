using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>The encoder half of ADM's U-Net with an attention pool: images and t in, numbers out.</summary>
/// <remarks>
/// As <see cref="ImageUNet"/> on its way down, then a block, attention, a block, and the pool: GroupNorm–SiLU, the pixels and their
/// mean as tokens with learned positions (standard deviation 1/√C), attention read at the mean, a linear layer that starts at zero
/// (images.md §4).
/// </remarks>
public sealed class ImageEncoder : Network
{
    private readonly ImageNetworkOptions _options;
    private readonly IndexEmbedding _embed;
    private readonly Conv2d _in;
    private readonly List<ImageBlock> _blocks = [];
    private readonly ImageAttention _attention;
    private readonly ImageBlock _last;
    private readonly GroupNorm _norm;
    private readonly Linear _qkv;
    private readonly Linear _out;

    /// <summary>The network with drawn weights.</summary>
    /// <param name="channels">C.</param>
    /// <param name="size">Height and width.</param>
    /// <param name="outputs">O, the numbers that come out for an image.</param>
    /// <param name="schedule">Says in which units it will be told the time.</param>
    /// <param name="options">Widths and depths.</param>
    /// <param name="generator">Where the draws come from.</param>
    public ImageEncoder(
        long channels,
        long size,
        long outputs,
        NoiseSchedule schedule,
        ImageNetworkOptions options,
        Generator generator
    )
        : base(nameof(ImageEncoder))
    {
        options.Check(size);
        (_options, SampleShape, Outputs) = (options, [channels, size, size], outputs);
        var embedding = 4 * options.Width;
        _embed = new(options.Width, embedding, schedule, generator);
        var places = size / options.Patch;
        _in = Initialize.Convolution(channels * options.Patch * options.Patch, options.Width, 3, generator);
        register_module("embed", _embed);
        register_module("in", _in);
        register_parameter("place", Zeros(options.Width, places, places));
        var width = options.Width;
        for (var level = 0; level < options.Multipliers.Count; level++)
        {
            var next = options.Width * options.Multipliers[level];
            for (var i = 0; i < options.Blocks; i++)
            {
                var halve = level > 0 && i == 0 ? Resampling.Halve : Resampling.None;
                _blocks.Add(new(width, next, embedding, options.Groups, generator, halve));
                register_module($"down{level}_{i}", _blocks[^1]);
                width = next;
            }
        }
        _attention = new(width, options.HeadChannels, options.Groups, generator);
        _last = new(width, width, embedding, options.Groups, generator);
        _norm = Initialize.GroupNorm(options.Groups, width);
        _qkv = Initialize.Linear(width, 3 * width, generator);
        _out = Initialize.Linear(width, outputs, generator);
        register_module("attention", _attention);
        register_module("last", _last);
        register_module("norm", _norm);
        register_module("qkv", _qkv);
        register_module("out", _out);
        using (var scope = NewDisposeScope())
        {
            using var constant = no_grad();
            _out.weight.zero_();
            _out.bias!.zero_();
            var side = places >> (options.Multipliers.Count - 1);
            var positions = empty([1 + side * side, width], dtype: ScalarType.Float32);
            positions.normal_(0, 1 / Math.Sqrt(width), generator);
            register_parameter("tokens", new Parameter(positions.DetachFromDisposeScope()));
        }
        Features = width;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<long> SampleShape { get; }

    /// <inheritdoc/>
    public override long Dimensions => SampleShape.Aggregate((product, axis) => product * axis);

    /// <inheritdoc/>
    public override long ConditionDimensions => 0;

    /// <summary>O.</summary>
    public long Outputs { get; }

    /// <summary>The width of what the last layer sees.</summary>
    public long Features { get; }

    /// <summary>[B, O].</summary>
    /// <param name="x">x_t, [B, C, H, W].</param>
    /// <param name="time">What the schedule tells of t, [B] or [1].</param>
    /// <param name="condition">None: null.</param>
    public override Tensor forward(Tensor x, Tensor time, Tensor? condition)
    {
        using var scope = NewDisposeScope();
        return _out.call(Pooled(x, time, condition)).MoveToOuterDisposeScope();
    }

    /// <summary>What the last, linear layer sees, [B, <see cref="Features"/>].</summary>
    /// <param name="x">x_t, [B, C, H, W].</param>
    /// <param name="time">What the schedule tells of t, [B] or [1].</param>
    public Tensor Pooled(Tensor x, Tensor time) => Pooled(x, time, null);

    private Tensor Pooled(Tensor x, Tensor time, Tensor? condition)
    {
        Check(x, condition);
        using var scope = NewDisposeScope();

        var embedded = nn.functional.silu(_embed.call(time));
        var h = ImageLayers.Convolve(_in, nn.functional.pixel_unshuffle(x, _options.Patch)) + get_parameter("place")!;
        if (MixedPrecision.Covers(x))
        {
            h = h.to(ScalarType.BFloat16);
        }
        foreach (var block in _blocks)
        {
            h = block.call(h, embedded);
        }
        h = _last.call(_attention.call(h), embedded);
        h = nn.functional.silu(ImageLayers.Normalize(_norm, _options.Groups, h)).to(x.dtype);
        var pixels = h.flatten(2).transpose(1, 2);
        var tokens = cat([pixels.mean([1], keepdim: true), pixels], 1) + get_parameter("tokens")!;
        var pooled = ImageLayers.Attend(_qkv.call(tokens), _qkv.weight.shape[1] / _options.HeadChannels, 1);
        return pooled.squeeze(1).MoveToOuterDisposeScope();
    }

    internal static Parameter Zeros(params ReadOnlySpan<long> shape)
    {
        using var scope = NewDisposeScope();
        return new(zeros(shape, dtype: ScalarType.Float32).DetachFromDisposeScope());
    }
}
