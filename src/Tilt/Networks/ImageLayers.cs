using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>What a block does to height and width between its activation and its first convolution.</summary>
internal enum Resampling
{
    None,
    Halve,
}

/// <summary>The layers that image networks are made of. Each computes in the number type of its input.</summary>
/// <remarks>
/// Weights keep their own type: where a network runs its middle in bf16 (<see cref="MixedPrecision"/>), they are rounded as they are
/// used and gradients come back in float32. Tensors stay in [B, C, H, W] order: with it GroupNorm is ten times as fast as with channels
/// last, and the convolutions lose little (docs/decisions/image-networks.md has the times).
/// </remarks>
internal static class ImageLayers
{
    public static Tensor Convolve(Conv2d layer, Tensor x)
    {
        using var scope = NewDisposeScope();
        var pad = layer.weight.shape[^1] / 2;
        var (weight, bias) = (layer.weight.to(x.dtype), layer.bias!.to(x.dtype));
        return nn.functional.conv2d(x, weight, bias, padding: [pad, pad]).MoveToOuterDisposeScope();
    }

    public static Tensor Normalize(GroupNorm layer, int groups, Tensor x)
    {
        using var scope = NewDisposeScope();
        var (weight, bias) = (layer.weight!.to(x.dtype), layer.bias!.to(x.dtype));
        return nn.functional.group_norm(x, groups, weight, bias, 1e-5).MoveToOuterDisposeScope();
    }

    /// <summary>Multi-head attention among tokens.</summary>
    /// <param name="qkv">Queries, keys and values side by side, [B, N, 3·C].</param>
    /// <param name="heads">Into how many parts the C channels fall.</param>
    /// <param name="queries">Only the first so many tokens ask.</param>
    /// <returns>[B, queries, C].</returns>
    public static Tensor Attend(Tensor qkv, long heads, long queries)
    {
        using var scope = NewDisposeScope();
        var (b, n, c) = (qkv.shape[0], qkv.shape[1], qkv.shape[2] / 3);
        var parts = qkv.reshape(b, n, 3, heads, c / heads).permute(2, 0, 3, 1, 4);
        // Both factors are scaled, not the product, which in small number types could overflow (images.md §4).
        var scale = Math.Pow(c / heads, -0.25);
        var q = parts[0].narrow(2, 0, queries) * scale;
        var k = parts[1] * scale;
        var weights = nn.functional.softmax(q.matmul(k.transpose(2, 3)), -1);
        return weights.matmul(parts[2]).transpose(1, 2).reshape(b, queries, c).MoveToOuterDisposeScope();
    }
}

/// <summary>What image networks are told of the time: sinusoids of the network time, then Linear–SiLU–Linear.</summary>
/// <remarks>
/// [cos(n·f_k), sin(n·f_k)], f_k = 10000^(−k/half), cosines first (images.md §1). Discrete schedules tell the index n, 0 to 999;
/// continuous ones t in [0, 1], which is taken 1000 times.
/// </remarks>
internal sealed class IndexEmbedding : nn.Module<Tensor, Tensor>
{
    private readonly long _half;
    private readonly double _unit;
    private readonly Linear _first;
    private readonly Linear _second;

    public IndexEmbedding(long frequencies, long width, NoiseSchedule schedule, Generator generator)
        : base(nameof(IndexEmbedding))
    {
        _half = frequencies / 2;
        _unit = 1000 / (schedule.NetworkTime(schedule.End) - schedule.NetworkTime(0));
        _first = Initialize.Linear(2 * _half, width, generator);
        _second = Initialize.Linear(width, width, generator);
        register_module("first", _first);
        register_module("second", _second);
    }

    /// <summary>[B, width], in the type of the weights.</summary>
    public override Tensor forward(Tensor time)
    {
        using var scope = NewDisposeScope();
        var k = arange(_half, dtype: time.dtype, device: time.device);
        var angles = (time * _unit).unsqueeze(1) * (k * (-Math.Log(10000) / _half)).exp();
        var features = cat([angles.cos(), angles.sin()], 1);
        return _second.call(nn.functional.silu(_first.call(features))).MoveToOuterDisposeScope();
    }
}

