using System.CommandLine;
using System.Globalization;
using Tilt.Cli.Reports;
using Tilt.Environments;
using Tilt.Environments.Rendering;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Evaluation;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt eval RUN…</c>: lets the policies of runs act.</summary>
internal static class Eval
{
    private const int StripFrames = 6;
    private const int FrameWidth = 320;
    private const int FrameHeight = 240;

    /// <summary>One row of the table: a policy of a run.</summary>
    /// <param name="Run">The run's folder.</param>
    /// <param name="TrainingSeed">The seed it was trained with.</param>
    /// <param name="Choice">Who acted.</param>
    /// <param name="Episodes">What became of it.</param>
    public sealed record Row(string Run, long TrainingSeed, PolicyChoice Choice, IReadOnlyList<EpisodeResult> Episodes)
    {
        /// <summary>Mean return.</summary>
        public double Return => Episodes.Average(episode => episode.Return);

        /// <summary>Mean normalized score in percent; null where the task has none.</summary>
        public double? Score => Episodes.Average(episode => episode.Score);
    }

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "eval",
            "Lets trained policies act from the same starts; returns and scores.",
            "./tilt eval runs/maze2d-umaze/qgpo/seed-0",
            "./tilt eval runs/hopper-medium-replay/qgpo/seed-* --scale 0,1,2,3 -n 10"
        );
        var runs = CommonOptions.Runs();
        var episodes = new Option<int>("--episodes", "-n")
        {
            HelpName = "N",
            Description = "episodes of each policy [20]",
            DefaultValueFactory = _ => 20,
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                if (
                    int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out var n)
                    && n is > 0 and <= 10_000
                )
                {
                    return n;
                }
                result.AddError($"--episodes '{typed}': expected a whole number from 1 to 10000, as in --episodes 20.");
                return 1;
            },
        };
        var methods = TrainQgpo.Methods();
        var scales = CommonOptions.Scales();
        scales.Description = "guidance scales, exact at 1 only; 0 is the behavior alone [0,1]";
        var betas = CommonOptions.Betas();
        betas.Description = "β; several with commas where the run has a dial [the run's]";
        var seed = CommonOptions.Seed();
        var task = new Option<string?>("--task")
        {
            HelpName = "NAME",
            Description = "the environment [the data set's own]",
        };
        var frames = new Option<bool>("--frames") { Description = "draw the best and the worst episode" };
        var again = new Option<bool>("--again") { Description = "play again what has been played already" };
        var json = CommonOptions.Json();
        verb.Add(runs);
        foreach (var option in new Option[] { episodes, methods, scales, betas, seed, task, frames, again, json })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var rows = new List<Row>();
            using var signals = new StopSignals(default);
            foreach (var folder in parsed.GetValue(runs)!)
            {
                rows.AddRange(
                    Evaluate(
                        terminal,
                        folder,
                        parsed.GetValue(task),
                        parsed.GetValue(methods),
                        parsed.GetValue(betas)!,
                        parsed.GetValue(scales)!,
                        parsed.GetValue(episodes),
                        parsed.GetValue(seed),
                        parsed.GetValue(again),
                        parsed.GetValue(frames),
                        signals
                    )
                );
            }
            TableOf(rows).Show(terminal, parsed.GetValue(json));
            if (!parsed.GetValue(json) && rows.DistinctBy(row => row.Run).Count() > 1)
            {
                terminal.Line();
                OverSeeds(rows).Print(terminal);
            }
            return 0;
        });
        return verb;
    }

    /// <summary>Evaluates the policies of a run.</summary>
    public static IReadOnlyList<Row> Evaluate(
        Terminal terminal,
        string folder,
        string? task,
        IReadOnlyList<string>? methods,
        IReadOnlyList<double> betas,
        IReadOnlyList<double> scales,
        int episodes,
        long seed,
        bool again,
        bool frames,
        StopSignals? signals = null
    )
    {
        var options = RunReader.Open(folder).Options(QgpoJson.Default.QgpoOptions);
        var environment = task is not null ? Find(task) : EnvironmentTasks.Find(options.Task);
        if (environment is null)
        {
            throw TiltException.Usage(
                $"{folder}: its data set '{options.Task}' belongs to no environment here, so nothing can act in it. Name one (--task), or look "
                    + $"at what the data tell: ./tilt report {folder}."
            );
        }
        using var evaluation = new RunEvaluation(folder, environment, seed) { Again = again };
        var choices = Choices(options, methods, betas, scales);
        var rows = new List<Row>();
        foreach (var choice in choices)
        {
            var live = new EvaluationProgress(terminal, $"{environment.Name} {choice}", episodes);
            try
            {
                var results = evaluation.Evaluate(choice, episodes, live.Update, signals?.Asked ?? default);
                rows.Add(new(folder, options.Seed, choice, results));
            }
            catch (OperationCanceledException) when (signals?.ExitCode is { } exitCode)
            {
                throw new StoppedException(
                    $"stopped; {rows.Count} of {choices.Count} policies are evaluated and kept.",
                    exitCode
                );
            }
            finally
            {
                live.End();
            }
        }
        if (frames && rows.Count > 0)
        {
            Draw(terminal, folder, evaluation, rows[^1]);
        }
        return rows;
    }

    private static EnvironmentTask Find(string task) =>
        Tasks.TryFind(task, out var found) ? found : throw Suggest.Unknown("task", task, Tasks.Names);

    /// <summary>Every policy once, the behavior first.</summary>
    private static List<PolicyChoice> Choices(
        QgpoOptions options,
        IReadOnlyList<string>? methods,
        IReadOnlyList<double> betas,
        IReadOnlyList<double> scales
    )
    {
        methods = methods is { Count: > 0 } ? methods : options.Methods;
        betas = betas is { Count: > 0 } ? betas : [options.Beta];
        scales = scales is { Count: > 0 } ? scales : [0, 1];
        return
        [
            .. scales
                .SelectMany(scale =>
                    methods.SelectMany(method => betas.Select(beta => new PolicyChoice(method, beta, scale).Plain))
                )
                .Distinct()
                .OrderBy(choice => choice != PolicyChoice.Cloning),
        ];
    }

    /// <summary>One row per policy and run; differences are of the same episodes.</summary>
    public static Table TableOf(IReadOnlyList<Row> rows)
    {
        var table = new Table(
            new TableColumn("run", "run"),
            new TableColumn("method", "method"),
            new TableColumn("beta", "β", "0.###"),
            new TableColumn("scale", "s", "0.###"),
            new TableColumn("episodes", "episodes"),
            new TableColumn("return", "return", "0.0"),
            new TableColumn("score", "score", "0.0"),
            new TableColumn("least", "least", "0.0"),
            new TableColumn("most", "most", "0.0"),
            new TableColumn("length", "length", "0"),
            new TableColumn("overBehavior", "over behavior", "0.0")
        );
        foreach (var row in rows)
        {
            var cloning = rows.FirstOrDefault(other => other.Run == row.Run && other.Choice == PolicyChoice.Cloning);
            table.Add(
                row.Run,
                row.Choice.Method,
                row.Choice.Beta,
                row.Choice.Scale,
                row.Episodes.Count,
                row.Return,
                row.Score,
                row.Episodes.Min(episode => episode.Return),
                row.Episodes.Max(episode => episode.Return),
                row.Episodes.Average(episode => episode.Length),
                cloning is null || row == cloning ? null : row.Return - cloning.Return
            );
        }
        return table;
    }

    /// <summary>Means over training seeds; an interval from three on.</summary>
    private static Table OverSeeds(IReadOnlyList<Row> rows)
    {
        var table = new Table(
            new TableColumn("method", "method"),
            new TableColumn("beta", "β", "0.###"),
            new TableColumn("scale", "s", "0.###"),
            new TableColumn("seeds", "seeds"),
            new TableColumn("return", "return", "0.0"),
            new TableColumn("score", "score", "0.0"),
            new TableColumn("interval", "± 95 %", "0.0")
        );
        foreach (var group in rows.GroupBy(row => row.Choice))
        {
            var returns = Intervals.Of([.. group.Select(row => row.Return)]);
            var scores = group.All(row => row.Score is not null)
                ? Intervals.Of([.. group.Select(row => row.Score!.Value)])
                : (SeedMean?)null;
            table.Add(
                group.Key.Method,
                group.Key.Beta,
                group.Key.Scale,
                returns.Count,
                returns.Mean,
                scores?.Mean,
                (scores ?? returns).HalfWidth
            );
        }
        return table;
    }

    /// <summary>Strips of the best and the worst episode of a policy, into the run's figures.</summary>
    private static void Draw(Terminal terminal, string folder, RunEvaluation evaluation, Row row)
    {
        var ranked = row.Episodes.OrderByDescending(episode => episode.Return).ToList();
        var figures = Directory.CreateDirectory(Path.Combine(folder, "figures")).FullName;
        foreach (var (name, episode) in new[] { ("best", ranked[0]), ("worst", ranked[^1]) })
        {
            var wanted = FrameStrip.Spread(episode.Length + 1, StripFrames).ToHashSet();
            var strip = new List<byte[]>();
            Renderer? renderer = null;
            try
            {
                evaluation.Replay(
                    row.Choice,
                    episode.Number,
                    environment =>
                    {
                        if (!wanted.Contains(environment.Steps))
                        {
                            return;
                        }
                        renderer ??= new(environment, FrameWidth, FrameHeight);
                        var rgb = new byte[3 * FrameWidth * FrameHeight];
                        renderer.Render(rgb);
                        strip.Add(rgb);
                    }
                );
            }
            catch (EnvironmentException error) when (renderer is null)
            {
                terminal.Remark($"no pictures: {error.Message}");
                return;
            }
            finally
            {
                renderer?.Dispose();
            }
            var (joined, width, height) = FrameStrip.Join(strip, FrameWidth, FrameHeight);
            var file = Path.Combine(figures, $"episode-{name}.png");
            using (var stream = File.Create(file))
            {
                AnimatedPng.WriteSingle(stream, joined, width, height);
            }
            terminal.Remark($"{file}: {row.Choice}, episode {episode.Number}, return {Number(episode.Return)}");
        }
    }

    private static string Number(double value) =>
        (
            Math.Abs(value) >= 1000 ? value.ToString("0", CultureInfo.InvariantCulture)
            : Math.Abs(value) >= 10 ? value.ToString("0.0", CultureInfo.InvariantCulture)
            : value.ToString("0.###", CultureInfo.InvariantCulture)
        );
}

/// <summary>How far an evaluation is: a line on a terminal, nothing elsewhere but the end.</summary>
internal sealed class EvaluationProgress(Terminal terminal, string title, int episodes)
{
    private readonly long _start = TimeProvider.System.GetTimestamp();
    private long _last;
    private bool _drawn;

    /// <summary>Told of steps done and episodes over.</summary>
    public void Update(int steps, int over)
    {
        if (terminal.Quiet || !terminal.IsInteractive || TimeProvider.System.GetElapsedTime(_last).TotalSeconds < 0.2)
        {
            return;
        }
        _last = TimeProvider.System.GetTimestamp();
        var rate = steps / Math.Max(1e-3, TimeProvider.System.GetElapsedTime(_start).TotalSeconds);
        terminal.Error.Write($"\r{title}: step {steps}, {over} of {episodes} episodes over, {rate:0} steps/s   ");
        terminal.Error.Flush();
        _drawn = true;
    }

    /// <summary>Leaves a whole line.</summary>
    public void End()
    {
        if (_drawn)
        {
            terminal.Error.WriteLine();
        }
    }
}
