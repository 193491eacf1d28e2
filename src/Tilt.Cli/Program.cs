using System.CommandLine;
using System.Reflection;
using Tilt.Environments;

namespace Tilt.Cli;

/// <summary>The command line: finds the verb, runs it, and turns what went wrong into a message and an exit code.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        PinAssemblies(typeof(Program).Assembly);
        return Run(args, Console.Out, Console.Error);
    }

    /// <summary>Runs one command line.</summary>
    /// <param name="args">The verb and its options.</param>
    /// <param name="output">Where results go.</param>
    /// <param name="error">Where remarks and errors go.</param>
    /// <returns>0 fine, 1 failed, 2 wrong request, 3 check not met, 130 or 143 stopped by a signal.</returns>
    public static int Run(string[] args, TextWriter output, TextWriter error)
    {
        var terminal = new Terminal(output, error);
        return Run(VerbCatalogue.Root(terminal), args, terminal);
    }

    /// <summary>Runs one command line over the given verbs.</summary>
    public static int Run(Command root, string[] args, Terminal terminal)
    {
        // An argument that starts with @ is a name like any other, not a file of arguments.
        var parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        var debug = args.Contains("--debug");
        try
        {
            UsageErrors.Check(parsed);
            terminal.Quiet = parsed.Shared<bool>("--quiet");
            if (parsed.Shared<int?>("--threads") is { } threads)
            {
                NativeRuntime.UseThreads(threads);
            }
            return parsed.Invoke(
                new InvocationConfiguration
                {
                    Output = terminal.Output,
                    Error = terminal.Error,
                    EnableDefaultExceptionHandler = false,
                    // Verbs that must tidy up on a signal handle it themselves; the others simply end.
                    ProcessTerminationTimeout = null,
                }
            );
        }
        catch (Exception failure) when (!debug || failure is TiltException or EnvironmentException)
        {
            return Tell(failure, parsed, debug, terminal);
        }
    }

    /// <summary>Opens every assembly of Tilt now, so that a rebuild during a long run cannot mix two versions in one process.</summary>
    private static void PinAssemblies(Assembly assembly)
    {
        foreach (var name in assembly.GetReferencedAssemblies())
        {
            if (name.Name!.StartsWith("Tilt", StringComparison.Ordinal))
            {
                PinAssemblies(Assembly.Load(name));
            }
        }
    }

    private static int Tell(Exception failure, ParseResult parsed, bool debug, Terminal terminal)
    {
        var (message, exitCode) = failure switch
        {
            TiltException told => (told.Message, told.ExitCode),
            EnvironmentException told => (told.Message, told.ExitCode),
            IOException or UnauthorizedAccessException => (failure.Message, 1),
            _ when NativeFailure(failure) is { } native => (
                $"a native library could not be loaded: {native.Message.Split('\n')[0]}. './tilt doctor' finds out why.",
                1
            ),
            _ => ($"{failure.GetType().Name}: {failure.Message} (a defect of Tilt; --debug shows where)", 1),
        };
        terminal.Error.WriteLine($"{VerbCatalogue.PathOf(parsed.CommandResult)}: {message}");
        if (exitCode == 2)
        {
            terminal.Error.WriteLine(
                $"'./{VerbCatalogue.PathOf(parsed.CommandResult)} --help' shows what is possible."
            );
        }
        if (debug)
        {
            terminal.Error.WriteLine(failure.ToString());
        }
        return exitCode;
    }

    private static Exception? NativeFailure(Exception failure)
    {
        for (var cause = failure; cause is not null; cause = cause.InnerException)
        {
            if (cause is DllNotFoundException or BadImageFormatException)
            {
                return cause;
            }
        }
        return null;
    }
}
