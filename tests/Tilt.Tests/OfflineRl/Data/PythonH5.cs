using System.Diagnostics;

namespace Tilt.Tests.OfflineRl.Data;

/// <summary>Runs Python with h5py where it is installed (Debian: python3-h5py); tests that need it are skipped, saying so, elsewhere.</summary>
public static class PythonH5
{
    private static readonly Lazy<string?> Interpreter = new(() =>
        new[] { "/usr/bin/python3", "python3" }.FirstOrDefault(python => Run(python, "import h5py, numpy").Code == 0)
    );

    /// <summary>Runs a script with arguments and returns what it printed.</summary>
    public static string Run(string script, params string[] arguments)
    {
        if (Interpreter.Value is not { } python)
        {
            Assert.Skip(
                "h5py is not installed (Debian: apt-get install python3-h5py), so its view of the file is not checked."
            );
            return "";
        }
        var (code, output) = Run(python, script, arguments);
        Assert.True(code == 0, output);
        return output.Trim();
    }

    private static (int Code, string Output) Run(string python, string script, params string[] arguments)
    {
        try
        {
            var start = new ProcessStartInfo(python) { RedirectStandardOutput = true, RedirectStandardError = true };
            foreach (var word in (string[])["-c", script, .. arguments])
            {
                start.ArgumentList.Add(word);
            }
            using var process = Process.Start(start)!;
            var errors = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output + errors.Result);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return (127, "");
        }
    }
}
