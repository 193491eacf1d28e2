namespace Tilt.Environments.Rendering;

/// <summary>From where a picture is taken.</summary>
public sealed record Camera
{
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
}
