using System.CommandLine;
using Tilt.Cli.Reports;
using Tilt.OfflineRl.Data;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt data inspect</c>: what a data file holds, on the terminal and on a page with pictures.</summary>
internal static class DataInspect
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "inspect",
            "Counts what a data file holds and draws a page of it: episodes, every dimension, oddities.",
            "./tilt data inspect hopper-medium-v2",
            "./tilt data inspect log.csv --task hopper --episode-steps 1000"
        );
        var file = new Argument<string>("FILE") { Description = "a data file, or the name of a data set" };
        var task = DataVerbs.Task("for normalized scores");
        var limit = DataVerbs.EpisodeSteps();
        var fields = DataVerbs.Fields();
        var folder = CommonOptions.Out("where to write the page [runs/inspect/NAME]");
        var json = CommonOptions.Json();
        verb.Add(file);
        foreach (var option in new Option[] { task, limit, fields, folder, json })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var name = parsed.GetRequiredValue(file);
            var path = DataFiles.Find(name, remedy: "Name a file, or one that './tilt list found' shows.");
            var known = DataVerbs.TaskOf(parsed.GetValue(task), name);
            using var steps = RecordedSteps.Open(
                path,
                new() { ExpectFinite = false, Fields = parsed.GetRequiredValue(fields) }
            );
            if (parsed.GetValue(task) is not null && known is { ObservationSize: { } s, ActionSize: { } a })
            {
                steps.ExpectSizes(known.Name, s, a);
            }
            var summary = DataSummary.Of(steps, parsed.GetValue(limit) ?? known?.EpisodeSteps);
            // Runs from target to target are no episodes of the task, whose returns D4RL's constants are about.
            var scored = known?.Name.StartsWith("maze2d", StringComparison.Ordinal) == true ? null : known;
            DataReport.Overview(steps, summary, scored).Show(terminal, parsed.GetValue(json));
            var command = "./tilt " + string.Join(' ', parsed.Tokens.Select(token => ShellText.Quoted(token.Value)));
            var page = new DataReport(command, FileContents.Of(path), steps, summary, scored).Write(
                parsed.GetValue(folder) ?? Path.Combine("runs", "inspect", Path.GetFileNameWithoutExtension(path))
            );
            if (parsed.GetValue(json))
            {
                terminal.Remark(page);
            }
            else
            {
                terminal.Line(page);
            }
            return 0;
        });
        return verb;
    }
}
