namespace Tilt.Images.Avatars;

/// <summary>What is known of an avatar. Numbers of values and their names are in <see cref="AvatarAttributes"/>.</summary>
public enum AvatarAttribute
{
    /// <summary>Hue of the background: six values.</summary>
    BackgroundHue,

    /// <summary>Hue of the skin (and of the mouth, which is a dark tone of it): six values.</summary>
    SkinHue,

    /// <summary>Hue of hair and beard: six values.</summary>
    HairHue,

    /// <summary>Hue of the clothing: six values.</summary>
    ClothingHue,

    /// <summary>Cut of the hair.</summary>
    Hair,

    /// <summary>Cut of the clothing.</summary>
    Clothing,

    /// <summary>Form of the eyes.</summary>
    Eyes,

    /// <summary>Form of the mouth.</summary>
    Mouth,

    /// <summary>Form of the glasses; the first value is none.</summary>
    Glasses,

    /// <summary>Form of the hat; the first value is none.</summary>
    Hat,

    /// <summary>Form of the beard; the first value is none.</summary>
    Beard,

    /// <summary>Form of the earrings; the first value is none.</summary>
    Accessories,

    /// <summary>Hue of the hat: six values, and a seventh for none.</summary>
    HatHue,

    /// <summary>Hue of the eyes: six values.</summary>
    EyesHue,

    /// <summary>Hue of the glasses: six values, and a seventh for none.</summary>
    GlassesHue,

    /// <summary>Hue of the earrings: six values, and a seventh for none.</summary>
    AccessoriesHue,

    /// <summary>Whether the hair is long or short: two values, from <see cref="Hair"/>.</summary>
    HairLength,

    /// <summary>Whether the mouth is happy or sad: two values, from <see cref="Mouth"/>.</summary>
    Mood,

    /// <summary>No glasses, dark or light ones: three values, from <see cref="Glasses"/>.</summary>
    Lenses,

    /// <summary>No hat or one: two values, from <see cref="Hat"/>.</summary>
    WearsHat,

    /// <summary>No beard or one: two values, from <see cref="Beard"/>.</summary>
    WearsBeard,

    /// <summary>No earrings or some: two values, from <see cref="Accessories"/>.</summary>
    WearsAccessories,
}

/// <summary>Names of attributes and of their values.</summary>
public static class AvatarAttributes
{
    private static readonly Dictionary<AvatarAttribute, (string Name, IReadOnlyList<string> Values)> Known = new()
    {
        [AvatarAttribute.BackgroundHue] = ("background hue", Hues.Names),
        [AvatarAttribute.SkinHue] = ("skin hue", Hues.Names),
        [AvatarAttribute.HairHue] = ("hair hue", Hues.Names),
        [AvatarAttribute.ClothingHue] = ("clothing hue", Hues.Names),
        [AvatarAttribute.Hair] = ("hair", Variants("hair")),
        [AvatarAttribute.Clothing] = ("clothing", Variants("clothing")),
        [AvatarAttribute.Eyes] = ("eyes", Variants("eyes")),
        [AvatarAttribute.Mouth] = ("mouth", Variants("mouth")),
        [AvatarAttribute.Glasses] = ("glasses", ["none", .. Variants("glasses")]),
        [AvatarAttribute.Hat] = ("hat", ["none", .. Variants("hat")]),
        [AvatarAttribute.Beard] = ("beard", ["none", .. Variants("beard")]),
        [AvatarAttribute.Accessories] = ("accessories", ["none", .. Variants("accessories")]),
        [AvatarAttribute.HatHue] = ("hat hue", [.. Hues.Names, "none"]),
        [AvatarAttribute.EyesHue] = ("eyes hue", Hues.Names),
        [AvatarAttribute.GlassesHue] = ("glasses hue", [.. Hues.Names, "none"]),
        [AvatarAttribute.AccessoriesHue] = ("accessories hue", [.. Hues.Names, "none"]),
        [AvatarAttribute.HairLength] = ("hair length", ["long", "short"]),
        [AvatarAttribute.Mood] = ("mood", ["happy", "sad"]),
        [AvatarAttribute.Lenses] = ("lenses", ["none", "dark", "light"]),
        [AvatarAttribute.WearsHat] = ("wears hat", ["no", "yes"]),
        [AvatarAttribute.WearsBeard] = ("wears beard", ["no", "yes"]),
        [AvatarAttribute.WearsAccessories] = ("wears accessories", ["no", "yes"]),
    };

    /// <summary>All of them.</summary>
    public static IReadOnlyList<AvatarAttribute> All { get; } = Enum.GetValues<AvatarAttribute>();

    /// <summary>The name people read and options take, such as <c>background hue</c>.</summary>
    public static string Name(this AvatarAttribute attribute) => Known[attribute].Name;

    /// <summary>The names of the values; a label is a place in this list.</summary>
    public static IReadOnlyList<string> Values(this AvatarAttribute attribute) => Known[attribute].Values;

    /// <summary>The attribute of a name; hyphens stand for spaces.</summary>
    /// <exception cref="TiltException">There is none of that name.</exception>
    public static AvatarAttribute Parse(string name)
    {
        var spaced = name.Replace('-', ' ').Trim();
        foreach (var (attribute, (known, _)) in Known)
        {
            if (known.Equals(spaced, StringComparison.OrdinalIgnoreCase))
            {
                return attribute;
            }
        }
        throw Suggest.Unknown("attribute", name, [.. Known.Values.Select(pair => pair.Name.Replace(' ', '-'))]);
    }

    private static IReadOnlyList<string> Variants(string part) =>
        [.. AvatarLayers.Parts[part].Select(variant => variant.Name)];
}
