using System.Diagnostics;
using Tilt.Cli.Reports;
using Tilt.Environments.Simulation;
using Tilt.OfflineRl.Collection;
using Tilt.OfflineRl.Data;
using Tilt.OfflineRl.Evaluation;

namespace Tilt.Cli.Verbs;

/// <summary>The second half of <c>tilt demo</c>: logged data to a policy that acts, in minutes.</summary>
/// <remarks>
/// A robot on one leg, moved by four policies of one training, from the untrained to one that hops for a few seconds. Cloning them hops as far as
/// they do on average; guidance picks, among what they do, what keeps the robot going.
/// </remarks>
internal static class DemoRl
{
    private const string Task = "hopper-medium-replay";
    private const int Steps = 40_000;
    private const int Episodes = 100;

    /// <summary>Makes a small data set, trains, lets both policies act and writes the page.</summary>
    /// <param name="terminal">Where to tell.</param>
    /// <param name="seed">The training's seed.</param>
    /// <param name="steps">Gradient steps of each stage instead of the preset's; null for those.</param>
    /// <param name="output">The run's folder; null for the usual place.</param>
    public static void Run(Terminal terminal, long seed, long? steps, string? output)
    {
        if (!Mujoco.Availability.IsAvailable)
        {
            terminal.Wrapped($"The second half needs the physics: {Mujoco.Availability.Problem}");
            return;
        }
        var clock = Stopwatch.StartNew();
        var file = DataFiles.OwnFile($"{Task}-demo");
        var recipe = DataRecipes.Named(Task);
        var request = new CollectionRequest { Size = Steps, Threads = Environment.ProcessorCount };
        if (!File.Exists(file) || !OwnDataSet.Matches(file, recipe, request, Versions.Tilt))
        {
            OwnDataSet.Make(recipe, request, file, Versions.Tilt);
            terminal.Remark($"{file}: {Steps} steps of policies from untrained to middling");
        }
        var options = TrainQgpo.Resolve(
            Task,
            file,
            "demo",
            null,
            null,
            null,
            seed,
            steps,
            new Dictionary<string, string>()
        );
        var folder = output ?? Path.Combine("runs", Task, "demo", $"seed-{seed}");
        options = TrainQgpo.AsBegun(options, folder, new Dictionary<string, string>());
        using (var recorded = TrainQgpo.Open(options, file, new()))
        {
            TrainQgpo.Train(terminal, options, TrainQgpo.Transitions(options, recorded, null), folder, cache: null);
        }
        var rows = Eval.Evaluate(terminal, folder, null, null, [], [0, 1], Episodes, 0, again: false, frames: true);
        Eval.TableOf(rows).Print(terminal);
        var page = new QgpoReport(folder).Write(terminal.Remark);
        terminal.Line();
        terminal.Line($"{page} ({clock.Elapsed.TotalSeconds:0} s)");
    }
}
