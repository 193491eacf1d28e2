namespace Tilt.Images.Avatars;

/// <summary>Avatars with their attributes.</summary>
public sealed class AvatarSet
{
    private readonly byte[][] _labels;

    internal AvatarSet(PictureSet pictures, byte[][] labels)
    {
        (Pictures, _labels) = (pictures, labels);
    }

    /// <summary>The pictures, 16×16.</summary>
    public PictureSet Pictures { get; }

    /// <summary>How many.</summary>
    public long Count => Pictures.Count;

    /// <summary>One attribute of all of them: places in <see cref="AvatarAttributes.Values"/>, one byte a picture.</summary>
    public byte[] this[AvatarAttribute attribute] => _labels[(int)attribute];

    /// <summary>The pictures as networks see them, float32, [N, 3, 16, 16], in [−1, 1].</summary>
    public Tensor Images() => Pictures.Images();

    /// <summary>One attribute as a tensor of int64, [N].</summary>
    public Tensor Labels(AvatarAttribute attribute) =>
        tensor(Array.ConvertAll(this[attribute], value => (long)value), ScalarType.Int64);
}
