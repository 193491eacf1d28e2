using Tilt.Tests.Golden.Subsets;

namespace Tilt.Tests.Golden;

/// <summary>Makes the repository's subset from a full golden folder: TILT_MAKE_SUBSETS names that folder.</summary>
/// <remarks>TILT_SUBSETS_TO says where it goes; by default into the source tree beside this file.</remarks>
public class MakeSubsets
{
    [Fact]
    public void Subsets_are_made_when_a_full_set_is_named()
    {
        if (Environment.GetEnvironmentVariable("TILT_MAKE_SUBSETS") is not { Length: > 0 } from)
        {
            return;
        }
        var to =
            Environment.GetEnvironmentVariable("TILT_SUBSETS_TO")
            ?? Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../Golden/Data"));
        Directory.CreateDirectory(to);

        D4rlSubset.Make(from, to);
        ExactGuidanceSubset.Make(from, to);
        LossSubset.Make(from, to);
        MujocoSubset.Make(from, to);
        NetworkSubset.Make(from, to);
        SolverSubset.Make(from, to);
        ToySubset.Make(from, to);
    }
}
