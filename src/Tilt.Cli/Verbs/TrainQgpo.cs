using System.CommandLine;
using System.Globalization;
using Tilt.Cli.Progress;
using Tilt.Environments.Simulation;
using Tilt.Networks;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Collection;
using Tilt.OfflineRl.Data;
using Tilt.OfflineRl.Evaluation;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt train qgpo</c>: from logged data to a policy that acts.</summary>
internal static class TrainQgpo
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "qgpo",
            "Learns a policy from logged data: behavior by diffusion, a critic in its support, guidance by CEP.",
            "./tilt train qgpo --task hopper-medium-replay",
            "./tilt train qgpo --task maze2d-umaze --preset demo"
        );
        var task = new Option<string?>("--task")
        {
            HelpName = "NAME",
            Description = "the data set, which names the environment too; 'list makeable' has some",
        };
        var data = DataOption();
        var fields = DataVerbs.Fields();
        var limit = DataVerbs.EpisodeSteps();
        var preset = CommonOptions.Preset(QgpoOptions.Presets, "quick");
        var methods = Methods();
        var beta = new Option<double?>("--beta")
        {
            HelpName = "X",
            Description = "inverse temperature β of the policy [3; maze2d: 10]",
        };
        var most = new Option<double?>("--beta-max")
        {
            HelpName = "X",
            Description = "train a dial for every β up to this",
        };
        var behavior = new Option<string?>("--behavior")
        {
            HelpName = "RUN",
            Description = "take over the behavior model of a finished run on the same data",
        };
        var seed = CommonOptions.Seed();
        var steps = CommonOptions.Steps();
        var set = CommonOptions.Set();
        var output = CommonOptions.Out("the run's folder [runs/TASK/qgpo/seed-N]");
        var cache = Cache();
        var dryRun = CommonOptions.DryRun();
        foreach (
            var option in new Option[]
            {
                task,
                data,
                fields,
                limit,
                preset,
                methods,
                beta,
                most,
                behavior,
                seed,
                steps,
                set,
                output,
                cache,
                dryRun,
            }
        )
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var options = Resolve(
                parsed.GetValue(task),
                parsed.GetValue(data),
                parsed.GetValue(preset)!,
                parsed.GetValue(methods),
                parsed.GetValue(beta),
                parsed.GetValue(most),
                parsed.GetValue(seed),
                parsed.GetValue(steps),
                parsed.GetValue(set)!
            );
            if (parsed.GetValue(behavior) is { } from)
            {
                using var source = QgpoModel.Load(from, terminal.Remark);
                options = options with { BehaviorFrom = from, BehaviorSha256 = source.BehaviorHash, BehaviorSteps = 0 };
            }
            var folder = parsed.GetValue(output) ?? DefaultFolder(options);
            options = AsBegun(options, folder, parsed.GetValue(set)!);
            using var recorded = Open(options, parsed.GetValue(data), parsed.GetValue(fields)!);
            var transitions = Transitions(options, recorded, parsed.GetValue(limit));
            if (parsed.GetValue(dryRun))
            {
                return DryRun(terminal, options, transitions, folder);
            }
            Train(terminal, options, transitions, folder, parsed.GetValue(cache)!);
            return 0;
        });
        return verb;
    }

    /// <summary><c>--data</c>: a file instead of the data set's own.</summary>
    public static Option<string?> DataOption() =>
        new("--data") { HelpName = "FILE", Description = "the data: .hdf5, .npz or .csv [the data set's file]" };

    /// <summary><c>--cache</c>: where support actions are kept for other runs.</summary>
    public static Option<string> Cache() =>
        new("--cache")
        {
            HelpName = "FOLDER",
            Description = "keeps support actions for runs that share them; may be deleted [cache]",
            DefaultValueFactory = _ => "cache",
        };

    /// <summary><c>--method</c>: one or several with commas, or <c>all</c>.</summary>
    public static Option<string[]?> Methods() =>
        new("--method", "-m")
        {
            HelpName = "NAME,…",
            Description = $"guided by {string.Join(", ", ActionGuidance.Names)}; several with commas [cep]",
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                foreach (var word in typed.Split(','))
                {
                    if (!ActionGuidance.Names.Contains(word))
                    {
                        result.AddError(Suggest.Unknown("method", word, ActionGuidance.Names).Message);
                        break;
                    }
                }
                return [.. typed.Split(',').Distinct()];
            },
        };

    /// <summary>The options that a command line asks for.</summary>
    public static QgpoOptions Resolve(
        string? task,
        string? data,
        string preset,
        IReadOnlyList<string>? methods,
        double? beta,
        double? most,
        long seed,
        long? steps,
        IReadOnlyDictionary<string, string> set
    )
    {
        if (task is null && data is null)
        {
            throw TiltException.Usage(
                "nothing to learn from: name a data set, as in --task hopper-medium-replay, or a file, as in --data log.csv."
            );
        }
        var name = task ?? Path.GetFileNameWithoutExtension(data)!;
        if (
            task is not null
            && data is null
            && EnvironmentTasks.Find(task) is null
            && !File.Exists(DataFiles.OwnFile(task))
        )
        {
            // The file is looked for later; a misspelled task is the likelier mistake.
            if (D4rlTask.Find(task) is null && DataRecipes.TryNamed(task) is null)
            {
                throw Suggest.Unknown("task", task, [.. DataRecipes.Names, .. D4rlTask.Names]);
            }
        }
        var options = QgpoOptions.For(preset, name) with { Seed = seed };
        if (methods is { Count: > 0 })
        {
            options = options with { Methods = methods };
        }
        options = options with { Beta = beta ?? options.Beta, BetaMax = most ?? options.BetaMax };
        if (steps is { } count)
        {
            options = options with
            {
                BehaviorSteps = count,
                CriticSteps = count,
                GuidanceSteps = options.Interleaved ? 2 * count : count,
            };
        }
        options = OptionRecords.Apply(
            options,
            set.Select(pair => $"{pair.Key}={pair.Value}"),
            QgpoJson.Default.QgpoOptions
        );
        options = options with { Precision = options.Precision.Resolve() };
        options.Check();
        return options;
    }

    /// <summary>What a run began with it keeps, whatever this processor would choose.</summary>
    public static QgpoOptions AsBegun(QgpoOptions options, string folder, IReadOnlyDictionary<string, string> set)
    {
        if (!RunReader.Exists(folder))
        {
            return options;
        }
        var stored = RunReader.Open(folder).Options(QgpoJson.Default.QgpoOptions);
        return options with
        {
            Precision = set.ContainsKey("precision") ? options.Precision : stored.Precision,
            Kernels = set.ContainsKey("kernels") ? options.Kernels : stored.Kernels,
        };
    }

    /// <summary>Where a run goes when the user names no folder.</summary>
    public static string DefaultFolder(QgpoOptions options)
    {
        var name = "qgpo";
        if (options.Methods is not ["cep"])
        {
            name += "-" + string.Join('-', options.Methods);
        }
        if (options.Preset != "quick")
        {
            name += "-" + options.Preset;
        }
        if (options.BetaMax is { } most)
        {
            name += "-dial-" + most.ToString(CultureInfo.InvariantCulture);
        }
        return Path.Combine("runs", options.Task, name, $"seed-{options.Seed}");
    }

    /// <summary>Opens the data and checks them against the task.</summary>
    public static RecordedSteps Open(QgpoOptions options, string? data, StepFields fields)
    {
        var recorded = RecordedSteps.Open(DataFiles.Find(options.Task, data), new() { Fields = fields });
        try
        {
            if (EnvironmentTasks.Find(options.Task) is { } task)
            {
                recorded.ExpectSizes(options.Task, task.ObservationSize, task.ActionSize);
            }
            if (!options.FixMediumPlayGoals)
            {
                return recorded;
            }
            if (!options.Task.StartsWith("antmaze-medium-play", StringComparison.Ordinal))
            {
                throw TiltException.Usage(
                    $"fixMediumPlayGoals: found the task {options.Task}; expected antmaze-medium-play-v2, whose goals it is about. Leave it away."
                );
            }
            using (recorded)
            {
                return recorded.WithAntMazeMediumPlayFix();
            }
        }
        catch
        {
            recorded.Dispose();
            throw;
        }
    }

    /// <summary>The transitions of the data.</summary>
    public static TransitionDataset Transitions(QgpoOptions options, RecordedSteps recorded, int? episodeSteps) =>
        TransitionDataset.FromSteps(
            recorded,
            new()
            {
                EpisodeSteps =
                    episodeSteps ?? (recorded.HasTruncated ? null : EnvironmentTasks.Find(options.Task)?.MaximumSteps),
            }
        );

    /// <summary>Trains a run to its end and says what to look at.</summary>
    public static void Train(
        Terminal terminal,
        QgpoOptions options,
        TransitionDataset data,
        string folder,
        string? cache
    )
    {
        var known = EnvironmentTasks.Find(options.Task) is not null;
        var (result, diagnostics) = QgpoRun.Train(
            options,
            data,
            folder,
            known ? ActionBox.Unit(data.ActionSize) : null,
            cache,
            known && Mujoco.Availability.IsAvailable ? [new("mujoco", Mujoco.Version)] : [],
            TerminalProgress.For(terminal)
        );
        foreach (var warning in diagnostics.Warnings)
        {
            terminal.Remark($"look at this: {warning}");
        }
        terminal.Line($"{folder}: {result.Steps} steps in {TrainCep2d.Time(result.Seconds)}");
        terminal.Remark(
            known ? $"next: ./tilt eval {folder}   then   ./tilt report {folder}" : $"next: ./tilt report {folder}"
        );
    }

    private static int DryRun(Terminal terminal, QgpoOptions options, TransitionDataset data, string folder)
    {
        var table = new Table(new TableColumn("option", "option"), new TableColumn("value", "value"));
        foreach (var (name, value) in OptionRecords.List(options, QgpoJson.Default.QgpoOptions))
        {
            table.Add(name, value);
        }
        table.Add("transitions", $"{data.Count}");
        table.Add("folder", folder);
        table.Print(terminal);
        terminal.Line();
        terminal.Line($"estimated time on this machine: {TrainCep2d.Time(EstimateSeconds(options, data))}");
        return 0;
    }

    /// <summary>Times a few steps of each stage, on a few transitions.</summary>
    private static double EstimateSeconds(QgpoOptions options, TransitionDataset data)
    {
        const int Few = 6;
        const int Transitions = 1024;
        using var part = Part(data, Math.Min(data.Count, Transitions));
        using var training = new Qgpo(
            options with
            {
                LearningRateDecay = false,
                RewardTuning = "none",
            },
            TransitionDataset.FromSteps(part)
        );
        using var streams = new RandomStreams(options.Seed);
        var seconds = 0.0;
        foreach (var stage in training.Stages.Where(stage => stage.Steps > 0))
        {
            var isSupport = stage.Name == "support";
            var trial = stage with { Steps = isSupport ? stage.Steps : Math.Min(stage.Steps, Few) };
            if (!isSupport)
            {
                // The first step compiles.
                new Trainer(new TrainingState(streams), [trial with { Steps = 1 }]).Run();
            }
            var start = TimeProvider.System.GetTimestamp();
            new Trainer(new TrainingState(streams), [trial]).Run();
            var took = TimeProvider.System.GetElapsedTime(start).TotalSeconds;
            seconds += isSupport ? took / part.Count * data.Count : took / trial.Steps * stage.Steps;
        }
        return seconds;
    }

    private static RecordedSteps Part(TransitionDataset data, int count)
    {
        var (s, a) = (new float[count * data.ObservationSize], new float[count * data.ActionSize]);
        for (var k = 0; k < count; k++)
        {
            data.Observation(k).CopyTo(s.AsSpan(k * data.ObservationSize));
            data.Action(k).CopyTo(a.AsSpan(k * data.ActionSize));
        }
        return RecordedSteps.FromArrays(s, a, data.Rewards[..count], new bool[count], new bool[count]);
    }
}
