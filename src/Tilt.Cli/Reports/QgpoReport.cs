using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using SkiaSharp;
using Tilt.Energy;
using Tilt.Inference;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Evaluation;
using Tilt.Runs;
using static TorchSharp.torch;

namespace Tilt.Cli.Reports;

/// <summary>The page of a QGPO run: scores, guidance curve, values, energies, actions, deployment, provenance.</summary>
/// <remarks>Draws on what stands in the run's folder alone: no data file and no environment are needed.</remarks>
internal sealed class QgpoReport
{
    private const int Bins = 40;
    private const int Candidates = 16;
    private const int LatencyCalls = 200;

    private readonly string _run;
    private readonly RunReader _reader;
    private readonly QgpoOptions _options;
    private readonly List<Played> _played;

    /// <summary>Episodes of one policy.</summary>
    private sealed record Played(PolicyChoice Choice, IReadOnlyList<LogLine> Episodes)
    {
        public double Return => Episodes.Average(line => line.Number("return")!.Value);

        public double? Score =>
            Episodes.Any(line => line.Number("score") is null)
                ? null
                : Episodes.Average(line => line.Number("score")!.Value);
    }

    /// <summary>A report of a trained run.</summary>
    /// <param name="run">The run's folder; figures and the page go there.</param>
    public QgpoReport(string run)
    {
        _run = run;
        _reader = RunReader.Open(run);
        _options = _reader.Options(QgpoJson.Default.QgpoOptions);
        _played = ReadEpisodes();
    }

    private string Figures => Path.Combine(_run, "figures");

    private Played? Behavior => _played.Find(played => played.Choice == PolicyChoice.Cloning);

    private string Policy => $"{MethodTitles.Of(_options.Methods[0])} guidance";

    /// <summary>The policy as trained: guidance scale 1, its own β. Fixed before any evaluation.</summary>
    private Played? Headline =>
        _played.Find(played =>
            played.Choice.Method == _options.Methods[0]
            && played.Choice.Scale == 1
            && played.Choice.Beta == _options.Beta
        );

    /// <summary>Draws everything and writes figures and page.</summary>
    /// <param name="say">Told what is being drawn.</param>
    /// <returns>The path of report.html.</returns>
    public string Write(Action<string> say)
    {
        say("figures: scores, curves, actions");
        var page = new ReportPage($"{_options.Task}: Q-guided policy optimization", Verdict());
        Scores(page);
        Episodes(page);
        Values(page);
        Actions(page);
        page.Section(ReportSections.Curves)
            .Add(
                Saved(LineFigures.LearningCurves(_reader.Metrics())),
                "One panel per stage; the loss of a CEP stage is the divergence from its labels, so 0 is the best there is."
            );
        if (Guidance() is { } guidance)
        {
            page.Section(ReportSections.Dials)
                .Add(
                    Saved(guidance),
                    "Mean return over the episodes of this run's policies. Scale 1 is the policy as trained; any other is chosen with access to the environment."
                );
        }
        Deployment(page);
        Provenance(page);
        var path = Path.Combine(_run, "report.html");
        page.Save(path);
        return path;
    }

    private string Verdict()
    {
        if (Headline is not { } policy)
        {
            return EnvironmentTasks.Find(_options.Task) is null
                ? "Trained on logged data alone: there is no environment to tell how the policy acts. What follows is what the data and the critic say."
                : $"Trained, not evaluated yet: ./tilt eval {_run}.";
        }
        var text =
            $"{Policy} at β = {Number(_options.Beta)}, scale 1, {Told(policy)} over {policy.Episodes.Count} episodes, training seed {_options.Seed}";
        if (Behavior is { } behavior)
        {
            text += $"; diffusion behavior cloning {Told(behavior)}";
        }
        text += ".";
        if (PaperScores.Of(_options.Task) is { } paper)
        {
            text += IsD4rl
                ? $" The paper's row '{paper.Row}' has {Number(paper.Mean)} ± {Number(paper.Spread)}."
                : $" The paper's row '{paper.Row}' has {Number(paper.Mean)} ± {Number(paper.Spread)} on D4RL's data; these are other data, so the two are not comparable.";
        }
        return text;
    }

    private bool IsD4rl =>
        !_reader.Manifest.Data.Any(data =>
            data.Name.StartsWith(OfflineRl.Data.DataFiles.OwnPrefix, StringComparison.Ordinal)
        ) && OfflineRl.Data.D4rlTask.Exactly(_options.Task) is not null;

    private static string Told(Played played) =>
        played.Score is { } score
            ? $"scores {Number(score)} (return {Number(played.Return)})"
            : $"returns {Number(played.Return)}";

