using Tilt.Cli;

namespace Tilt.Tests.Cli;

/// <summary>Runs the command line inside the test process.</summary>
internal static class CommandLine
{
    public sealed record Result(int ExitCode, string Output, string Error);

    public static Result Run(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var exitCode = Program.Run(args, output, error);
        return new(exitCode, output.ToString(), error.ToString());
    }

    /// <summary>A command line with one verb whose options a test chooses.</summary>
    public static Result Run(Verb verb, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var terminal = new Terminal(output, error);
        var exitCode = Program.Run(VerbCatalogue.Root(terminal, verb), args, terminal);
        return new(exitCode, output.ToString(), error.ToString());
    }
}
