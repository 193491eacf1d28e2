namespace Tilt.Images.Avatars;

/// <summary>Attributes read from the pixels alone, where a layer shows in every avatar.</summary>
/// <remarks>
/// Places that no other layer can cover are found from the layers themselves: some of the background and of the skin, and where
/// every form of clothing has cloth. Each attribute is the named hue nearest to the circular mean hue of its places, so a picture that
/// is a little off, as samples of a model are, still reads as what it shows.
/// </remarks>
public static class AvatarPixels
{
    private const int Plane = AvatarGenerator.Size * AvatarGenerator.Size;

    private static readonly Dictionary<AvatarAttribute, byte[]> PlacesOf = new()
    {
        [AvatarAttribute.BackgroundHue] = Except(Range(), [.. AvatarLayers.Parts.Keys]),
        [AvatarAttribute.SkinHue] = Except(Always("skin"), [.. AvatarLayers.Parts.Keys.Where(part => part != "skin")]),
        [AvatarAttribute.ClothingHue] = Except(
            Always("clothing"),
            ["eyes", "glasses", "beard", "mouth", "hair", "hat"]
        ),
    };

    /// <summary>The attributes that can be read.</summary>
    public static IReadOnlyList<AvatarAttribute> Readable { get; } = [.. PlacesOf.Keys];

    /// <summary>The pixels that show an attribute in every picture, 16·row + column.</summary>
    /// <exception cref="ArgumentException">The attribute is not one of <see cref="Readable"/>.</exception>
    public static IReadOnlyList<byte> Places(AvatarAttribute attribute) =>
        PlacesOf.TryGetValue(attribute, out var places)
            ? places
            : throw new ArgumentException(
                $"No pixel shows '{attribute.Name()}' in every picture; pixels tell {string.Join(", ", Readable.Select(known => known.Name()))}."
            );

    /// <summary>An attribute of every picture, as labels like those of <see cref="AvatarSet"/>.</summary>
    /// <param name="pictures">16×16.</param>
    /// <param name="attribute">One of <see cref="Readable"/>.</param>
    public static byte[] Read(PictureSet pictures, AvatarAttribute attribute)
    {
        var places = Places(attribute);
        if (pictures.Height != AvatarGenerator.Size || pictures.Width != AvatarGenerator.Size)
        {
            throw new ArgumentException($"Avatars are 16×16; these pictures are {pictures.Width}×{pictures.Height}.");
        }
        var labels = new byte[pictures.Count];
        for (var i = 0L; i < labels.LongLength; i++)
        {
            var picture = pictures[i];
            var (x, y) = (0.0, 0.0);
            foreach (var place in places)
            {
                var (red, green, blue) = (picture[place], picture[Plane + place], picture[2 * Plane + place]);
                if (red == green && green == blue)
                {
                    continue;
                }
                var (sin, cos) = Math.SinCos(2 * Math.PI * Hues.Of(red, green, blue));
                (x, y) = (x + cos, y + sin);
            }
            var turn = Math.Atan2(y, x) / (2 * Math.PI);
            labels[i] = (byte)Hues.Nearest(turn < 0 ? turn + 1 : turn);
        }
        return labels;
    }

    private static IEnumerable<byte> Range() => Enumerable.Range(0, Plane).Select(place => (byte)place);

    /// <summary>Pixels that every form of a part covers with its tint, opaque.</summary>
    private static IEnumerable<byte> Always(string part) =>
        AvatarLayers
            .Parts[part]
            .Select(variant =>
                variant.Fills.Where(fill => fill.Source == part && fill.Opacity == 255).SelectMany(fill => fill.Places)
            )
            .Aggregate(Range(), (common, places) => common.Intersect(places));

    private static byte[] Except(IEnumerable<byte> places, string[] parts) =>
        [
            .. places
                .Except(
                    parts
                        .SelectMany(part => AvatarLayers.Parts[part])
                        .SelectMany(variant => variant.Fills)
                        .SelectMany(fill => fill.Places)
                )
                .Order(),
        ];
}
