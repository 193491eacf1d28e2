using System.Diagnostics;
using Tilt.Inference;

namespace Tilt.Tests.Inference;

public sealed class ProcessorTests
{
    private const string Expected = "TILT_EXPECTED_LANES";

    [Fact]
    public void The_processors_widest_vectors_are_used() =>
        Assert.Equal(Environment.GetEnvironmentVariable(Expected) ?? $"{Processor.Lanes}", $"{Processor.Lanes}");

    [Theory]
    [InlineData("DOTNET_EnableAVX512", LaneWidth.Eight)]
    [InlineData("DOTNET_EnableAVX2", LaneWidth.Four)]
    [InlineData("DOTNET_EnableHWIntrinsic", LaneWidth.One)]
    public void Kernels_pass_their_tests_without_an_instruction_set(string variable, LaneWidth lanes)
    {
        if (Environment.GetEnvironmentVariable(Expected) is not null || Processor.Lanes < lanes)
        {
            return; // Already such a process, or a processor that has even less.
        }
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        string[] arguments =
        [
            .. Path.GetFileNameWithoutExtension(start.FileName) == "dotnet"
                ? [typeof(ProcessorTests).Assembly.Location]
                : Array.Empty<string>(),
            .. new[] { nameof(PackedLinearTests), nameof(PackedMlpTests), nameof(ProcessorTests) }.SelectMany(name =>
                new[] { "-class", $"{typeof(ProcessorTests).Namespace}.{name}" }
            ),
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }
        start.Environment[variable] = "0";
        start.Environment[Expected] = $"{lanes}";
        using var child = Process.Start(start)!;
        var output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        Assert.True(child.ExitCode == 0, output);
        Assert.DoesNotContain("Total: 0", output);
    }
}
