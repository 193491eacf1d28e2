namespace Tilt.Images;

/// <summary>Pictures of eight bits per channel, red, green, blue, all of one size.</summary>
/// <param name="Pixels">Picture by picture, channel by channel, row by row from the top: N·3·H·W bytes.</param>
/// <param name="Height">H, in pixels.</param>
/// <param name="Width">W, in pixels.</param>
public sealed record PictureSet(byte[] Pixels, int Height, int Width)
{
    /// <summary>Bytes of one picture.</summary>
    public int Stride => 3 * Height * Width;

    /// <summary>How many pictures.</summary>
    public long Count => Pixels.LongLength / Stride;

    /// <summary>The bytes of one picture, 3·H·W.</summary>
    public ReadOnlySpan<byte> this[long index] => Pixels.AsSpan(checked((int)(index * Stride)), Stride);

    /// <summary>Pictures as networks see them: byte/127.5 − 1, float32, [count, 3, H, W], in [−1, 1].</summary>
    /// <param name="first">The first of them.</param>
    /// <param name="count">How many; −1 for all that follow.</param>
    public Tensor Images(long first = 0, long count = -1)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        return (Bytes(first, count).to(ScalarType.Float32) / 127.5 - 1).MoveToOuterDisposeScope();
    }

    /// <summary>Pictures as they are, uint8, [count, 3, H, W]; a quarter of the memory of <see cref="Images"/>.</summary>
    /// <param name="first">The first of them.</param>
    /// <param name="count">How many; −1 for all that follow.</param>
    public Tensor Bytes(long first = 0, long count = -1)
    {
        var n = count < 0 ? Count - first : count;
        if (first < 0 || n < 0 || first + n > Count)
        {
            throw new ArgumentOutOfRangeException(
                nameof(first),
                $"Pictures {first} to {first + n} of {Count} were asked for."
            );
        }
        var bytes = empty([n, 3, Height, Width], ScalarType.Byte);
        if (n > 0)
        {
            Pixels.AsSpan(checked((int)(first * Stride)), checked((int)(n * Stride))).CopyTo(bytes.bytes);
        }
        return bytes;
    }

    /// <summary>Images in [−1, 1] as pictures: (x + 1)·127.5, rounded, held to 0 … 255.</summary>
    /// <param name="images">[N, 3, H, W], of any floating type, finite.</param>
    /// <exception cref="TiltException">A number is not finite.</exception>
    public static PictureSet Of(Tensor images)
    {
        Expect.Shape(images, -1, 3, -1, -1);
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var whole = images.detach().cpu();
        var bad = whole.isfinite().logical_not().flatten(1).any(1).sum().item<long>();
        if (bad > 0)
        {
            throw new TiltException(
                $"{bad} of {whole.shape[0]} images are NaN or infinite; the sampler or model that made them has diverged."
            );
        }
        var bytes = ((whole + 1) * 127.5).round().clamp(0, 255).to(ScalarType.Byte).contiguous();
        return new(bytes.bytes.ToArray(), (int)images.shape[2], (int)images.shape[3]);
    }

    /// <summary>The pictures of the given places, in their order.</summary>
    public PictureSet Pick(ReadOnlySpan<long> places)
    {
        var pixels = new byte[checked(places.Length * Stride)];
        for (var i = 0; i < places.Length; i++)
        {
            this[places[i]].CopyTo(pixels.AsSpan(i * Stride));
        }
        return this with { Pixels = pixels };
    }
}
