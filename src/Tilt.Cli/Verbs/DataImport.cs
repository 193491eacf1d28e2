using System.CommandLine;
using Tilt.OfflineRl.Data;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt data import</c>: a table, an .npz or another HDF5 file becomes a data set in D4RL's layout.</summary>
internal static class DataImport
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "import",
            "Checks logged data (.csv, .npz, .hdf5) and writes them as a data set in D4RL's layout.",
            "./tilt data import log.csv --to data/my-robot.hdf5",
            "./tilt data import log.npz --field reward=r --field actions=torque"
        );
        var file = new Argument<string>("FILE") { Description = "the logged data" };
        var target = new Option<string?>("--to")
        {
            HelpName = "FILE",
            Description = "the .hdf5 file to write [data/NAME.hdf5]",
        };
        var fields = DataVerbs.Fields();
        var task = DataVerbs.Task("whose sizes the data must have");
        var force = new Option<bool>("--force") { Description = "replace an existing file" };
        verb.Add(file);
        verb.Add(target);
        verb.Add(fields);
        verb.Add(task);
        verb.Add(force);
        verb.SetAction(parsed =>
        {
            var from = parsed.GetRequiredValue(file);
            var to = parsed.GetValue(target) is { } named
                ? DataVerbs.Target("--to", named)
                : Path.Combine("data", Path.GetFileNameWithoutExtension(from) + ".hdf5");
            if (Path.GetFullPath(to) == Path.GetFullPath(from))
            {
                throw TiltException.Usage($"--to '{to}' is the file itself; name another.");
            }
            if (File.Exists(to) && !parsed.GetValue(force))
            {
                throw TiltException.Usage($"--to '{to}' is there already; name another, or add --force.");
            }
            using var steps = RecordedSteps.Open(
                from,
                new() { Cache = false, Fields = parsed.GetRequiredValue(fields) }
            );
            if (
                parsed.GetValue(task) is { } known
                && D4rlTask.Named(known) is { ObservationSize: { } s, ActionSize: { } a }
            )
            {
                steps.ExpectSizes(known, s, a);
            }
            D4rlFile
                .Of(steps)
                .Describe("made_by", $"Tilt {Versions.Tilt}, data import")
                .Describe("source", Path.GetFileName(from))
                .Describe("source_sha256", steps.Sha256)
                .Write(to);
            var episodes = steps.Episodes();
            terminal.Line(
                $"{to}  {steps.Count} steps, {steps.ObservationSize} observations, {steps.ActionSize} actions, {episodes.Count} whole episodes"
            );
            if (!steps.HasTruncated)
            {
                terminal.Remark(
                    "no field marks where episodes were cut off: give the step limit when training (--episode-steps)"
                );
            }
            terminal.Remark($"look at it: ./tilt data inspect {ShellText.Quoted(to)}");
            return 0;
        });
        return verb;
    }
}
