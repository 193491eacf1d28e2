using System.Diagnostics;
using System.Text.Json;

namespace Tilt.Tests.Launcher;

public class PublishTests
{
    [Fact]
    public void A_published_folder_runs_on_its_own()
    {
        using var folder = new TemporaryFolder();
        // Tests lie in bin/CONFIGURATION/FRAMEWORK/SYSTEM; the program was built in the same configuration with them.
        var configuration = Path.GetFileName(Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..")));
        Run(
            "dotnet",
            "publish",
            Path.Combine(Repository.Root, "src", "Tilt.Cli"),
            "--no-build",
            "-c",
            configuration,
            "-o",
            folder.Path,
            "-nodeReuse:false",
            "-p:CreateHardLinksForPublishFilesIfPossible=true"
        );

        var report = Run(folder.File("Tilt.Cli"), "doctor", "--json");

        using var document = JsonDocument.Parse(report);
        var states = document
            .RootElement.EnumerateArray()
            .ToDictionary(row => row.GetProperty("check").GetString()!, row => row.GetProperty("state").GetString());
        Assert.All(["C++ runtime", "libtorch", "OpenMP", "figures"], check => Assert.Equal("ok", states[check]));
    }

    private static string Run(string program, params string[] args)
    {
        var start = new ProcessStartInfo(program, args)
        {
            RedirectStandardOutput = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.Environment.Remove("TILT_LAUNCHER");
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output);
        return output;
    }
}
