using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Tilt.Cli.Progress;
using Tilt.OfflineRl.Collection;
using Tilt.OfflineRl.Data;
using Tilt.Training;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt data make</c>: collects a data set by D4RL's protocol, from policies that ship with Tilt.</summary>
internal static class DataMake
{
    /// <summary>Steps beyond which nothing fits into memory.</summary>
    private const int MostSteps = 50_000_000;

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "make",
            "Collects a data set by D4RL's protocol; 'list makeable' names them.",
            "./tilt data make maze2d-umaze",
            "./tilt data make maze2d-large-dense --size 200000 --seed 3"
        );
        var name = new Argument<string>("NAME")
        {
            Description = "a data set that Tilt can make",
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                if (DataRecipes.TryNamed(typed) is null)
                {
                    result.AddError(Unknown(typed).Message);
                }
                return typed;
            },
        };
        var size = new Option<int?>("--size")
        {
            HelpName = "N",
            Description = "steps to collect [as D4RL's]",
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                if (
                    int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                    && number is >= 1 and <= MostSteps
                )
                {
                    return number;
                }
                result.AddError(
                    $"--size '{typed}': expected a whole number from 1 to {MostSteps}, as in --size 200000."
                );
                return null;
            },
        };
        var seed = CommonOptions.Seed();
        var target = new Option<string?>("--out", "-o")
        {
            HelpName = "FILE",
            Description = $"the .hdf5 file to write [{DataFiles.OwnFile("NAME")}]",
        };
        var policy = new Option<string?>("--policy")
        {
            HelpName = "FILE",
            Description = "a policy file to act with, where the recipe takes one",
        };
        var force = new Option<bool>("--force") { Description = "replace an existing file" };
        verb.Add(name);
        foreach (var option in new Option[] { size, seed, target, policy, force })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var recipe = DataRecipes.Named(parsed.GetRequiredValue(name));
            var request = new CollectionRequest
            {
                Size = parsed.GetValue(size) ?? recipe.DefaultSize,
                Seed = parsed.GetValue(seed),
                Threads = parsed.Shared<int?>("--threads") ?? Environment.ProcessorCount,
                PolicyFile = parsed.GetValue(policy),
            };
            return Make(terminal, recipe, request, File(parsed.GetValue(target), recipe), parsed.GetValue(force));
        });
        return verb;
    }

    private static int Make(Terminal terminal, DataRecipe recipe, CollectionRequest request, string file, bool force)
    {
        if (System.IO.File.Exists(file) && !force)
        {
            if (OwnDataSet.Matches(file, recipe, request, Versions.Tilt))
            {
                terminal.Line($"{file}  is there already, made by the same request");
                return 0;
            }
            throw TiltException.Usage($"'{file}' is there already, with other content; add --force or name another.");
        }
        using var signals = new StopSignals(CancellationToken.None);
        var shown = TerminalProgress.For(terminal);
        var meter = new CollectionMeter(shown, recipe.Name);
        var watch = Stopwatch.StartNew();
        System.Text.Json.Nodes.JsonObject manifest;
        try
        {
            manifest = OwnDataSet.Make(
                recipe,
                request with
                {
                    Progress = meter.Update,
                    Stop = signals.Asked,
                },
                file,
                Versions.Tilt
            );
        }
        catch (OperationCanceledException) when (signals.ExitCode is not null)
        {
            meter.End();
            throw new StoppedException(
                $"stopped; {(System.IO.File.Exists(file) ? $"{file} is as it was" : "nothing was written")}.",
                signals.ExitCode.Value
            );
        }
        meter.End();
        var episodes = manifest["episodes"]!;
        var mean = episodes["mean_return"] is { } value
            ? $", mean return {value.GetValue<double>().ToString("0.##", CultureInfo.InvariantCulture)}"
            : "";
        terminal.Line(
            $"{file}  {request.Size} steps, {episodes["count"]} episodes{mean}, "
                + $"{ProgressLine.Duration(watch.Elapsed)}, SHA-256 {manifest["file_sha256"]}"
        );
        terminal.Remark($"made by Tilt, not D4RL's data; {OwnDataSet.ManifestOf(file)} says how");
        terminal.Remark($"look at it: ./tilt data inspect {ShellText.Quoted(file)}");
        return 0;
    }

    private static string File(string? asked, DataRecipe recipe) =>
        asked is null ? DataFiles.OwnFile(recipe.Name)
        : Directory.Exists(asked) ? DataFiles.OwnFile(recipe.Name, asked)
        : DataVerbs.Target("--out", asked);

    private static TiltException Unknown(string typed)
    {
        if (D4rlTask.Exactly(typed) is not null)
        {
            var bare = typed[..typed.LastIndexOf('-')];
            return TiltException.Usage(
                DataRecipes.TryNamed(bare) is null
                    ? $"'{typed}' is D4RL's own, and Tilt has no recipe like it; download it, 'list d4rl' says from where."
                    : $"'{typed}' is D4RL's own; what Tilt makes after its protocol is called '{bare}'."
            );
        }
        return Suggest.Unknown("data set to make", typed, DataRecipes.Names);
    }
}
