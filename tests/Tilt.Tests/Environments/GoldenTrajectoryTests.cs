using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Tilt.Tests.Golden;

namespace Tilt.Tests.Environments;

/// <summary>Trajectories recorded by the original environments' classes on the same library, state by state.</summary>
public class GoldenTrajectoryTests
{
    private const double StateTolerance = 1e-9; // one step on another processor's sin and cos
    private const double RewardTolerance = 1e-8; // a difference of positions divided by Δt
    private const double LoopTolerance = 1e-6; // the same after the steps that an open loop can be followed

    public static TheoryData<string> Files => [.. GoldenTrajectories.Files.Keys];

    [Theory]
    [MemberData(nameof(Files))]
    public void Single_steps_are_the_recorded_ones(string file)
    {
        Physics.Needed();
        new GoldenTrajectories(file).Single(StateTolerance, RewardTolerance);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Trajectories_follow_the_recorded_ones(string file)
    {
        Physics.Needed();
        var golden = new GoldenTrajectories(file);
        foreach (var k in golden.Trajectories)
        {
            golden.Follow(k, golden.FollowedSteps, LoopTolerance, LoopTolerance / 0.008);
        }
    }

    /// <remarks>
    /// MuJoCo's own code has one path on every x86-64; the C library chooses sin, cos and exp by processor and version. So the same
    /// bits are due with the recorder's C library (Debian 12's, 2.36) on a processor with FMA, over whole trajectories, contacts
    /// and all. Rewards were summed by numpy in another order.
    /// </remarks>
    [Theory]
    [MemberData(nameof(Files))]
    public void States_and_observations_are_the_recorded_bits_with_the_recorders_C_library(string file)
    {
        Physics.Needed();
        var version = Marshal.PtrToStringUTF8(LibraryVersion());
        Assert.SkipUnless(
            version == "2.36" && Fma.IsSupported,
            $"recorded with glibc 2.36 and FMA; here is glibc {version}"
        );
        var golden = new GoldenTrajectories(file);
        golden.Single(tolerance: 0, RewardTolerance / 1e6);
        foreach (var k in golden.Trajectories)
        {
            golden.Follow(k, golden.Length(k), tolerance: 0, RewardTolerance / 1e6);
        }
    }

    [Fact]
    public void No_recorded_file_is_missing_and_none_is_unknown()
    {
        var folder = Path.Combine(GoldenSet.Folder, "mujoco");
        var present = Directory
            .EnumerateFiles(folder, "*.npz", SearchOption.AllDirectories)
            .Select(file => Path.ChangeExtension(Path.GetRelativePath(folder, file), null))
            .Order(StringComparer.Ordinal);
        Assert.Equal(GoldenTrajectories.Files.Keys, present);
    }

    [Fact]
    public void The_repository_keeps_every_array_of_a_full_set()
    {
        var (full, part) = (GoldenSet.Folder, GoldenSet.RepositoryFolder);
        foreach (var file in GoldenTrajectories.Files.Keys)
        {
            var expected = Npz.Read(Path.Combine(full, "mujoco", file + ".npz")).Names;
            var kept = Npz.Read(Path.Combine(part, "mujoco", file + ".npz")).Names;
            Assert.Equal(expected.Order(StringComparer.Ordinal), kept.Order(StringComparer.Ordinal));
        }
    }

    [DllImport("libc", EntryPoint = "gnu_get_libc_version")]
    private static extern nint LibraryVersion();
}