/// <summary>ADM's residual block: GroupNorm–SiLU–Conv, time as scale and shift, GroupNorm–SiLU–zero Conv, plus the input.</summary>
/// <remarks>
/// h = Conv(SiLU(GN(x))), (scale, shift) = Linear(SiLU(embedding)), h = zeroConv(SiLU(GN(h)·(1 + scale) + shift)), out = skip(x) + h;
/// a halving block averages 2 × 2 pixels of both branches (images.md §4).
/// </remarks>
internal sealed class ImageBlock : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly int _groups;
    private readonly Resampling _resampling;
    private readonly GroupNorm _norm1;
    private readonly GroupNorm _norm2;
    private readonly Conv2d _conv1;
    private readonly Conv2d _conv2;
    private readonly Linear _time;
    private readonly Conv2d? _skip;

    public ImageBlock(
        long inputs,
        long outputs,
        long embedding,
        int groups,
        Generator generator,
        Resampling resampling = Resampling.None
    )
        : base(nameof(ImageBlock))
    {
        (_groups, _resampling) = (groups, resampling);
        _norm1 = Initialize.GroupNorm(groups, inputs);
        _conv1 = Initialize.Convolution(inputs, outputs, 3, generator);
        _time = Initialize.Linear(embedding, 2 * outputs, generator);
        _norm2 = Initialize.GroupNorm(groups, outputs);
        _conv2 = Initialize.Convolution(outputs, outputs, 3, generator, zero: true);
        register_module("norm1", _norm1);
        register_module("conv1", _conv1);
        register_module("time", _time);
        register_module("norm2", _norm2);
        register_module("conv2", _conv2);
        if (inputs != outputs)
        {
            _skip = Initialize.Convolution(inputs, outputs, 1, generator);
            register_module("skip", _skip);
        }
    }

    /// <param name="x">[B, inputs, H, W].</param>
    /// <param name="embedded">SiLU of the time's embedding, [B, E] or [1, E].</param>
    public override Tensor forward(Tensor x, Tensor embedded)
    {
        using var scope = NewDisposeScope();
        var h = nn.functional.silu(ImageLayers.Normalize(_norm1, _groups, x));
        var past = x;
        if (_resampling == Resampling.Halve)
        {
            h = nn.functional.avg_pool2d(h, 2);
            past = nn.functional.avg_pool2d(past, 2);
        }
        h = ImageLayers.Convolve(_conv1, h);
        var told = _time.call(embedded).to(x.dtype).unsqueeze(-1).unsqueeze(-1).chunk(2, 1);
        h = told[1].addcmul(ImageLayers.Normalize(_norm2, _groups, h), told[0] + 1, 1);
        h = ImageLayers.Convolve(_conv2, nn.functional.silu(h));
        return ((_skip is null ? past : ImageLayers.Convolve(_skip, past)) + h).MoveToOuterDisposeScope();
    }
}

/// <summary>ADM's attention: GroupNorm, queries, keys and values of all pixels, a projection that starts at zero, plus the input.</summary>
internal sealed class ImageAttention : nn.Module<Tensor, Tensor>
{
    private readonly int _groups;
    private readonly long _heads;
    private readonly GroupNorm _norm;
    private readonly Linear _qkv;
    private readonly Linear _out;

    public ImageAttention(long channels, long headChannels, int groups, Generator generator)
        : base(nameof(ImageAttention))
    {
        (_groups, _heads) = (groups, channels / headChannels);
        _norm = Initialize.GroupNorm(groups, channels);
        _qkv = Initialize.Linear(channels, 3 * channels, generator);
        _out = Initialize.Linear(channels, channels, generator);
        using (no_grad())
        {
            _out.weight.zero_();
            _out.bias!.zero_();
        }
        register_module("norm", _norm);
        register_module("qkv", _qkv);
        register_module("out", _out);
    }

    /// <param name="x">[B, C, H, W].</param>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        // A few dozen tokens: not worth bf16.
        var tokens = ImageLayers.Normalize(_norm, _groups, x).flatten(2).transpose(1, 2).to(_qkv.weight.dtype);
        var mixed = ImageLayers.Attend(_qkv.call(tokens), _heads, tokens.shape[1]);
        var change = _out.call(mixed).transpose(1, 2).reshape(x.shape).to(x.dtype);
        return (x + change).MoveToOuterDisposeScope();
    }
}
