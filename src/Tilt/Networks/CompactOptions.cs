namespace Tilt.Networks;

/// <summary>Sizes of the compact networks, <see cref="CompactNoiseNetwork"/> and <see cref="CumulantEnergyNetwork"/>.</summary>
public sealed record CompactOptions
{
    /// <summary>Neurons of each hidden layer.</summary>
    /// <value>128 (ours).</value>
    public long Width { get; init; } = 128;

    /// <summary>Hidden layers.</summary>
    /// <value>3 (ours).</value>
    public long Depth { get; init; } = 3;

    /// <summary>Random Fourier features of the position: how many frequencies.</summary>
    /// <value>16 (ours).</value>
    public long PositionFrequencies { get; init; } = 16;

    /// <summary>Their standard deviation, in radians per standard deviation of x_t.</summary>
    /// <value>1 (ours).</value>
    public double PositionScale { get; init; } = 1;

    /// <summary>Standard deviation of the data per axis, in its own units; scales inputs and outputs.</summary>
    /// <value>2, near that of every 2-D set.</value>
    public double DataScale { get; init; } = 2;

    /// <summary>Atoms of the label distribution in <see cref="CumulantEnergyNetwork"/>.</summary>
    /// <value>32 (ours).</value>
    public long Atoms { get; init; } = 32;
}
