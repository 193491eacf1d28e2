using Tilt.Images.Avatars;

namespace Tilt.Images.Certificate;

/// <summary>Where true pictures come from: a generator, or a folder that was read.</summary>
/// <param name="Name">What it is, in a word or two.</param>
/// <param name="Count">How many there are to take.</param>
/// <param name="Stretch">Pictures first … first + count − 1 of them: the same at every call.</param>
/// <param name="IsTraining">Whether they are what the model was trained on, so that none are held out.</param>
public sealed record PictureLaw(string Name, long Count, Func<long, long, PictureSet> Stretch, bool IsTraining = false)
{
    /// <summary>Avatars of a seed; take another than that of the training pictures.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="count">How many draws the reference is made of.</param>
    public static PictureLaw Avatars(long seed, long count = 1_000_000)
    {
        var generator = new AvatarGenerator(seed);
        return new("avatars", count, (first, n) => generator.Draw(first, n).Pictures);
    }

    /// <summary>A finite set, such as a user's folder: its reweighting is the target of a model that was trained on it.</summary>
    public static PictureLaw Of(PictureSet pictures, string name) =>
        new(
            name,
            pictures.Count,
            (first, n) =>
                pictures with
                {
                    Pixels = pictures
                        .Pixels.AsSpan((int)(first * pictures.Stride), (int)(n * pictures.Stride))
                        .ToArray(),
                },
            IsTraining: true
        );

    /// <summary>Single pictures by their numbers.</summary>
    public PictureSet Pick(ReadOnlySpan<long> numbers)
    {
        var one = Stretch(0, Math.Min(1, Count));
        var pixels = new byte[checked(numbers.Length * one.Stride)];
        for (var i = 0; i < numbers.Length; i++)
        {
            Stretch(numbers[i], 1)[0].CopyTo(pixels.AsSpan(i * one.Stride));
        }
        return one with { Pixels = pixels };
    }
}
