using Tilt.Images.Avatars;

namespace Tilt.Images.Certificate;

/// <summary>Something that can be told of a picture and has few values: what marginals are taken of.</summary>
/// <param name="Name">What it is, such as <c>background hue</c>.</param>
/// <param name="Values">Names of the values.</param>
/// <param name="Read">The value of each picture, one byte each.</param>
/// <param name="Most">At how many reference draws it is read; readings that ask a network cost more.</param>
public sealed record PictureReading(
    string Name,
    IReadOnlyList<string> Values,
    Func<PictureSet, byte[]> Read,
    long Most = long.MaxValue
)
{
    /// <summary>The circular mean hue, 24 bins.</summary>
    public static PictureReading OfMeanHue { get; } = new("mean hue", MeanHue.Names, MeanHue.Read);

    /// <summary>What pixels tell of avatars without error: hues of background, skin and clothing.</summary>
    public static IReadOnlyList<PictureReading> OfAvatarPixels { get; } =
    [
        .. AvatarPixels.Readable.Select(attribute => new PictureReading(
            attribute.Name(),
            attribute.Values(),
            pictures => AvatarPixels.Read(pictures, attribute)
        )),
    ];

    /// <summary>What a frozen classifier says. It errs on true pictures as on samples, so its marginals are compared with its own.</summary>
    /// <param name="name">What it tells.</param>
    /// <param name="values">Names of the classes.</param>
    /// <param name="logits">[B, 3, H, W] in [−1, 1] → [B, C], C the number of classes.</param>
    /// <param name="most">At how many reference draws it is asked.</param>
    public static PictureReading OfClassifier(
        string name,
        IReadOnlyList<string> values,
        Func<Tensor, Tensor> logits,
        long most = 200_000
    ) =>
        new(
            name,
            values,
            pictures =>
            {
                var read = new byte[pictures.Count];
                PictureBlocks.Over(
                    pictures,
                    (first, images) =>
                    {
                        var said = logits(images);
                        Expect.Shape(said, images.shape[0], values.Count);
                        said.argmax(1).to(ScalarType.Byte).cpu().contiguous().bytes.CopyTo(read.AsSpan((int)first));
                    }
                );
                return read;
            },
            most
        );

    /// <summary>The share of each value among pictures.</summary>
    public double[] Shares(PictureSet pictures)
    {
        var shares = new double[Values.Count];
        var values = Read(pictures);
        foreach (var value in values)
        {
            shares[value] += 1.0 / values.Length;
        }
        return shares;
    }
}

/// <summary>Runs over pictures in blocks that fit the caches.</summary>
internal static class PictureBlocks
{
    /// <summary>Pictures of a block.</summary>
    public const long Size = 1024;

    /// <summary>Hands images [B, 3, H, W] block by block, with no gradients recorded.</summary>
    public static void Over(PictureSet pictures, Action<long, Tensor> use)
    {
        using var constant = no_grad();
        for (var first = 0L; first < pictures.Count; first += Size)
        {
            using var scope = NewDisposeScope();
            use(first, pictures.Images(first, Math.Min(Size, pictures.Count - first)));
        }
    }
}
