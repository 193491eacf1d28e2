using System.Globalization;

namespace Tilt.Images.Avatars;

/// <summary>One fill of a layer: a colour laid over some pixels.</summary>
/// <param name="Source">The part whose tint it takes, or <c>white</c> or <c>black</c>.</param>
/// <param name="Opacity">Of 255.</param>
/// <param name="Places">The pixels, 16·row + column.</param>
internal sealed record LayerFill(string Source, byte Opacity, byte[] Places);

/// <summary>One form that a part can take.</summary>
/// <param name="Name">Its name, such as <c>long07</c>.</param>
/// <param name="Fills">What it lays down, in order.</param>
internal sealed record LayerVariant(string Name, LayerFill[] Fills);

/// <summary>The layers of the avatars, read from the embedded file <c>layers.txt</c>. Its head says how it is written.</summary>
internal static class AvatarLayers
{
    private const int Size = 16;

    /// <summary>The variants of each part, in the order of the file.</summary>
    public static IReadOnlyDictionary<string, LayerVariant[]> Parts { get; } = Read();

    private static Dictionary<string, LayerVariant[]> Read()
    {
        using var stream =
            typeof(AvatarLayers).Assembly.GetManifestResourceStream("Tilt.Images.Avatars.layers.txt")
            ?? throw new InvalidOperationException("The layers of the avatars are not in this assembly.");
        using var reader = new StreamReader(stream);
        var parts = new Dictionary<string, List<(string Name, List<LayerFill> Fills)>>();
        List<(string Name, List<LayerFill> Fills)> part = [];
        while (reader.ReadLine() is { } line)
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            switch (words)
            {
                case [] or ["#", ..]:
                    break;
                case ["part", var name]:
                    parts.Add(name, part = []);
                    break;
                case ["variant", var name]:
                    part.Add((name, []));
                    break;
                case [var source, var opacity, var mask]:
                    part[^1].Fills.Add(new(source, byte.Parse(opacity, CultureInfo.InvariantCulture), Places(mask)));
                    break;
                default:
                    throw new FormatException($"A line of the avatars' layers is not understood: {line}");
            }
        }
        return parts.ToDictionary(
            pair => pair.Key,
            pair => pair.Value.Select(variant => new LayerVariant(variant.Name, [.. variant.Fills])).ToArray()
        );
    }

    private static byte[] Places(string mask)
    {
        var bits = Convert.FromHexString(mask);
        return
        [
            .. Enumerable
                .Range(0, Size * Size)
                .Where(place => (bits[place / 8] >> (7 - place % 8) & 1) == 1)
                .Select(place => (byte)place),
        ];
    }
}
