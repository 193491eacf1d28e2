using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using Tilt.Cli.Verbs;

namespace Tilt.Cli;

/// <summary>A verb: a command with two examples on its help page.</summary>
/// <param name="name">What is typed.</param>
/// <param name="description">One sentence.</param>
/// <param name="examples">Command lines that work as they stand.</param>
internal sealed class Verb(string name, string description, params IReadOnlyList<string> examples)
    : Command(name, description)
{
    /// <summary>Command lines that work as they stand.</summary>
    public IReadOnlyList<string> Examples { get; } = examples;
}

/// <summary>All verbs. A new one is its file and a line here.</summary>
internal static class VerbCatalogue
{
    /// <summary>The whole command line.</summary>
    public static Command Root(Terminal terminal) =>
        Root(
            terminal,
            Doctor.Verb(terminal),
            Train.Verb(terminal),
            Eval.Verb(terminal),
            Certify.Verb(terminal),
            Sample.Verb(terminal),
            Report.Verb(terminal),
            Demo.Verb(terminal),
            DataVerbs.Verb(terminal),
            Render.Verb(terminal),
            List.Verb(terminal),
            Verbs.Version.Verb(terminal)
        );

    /// <summary>A command line of the given verbs with the options that all share.</summary>
    public static Command Root(Terminal terminal, params IReadOnlyList<Command> verbs)
    {
        var root = new Verb(
            "tilt",
            "Exact energy-guided diffusion sampling, and offline reinforcement learning built on it.",
            "./tilt doctor",
            "./tilt list"
        );
        foreach (var verb in verbs)
        {
            root.Add(verb);
        }
        // The launcher builds and runs the tests itself; the verb stands here so that it is listed and understood.
        var test = new Verb("test", "Builds and runs the tests.", "./tilt test", "./tilt test Sampling");
        test.SetAction(TellOfLauncher);
        root.Add(test);

        foreach (var option in CommonOptions.Everywhere())
        {
            root.Add(option);
        }
        var version = new Option<bool>("--version") { Description = "print the version" };
        root.Add(version);
        root.Add(new HelpOption("--help", "-h") { Action = new HelpPage(terminal), Description = "show this page" });
        root.SetAction(parsed =>
        {
            if (parsed.GetValue(version))
            {
                terminal.Line(Versions.Tilt);
            }
            else
            {
                HelpPage.Write(root, terminal);
            }
        });
        return root;
    }

    private static int TellOfLauncher(ParseResult parsed) =>
        throw TiltException.Usage("the tests belong to a checkout: run './tilt test' there.");

    /// <summary>The words that lead to a command, such as <c>tilt data make</c>.</summary>
    public static string PathOf(CommandResult result)
    {
        var words = new List<string>();
        for (SymbolResult? at = result; at is not null; at = at.Parent)
        {
            if (at is CommandResult command)
            {
                words.Insert(0, command.Command.Name);
            }
        }
        return string.Join(' ', words);
    }
}
