namespace Tilt.Environments.Rendering;

/// <summary>From where a picture is taken.</summary>
public sealed record Camera
{
    // MuJoCo's camera opens 45° up and down; across, a picture of 4 : 3 shows a third more.
    private static readonly double Tallness = 2 * Math.Tan(Math.PI / 8);
    private const double Aspect = 4.0 / 3;

    /// <summary>What is in the middle of the picture, m; with <see cref="Follows"/> relative to the robot in x and y.</summary>
    public (double X, double Y, double Z) LookAt { get; init; }

    /// <summary>Metres from there.</summary>
    public double Distance { get; init; } = 3;

    /// <summary>Degrees about the vertical: 90 looks along +y, with x to the right.</summary>
    public double Azimuth { get; init; } = 90;

    /// <summary>Degrees above the horizon that the view points: −90 looks straight down.</summary>
    public double Elevation { get; init; } = -12;

    /// <summary>Whether the camera moves along with the robot in x and y.</summary>
    public bool Follows { get; init; } = true;

    /// <summary>The distance from which something shows whole in a picture of 4 : 3, with a margin.</summary>
    /// <param name="across">Metres across.</param>
    /// <param name="tall">Metres up and down.</param>
    internal static double DistanceFor(double across, double tall) => 1.12 * Math.Max(across / Aspect, tall) / Tallness;
}
