using System.Globalization;
using SkiaSharp;
using Tilt.Energy;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Evaluation;
using Tilt.Runs;

namespace Tilt.Cli.Reports;

/// <summary>The page of a QGPO run: scores, guidance curve, values, energies, actions, deployment, provenance.</summary>
/// <remarks>Draws on what stands in the run's folder alone: no data file and no environment are needed.</remarks>
internal sealed class QgpoReport
{
    private readonly string _run;
    private readonly RunReader _reader;
    private readonly QgpoOptions _options;
    private readonly QgpoEpisodes _episodes;

    /// <summary>A report of a trained run.</summary>
    /// <param name="run">The run's folder; figures and the page go there.</param>
    public QgpoReport(string run)
    {
        _run = run;
        _reader = RunReader.Open(run);
        _options = _reader.Options(QgpoJson.Default.QgpoOptions);
        _episodes = new(_reader, _options);
    }

    private string Figures => Path.Combine(_run, "figures");

    private string Policy => $"{MethodTitles.Of(_options.Methods[0])} guidance";

    /// <summary>Draws everything and writes figures and page.</summary>
    /// <param name="say">Told what is being drawn.</param>
    /// <returns>The path of report.html.</returns>
    public string Write(Action<string> say)
    {
        say("figures: scores, curves, actions");
        var page = new ReportPage($"{_options.Task}: Q-guided policy optimization", Verdict());
        Scores(page);
        Episodes(page);
        QgpoModelSections.Values(page, _run, Saved);
        QgpoModelSections.Actions(page, _run, Saved);
        page.Section(ReportSections.Curves)
            .Add(
                Saved(LineFigures.LearningCurves(_reader.Metrics())),
                "One panel per stage; the loss of a CEP stage is the divergence from its labels, so 0 is the best there is."
            );
        if (_episodes.GuidanceCurve() is { } guidance)
        {
            page.Section(ReportSections.Dials)
                .Add(
                    Saved(guidance),
                    "Mean return over the episodes of this run's policies. Scale 1 is the policy as trained; any other is chosen with access to the environment."
                );
        }
        QgpoModelSections.Deployment(page, _run);
        Provenance(page);
        var path = Path.Combine(_run, "report.html");
        page.Save(path);
        return path;
    }

    private string Verdict()
    {
        if (_episodes.Headline is not { } policy)
        {
            return EnvironmentTasks.Find(_options.Task) is null
                ? "Trained on logged data alone: there is no environment to tell how the policy acts. What follows is what the data and the critic say."
                : $"Trained, not evaluated yet: ./tilt eval {_run}.";
        }
        var text =
            $"{Policy} at β = {Number(_options.Beta)}, scale 1, {Told(policy)} over {policy.Episodes.Count} episodes, training seed {_options.Seed}";
        if (_episodes.Behavior is { } behavior)
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

    private static string Told(PlayedPolicy played) =>
        played.Score is { } score
            ? $"scores {Number(score)} (return {Number(played.Return)})"
            : $"returns {Number(played.Return)}";

    private void Scores(ReportPage page)
    {
        page.Section(ReportSections.Scores);
        if (_episodes.All.Count == 0)
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
        page.Add(
            _episodes.ScoreTable(),
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
        var scales = _episodes.All.Select(played => played.Choice.Scale).Distinct().Order().Select(Number).ToList();
        var episodes = _episodes.All.Count == 0 ? 20 : _episodes.All.Max(played => played.Episodes.Count);
        return $"{train} --out {folder}\n"
            + (
                _episodes.All.Count == 0
                    ? ""
                    : $"./tilt eval {folder} --scale {string.Join(',', scales)} -n {episodes}\n"
            )
            + $"./tilt report {folder}";
    }

    private Figure Saved(Figure figure)
    {
        figure.Save(Figures);
        return figure;
    }

    private static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);
}
