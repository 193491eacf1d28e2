using System.Text.Json.Serialization.Metadata;
using Tilt.Runs;

namespace Tilt.Cli.Reports;

/// <summary>The last section of a run's page: what it was made from and the commands that make it again.</summary>
internal static class ProvenanceSection
{
    /// <summary>Options that differ from the preset's, with their values.</summary>
    /// <param name="options">Those of the run.</param>
    /// <param name="preset">Those of its preset for its task.</param>
    /// <param name="json">How they are written.</param>
    public static IReadOnlyList<(string Name, string Value)> Departures<TOptions>(
        TOptions options,
        TOptions preset,
        JsonTypeInfo<TOptions> json
    )
        where TOptions : class
    {
        var usual = OptionRecords
            .List(preset, json)
            .ToDictionary(option => option.Name, option => option.Value, StringComparer.Ordinal);
        return
        [
            .. OptionRecords
                .List(options, json)
                .Where(option => option.Name is not ("task" or "seed" or "preset"))
                .Where(option => usual.GetValueOrDefault(option.Name) != option.Value),
        ];
    }

    /// <summary>Departures as they are typed: <c>--set name=value</c> for each, with a space before.</summary>
    /// <param name="departures">All of them.</param>
    /// <param name="apart">Names that the command has an option of its own for.</param>
    public static string Settings(IEnumerable<(string Name, string Value)> departures, params string[] apart) =>
        string.Concat(
            departures
                .Where(option => !apart.Contains(option.Name))
                .Select(option => $" --set {ShellText.Quoted($"{option.Name}={option.Value.Trim('"')}")}")
        );

    /// <summary>Adds the section.</summary>
    /// <param name="page">To which.</param>
    /// <param name="manifest">Of the run.</param>
    /// <param name="data">What it learned from.</param>
    /// <param name="seed">Its seed.</param>
    /// <param name="preset">Its preset.</param>
    /// <param name="departures">What differs from the preset.</param>
    /// <param name="precision">How it computed.</param>
    /// <param name="commands">What to type, a line each.</param>
    public static void Add(
        ReportPage page,
        RunManifest manifest,
        string data,
        long seed,
        string preset,
        IEnumerable<(string Name, string Value)> departures,
        string precision,
        string commands
    )
    {
        var table = new Table(new TableColumn("what", "what"), new TableColumn("value", "value"));
        table.Add("data", data);
        table.Add("seed", $"{seed}");
        table.Add("preset", preset);
        foreach (var (option, value) in departures)
        {
            table.Add($"option {option}", value);
        }
        foreach (var (name, version) in manifest.Versions)
        {
            table.Add(name, version);
        }
        table.Add("commit", manifest.Commit ?? "unknown");
        var threads = $"{manifest.Threads} thread{(manifest.Threads == 1 ? "" : "s")}";
        table.Add("processor", manifest.Cpu is { } cpu ? $"{cpu.Model}, {threads}" : threads);
        table.Add("precision", precision);
        page.Section(ReportSections.Provenance)
            .Add(table, "Options are listed where they differ from the preset's.")
            .Text("The numbers of this page come from these commands:")
            .Code(commands);
    }
}
