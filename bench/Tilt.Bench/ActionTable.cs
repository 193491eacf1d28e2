using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tilt.Environments.Simulation;
using Tilt.Model;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Collection;
using Tilt.OfflineRl.Data;
using Tilt.OfflineRl.Evaluation;
using Tilt.Training;

namespace Tilt.Bench;

/// <summary>The table of QGPO on own data sets: trains and evaluates run by run, and goes on where its file ends.</summary>
/// <remarks>
/// One line of the file is one policy of one run. Trainings resume in their folders, episodes that were played are read again, lines
/// that are there are not repeated: the command may be stopped and started at any time, and two may share the work by naming different runs.
/// </remarks>
internal static class ActionTable
{
    private const string Version = "bench";
    private const int Size = 200_000;

    // Returns of a hopper that falls or does not are spread as widely as their mean: 20 episodes leave a quarter of it open.
    private const int HeadlineEpisodes = 100;

    /// <summary>One training with what is played afterwards.</summary>
    private sealed record Experiment(string Name, string Task, long Seed)
    {
        public IReadOnlyList<string> Methods { get; init; } = ["cep"];
        public int SweepEpisodes { get; init; } = 20;

        // The part of quick's gradient steps that is done.
        public double Share { get; init; } = 1;
        public double BetaMax { get; init; } = 10;
        public IReadOnlyList<double> Scales { get; init; } = [1, 2];
        public IReadOnlyList<double> Betas { get; init; } = [1, 3, 6, 10];
    }

    /// <summary>In the order of what the table must have first. All train the β dial, so that each β is asked for exactly.</summary>
    private static readonly Experiment[] All =
    [
        new("hopper-0", "hopper-medium-replay", 0)
        {
            Methods = ["cep", "mse", "emse", "dps"],
            SweepEpisodes = HeadlineEpisodes,
            Scales = [1, 2, 3],
            Betas = [1, 3, 6, 10],
        },
        new("hopper-1", "hopper-medium-replay", 1),
        new("hopper-2", "hopper-medium-replay", 2),
        new("walker2d", "walker2d-medium-replay", 0),
        new("halfcheetah", "halfcheetah-medium-replay", 0) { Share = 0.5 },
        new("maze2d", "maze2d-umaze", 0)
        {
            BetaMax = 30,
            Betas = [3, 10, 30],
            Share = 0.5,
        },
        new("hopper-expert", "hopper-medium-expert", 0) { Share = 0.5 },
        new("maze2d-dense", "maze2d-umaze-dense", 0)
        {
            BetaMax = 30,
            Betas = [3, 10, 30],
            Share = 0.5,
        },
    ];

    public static int Run(string[] args)
    {
        var file = args.ElementAtOrDefault(0) ?? Path.Combine("docs", "results", "qgpo.jsonl");
        var chosen = args.Length > 1 ? args[1..].Select(Named).ToList() : [.. All];
        using var signals = new StopSignals(default);
        foreach (var experiment in chosen)
        {
            if (signals.ExitCode is { } exitCode)
            {
                return exitCode;
            }
            Console.WriteLine($"{experiment.Name}: {experiment.Task}, seed {experiment.Seed}");
            try
            {
                Do(experiment, file, signals.Asked);
            }
            catch (TiltException error) when (error is not StoppedException)
            {
                Console.WriteLine($"  left out: {error.Message}");
            }
        }
        return 0;
    }

    private static Experiment Named(string name) =>
        All.FirstOrDefault(one => one.Name == name)
        ?? throw Suggest.Unknown("run", name, [.. All.Select(one => one.Name)]);