    private void Scores(ReportPage page)
    {
        page.Section(ReportSections.Scores);
        if (_played.Count == 0)
        {
            page.Text(
                EnvironmentTasks.Find(_options.Task) is null
                    ? "No environment belongs to these data, so there are no scores. What cannot be known from here: whether the policy is better than the "
                        + "one that made the data, whether its actions are safe in states that the data do not hold, and how far the critic errs. Try it "
                        + "first where mistakes are cheap, at a small guidance scale, beside the behavior policy."
                    : "Nothing has been played yet."
            );
            return;
        }
        var table = new Table(
            new TableColumn("policy", "policy"),
            new TableColumn("beta", "β", "0.###"),
            new TableColumn("scale", "scale", "0.###"),
            new TableColumn("episodes", "episodes"),
            new TableColumn("return", "return", "0.0"),
            new TableColumn("score", "score", "0.0"),
            new TableColumn("deviation", "deviation of returns", "0.0"),
            new TableColumn("over", "over behavior, paired", "0.0"),
            new TableColumn("wins", "episodes better", "0"),
            new TableColumn("note", "note")
        );
        foreach (var played in _played)
        {
            var returns = played.Episodes.Select(line => line.Number("return")!.Value).ToList();
            var differences = Behavior is { } behavior && played != behavior ? Differences(played, behavior) : [];
            table.Add(
                played.Choice.Method,
                played.Choice.Beta,
                played.Choice.Scale,
                played.Episodes.Count,
                played.Return,
                played.Score,
                Math.Sqrt(returns.Sum(x => (x - played.Return) * (x - played.Return)) / Math.Max(1, returns.Count - 1)),
                differences.Count > 0 ? differences.Average() : null,
                differences.Count > 0 ? differences.Count(x => x > 0) : null,
                played == Headline ? "headline"
                    : played == Behavior ? "guidance off"
                    : "chosen with environment access"
            );
        }
        if (PaperScores.Of(_options.Task) is { } paper)
        {
            table.Add(
                "paper, QGPO",
                null,
                null,
                null,
                null,
                paper.Mean,
                null,
                null,
                null,
                $"row '{paper.Row}', on D4RL's data"
            );
        }
        page.Add(
            table,
            $"Training seed {_options.Seed}. All policies start from the same states with the same noise; the deviation is over episodes of one "
                + $"policy and is no error bar of the method: that takes at least {Intervals.FewestSeeds} training seeds. Data: {DataLine()}."
        );
    }

    private string DataLine() =>
        string.Join(
            ", ",
            _reader.Manifest.Data.Select(data =>
                $"{data.Name} ({(IsD4rl ? "D4RL's" : "not D4RL's")}, SHA-256 {data.Sha256[..Math.Min(12, data.Sha256.Length)]}…)"
            )
        );

    private static List<double> Differences(Played one, Played other)
    {
        var returns = other.Episodes.ToDictionary(
            line => (line.Number("seed"), line.Number("episode")),
            line => line.Number("return")!.Value
        );
        return
        [
            .. one
                .Episodes.Where(line => returns.ContainsKey((line.Number("seed"), line.Number("episode"))))
                .Select(line => line.Number("return")!.Value - returns[(line.Number("seed"), line.Number("episode"))]),
        ];
    }

    private void Episodes(ReportPage page)
    {
        foreach (var name in new[] { "best", "worst" })
        {
            var file = Path.Combine(Figures, $"episode-{name}.png");
            if (File.Exists(file) && SKBitmap.Decode(file) is { } picture)
            {
                const int Width = 640;
                page.Add(
                    new Figure(
                        $"episode-{name}-strip",
                        $"The {name} episode",
                        $"Six frames of the {name} episode, from its start at the left to its end at the right.",
                        Width,
                        Width * picture.Height / picture.Width
                    )
                    {
                        Draw = canvas =>
                            canvas.DrawBitmap(picture, new SKRect(0, 0, Width, Width * picture.Height / picture.Width)),
                        WriteData = csv => csv.Row("picture", file),
                    },
                    $"The {name} episode that was drawn, from left to right."
                );
            }
        }
    }

