using System.CommandLine;
using System.Globalization;
using System.Text;
using Tilt.Environments;
using Tilt.Environments.Simulation;
using Tilt.OfflineRl.Behavior;
using Tilt.Runs;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt data ladder</c>: chooses snapshots of a training that climb evenly, measures them, and writes them with their story.</summary>
internal static class DataLadder
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "ladder",
            "Chooses snapshots of a behavior policy's training that climb from random to the best.",
            "./tilt data ladder runs/hopper/sac/seed-0 --out ladders/hopper",
            "./tilt data ladder runs/walker2d/sac/seed-1 --rungs 5 --episodes 100"
        );
        var run = CommonOptions.Run();
        var rungs = Number("--rungs", "snapshots to choose", 8, 3, 100);
        var episodes = Number("--episodes", "episodes that measure each, with noise and again without", 50, 2, 10_000);
        var output = CommonOptions.Out("the ladder's folder [RUN/ladder]");
        verb.Add(run);
        foreach (var option in new Option[] { rungs, episodes, output })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var folder = parsed.GetRequiredValue(run);
            var threads = parsed.Shared<int?>("--threads") ?? Environment.ProcessorCount;
            return Make(
                terminal,
                folder,
                parsed.GetValue(output) ?? Path.Combine(folder, "ladder"),
                parsed.GetValue(rungs),
                parsed.GetValue(episodes),
                threads
            );
        });
        return verb;
    }

    private static int Make(Terminal terminal, string folder, string output, int count, int episodes, int threads)
    {
        Mujoco.Require();
        var run = RunReader.Open(folder);
        var options = run.Options(BehaviorJson.Default.SoftActorCriticOptions);
        var all = BehaviorLadder.Open(Path.Combine(folder, BehaviorTraining.SnapshotFolder));
        var ladder = all.Thinned(count);
        var task = Tasks.Find(ladder.Task);
        Directory.CreateDirectory(output);
        var table = new Table(
            new TableColumn("steps", "steps"),
            new TableColumn("sampled", "return, drawn actions"),
            new TableColumn("mean", "return, mean actions")
        );
        var written = new List<string>();
        var rows = new StringBuilder();
        foreach (var rung in ladder.Rungs)
        {
            var texts = new SortedDictionary<string, string>(
                rung.Actor.Metadata.ToDictionary(pair => pair.Key, pair => pair.Value),
                StringComparer.Ordinal
            )
            {
                ["licence"] = "MIT, the Tilt authors",
                ["physics"] = $"MuJoCo {Mujoco.Version}, inertias of MuJoCo 2.0",
            };
            var cells = new List<string> { Whole(rung.Steps) };
            foreach (var sampled in new[] { true, false })
            {
                // A seed of its own: the snapshots were chosen by their returns under another.
                var seed = new Tilt.RandomStreams(options.Seed).SeedOf("ladder");
                var measured = BehaviorEvaluation.Run(task, rung.Actor, episodes, sampled, seed, threads);
                SnapshotReturns.Write(texts, sampled, measured);
                cells.Add($"{Tenth(measured.Mean)} ± {Tenth(measured.Deviation)}");
            }
            var file = Path.Combine(output, rung.Name + BehaviorLadder.Ending);
            DurableFile.Replace(file, stream => stream.Write(rung.Actor.ToBytes(ElementType.F16, texts)));
            written.Add(file);
            table.Add([.. cells]);
            rows.Append(CultureInfo.InvariantCulture, $"| {cells[0]} | {cells[1]} | {cells[2]} |\n");
        }
        foreach (var old in Directory.GetFiles(output, "step-*" + BehaviorLadder.Ending).Except(written))
        {
            File.Delete(old);
        }
        DurableFile.Replace(Path.Combine(output, "returns.csv"), Curve(run));
        DurableFile.Replace(
            Path.Combine(output, "README.md"),
            Story(run, task.Name, options, episodes, rows.ToString())
        );
        table.Print(terminal);
        terminal.Remark($"{output}: {written.Count} snapshots, returns.csv, README.md");
        return 0;
    }

    /// <summary>The curve of the whole training: a row per snapshot and way of acting.</summary>
    private static string Curve(RunReader run)
    {
        var csv = new StringBuilder("step,policy,episodes,mean_return,deviation,mean_length\n");
        foreach (
            var group in run.Evaluations()
                .GroupBy(line => (line.Step, Policy: line.Text("policy")))
                .OrderBy(group => group.Key.Step)
        )
        {
            var measured = new EpisodeReturns(
                [.. group.Select(line => line.Number("return")!.Value)],
                [.. group.Select(line => (int)line.Number("length")!.Value)]
            );
            csv.Append(
                CultureInfo.InvariantCulture,
                $"{group.Key.Step},{group.Key.Policy},{measured.Returns.Count},{measured.Mean:0.##},{measured.Deviation:0.##},{measured.Lengths.Average():0.#}\n"
            );
        }
        return csv.ToString();
    }

    private static string Story(RunReader run, string task, SoftActorCriticOptions options, int episodes, string rows)
    {
        var status = run.Status();
        var seconds = run.Metrics() is [.., var last] ? last.Number("seconds") ?? 0 : 0;
        var set = OptionRecords
            .List(options, BehaviorJson.Default.SoftActorCriticOptions)
            .Except(OptionRecords.List(new SoftActorCriticOptions(), BehaviorJson.Default.SoftActorCriticOptions))
            .Where(option => option.Name is not ("task" or "seed" or "steps" or "precision"))
            .Select(option => $" --set {option.Name}={option.Value}");
        return $"""
            # Snapshots of a policy for {task}

            Written by `./tilt data ladder`. Licence: MIT, like the rest of Tilt. Trained from nothing by soft actor-critic on Tilt's own {task}
            (MuJoCo {Mujoco.Version}, inertias of MuJoCo 2.0); no data of others is in them.

            ```
            ./tilt data train-behavior --task {task} --seed {options.Seed} --steps {options.Steps}{string.Concat(set)}
            ```

            {Whole(status?.Step ?? 0)} environment steps in {Tenth(
                seconds / 60
            )} minutes of training, precision {options.Precision}, one thread
            of a machine that was shared with other work.
            Returns are means ± standard deviations over {episodes} episodes of at most 1000 steps.

            | steps of training | drawn actions | mean actions |
            |---:|---:|---:|
            {rows.TrimEnd()}

            returns.csv is the whole curve: {options.SnapshotEpisodes} episodes at each snapshot.

            """;
    }

    private static Option<int> Number(string name, string what, int preset, int least, int most) =>
        new(name)
        {
            HelpName = "N",
            Description = $"{what} [{preset}]",
            DefaultValueFactory = _ => preset,
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                if (
                    int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                    && number >= least
                    && number <= most
                )
                {
                    return number;
                }
                result.AddError(
                    $"{name} '{typed}': expected a whole number from {least} to {most}, as in {name} {preset}."
                );
                return preset;
            },
        };

    private static string Whole(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Tenth(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);
}
