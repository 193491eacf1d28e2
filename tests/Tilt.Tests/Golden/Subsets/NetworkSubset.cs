namespace Tilt.Tests.Golden.Subsets;

/// <summary>The part of G4 that the repository carries: all weights, since a network needs every one, and all of its small rows.</summary>
public static class NetworkSubset
{
    public static readonly string[] Files =
    [
        "g4_info.json",
        "g4_io.npz",
        "g4_params_toy_score.npz",
        "g4_params_toy_qt.npz",
        "g4_params_rl_score.npz",
        "g4_params_twinq.npz",
        "g4_params_rl_qt.npz",
    ];

    public static void Make(string from, string to)
    {
        foreach (var file in Files)
        {
            File.WriteAllBytes(Path.Combine(to, file), File.ReadAllBytes(Path.Combine(from, file)));
        }
    }
}
