using System.Runtime.CompilerServices;

namespace Tilt.Images.Avatars;

/// <summary>Draws avatars, 16×16 pixels, from layers and tints: a law of pictures that is known, so that samples can be held against it.</summary>
/// <remarks>
/// <para>
/// Background, skin, earrings, clothing, eyes, glasses, beard, mouth, hair, hat are laid over each other in this order. Every part
/// takes one of its forms, all equally likely; glasses, hats, beards and earrings appear with the probabilities below. Every part has a
/// hue of its own, all six equally likely and independent of each other, and a shade of that hue within the part's range
/// (<see cref="AvatarPalette"/>). Beards have the tint of the hair, mouths a dark shade of the skin's hue.
/// </para>
/// <para>
/// Picture i is a function of the seed and of i alone: draw i of the stream <c>avatars/NAME</c> is the i-th output of SplitMix64 started at
/// that stream's seed (<see cref="RandomStreams.SeedOf"/>). So any part of a sequence can be drawn by itself, by any number of threads.
/// Blending is in whole numbers; the pictures are the same on every machine.
/// </para>
/// </remarks>
public sealed class AvatarGenerator
{
    /// <summary>Height and width, in pixels.</summary>
    public const int Size = 16;

    /// <summary>Names layers and palette; it changes whenever the same seed would draw other pictures.</summary>
    public const string Identity = "pixel-art-9.4.3/1";

    /// <summary>Share of pictures with glasses.</summary>
    public const double GlassesShare = 0.3;

    /// <summary>Share of pictures with a hat.</summary>
    public const double HatShare = 0.15;

    /// <summary>Share of pictures with a beard.</summary>
    public const double BeardShare = 0.15;

    /// <summary>Share of pictures with earrings.</summary>
    public const double AccessoriesShare = 0.2;

    /// <summary>The most pictures of one set: their bytes have to fit one array.</summary>
    public const long Most = int.MaxValue / (3 * Size * Size);

    private const int Plane = Size * Size;
    private const int White = 9;
    private const int Black = 10;

    // Back to front. Tints are numbered in this order, the background's is 0.
    private static readonly Part Skin = new("skin", 1, 1);
    private static readonly Part Accessories = new("accessories", 2, AccessoriesShare);
    private static readonly Part Clothing = new("clothing", 3, 1);
    private static readonly Part Eyes = new("eyes", 4, 1);
    private static readonly Part Glasses = new("glasses", 5, GlassesShare);
    private static readonly Part Beard = new("beard", 7, BeardShare);
    private static readonly Part Mouth = new("mouth", 6, 1);
    private static readonly Part Hair = new("hair", 7, 1);
    private static readonly Part Hat = new("hat", 8, HatShare);

    private static readonly string[] TintNames =
    [
        "background",
        "skin",
        "accessories",
        "clothing",
        "eyes",
        "glasses",
        "mouth",
        "hair",
        "hat",
    ];

    private static readonly Part[] Order = [Skin, Accessories, Clothing, Eyes, Glasses, Beard, Mouth, Hair, Hat];

    private static readonly bool[] LongHair = Starting("hair", "long");
    private static readonly bool[] Happy = Starting("mouth", "happy");
    private static readonly bool[] Light = Starting("glasses", "light");

    private readonly ulong[] _forms; // seeds of the streams, by part
    private readonly ulong[] _hues; // by tint
    private readonly ulong[] _shades;

    /// <summary>A generator.</summary>
    /// <param name="seed">The seed that all pictures come from.</param>
    public AvatarGenerator(long seed)
    {
        using var streams = new RandomStreams(seed);
        _forms = [.. Order.Select(part => (ulong)streams.SeedOf($"avatars/{part.Name}"))];
        _hues = [.. TintNames.Select(name => (ulong)streams.SeedOf($"avatars/{name} hue"))];
        _shades = [.. TintNames.Select(name => (ulong)streams.SeedOf($"avatars/{name} shade"))];
    }

    /// <summary>Draws pictures.</summary>
    /// <param name="count">How many, up to <see cref="Most"/>.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="first">The number of the first; pictures <c>first</c> … <c>first + count − 1</c> of the seed's sequence come back.</param>
    /// <param name="threads">How many threads; 0 for one per core. The result does not depend on it.</param>
    public static AvatarSet Draw(long count, long seed, long first = 0, int threads = 0) =>
        new AvatarGenerator(seed).Draw(first, count, threads);

    /// <summary>Draws pictures <paramref name="first"/> … <paramref name="first"/> + <paramref name="count"/> − 1.</summary>
    /// <param name="first">The number of the first, at least 0.</param>
    /// <param name="count">How many, up to <see cref="Most"/>.</param>
    /// <param name="threads">How many threads; 0 for one per core.</param>
    public AvatarSet Draw(long first, long count, int threads = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        if (count is < 0 or > Most)
        {
            throw TiltException.Usage(
                $"avatars: found a count of {count}; expected 0 to {Most}. Draw more in several parts, by the number of the first."
            );
        }
        var pixels = new byte[count * 3 * Plane];
        var labels = new byte[AvatarAttributes.All.Count][];
        for (var i = 0; i < labels.Length; i++)
        {
            labels[i] = new byte[count];
        }

        const int block = 1024;
        var blocks = (int)((count + block - 1) / block);
        var options = new ParallelOptions { MaxDegreeOfParallelism = threads == 0 ? -1 : threads };
        Parallel.For(
            0,
            blocks,
            options,
            b =>
            {
                var canvas = new byte[3 * Plane];
                var end = Math.Min(count, (b + 1L) * block);
                for (var i = (long)b * block; i < end; i++)
                {
                    Compose((ulong)(first + i), canvas, labels, i);
                    canvas.CopyTo(pixels.AsSpan((int)(i * 3 * Plane)));
                }
            }
        );
        return new(new(pixels, Size, Size), labels);
    }