    private void Values(ReportPage page)
    {
        page.Section("Values and energies");
        var file = Path.Combine(_run, QgpoRun.DiagnosticsName);
        if (!File.Exists(file))
        {
            page.Text("The training is not over yet.");
            return;
        }
        var found = JsonSerializer.Deserialize(File.ReadAllText(file), QgpoDiagnosticsJson.Default.QgpoDiagnostics)!;
        var table = new Table(
            new TableColumn("what", "what"),
            new TableColumn("value", "value", "0.###"),
            new TableColumn("meaning", "how to read it")
        );
        table.Add(
            "label ESS",
            found.LabelEss,
            $"of {found.SupportActions} support actions share a label's weight; below 2 guidance picks single actions, above {found.SupportActions - 2} it hardly differs from the behavior"
        );
        table.Add("mean Q of the data", found.MeanQ, "after reward tuning");
        table.Add(
            "largest Q of the data",
            found.MaxQ,
            $"no value can exceed {Number(found.ValueBound)} = R_max/(1 − γ)"
        );
        table.Add(
            "support outside the box",
            found.OutsideShare,
            $"share of support actions with a component out of range before clipping; {found.EdgeShare:P0} of the data's own actions lie at its edge"
        );
        page.Add(table, $"Diagnostics over {found.States} states of the data.");
        foreach (var warning in found.Warnings)
        {
            page.Text($"Look at this: {warning}");
        }
        var times = found.Norms.OrderBy(norm => norm.Time).ToList();
        page.Add(
            Saved(
                LineFigures.Make(
                    "norms",
                    "Guidance against score by noise level",
                    "t",
                    "root mean square",
                    [
                        new LinePanel(
                            "norms",
                            [
                                new LineSeries(
                                    "σ·score",
                                    [.. times.Select(norm => norm.Time)],
                                    [.. times.Select(norm => norm.Score)]
                                ),
                                new LineSeries(
                                    "σ·guidance",
                                    [.. times.Select(norm => norm.Time)],
                                    [.. times.Select(norm => norm.Guidance)]
                                ),
                            ]
                        ),
                    ],
                    markers: true
                )
            ),
            "Where guidance is of the score's size it decides; where it is far larger, samples leave what the behavior model knows."
        );
    }

    private void Actions(ReportPage page)
    {
        page.Section("Actions");
        var file = Path.Combine(_run, "samples", QgpoRun.StatesName);
        var saved = Path.Combine(_run, PolicyFile.DefaultName);
        if (!File.Exists(file) || !File.Exists(saved))
        {
            page.Text("The training is not over yet.");
            return;
        }
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var tensors = TensorFile.ReadAll(file);
        var (observations, actions) = (tensors["observations"], tensors["actions"]);
        var policy = Inference.Policy.Load(saved);
        var (states, size) = ((int)observations.shape[0], policy.ActionDimensions);
        var s = observations.contiguous().data<float>().ToArray();
        var guided = Acted(policy);
        var cloned = Acted(policy.Behavior());
        var support = new float[states * Candidates * size];
        policy.Behavior().Sample(s, Candidates, 7, support);

        using var model = QgpoModel.Load(_run);
        double MeanQ(Tensor chosen) => model.Value(observations, chosen).mean().item<float>();
        var set = tensor(support, [states, Candidates, size]);
        var table = new Table(
            new TableColumn("who", "who"),
            new TableColumn("q", "mean Q", "0.###"),
            new TableColumn("distance", "distance to support", "0.###")
        );
        table.Add("data", MeanQ(actions), Nearest(actions, set));
        table.Add("behavior model", MeanQ(cloned), Nearest(cloned, set));
        table.Add("policy", MeanQ(guided), Nearest(guided, set));
        page.Add(
            table,
            $"The critic's estimate in {states} states of the data, and how far actions lie from the nearest of {Candidates} draws of the behavior model in "
                + "the same state: a policy much farther than the data's own actions has left what the data cover. The estimate is the critic's own "
                + "opinion, not a measurement."
        );
        var histograms = new List<Histogram>();
        for (var i = 0; i < size; i++)
        {
            foreach (var (name, chosen) in new[] { ("data", actions), ("behavior", cloned), ("policy", guided) })
            {
                histograms.Add(Histogram.Of($"a{i}, {name}", Column(chosen, i), Bins));
            }
        }
        page.Add(
            Saved(HistogramGrid.Make("actions", "Actions of data, behavior model and policy", histograms, 3, -1, 1)),
            "Each component of actions in the same states; lines mark −1 and 1."
        );

        Tensor Acted(Policy who)
        {
            var chosen = new float[states * size];
            who.Act(s, [.. Enumerable.Range(0, states).Select(i => (long)i)], chosen);
            return tensor(chosen, [states, size]);
        }

        static double Nearest(Tensor chosen, Tensor support) =>
            (support - chosen.unsqueeze(1)).square().sum(-1).sqrt().amin([1]).mean().item<float>();

        static double[] Column(Tensor chosen, int i) =>
            Array.ConvertAll(chosen.select(1, i).contiguous().data<float>().ToArray(), x => (double)x);
    }

