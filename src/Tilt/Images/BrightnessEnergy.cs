using Tilt.Energy;

namespace Tilt.Images;

/// <summary>An energy of a user's own, as short as they come: the brightness of the left half.</summary>
/// <remarks>
/// Any function of images that returns one number a picture is an <see cref="EnergyFunction"/>, and trains and samples as the
/// built-in ones do. Differentiable ones also serve DPS.
/// </remarks>
public static class BrightnessEnergy
{
    /// <summary>E = mean brightness of the left half, in [0, 1]: low is dark. Negate it for bright.</summary>
    /// <param name="images">[B, C, H, W] in [−1, 1].</param>
    /// <returns>[B].</returns>
    public static Tensor OfLeftHalf(Tensor images)
    {
        using var scope = NewDisposeScope();
        var left = images.narrow(3, 0, images.shape[3] / 2);
        return ((left.mean([1, 2, 3]) + 1) / 2).MoveToOuterDisposeScope();
    }
}
