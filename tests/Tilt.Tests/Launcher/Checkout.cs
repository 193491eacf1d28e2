using System.Diagnostics;

namespace Tilt.Tests.Launcher;

/// <summary>
/// A small checkout with the real launcher and a stand-in for the SDK, which writes down how it was called. The folder's name
/// has a space in it.
/// </summary>
internal sealed class Checkout : IDisposable
{
    private const string StandIn = """
        #!/usr/bin/env bash
        here=$(dirname "$(readlink -f "$0")")
        case "$1" in
          --version) [ ! -f "$here/too-old" ] && echo 10.0.100 || { echo 'no compatible SDK' >&2; exit 155; } ;;
          --list-sdks) echo '8.0.100 [/usr/share/dotnet/sdk]' ;;
          build)
            echo "build ${2##*/}" >>"$here/calls"
            [ -f "$here/broken" ] && { echo 'Program.cs(1,1): error CS1002: ; expected'; exit 1; }
            sleep "$(cat "$here/build-seconds" 2>/dev/null || echo 0)"
            [ -f "$here/leaves-server" ] && { sleep 20 & }
            folder=$(dirname "$2")/bin/Release/net10.0/linux-x64
            mkdir -p "$folder"
            touch "$folder/$(basename "$2" .csproj).dll"
            ;;
          *Tilt.Tests.dll)
            printf 'tests:%s\n' "${@:2}" >>"$here/calls"
            sed -n 's/SigIgn:.*\(.\)$/ignored:\1/p' "/proc/$$/status" >>"$here/calls"
            [ -f "$here/hangs" ] && exec sleep 20
            while [ $# -gt 0 ]; do [ "$1" = -result-trx ] && results=$2; shift; done
            [ -f "$here/counters" ] && cp "$here/counters" "$results"
            exit "$(cat "$here/exit-code" 2>/dev/null || echo 0)"
            ;;
          *Tilt.Cli.dll)
            shift
            printf 'argument:%s\n' "$@"
            [ -f "$here/hangs" ] && exec sleep 20
            exit "$(cat "$here/exit-code" 2>/dev/null || echo 0)"
            ;;
        esac
        """;

    private readonly TemporaryFolder _folder = new();

    public Checkout()
    {
        Root = _folder.File("a checkout");
        Sdk = _folder.File("sdk");
        foreach (var folder in new[] { "build", "src/Tilt.Cli", "tests/Tilt.Tests", "samples" })
        {
            Directory.CreateDirectory(Path.Combine(Root, folder));
        }
        Directory.CreateDirectory(Sdk);
        File.Copy(Path.Combine(Repository.Root, "global.json"), File_("global.json"));
        File.WriteAllText(File_("src/Tilt.Cli/Program.cs"), "// a program");
        File.WriteAllText(File_("tests/Tilt.Tests/Test.cs"), "// a test");
        Set("stand-in", StandIn);
        Install(Path.Combine(Sdk, "stand-in"), Path.Combine(Sdk, "dotnet"));
        Install(Path.Combine(Repository.Root, "tilt"), File_("tilt"));
    }

    public sealed record Result(int ExitCode, string Output, string Error);

    public string Root { get; }

    public string Sdk { get; }

    /// <summary>How the stand-in was called so far.</summary>
    public string[] Calls =>
        File.Exists(Path.Combine(Sdk, "calls")) ? File.ReadAllLines(Path.Combine(Sdk, "calls")) : [];

    public int Builds => Calls.Count(call => call.StartsWith("build", StringComparison.Ordinal));

    public string File_(string name) => Path.Combine(Root, name);

    /// <summary>Tells the stand-in how to behave.</summary>
    public void Set(string name, string content = "") => File.WriteAllText(Path.Combine(Sdk, name), content);

    /// <summary>Puts a program before the system's own.</summary>
    public void AddTool(string name, string script)
    {
        Set($"{name}.text", $"#!/usr/bin/env bash\nhere=$(dirname \"$(readlink -f \"$0\")\")\n{script}\n");
        Install(Path.Combine(Sdk, $"{name}.text"), Path.Combine(Sdk, name));
    }

    /// <summary>Changes a word of the launcher.</summary>
    public void Alter(string word, string replacement)
    {
        Set("launcher", File.ReadAllText(File_("tilt")).Replace(word, replacement, StringComparison.Ordinal));
        Install(Path.Combine(Sdk, "launcher"), File_("tilt"));
    }

    public void Unset(string name) => File.Delete(Path.Combine(Sdk, name));

    public Result Run(params string[] args) => Finish(Start(File_("tilt"), args));

    public Process Start(string launcher, string[] args, string? folder = null, string? path = null)
    {
        var start = new ProcessStartInfo(launcher)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? Path.GetTempPath(),
        };
        foreach (var arg in args)
        {
            start.ArgumentList.Add(arg);
        }
        start.Environment["PATH"] = path ?? $"{Sdk}:{Environment.GetEnvironmentVariable("PATH")}";
        start.Environment["HOME"] = _folder.Path;
        start.Environment.Remove("DOTNET_ROOT");
        return Process.Start(start)!;
    }

    public static Result Finish(Process process)
    {
        using (process)
        {
            var error = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return new(process.ExitCode, output, error.GetAwaiter().GetResult());
        }
    }

    /// <summary>
    /// Copies a program by another process: were it written here, a process that another test starts in that moment would hold it
    /// open for writing, and the system refuses to run such a file.
    /// </summary>
    private static void Install(string from, string to)
    {
        using var install = Process.Start("install", ["-m", "755", from, to]);
        install.WaitForExit();
    }

    public void Dispose() => _folder.Dispose();
}
