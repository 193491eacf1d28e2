using System.Diagnostics;

namespace Tilt.Tests;

/// <summary>A file system in memory, of a size and mode of its own. Root may mount; others see the test skipped.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly TemporaryFolder _place = new();

    public static SmallDisk Mount(string options)
    {
        var disk = new SmallDisk();
        if (Command("mount", "-t", "tmpfs", "-o", options, "tilt-test", disk._place.Path) is { } refused)
        {
            disk._place.Dispose();
            Assert.Skip($"needs a small file system of its own, and mounting is not permitted here: {refused}");
        }
        return disk;
    }

    public string Path => _place.Path;

    public string File(string name) => _place.File(name);

    public void Remount(string mode) => Assert.Null(Command("mount", "-o", $"remount,{mode}", _place.Path));

    public void Dispose()
    {
        Command("umount", _place.Path);
        _place.Dispose();
    }

    private static string? Command(string name, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(
                new ProcessStartInfo(name, arguments) { RedirectStandardError = true, RedirectStandardOutput = true }
            )!;
            var said = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? null : said.Trim();
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            return error.Message;
        }
    }
}
