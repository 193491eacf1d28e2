using System.Diagnostics;
using Tilt.Tests.Environments;

namespace Tilt.Tests.Cli;

/// <summary>The program itself, where MuJoCo or OpenGL cannot be loaded.</summary>
/// <remarks>
/// The libraries are hidden behind /dev/null in a mount namespace of the child's own, which nobody else sees. Root may do that; others
/// see the tests skipped.
/// </remarks>
public class AbsentLibraryTests
{
    [Fact]
    public async Task Without_MuJoCo_data_are_read_scored_and_listed_and_the_rest_says_what_is_missing()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var log = folder.File("my lög.csv");
        File.WriteAllText(
            log,
            "observation_0,action_0,reward,terminated\n"
                + string.Concat(Enumerable.Range(0, 30).Select(i => $"{i},0,1,{(i % 10 == 9 ? 1 : 0)}\n"))
        );
        var set = folder.File("mein süßer Satz.hdf5");
        foreach (
            var fine in new[]
            {
                ["list", "tasks"],
                ["data", "import", log, "--to", set],
                ["data", "inspect", set, "--out", folder.File("page")],
                new[] { "data", "score", "hopper", "1000" },
            }
        )
        {
            var (code, output) = await RunHiding("libmujoco.so", fine);
            Assert.True(code == 0, output);
        }
        foreach (
            var wanting in new[]
            {
                ["data", "make", "maze2d-umaze", "--out", folder.File("x.hdf5")],
                new[] { "render", "hopper" },
            }
        )
        {
            var (code, output) = await RunHiding("libmujoco.so", wanting);
            Assert.Equal(1, code);
            Assert.Contains("libmujoco.so.2.2.2 was not found", output);
            Assert.Contains("apt-get install -y libmujoco2.2.2", output);
        }
        Assert.False(File.Exists(folder.File("x.hdf5")));
    }

    [Fact]
    public async Task Without_OpenGL_everything_but_pictures_works()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var (code, output) = await RunHiding(
            "libEGL.so libOSMesa.so",
            "render",
            "hopper",
            "--out",
            folder.File("pictures")
        );
        Assert.Equal(1, code);
        Assert.Contains("no OpenGL without a screen", output);
        Assert.Contains("libosmesa6", output);
        var file = folder.File("made.hdf5");
        (code, output) = await RunHiding(
            "libEGL.so libOSMesa.so",
            "data",
            "make",
            "maze2d-umaze",
            "--size",
            "500",
            "--out",
            file
        );
        Assert.True(code == 0 && File.Exists(file), output);
    }

    /// <summary>Runs a verb with the system's libraries of some names hidden.</summary>
    private static async Task<(int Code, string Output)> RunHiding(string names, params string[] verb)
    {
        const string script = """
            for name in $1; do
              for file in $(ldconfig -p | sed -n "s#.* => \(.*/$name.*\)#\1#p"); do mount --bind /dev/null "$file" || exit 99; done
            done
            shift
            exec dotnet "$@"
            """;
        var start = new ProcessStartInfo(
            "unshare",
            ["-m", "bash", "-c", script, "-", names, Path.Combine(AppContext.BaseDirectory, "Tilt.Cli.dll"), .. verb]
        )
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        start.Environment.Remove("TILT_NATIVE");
        try
        {
            using var process = Process.Start(start)!;
            var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            var all = output + await errors;
            Assert.SkipWhen(
                process.ExitCode == 99 || all.Contains("unshare", StringComparison.Ordinal),
                $"hiding libraries takes a mount namespace, which is not permitted here: {all}"
            );
            return (process.ExitCode, all);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("hiding libraries takes 'unshare' (util-linux), which is not installed.");
            throw;
        }
    }
}
