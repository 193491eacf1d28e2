using System.CommandLine;
using System.CommandLine.Parsing;

namespace Tilt.Cli;

/// <summary>Turns what the parser could not make sense of into an error that says what to type instead.</summary>
internal static class UsageErrors
{
    /// <summary>Throws for the first thing that is wrong with a command line, unless help is asked for.</summary>
    /// <exception cref="TiltException">Exit code 2.</exception>
    public static void Check(ParseResult parsed)
    {
        if (parsed.Tokens.Any(token => token.Value is "--help" or "-h"))
        {
            return;
        }
        // The parser takes a mistyped option for an argument where an argument is allowed.
        var mistyped = parsed
            .Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash)
            .FirstOrDefault(token => token.Type == TokenType.Argument && IsOptionLike(token.Value));
        if (mistyped is not null)
        {
            throw Suggest.Unknown("option", mistyped.Value, OptionNames(parsed));
        }
        var command = parsed.CommandResult.Command;
        if (parsed.UnmatchedTokens.Count > 0)
        {
            var typed = parsed.UnmatchedTokens[0];
            if (command.Subcommands.Count > 0)
            {
                throw Suggest.Unknown(
                    "verb",
                    typed,
                    command.Subcommands.Where(sub => !sub.Hidden).Select(sub => sub.Name).ToList()
                );
            }
            throw TiltException.Usage($"'{typed}' is one argument too many.");
        }
        if (command.Subcommands.Count > 0 && command.Action is null)
        {
            var names = string.Join(", ", command.Subcommands.Where(sub => !sub.Hidden).Select(sub => sub.Name));
            throw TiltException.Usage($"a verb is missing; one of: {names}.");
        }
        foreach (var error in parsed.Errors)
        {
            throw TiltException.Usage(
                error.SymbolResult switch
                {
                    OptionResult { Tokens.Count: 0 } option =>
                        $"{option.Option.Name} needs a value: {Meaning(option.Option)}.",
                    ArgumentResult { Tokens.Count: 0 } argument when IsOwn(argument) =>
                        $"{argument.Argument.HelpName ?? argument.Argument.Name} is missing: {argument.Argument.Description}.",
                    _ => error.Message,
                }
            );
        }
    }

    private static bool IsOptionLike(string typed) =>
        typed.Length > 1 && typed[0] == '-' && !char.IsDigit(typed[1]) && typed[1] != '.';

    private static bool IsOwn(ArgumentResult argument) => argument.Parent is CommandResult;

    private static string Meaning(Option option) => option.Description ?? option.HelpName ?? "see --help";

    private static List<string> OptionNames(ParseResult parsed)
    {
        var names = new List<string>();
        for (SymbolResult? at = parsed.CommandResult; at is not null; at = at.Parent)
        {
            if (at is CommandResult level)
            {
                names.AddRange(
                    level
                        .Command.Options.Where(option => level == parsed.CommandResult || option.Recursive)
                        .Select(option => option.Name)
                );
            }
        }
        return names.Distinct().ToList();
    }
}