    private Figure? Guidance()
    {
        var series = new List<LineSeries>();
        foreach (
            var group in _played
                .Where(played => played != Behavior)
                .GroupBy(played => (played.Choice.Method, played.Choice.Beta))
        )
        {
            var points = group.Select(played => (played.Choice.Scale, played.Return)).ToList();
            if (Behavior is { } behavior)
            {
                points.Add((0, behavior.Return));
            }
            points.Sort();
            if (points.Count > 1)
            {
                series.Add(
                    new(
                        $"{group.Key.Method}, β = {Number(group.Key.Beta)}",
                        [.. points.Select(point => point.Scale)],
                        [.. points.Select(point => point.Return)]
                    )
                );
            }
        }
        return series.Count == 0
            ? null
            : LineFigures.Make(
                "guidance",
                "Return over the guidance scale",
                "guidance scale",
                "mean return",
                [new LinePanel("return", series)],
                markers: true
            );
    }

    private void Deployment(ReportPage page)
    {
        var file = Path.Combine(_run, PolicyFile.DefaultName);
        if (!File.Exists(file))
        {
            return;
        }
        var policy = Inference.Policy.Load(file);
        var observation = new float[policy.ObservationDimensions];
        var times = new List<double>();
        for (var i = 0; i < LatencyCalls; i++)
        {
            var clock = Stopwatch.StartNew();
            policy.Act(observation, i);
            times.Add(clock.Elapsed.TotalMilliseconds);
        }
        times.Sort();
        var table = new Table(new TableColumn("what", "what"), new TableColumn("value", "value"));
        table.Add("file", $"{PolicyFile.DefaultName}, {new FileInfo(file).Length / 1024.0 / 1024.0:0.0} MiB");
        table.Add(
            "one action",
            $"median {times[LatencyCalls / 2]:0.00} ms, 99 % within {times[(int)(LatencyCalls * 0.99)]:0.00} ms"
        );
        page.Section(ReportSections.Deployment)
            .Add(table, "Acting without libtorch, one state at a time, on this machine as busy as it was.");
    }

    private void Provenance(ReportPage page)
    {
        var departures = ProvenanceSection.Departures(
            _options,
            QgpoOptions.For(_options.Preset, _options.Task),
            QgpoJson.Default.QgpoOptions
        );
        ProvenanceSection.Add(
            page,
            _reader.Manifest,
            DataLine(),
            _options.Seed,
            _options.Preset,
            departures,
            $"{_reader.Manifest.Precision}, kernels of {_options.Kernels} lanes",
            Commands(departures)
        );
    }

    private string Commands(IEnumerable<(string Name, string Value)> departures)
    {
        var folder = ShellText.Quoted(_run);
        var train =
            $"./tilt train qgpo --task {ShellText.Quoted(_options.Task)} --method {string.Join(',', _options.Methods)} --preset {_options.Preset} --seed {_options.Seed}"
            + ProvenanceSection.Settings(departures, "methods", "kernels", "precision");
        var scales = _played.Select(played => played.Choice.Scale).Distinct().Order().Select(Number).ToList();
        var episodes = _played.Count == 0 ? 20 : _played.Max(played => played.Episodes.Count);
        return $"{train} --out {folder}\n"
            + (_played.Count == 0 ? "" : $"./tilt eval {folder} --scale {string.Join(',', scales)} -n {episodes}\n")
            + $"./tilt report {folder}";
    }

    /// <summary>The last playing of each episode of each policy whose weights are the run's present ones.</summary>
    private List<Played> ReadEpisodes()
    {
        var lines = _reader.Evaluations();
        var newest = lines.Count == 0 ? 0 : lines.Max(line => line.Step);
        return
        [
            .. lines
                .Where(line => line.Step == newest && line.Text("method") is not null)
                .GroupBy(line => new PolicyChoice(
                    line.Text("method")!,
                    line.Number("beta")!.Value,
                    line.Number("scale")!.Value
                ))
                .Select(group => new Played(
                    group.Key,
                    [
                        .. group
                            .GroupBy(line => (line.Number("seed"), line.Number("episode")))
                            .Select(episode => episode.Last())
                            .OrderBy(line => line.Number("episode")),
                    ]
                ))
                .OrderBy(played => played.Choice != PolicyChoice.Cloning)
                .ThenBy(played => played.Choice.Method, StringComparer.Ordinal)
                .ThenBy(played => played.Choice.Beta)
                .ThenBy(played => played.Choice.Scale),
        ];
    }

    private Figure Saved(Figure figure)
    {
        figure.Save(Figures);
        return figure;
    }

    private static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);
}
