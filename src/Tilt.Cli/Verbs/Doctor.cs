using System.CommandLine;
using Tilt.Cli.Health;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt doctor</c>: what is present, and the one command that mends each thing that is not.</summary>
internal static class Doctor
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "doctor",
            "Checks libraries, threads, CPU, fonts and disk; names what mends them.",
            "./tilt doctor",
            "./tilt doctor --fix"
        );
        var json = CommonOptions.Json();
        var fix = new Option<bool>("--fix")
        {
            Description = "first fetch what apt can provide (MuJoCo, OSMesa), then check",
        };
        verb.Add(fix);
        verb.Add(json);
        verb.SetAction(parsed => Run(terminal, HealthChecks.All(), parsed.GetValue(json)));
        return verb;
    }

    /// <summary>Prints every finding.</summary>
    /// <returns>0, or 1 where something is missing that nothing works without.</returns>
    public static int Run(Terminal terminal, IReadOnlyList<Func<Finding>> checks, bool json)
    {
        var table = new Table(
            new TableColumn("check", "check"),
            new TableColumn("state", "state"),
            new TableColumn("found", "found"),
            new TableColumn("remedy", "remedy")
        );
        var broken = 0;
        foreach (var check in checks)
        {
            var finding = check();
            broken += finding.State == State.Broken ? 1 : 0;
            table.Add(finding.Name, Word(finding.State), finding.Found, finding.Remedy);
            if (!json)
            {
                terminal.Wrapped($"{Word(finding.State), -7} {finding.Name, -12} {finding.Found}", 21);
                if (finding.Remedy is { } remedy)
                {
                    // Commands are never broken, so that they can be copied.
                    terminal.Line($"{"", 8}→ {remedy}");
                }
            }
        }
        if (json)
        {
            table.WriteJson(terminal.Output);
        }
        return broken == 0 ? 0 : 1;
    }

    private static string Word(State state) =>
        state switch
        {
            State.Fine => "ok",
            State.Optional => "missing",
            _ => "BROKEN",
        };
}
