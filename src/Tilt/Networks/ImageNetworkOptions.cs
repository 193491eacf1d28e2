namespace Tilt.Networks;

/// <summary>The shape of the networks on images. The defaults are small; images.md §4 has the authors' sizes.</summary>
public sealed record ImageNetworkOptions
{
    /// <summary>Pixels on a side that are taken together: 2 makes the 12 numbers of 2 × 2 pixels the channels of one place.</summary>
    /// <value>2 (ADM: 1). At 16 × 16 it halves the time of a step for the same loss.</value>
    public int Patch { get; init; } = 2;

    /// <summary>Channels after the input convolution, the unit of <see cref="Multipliers"/>.</summary>
    /// <value>32 (ADM at 256 × 256: 256; its encoder: 128).</value>
    public long Width { get; init; } = 32;

    /// <summary>Channels of each resolution in units of <see cref="Width"/>; each entry after the first halves height and width.</summary>
    /// <value>2, 2 (ADM at 64 × 64: 1, 2, 3, 4).</value>
    public IReadOnlyList<int> Multipliers { get; init; } = [2, 2];

    /// <summary>Residual blocks per resolution on the way down.</summary>
    /// <value>1 (ADM: 2).</value>
    public int Blocks { get; init; } = 1;

    /// <summary>Groups that GroupNorm normalizes over.</summary>
    /// <value>8 (ADM: 32).</value>
    public int Groups { get; init; } = 8;

    /// <summary>Channels of an attention head.</summary>
    /// <value>32 (ADM: 64).</value>
    public long HeadChannels { get; init; } = 32;

    /// <summary>s, for U-Nets that estimate x₀: about how far a pixel is from what its neighbors tell; 0 for a plain network.</summary>
    /// <value>0.1 (ADM: 0). See <see cref="ImageUNet"/>.</value>
    public double SkipScale { get; init; } = 0.1;

    /// <summary>Throws unless networks of this shape can be built for images of that one.</summary>
    /// <param name="size">Height and width.</param>
    /// <exception cref="TiltException">The message names the option.</exception>
    public void Check(long size)
    {
        Require(Width is >= 1 and <= 1024, "width", $"{Width}", "1 to 1024");
        Require(
            Multipliers.Count is >= 1 and <= 8 && Multipliers.All(m => m is >= 1 and <= 64),
            "multipliers",
            string.Join(",", Multipliers),
            "1 to 8 whole numbers from 1 to 64"
        );
        Require(Blocks is >= 1 and <= 16, "blocks", $"{Blocks}", "1 to 16");
        Require(
            Groups >= 1 && Multipliers.All(m => m * Width % Groups == 0),
            "groups",
            $"{Groups}",
            "a divisor of the channels of every resolution"
        );
        Require(
            HeadChannels >= 1 && Multipliers[^1] * Width % HeadChannels == 0,
            "headChannels",
            $"{HeadChannels}",
            $"a divisor of the {Multipliers[^1] * Width} channels of the lowest resolution"
        );
        Require(SkipScale is >= 0 and <= 10, "skipScale", $"{SkipScale}", "0 to 10");
        Require(Patch >= 1 && size % Patch == 0, "patch", $"{Patch}", $"a divisor of {size} pixels");
        var factor = 1L << (Multipliers.Count - 1);
        Require(
            size / Patch % factor == 0,
            "multipliers",
            $"{Multipliers.Count} resolutions",
            $"as few as halve {size / Patch} places evenly"
        );

        static void Require(bool fine, string option, string found, string expected)
        {
            if (!fine)
            {
                throw TiltException.Usage($"network option '{option}': found {found}; expected {expected}.");
            }
        }
    }
}
