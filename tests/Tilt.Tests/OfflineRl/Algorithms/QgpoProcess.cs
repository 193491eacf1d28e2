using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Tilt.Tests.OfflineRl.Algorithms;

/// <summary>The sample training in a process of its own, to be stopped and killed.</summary>
internal sealed partial class QgpoProcess : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _errors;

    public QgpoProcess(string folder)
    {
        var assembly = typeof(QgpoProcess).Assembly.Location;
        var start = new ProcessStartInfo("dotnet", [assembly])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_STARTUP_HOOKS"] = assembly;
        start.Environment["DOTNET_TieredPGO"] = "0";
        start.Environment[QgpoSample.FolderVariable] = folder;
        _process = Process.Start(start)!;
        _output = _process.StandardOutput.ReadToEndAsync();
        _errors = _process.StandardError.ReadToEndAsync();
    }

    public string Output => _output.Result;

    public string Errors => _errors.Result;

    /// <summary>Waits until the status says that a stage is under way, or that all is over.</summary>
    public void WaitForStage(string folder, string stage)
    {
        var clock = Stopwatch.StartNew();
        while (!_process.HasExited && StageOf(folder) != stage)
        {
            Assert.True(clock.Elapsed < Patience, "no progress");
            Thread.Sleep(2);
        }
    }

    public int Wait()
    {
        Assert.True(_process.WaitForExit(Patience), "the process did not end");
        return _process.ExitCode;
    }

    public void Terminate() => Assert.Equal(0, SendSignal(_process.Id, 15));

    public void Kill() => _process.Kill();

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }
        _process.Dispose();
    }

    /// <summary>The stage of the last checkpoint: the one after the last that is done.</summary>
    private static string? StageOf(string folder)
    {
        try
        {
            var checkpoints = new DirectoryInfo(Path.Combine(folder, "checkpoints"));
            var newest = checkpoints
                .EnumerateDirectories("step-*")
                .OrderBy(one => long.Parse(one.Name["step-".Length..], null))
                .LastOrDefault();
            if (newest is null)
            {
                return File.Exists(Path.Combine(folder, "status.json")) ? "behavior" : null;
            }
            using var state = JsonDocument.Parse(File.ReadAllText(Path.Combine(newest.FullName, "state.json")));
            foreach (var stage in state.RootElement.GetProperty("content").GetProperty("stages").EnumerateArray())
            {
                if (stage.GetProperty("done").GetInt64() < stage.GetProperty("steps").GetInt64())
                {
                    return stage.GetProperty("name").GetString();
                }
            }
            return null;
        }
        catch (Exception error) when (error is IOException or JsonException or FormatException)
        {
            return null;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);
}
