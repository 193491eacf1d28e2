using static TorchSharp.torch;

namespace Tilt.Tests.Golden;

/// <summary>Comparisons that name the worst entry.</summary>
public static class Close
{
    /// <summary>|found − expected| ≤ tolerance · max(1, |expected|), entry by entry.</summary>
    public static void Relative(Tensor expected, Tensor found, double tolerance, string what)
    {
        using var scope = NewDisposeScope();
        Expect.SameShape(expected, found);
        Judge((found - expected).abs() / expected.abs().clamp(min: 1), tolerance, what);
    }

    /// <summary>|found − expected| ≤ tolerance, entry by entry.</summary>
    public static void Absolute(Tensor expected, Tensor found, double tolerance, string what)
    {
        using var scope = NewDisposeScope();
        Expect.SameShape(expected, found);
        Judge((found - expected).abs(), tolerance, what);
    }

    /// <summary>‖found − expected‖ ≤ tolerance · ‖expected‖, as whole tensors.</summary>
    public static void Norm(Tensor expected, Tensor found, double tolerance, string what)
    {
        using var scope = NewDisposeScope();
        Expect.SameShape(expected, found);
        Judge((found - expected).norm() / expected.norm(), tolerance, what);
    }

    private static void Judge(Tensor error, double tolerance, string what)
    {
        var worst = error.numel() == 0 ? 0 : error.max().to(ScalarType.Float64).item<double>();
        Assert.True(worst <= tolerance, $"{what}: off by {worst:G4}, allowed {tolerance:G4}.");
    }
}
