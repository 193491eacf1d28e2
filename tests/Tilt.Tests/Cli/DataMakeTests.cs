using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Tilt.OfflineRl.Data;
using Tilt.Tests.Environments;

namespace Tilt.Tests.Cli;

public partial class DataMakeTests
{
    [Fact]
    public void A_data_set_is_made_once_and_looked_into()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var file = folder.File("tilt-maze2d-medium.hdf5");
        string[] command = ["data", "make", "maze2d-medium", "--size", "4000", "--seed", "2", "--out", folder.Path];
        var made = CommandLine.Run(command);
        Assert.Equal((0, true), (made.ExitCode, File.Exists(file)));
        Assert.Contains($"{file}  4000 steps", made.Output);
        Assert.Contains("not D4RL's data", made.Error);
        Assert.Equal(file, DataFiles.Find("maze2d-medium", ownFolder: folder.Path));

        var again = CommandLine.Run(command);
        Assert.Equal((0, true), (again.ExitCode, again.Output.Contains("is there already")));
        var other = CommandLine.Run([.. command[..^4], "--seed", "3", "--out", folder.Path]);
        Assert.Equal(2, other.ExitCode);
        Assert.Contains("--force", other.Error);
        Assert.Equal(
            0,
            CommandLine.Run([.. command[..^4], "--seed", "3", "--out", folder.Path, "--force", "-q"]).ExitCode
        );

        var inspected = CommandLine.Run("data", "inspect", file, "--out", folder.File("page"), "--json");
        Assert.Equal(0, inspected.ExitCode);
        Assert.Contains("Not D4RL", File.ReadAllText(folder.File("page/report.html")).Replace("&#39;", "'"));
    }

    [Theory]
    [InlineData("maze2d-umaz", "Did you mean 'maze2d-umaze'?")]
    [InlineData(
        "maze2d-umaze-v1",
        "'maze2d-umaze-v1' is D4RL's own; what Tilt makes after its protocol is called 'maze2d-umaze'."
    )]
    [InlineData("maze2d-umaze --size 0", "--size '0': expected a whole number from 1")]
    [InlineData("maze2d-umaze --size 1e6", "--size '1e6'")]
    [InlineData("maze2d-umaze --policy x", "leave --policy out")]
    public void A_wrong_request_says_what_to_type_instead(string typed, string expected)
    {
        Physics.Needed();
        var result = CommandLine.Run(["data", "make", .. typed.Split(' '), "--out", "/dev/shm/never.hdf5"]);
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(expected, result.Error);
    }

    [Theory]
    [InlineData("data.json")]
    [InlineData("data.csv")]
    public void Only_endings_of_HDF5_are_written(string name)
    {
        using var folder = new TemporaryFolder();
        var result = CommandLine.Run("data", "make", "maze2d-umaze", "--size", "100", "--out", folder.File(name));
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("expected .hdf5 or .h5", result.Error);
        Assert.False(File.Exists(folder.File(name)));
    }

    [Fact]
    public void What_can_be_made_is_listed_with_its_size_and_row()
    {
        using var listed = JsonDocument.Parse(CommandLine.Run("list", "makeable", "--json").Output);
        Assert.Contains(
            listed.RootElement.EnumerateArray(),
            row =>
                row.GetProperty("name").GetString() == "maze2d-large"
                && row.GetProperty("meaning").GetString()!.StartsWith("4000000", StringComparison.Ordinal)
        );
    }

    [Fact]
    public void Tasks_and_D4rls_sets_are_listed_with_their_rows()
    {
        using var tasks = JsonDocument.Parse(CommandLine.Run("list", "tasks", "--json").Output);
        Assert.Contains(
            tasks.RootElement.EnumerateArray(),
            row =>
                row.GetProperty("name").GetString() == "hopper"
                && row.GetProperty("meaning").GetString()!.Contains("Medium, Medium-Expert, Medium-Replay")
        );
        using var sets = JsonDocument.Parse(CommandLine.Run("list", "d4rl", "--json").Output);
        var rows = sets
            .RootElement.EnumerateArray()
            .ToDictionary(row => row.GetProperty("name").GetString()!, row => row.GetProperty("meaning").GetString()!);
        Assert.Contains("Play AntMaze-medium", rows["antmaze-medium-play-v2"]);
        Assert.DoesNotContain("AntMaze-medium;", rows["antmaze-medium-play-v0"]);
        Assert.Equal(15, rows.Values.Count(text => text.Contains("; –; ") is false));
    }

    [Theory]
    [InlineData(2, 130)]
    [InlineData(15, 143)]
    public async Task A_signal_stops_it_with_nothing_left(int signal, int exitCode)
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        using var process = Process.Start(
            new ProcessStartInfo(
                "dotnet",
                [
                    Path.Combine(AppContext.BaseDirectory, "Tilt.Cli.dll"),
                    "data",
                    "make",
                    "maze2d-large",
                    "--size",
                    "20000000",
                    "--threads",
                    "1",
                    "--out",
                    folder.File("made.hdf5"),
                ]
            )
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            }
        )!;
        var errors = process.StandardError.ReadToEndAsync();
        // The handler is set before the collection begins, and the collection begins by loading the physics.
        var watch = Stopwatch.StartNew();
        while (!process.HasExited && !HasPhysics(process.Id) && watch.Elapsed < TimeSpan.FromMinutes(1))
        {
            Thread.Sleep(20);
        }
        Assert.Equal(0, Kill(process.Id, signal));
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(1)));
        Assert.Equal(exitCode, process.ExitCode);
        Assert.Contains("nothing was written", await errors);
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    private static bool HasPhysics(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/maps").Contains("libmujoco", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