    private void Compose(ulong number, byte[] canvas, byte[][] labels, long place)
    {
        Span<int> hues = stackalloc int[TintNames.Length];
        Span<Rgb> colors = stackalloc Rgb[TintNames.Length + 2];
        for (var i = 0; i < hues.Length; i++)
        {
            hues[i] = (int)Below(Hues.Count, Random(_hues[i], number));
        }
        hues[Mouth.Tint] = hues[Skin.Tint];
        for (var i = 0; i < hues.Length; i++)
        {
            colors[i] = AvatarPalette.Shade(i, hues[i], Random(_shades[i], number));
        }
        colors[White] = new(255, 255, 255);
        colors[Black] = new(0, 0, 0);

        for (var channel = 0; channel < 3; channel++)
        {
            canvas.AsSpan(channel * Plane, Plane).Fill(colors[0][channel]);
        }
        Span<int> forms = stackalloc int[Order.Length]; // 0 is none, k the k-th variant
        for (var i = 0; i < Order.Length; i++)
        {
            var part = Order[i];
            var random = Random(_forms[i], number);
            // The high word decides whether, the low word which: both are uniform.
            if ((random >> 32) * (1.0 / (1UL << 32)) < part.Share)
            {
                var form = (int)Below(part.Variants.Length, random << 32);
                forms[i] = form + 1;
                foreach (var fill in part.Variants[form])
                {
                    Lay(fill, colors[fill.Source], canvas);
                }
            }
        }
        Label(hues, forms, labels, place);
    }

    private static void Lay(in Fill fill, Rgb color, byte[] canvas)
    {
        var opacity = fill.Opacity;
        for (var channel = 0; channel < 3; channel++)
        {
            var plane = canvas.AsSpan(channel * Plane, Plane);
            var add = color[channel] * opacity + 127;
            foreach (var place in fill.Places)
            {
                plane[place] = (byte)((plane[place] * (255 - opacity) + add) / 255);
            }
        }
    }

    private static void Label(ReadOnlySpan<int> hues, ReadOnlySpan<int> forms, byte[][] labels, long place)
    {
        void Set(AvatarAttribute attribute, int value) => labels[(int)attribute][place] = (byte)value;
        const int noHue = Hues.Count;
        var (accessories, clothing, eyes, glasses) = (forms[1], forms[2], forms[3], forms[4]);
        var (beard, mouth, hair, hat) = (forms[5], forms[6], forms[7], forms[8]);
        Set(AvatarAttribute.BackgroundHue, hues[0]);
        Set(AvatarAttribute.SkinHue, hues[Skin.Tint]);
        Set(AvatarAttribute.HairHue, hues[Hair.Tint]);
        Set(AvatarAttribute.ClothingHue, hues[Clothing.Tint]);
        Set(AvatarAttribute.EyesHue, hues[Eyes.Tint]);
        Set(AvatarAttribute.HatHue, hat == 0 ? noHue : hues[Hat.Tint]);
        Set(AvatarAttribute.GlassesHue, glasses == 0 ? noHue : hues[Glasses.Tint]);
        Set(AvatarAttribute.AccessoriesHue, accessories == 0 ? noHue : hues[Accessories.Tint]);
        Set(AvatarAttribute.Hair, hair - 1);
        Set(AvatarAttribute.Clothing, clothing - 1);
        Set(AvatarAttribute.Eyes, eyes - 1);
        Set(AvatarAttribute.Mouth, mouth - 1);
        Set(AvatarAttribute.Glasses, glasses);
        Set(AvatarAttribute.Hat, hat);
        Set(AvatarAttribute.Beard, beard);
        Set(AvatarAttribute.Accessories, accessories);
        Set(AvatarAttribute.HairLength, LongHair[hair - 1] ? 0 : 1);
        Set(AvatarAttribute.Mood, Happy[mouth - 1] ? 0 : 1);
        Set(
            AvatarAttribute.Lenses,
            glasses == 0 ? 0
                : Light[glasses - 1] ? 2
                : 1
        );
        Set(AvatarAttribute.WearsHat, hat == 0 ? 0 : 1);
        Set(AvatarAttribute.WearsBeard, beard == 0 ? 0 : 1);
        Set(AvatarAttribute.WearsAccessories, accessories == 0 ? 0 : 1);
    }

    /// <summary>Output number + 1 of SplitMix64 started at the seed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Random(ulong seed, ulong number)
    {
        var z = seed + (number + 1) * 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    private static ulong Below(int count, ulong random) => Math.BigMul(random, (ulong)count, out _);

    private static bool[] Starting(string part, string start) =>
        [.. AvatarLayers.Parts[part].Select(variant => variant.Name.StartsWith(start, StringComparison.Ordinal))];

    private readonly record struct Fill(int Source, int Opacity, byte[] Places);

    private sealed class Part
    {
        public Part(string name, int tint, double share)
        {
            (Name, Tint, Share) = (name, tint, share);
            Variants =
            [
                .. AvatarLayers
                    .Parts[name]
                    .Select(variant =>
                        variant
                            .Fills.Select(fill => new Fill(
                                fill.Source switch
                                {
                                    "white" => White,
                                    "black" => Black,
                                    _ => tint,
                                },
                                fill.Opacity,
                                fill.Places
                            ))
                            .ToArray()
                    ),
            ];
        }

        public string Name { get; }
        public int Tint { get; }
        public double Share { get; }
        public Fill[][] Variants { get; }
    }
}
