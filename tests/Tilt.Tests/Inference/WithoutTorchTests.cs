using System.Diagnostics;
using Tilt.Inference;

namespace Tilt.Tests.Inference;

public sealed class WithoutTorchTests
{
    private const string Given = "TILT_POLICY_TO_ACT_WITH";

    [Fact]
    public void Acting_maps_no_libtorch()
    {
        if (Environment.GetEnvironmentVariable(Given) is not { } path)
        {
            return; // For the process that the test below starts.
        }
        var policy = Policy.Load(path);
        Assert.All(policy.Act(new float[policy.ObservationDimensions], 1), a => Assert.True(float.IsFinite(a)));
        policy.Sample(new float[policy.ObservationDimensions * 3], 16, 1, new float[3 * 16 * policy.ActionDimensions]);
        Assert.DoesNotContain(
            File.ReadLines("/proc/self/maps"),
            line => line.Contains("torch", StringComparison.OrdinalIgnoreCase) && line.Contains(".so")
        );
    }

    [Fact]
    public void A_process_that_acts_maps_no_libtorch()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }
        using var folder = new TemporaryFolder();
        using var make = new PolicyMake("residual", "conditional");
        make.File().Write(folder.File(PolicyFile.DefaultName));
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet")
        {
            start.ArgumentList.Add(typeof(WithoutTorchTests).Assembly.Location);
        }
        start.ArgumentList.Add("-method");
        start.ArgumentList.Add($"{typeof(WithoutTorchTests).FullName}.{nameof(Acting_maps_no_libtorch)}");
        start.Environment[Given] = folder.Path;
        using var child = Process.Start(start)!;
        var output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        Assert.True(child.ExitCode == 0, output);
        Assert.Contains("Total: 1", output);
    }
}
