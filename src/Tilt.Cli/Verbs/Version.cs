using System.CommandLine;
using System.Runtime.InteropServices;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt version</c>: what is running, for bug reports and run folders.</summary>
internal static class Version
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "version",
            "Prints the versions of Tilt and of what it runs on.",
            "./tilt version",
            "./tilt version --json"
        );
        var json = CommonOptions.Json();
        verb.Add(json);
        verb.SetAction(parsed => Table().Show(terminal, parsed.GetValue(json)));
        return verb;
    }

    /// <summary>Component and version, one row each.</summary>
    public static Table Table()
    {
        var table = new Table(new TableColumn("component", "component"), new TableColumn("version", "version"));
        table.Add("Tilt", Versions.Tilt);
        table.Add("TorchSharp", Versions.TorchSharp);
        table.Add(".NET", Environment.Version.ToString());
        table.Add("system", RuntimeInformation.OSDescription);
        table.Add("architecture", RuntimeInformation.ProcessArchitecture.ToString());
        return table;
    }
}
