using System.CommandLine;
using System.Globalization;
using Tilt.Cli.Progress;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Toys;
using Tilt.Training;
using TorchSharp;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt train cep2d</c>: the paper's 2-D experiment.</summary>
internal static class TrainCep2d
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "cep2d",
            "Trains a noise model and intermediate energies on a 2-D data set.",
            "./tilt train cep2d --task swissroll --method cep,mse",
            "./tilt train cep2d --task 8gaussians --preset paper --beta 10"
        );
        var task = CommonOptions.Task(Cep2dCommandLine.TaskNames, "8gaussians");
        var methods = Cep2dCommandLine.Methods("whose energy is learned", GuidanceMethod.Cep);
        var preset = CommonOptions.Preset(Cep2dOptions.Presets, "quick");
        var beta = new Option<double?>("--beta")
        {
            HelpName = "X",
            Description = "train for this β alone [quick: every β of a range; paper: 3]",
        };
        var seed = CommonOptions.Seed();
        var steps = CommonOptions.Steps();
        var set = CommonOptions.Set();
        var output = CommonOptions.Out("the run's folder [runs/TASK/cep2d-METHOD/seed-N]");
        var device = CommonOptions.Device();
        var precision = new Option<string?>("--precision")
        {
            HelpName = "NAME",
            Description = $"of training: {string.Join(", ", MixedPrecision.Names)} [quick: float32, paper: auto]",
        };
        var dryRun = CommonOptions.DryRun();
        foreach (
            var option in new Option[]
            {
                task,
                methods,
                preset,
                beta,
                seed,
                steps,
                set,
                output,
                device,
                precision,
                dryRun,
            }
        )
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var options = Resolve(
                parsed.GetValue(preset)!,
                parsed.GetValue(task)!,
                parsed.GetValue(methods)!,
                parsed.GetValue(beta),
                parsed.GetValue(seed),
                parsed.GetValue(steps),
                parsed.GetValue(set)!
            );
            var where = Devices.Resolve(parsed.GetValue(device)!);
            var folder = parsed.GetValue(output) ?? Cep2dCommandLine.DefaultFolder(options);
            if (parsed.GetValue(precision) is { } asked)
            {
                options = options with { Precision = MixedPrecision.Parse(asked).Resolve() };
            }
            else if (RunReader.Exists(folder))
            {
                // What a run began with it keeps, whatever this processor would choose.
                var stored = RunReader.Open(folder).Options(Cep2dJson.Default.Cep2dOptions);
                options = options with { Precision = stored.Precision };
            }
            return parsed.GetValue(dryRun)
                ? DryRun(terminal, options, folder, where)
                : Run(terminal, options, folder, where);
        });
        return verb;
    }

    /// <summary>The options that a command line asks for.</summary>
    public static Cep2dOptions Resolve(
        string preset,
        string task,
        IReadOnlyList<GuidanceMethod> methods,
        double? beta,
        long seed,
        long? steps,
        IReadOnlyDictionary<string, string> set
    )
    {
        var options = Cep2dOptions.For(preset, task) with { Methods = methods, Seed = seed };
        if (beta is { } only)
        {
            if (!(only > 0 && only < 1e4))
            {
                throw TiltException.Usage($"--beta {only}: expected a number above 0 and below 10000, as in --beta 3.");
            }
            options = options with { Beta = only };
        }
        if (steps is { } count)
        {
            options = options with
            {
                NoiseSteps = count,
                EnergySteps = count,
                LearningRateDecay = options.LearningRateDecay && count > Cep2dOptions.WarmUpSteps,
            };
        }
        options = OptionRecords.Apply(
            options,
            set.Select(pair => $"{pair.Key}={pair.Value}"),
            Cep2dJson.Default.Cep2dOptions
        );
        options.Check();
        return options.LimitedByData();
    }

    private static int Run(Terminal terminal, Cep2dOptions options, string folder, torch.Device device)
    {
        using var run = RunFolder.Start(
            folder,
            options,
            Cep2dJson.Default.Cep2dOptions,
            Cep2dCommandLine.Manifest(options)
        );
        Tell(terminal, options);
        using var experiment = new Cep2d(options, device);
        var result = experiment.Train(run, new TrainerOptions(), TerminalProgress.For(terminal));
        terminal.Line($"{folder}: {result.Steps} steps in {Time(result.Seconds)}");
        var beta = options.Beta ?? Math.Min(3, options.BetaMax);
        var quoted = ShellText.Quoted(folder);
        terminal.Remark(
            $"next: ./tilt certify {quoted}   or   ./tilt sample {quoted} --beta {beta.ToString(CultureInfo.InvariantCulture)}"
        );
        return 0;
    }

    /// <summary>Says what of the request was cut to what the data can represent.</summary>
    public static void Tell(Terminal terminal, Cep2dOptions options)
    {
        if (options.Beta is { } beta)
        {
            if (options.Dial.Mark(beta) is { } mark)
            {
                terminal.Remark(
                    $"beta {beta} is {mark}: {options.TrainingPoints:N0} points represent the target up to {options.DataLimit:g3}"
                );
            }
        }
        else if (options.BetaMax < new Cep2dOptions().BetaMax)
        {
            terminal.Remark(
                $"beta is trained from 0 to {options.BetaMax:g4}: beyond it fewer than 1000 of {options.TrainingPoints:N0} points count"
            );
        }
    }

    private static int DryRun(Terminal terminal, Cep2dOptions options, string folder, torch.Device device)
    {
        var table = new Table(new TableColumn("option", "option"), new TableColumn("value", "value"));
        foreach (var (name, value) in OptionRecords.List(options, Cep2dJson.Default.Cep2dOptions))
        {
            table.Add(name, value);
        }
        table.Add("folder", folder);
        table.Print(terminal);
        terminal.Line();
        terminal.Line($"estimated time on this machine: {Time(EstimateSeconds(options, device))}");
        return 0;
    }

    /// <summary>Times a few steps of each stage.</summary>
    private static double EstimateSeconds(Cep2dOptions options, torch.Device device)
    {
        const int Few = 12;
        var seconds = 0.0;
        var trial = options with
        {
            LearningRateDecay = false,
            Pool = options.Pool == 0 ? 0 : Math.Max(options.NoiseBatch, options.EnergyBatch),
        };
        foreach (var (noise, energy) in new[] { (Few, 0), (0, Few) })
        {
            using var warm = new Cep2d(
                trial with
                {
                    NoiseSteps = noise > 0 ? 2 : 0,
                    EnergySteps = energy > 0 ? 2 : 0,
                },
                device
            );
            warm.Train();
            using var timed = new Cep2d(trial with { NoiseSteps = noise, EnergySteps = energy }, device);
            var start = TimeProvider.System.GetTimestamp();
            timed.Train();
            var each = TimeProvider.System.GetElapsedTime(start).TotalSeconds / Few;
            seconds += each * (noise > 0 ? options.NoiseSteps : options.EnergySteps);
        }
        return seconds;
    }

    public static string Time(double seconds)
    {
        var span = TimeSpan.FromSeconds(seconds);
        return seconds < 120 ? seconds.ToString("0.0", CultureInfo.InvariantCulture) + " s"
            : seconds < 7200 ? $"{span.TotalMinutes:0.0} min"
            : $"{span.TotalHours:0.0} h";
    }
}