    private static void Do(Experiment experiment, string file, CancellationToken stop)
    {
        Mujoco.Require();
        using var recorded = RecordedSteps.Open(DataOf(experiment.Task));
        var data = TransitionDataset.FromSteps(recorded);
        var options = QgpoOptions.For("quick", experiment.Task) with
        {
            Seed = experiment.Seed,
            Methods = experiment.Methods,
            BetaMax = experiment.BetaMax,
        };
        options = options with
        {
            BehaviorSteps = (long)(options.BehaviorSteps * experiment.Share),
            CriticSteps = (long)(options.CriticSteps * experiment.Share),
            GuidanceSteps = (long)(options.GuidanceSteps * experiment.Share),
        };
        var folder = Path.Combine("runs", "results", experiment.Name);
        if (Runs.RunReader.Exists(folder))
        {
            var begun = Runs.RunReader.Open(folder).Options(QgpoJson.Default.QgpoOptions);
            options = options with { Precision = begun.Precision, Kernels = begun.Kernels };
        }
        var (training, diagnostics) = QgpoRun.Train(
            options,
            data,
            folder,
            ActionBox.Unit(data.ActionSize),
            "cache",
            [new("mujoco", Mujoco.Version)],
            new PlainProgress()
        );
        var episodes = recorded.Episodes();
        var environment = EnvironmentTasks.Find(experiment.Task)!;
        using var evaluation = new RunEvaluation(folder, environment, 0, TorchSharp.torch.get_num_threads());
        foreach (var choice in Choices(experiment, options))
        {
            var known = Lines(file).Any(line => Is(line, experiment, choice));
            if (known)
            {
                continue;
            }
            var clock = Stopwatch.StartNew();
            // Cloning, and each method at the β of the defaults and scale 1, were chosen before anything was played.
            var isFixed = choice == PolicyChoice.Cloning || (choice.Beta == options.Beta && choice.Scale == 1);
            var count = isFixed ? HeadlineEpisodes : experiment.SweepEpisodes;
            var results = evaluation.Evaluate(choice, count, null, stop);
            var line = new JsonObject
            {
                ["run"] = experiment.Name,
                ["task"] = experiment.Task,
                ["seed"] = experiment.Seed,
                ["method"] = choice.Method,
                ["beta"] = choice.Beta,
                ["scale"] = choice.Scale,
                ["chosenWithEnvironment"] = !isFixed,
                ["episodes"] = results.Count,
                ["return"] = results.Average(result => result.Return),
                ["score"] = results.Average(result => result.Score),
                ["returns"] = new JsonArray([
                    .. results.Select(result => JsonValue.Create(Math.Round(result.Return, 2))),
                ]),
                ["dataReturn"] = episodes.Count > 0 ? episodes.Average(episode => episode.Return) : null,
                ["dataBest"] = episodes.Count > 0 ? episodes.Max(episode => episode.Return) : null,
                ["dataSha256"] = recorded.Sha256,
                ["steps"] = recorded.Count,
                ["shareOfQuick"] = experiment.Share,
                ["labelEss"] = Math.Round(diagnostics.LabelEss, 2),
                ["meanQ"] = Math.Round(diagnostics.MeanQ, 2),
                ["maxQ"] = Math.Round(diagnostics.MaxQ, 2),
                ["valueBound"] = Math.Round(diagnostics.ValueBound, 2),
                ["trainingSeconds"] = Math.Round(training.Seconds),
                ["evaluationSeconds"] = Math.Round(clock.Elapsed.TotalSeconds),
                ["threads"] = TorchSharp.torch.get_num_threads(),
            };
            if (Path.GetDirectoryName(file) is { Length: > 0 } parent)
            {
                Directory.CreateDirectory(parent);
            }
            File.AppendAllText(file, line.ToJsonString() + "\n");
            Console.WriteLine(
                FormattableString.Invariant(
                    $"  {choice, -24} return {line["return"]!.GetValue<double>():f1}  score {results.Average(result => result.Score):f1}  (data {episodes.Average(episode => episode.Return):f1})"
                )
            );
        }
    }

    private static string DataOf(string task)
    {
        if (File.Exists(DataFiles.OwnFile(task)))
        {
            return DataFiles.OwnFile(task);
        }
        var recipe =
            DataRecipes.TryNamed(task)
            ?? throw new TiltException($"{task}: no data at {DataFiles.OwnFile(task)}, and nothing here makes them.");
        var size = Math.Min(Size, recipe.DefaultSize);
        OwnDataSet.Make(
            recipe,
            new() { Size = size, Threads = TorchSharp.torch.get_num_threads() },
            DataFiles.OwnFile(task),
            Version
        );
        return DataFiles.OwnFile(task);
    }

    private static IEnumerable<PolicyChoice> Choices(Experiment experiment, QgpoOptions options)
    {
        yield return PolicyChoice.Cloning;
        foreach (var method in experiment.Methods)
        {
            foreach (var scale in experiment.Scales)
            {
                yield return new(method, options.Beta, scale);
            }
            foreach (var beta in experiment.Betas.Where(beta => beta != options.Beta))
            {
                yield return new(method, beta, 1);
            }
        }
    }

    private static bool Is(JsonElement line, Experiment experiment, PolicyChoice choice) =>
        line.GetProperty("run").GetString() == experiment.Name
        && line.GetProperty("method").GetString() == choice.Method
        && line.GetProperty("beta").GetDouble() == choice.Beta
        && line.GetProperty("scale").GetDouble() == choice.Scale;

    private static List<JsonElement> Lines(string file) =>
        File.Exists(file)
            ?
            [
                .. File.ReadAllLines(file)
                    .Where(line => line.Length > 0)
                    .Select(line => JsonDocument.Parse(line).RootElement),
            ]
            : [];

    /// <summary>Prints the file as tables in Markdown: policies as trained, over seeds; then what was chosen with environment access.</summary>
    public static int Print(string[] args)
    {
        var lines = Lines(args.ElementAtOrDefault(0) ?? Path.Combine("docs", "results", "qgpo.jsonl"));
        Headlines(lines);
        Console.WriteLine();
        Sweeps(lines);
        return 0;
    }

