using System.CommandLine;
using System.Globalization;
using Tilt.Cli.Progress;
using Tilt.Environments;
using Tilt.Environments.Simulation;
using Tilt.Networks;
using Tilt.OfflineRl.Behavior;
using Tilt.Runs;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt data train-behavior</c>: trains the policy that data are collected with.</summary>
internal static class DataTrainBehavior
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "train-behavior",
            "Trains a behavior policy by soft actor-critic and keeps snapshots of it.",
            "./tilt data train-behavior --task hopper --steps 500000",
            "./tilt data train-behavior --task walker2d --seed 1 --set batchSize=128"
        );
        var task = CommonOptions.Task(Tasks.Names.ToList(), "hopper");
        var steps = CommonOptions.Steps();
        steps.Description = "environment steps with learning [1000000]";
        var seed = CommonOptions.Seed();
        var set = CommonOptions.Set();
        var output = CommonOptions.Out("the run's folder [runs/TASK/sac/seed-N]");
        var precision = CommonOptions.Precision();
        var dryRun = CommonOptions.DryRun();
        foreach (var option in new Option[] { task, steps, seed, set, output, precision, dryRun })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var options = new SoftActorCriticOptions
            {
                Task = parsed.GetValue(task)!,
                Seed = parsed.GetValue(seed),
                Precision = MixedPrecision.Parse(parsed.GetValue(precision)!).Resolve(),
            };
            if (parsed.GetValue(steps) is { } asked)
            {
                options = options with { Steps = asked };
            }
            if (parsed.Shared<int?>("--threads") == 1)
            {
                // Handing each step to a second thread only costs time then; it changes no bit.
                options = options with
                {
                    ParallelRollouts = false,
                };
            }
            options = OptionRecords.Apply(
                options,
                parsed.GetValue(set)!.Select(pair => $"{pair.Key}={pair.Value}"),
                BehaviorJson.Default.SoftActorCriticOptions
            );
            options.Check();
            var folder = parsed.GetValue(output) ?? Path.Combine("runs", options.Task, "sac", $"seed-{options.Seed}");
            return parsed.GetValue(dryRun) ? DryRun(terminal, options, folder) : Run(terminal, options, folder);
        });
        return verb;
    }

    private static int Run(Terminal terminal, SoftActorCriticOptions options, string folder)
    {
        Mujoco.Require();
        if (RunReader.Exists(folder))
        {
            // What a run began with it keeps, whatever this processor would choose.
            var stored = RunReader.Open(folder).Options(BehaviorJson.Default.SoftActorCriticOptions);
            options = options with { Precision = stored.Precision };
        }
        using var run = RunFolder.Start(
            folder,
            options,
            BehaviorJson.Default.SoftActorCriticOptions,
            RunManifest.Collect(
                options.Seed,
                MixedPrecision.Name(options.Precision),
                versions: new Dictionary<string, string> { ["MuJoCo"] = $"{Mujoco.Version}" }
            )
        );
        var result = BehaviorTraining.Train(run, options, progress: TerminalProgress.For(terminal));
        terminal.Line($"{folder}: {result.Steps} steps in {Minutes(result.Seconds)}");
        return 0;
    }

    private static int DryRun(Terminal terminal, SoftActorCriticOptions options, string folder)
    {
        var table = new Table(new TableColumn("option", "option"), new TableColumn("value", "value"));
        foreach (var (name, value) in OptionRecords.List(options, BehaviorJson.Default.SoftActorCriticOptions))
        {
            table.Add(name, value);
        }
        table.Add("folder", folder);
        table.Print(terminal);
        terminal.Line();
        terminal.Line($"estimated time on this machine: {Minutes(EstimateSeconds(options))}");
        return 0;
    }

    /// <summary>Times a few hundred updates.</summary>
    private static double EstimateSeconds(SoftActorCriticOptions options)
    {
        Mujoco.Require();
        const int Few = 200;
        var trial = options with { RandomSteps = 100, Steps = Few };
        using (var warm = new SoftActorCritic(trial with { Steps = Few / 2 }))
        {
            new Tilt.Training.Trainer(warm.State, warm.Stages).Run();
        }
        using var timed = new SoftActorCritic(trial);
        var seconds = new Tilt.Training.Trainer(timed.State, timed.Stages).Run().Seconds;
        return seconds / Few * options.Steps;
    }

    private static string Minutes(double seconds)
    {
        var (value, unit) =
            seconds < 120 ? (seconds, "s")
            : seconds < 7200 ? (seconds / 60, "min")
            : (seconds / 3600, "h");
        return $"{value.ToString("0.0", CultureInfo.InvariantCulture)} {unit}";
    }
}
