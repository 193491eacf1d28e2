using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;

namespace Tilt.Cli;

/// <summary>A help page: what the verb does, its arguments and options, two examples; short enough for one screen.</summary>
internal sealed class HelpPage(Terminal terminal) : SynchronousCommandLineAction
{
    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        Write(parseResult.CommandResult.Command, terminal, VerbCatalogue.PathOf(parseResult.CommandResult));
        return 0;
    }

    /// <summary>Prints the page of a command.</summary>
    public static void Write(Command command, Terminal terminal, string? path = null)
    {
        var subcommands = command.Subcommands.Where(sub => !sub.Hidden).ToList();
        var options = command.Options.Where(option => !option.Hidden && !IsCommon(option)).ToList();
        var usage = string.Join(
            ' ',
            new[] { "./" + (path ?? command.Name), subcommands.Count > 0 ? "VERB" : "" }
                .Concat(command.Arguments.Select(UsageOf))
                .Append(options.Count > 0 || subcommands.Count > 0 ? "[options]" : "")
                .Where(word => word.Length > 0)
        );

        terminal.Wrapped(command.Description ?? "");
        terminal.Line();
        terminal.Wrapped($"Usage: {usage}", 7);
        terminal.Line();

        var rows = subcommands
            .Select(sub => (sub.Name, sub.Description ?? ""))
            .Concat(
                command.Arguments.Select(argument => (argument.HelpName ?? argument.Name, argument.Description ?? ""))
            )
            .Concat(options.Select(option => (LabelOf(option), option.Description ?? "")))
            .ToList();
        rows.Add(("everywhere", string.Join(", ", CommonOptions.Everywhere().Select(LabelOf).Append("--help"))));
        var indent = Math.Min(rows.Max(row => row.Item1.Length) + 4, terminal.ProseWidth / 2);
        foreach (var (label, text) in rows)
        {
            terminal.Wrapped($"  {label.PadRight(indent - 3)} {text}", indent);
        }

        if (command is Verb { Examples.Count: > 0 } verb)
        {
            terminal.Line();
            terminal.Line("Examples:");
            foreach (var example in verb.Examples)
            {
                terminal.Line($"  {example}");
            }
        }
    }

    private static bool IsCommon(Option option) => option.Recursive || option.Name == "--help";

    private static string UsageOf(Argument argument)
    {
        var name = argument.HelpName ?? argument.Name;
        var repeated = argument.Arity.MaximumNumberOfValues > 1 ? "…" : "";
        return argument.Arity.MinimumNumberOfValues == 0 ? $"[{name}{repeated}]" : name + repeated;
    }

    private static string LabelOf(Option option) =>
        option.ValueType == typeof(bool) ? option.Name : $"{option.Name} {option.HelpName ?? "VALUE"}";
}
