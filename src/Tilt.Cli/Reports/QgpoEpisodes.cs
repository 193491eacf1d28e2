using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Evaluation;
using Tilt.Runs;

namespace Tilt.Cli.Reports;

/// <summary>What one policy has played.</summary>
/// <param name="Choice">Who acted.</param>
/// <param name="Episodes">A line of evaluation.jsonl each.</param>
internal sealed record PlayedPolicy(PolicyChoice Choice, IReadOnlyList<LogLine> Episodes)
{
    /// <summary>Mean return.</summary>
    public double Return => Episodes.Average(line => line.Number("return")!.Value);

    /// <summary>Mean normalized score; null where the task has none.</summary>
    public double? Score =>
        Episodes.Any(line => line.Number("score") is null)
            ? null
            : Episodes.Average(line => line.Number("score")!.Value);
}

/// <summary>What the policies of a run have played: the policy as trained and cloning, told apart from what was tried besides.</summary>
internal sealed class QgpoEpisodes
{
    private readonly QgpoOptions _options;
    private readonly List<PlayedPolicy> _all;

    /// <summary>The episodes of a run.</summary>
    /// <param name="reader">The run.</param>
    /// <param name="options">What it was asked for.</param>
    public QgpoEpisodes(RunReader reader, QgpoOptions options)
    {
        _options = options;
        _all = Read(reader);
    }

    /// <summary>All policies, cloning first.</summary>
    public IReadOnlyList<PlayedPolicy> All => _all;

    /// <summary>Diffusion behavior cloning: guidance off.</summary>
    public PlayedPolicy? Behavior => _all.Find(played => played.Choice == PolicyChoice.Cloning);

    /// <summary>The policy as trained: guidance scale 1, its own β. Fixed before any evaluation.</summary>
    public PlayedPolicy? Headline =>
        _all.Find(played =>
            played.Choice.Method == _options.Methods[0]
            && played.Choice.Scale == 1
            && played.Choice.Beta == _options.Beta
        );

    /// <summary>Scores of all policies, and the paper's.</summary>
    public Table ScoreTable()
    {
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
        foreach (var played in _all)
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
        return table;
    }

    /// <summary>Mean return over the guidance scale, a line per method and β; null where nothing was varied.</summary>
    public Figure? GuidanceCurve()
    {
        var series = new List<LineSeries>();
        foreach (
            var group in _all.Where(played => played != Behavior)
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
                        FormattableString.Invariant($"{group.Key.Method}, β = {group.Key.Beta:0.###}"),
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

    private static List<double> Differences(PlayedPolicy one, PlayedPolicy other)
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

    /// <summary>The last playing of each episode of each policy whose weights are the run's present ones.</summary>
    private static List<PlayedPolicy> Read(RunReader reader)
    {
        var lines = reader.Evaluations();
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
                .Select(group => new PlayedPolicy(
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
}