    private static void Headlines(List<JsonElement> lines)
    {
        Console.WriteLine(
            "| data set | seed | of quick's steps | β | data, mean return | cloning | of the data's | CEP, scale 1 | score | over cloning, paired | better in | label ESS of 16 |"
        );
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (var task in lines.GroupBy(line => Text(line, "task")))
        {
            var gains = new List<double>();
            foreach (var run in task.GroupBy(line => Text(line, "run")))
            {
                var cloning = run.FirstOrDefault(IsCloning);
                var policy = run.FirstOrDefault(IsHeadline);
                if (cloning.ValueKind == JsonValueKind.Undefined || policy.ValueKind == JsonValueKind.Undefined)
                {
                    continue;
                }
                var differences = Differences(policy, cloning);
                gains.Add(differences.Average());
                Row(
                    $"{task.Key}",
                    $"{Number(policy, "seed")}",
                    $"{100 * Number(policy, "shareOfQuick"):f0} %",
                    $"{Number(policy, "beta")}",
                    $"{Number(policy, "dataReturn"):f1}",
                    $"{Number(cloning, "return"):f1}",
                    $"{100 * Number(cloning, "return") / Number(policy, "dataReturn"):f0} %",
                    $"{Number(policy, "return"):f1}",
                    $"{Number(policy, "score"):f1}",
                    $"{differences.Average():+0.0;-0.0}",
                    $"{differences.Count(x => x > 0)} of {differences.Count}",
                    $"{Number(policy, "labelEss"):f1}"
                );
            }
            if (gains.Count >= Intervals.FewestSeeds)
            {
                var mean = Intervals.Of(gains);
                Row(
                    $"{task.Key}",
                    $"{mean.Count} seeds",
                    $"",
                    $"",
                    $"",
                    $"",
                    $"",
                    $"",
                    $"",
                    $"{mean.Mean:+0.0;-0.0} ± {mean.HalfWidth:f1}",
                    $"",
                    $""
                );
            }
        }
    }

    private static void Sweeps(List<JsonElement> lines)
    {
        Console.WriteLine(
            "| data set | seed | policy | β | scale | episodes | return | score | over cloning, paired | |"
        );
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
        foreach (var line in lines.Where(line => !IsCloning(line)))
        {
            var cloning = lines.FirstOrDefault(other => IsCloning(other) && Text(other, "run") == Text(line, "run"));
            Row(
                $"{Text(line, "task")}",
                $"{Number(line, "seed")}",
                $"{Text(line, "method")}",
                $"{Number(line, "beta")}",
                $"{Number(line, "scale")}",
                $"{Number(line, "episodes")}",
                $"{Number(line, "return"):f1}",
                $"{Number(line, "score"):f1}",
                $"{(cloning.ValueKind == JsonValueKind.Undefined ? null : Differences(line, cloning).Average()):+0.0;-0.0}",
                $"{(IsFixed(line) ? "as trained" : "chosen with environment access")}"
            );
        }
    }

    private static string Text(JsonElement line, string name) => line.GetProperty(name).GetString()!;

    private static double Number(JsonElement line, string name) => line.GetProperty(name).GetDouble();

    private static bool IsCloning(JsonElement line) => Text(line, "method") == PolicyChoice.Behavior;

    private static bool IsFixed(JsonElement line) => !line.GetProperty("chosenWithEnvironment").GetBoolean();

    private static bool IsHeadline(JsonElement line) => IsFixed(line) && Text(line, "method") == "cep";

    /// <summary>Return over return of another policy from the same start with the same noise, over the episodes that both have played.</summary>
    private static List<double> Differences(JsonElement line, JsonElement other) =>
        [
            .. line.GetProperty("returns")
                .EnumerateArray()
                .Zip(other.GetProperty("returns").EnumerateArray(), (one, two) => one.GetDouble() - two.GetDouble()),
        ];

    private static void Row(params FormattableString[] cells) =>
        Console.WriteLine($"| {string.Join(" | ", cells.Select(FormattableString.Invariant))} |");

    /// <summary>A line a minute.</summary>
    private sealed class PlainProgress : ITrainingProgress
    {
        private readonly Stopwatch _clock = Stopwatch.StartNew();

        public void Update(TrainingReport report)
        {
            if (_clock.Elapsed.TotalSeconds >= 60)
            {
                _clock.Restart();
                End(report);
            }
        }

        public void Say(string message) => Console.WriteLine($"  {message}");

        public void Show(IReadOnlyList<string> lines) { }

        public void End(TrainingReport report) =>
            Console.WriteLine(
                FormattableString.Invariant(
                    $"  {report.Stage}: step {report.Step} of {report.Steps}, {report.StepsPerSecond:f1} steps/s"
                )
            );
    }
}
