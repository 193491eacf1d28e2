using System.Globalization;
using Tilt.OfflineRl.Data;

namespace Tilt.Cli.Reports;

/// <summary>The page on a data file: its episodes, every dimension, what may surprise, where it came from.</summary>
internal sealed class DataReport
{
    private const int EpisodeRows = 20;

    private readonly string _command;
    private readonly FileContents _contents;
    private readonly RecordedSteps _steps;
    private readonly DataSummary _summary;
    private readonly D4rlTask? _task;

    /// <summary>A page on recorded steps.</summary>
    /// <param name="command">The command that makes it again.</param>
    /// <param name="contents">What the file contains.</param>
    /// <param name="steps">Its steps.</param>
    /// <param name="summary">What they hold.</param>
    /// <param name="task">The task that normalizes returns; null where there is none.</param>
    public DataReport(string command, FileContents contents, RecordedSteps steps, DataSummary summary, D4rlTask? task)
    {
        (_command, _contents, _steps, _summary, _task) = (command, contents, steps, summary, task);
    }

    /// <summary>The numbers of the page in one table, for the terminal and for JSON.</summary>
    public static Table Overview(RecordedSteps steps, DataSummary summary, D4rlTask? task)
    {
        var table = new Table(new TableColumn("quantity", "quantity"), new TableColumn("value", "value", "0.####"));
        var returns = summary.Episodes.Select(episode => episode.Return).ToArray();
        var lengths = summary.Episodes.Select(episode => (double)episode.Length).ToArray();
        table.Add("steps", summary.Steps);
        table.Add("observation size", steps.ObservationSize);
        table.Add("action size", steps.ActionSize);
        table.Add("whole episodes", summary.Episodes.Count);
        table.Add("episodes terminated", summary.Episodes.Count(episode => episode.Terminated));
        table.Add("episodes cut off", summary.Episodes.Count(episode => episode.Truncated));
        table.Add("steps after the last end", summary.UnfinishedSteps);
        foreach (var (name, values) in new[] { ("return", returns), ("length", lengths) })
        {
            table.Add($"{name}, least", Quantile(values, 0));
            table.Add($"{name}, mean", Mean(values));
            table.Add($"{name}, greatest", Quantile(values, 1));
        }
        if (task is not null)
        {
            table.Add($"score, mean ({task.Name})", task.Score(Mean(returns)));
            table.Add($"score, greatest ({task.Name})", task.Score(Quantile(returns, 1)));
        }
        table.Add("reward, least", summary.Rewards.Min);
        table.Add("reward, greatest", summary.Rewards.Max);
        table.Add("action, least", summary.Actions.Min(dimension => dimension.Min));
        table.Add("action, greatest", summary.Actions.Max(dimension => dimension.Max));
        table.Add("steps with actions outside [-1, 1]", summary.ActionsOutside);
        table.Add("values not finite", summary.NotFinite);
        table.Add("duplicate steps", summary.Duplicates);
        table.Add("repeated observations", summary.RepeatedObservations);
        table.Add("steps marked terminated and cut off", summary.MarkedTwice);
        table.Add("sha256", steps.Sha256);
        return table;
    }

    /// <summary>Writes report.html and the figures into a folder.</summary>
    /// <returns>The path of the page.</returns>
    public string Write(string folder)
    {
        var returns = _summary.Episodes.Select(episode => episode.Return).ToList();
        var page = new ReportPage(
            $"Data: {Path.GetFileName(_steps.Source)}",
            Verdict(returns),
            _summary.NotFinite > 0 ? false : null
        );
        var figures = new List<Figure>();
        Figure Keep(Figure figure)
        {
            figures.Add(figure);
            return figure;
        }

        page.Section("Episodes");
        if (returns.Count > 0)
        {
            page.Add(
                Keep(
                    HistogramGrid.Make(
                        "episodes",
                        "Returns and lengths of episodes",
                        [
                            Histogram.Of("return", returns, DataSummary.Bins),
                            Histogram.Of(
                                "length in steps",
                                [.. _summary.Episodes.Select(episode => (double)episode.Length)],
                                DataSummary.Bins
                            ),
                        ],
                        2
                    )
                ),
                "Undiscounted returns and lengths of the whole episodes; heights are relative to the fullest bin."
            );
        }
        page.Add(
            Quantiles(),
            "Over whole episodes." + (_task is null ? "" : $" Scores are normalized as {_task.Name}.")
        );
        page.Add(EpisodeTable(), EpisodeCaption());

        page.Section("Observations");
        page.Add(
            Keep(HistogramGrid.Make("observations", "Observations by dimension", Histograms(_summary.Observations), 6)),
            "Every dimension from its least to its greatest value; a single bar is a dimension that never changes."
        );
        page.Add(Dimensions(_summary.Observations, null), "Observations by dimension.");

        page.Section("Actions");
        page.Add(
            Keep(HistogramGrid.Make("actions", "Actions by dimension", Histograms(_summary.Actions), 4, -1, 1)),
            "Lines stand at −1 and 1. Actions outside are kept as they are."
        );
        page.Add(Dimensions(_summary.Actions, _summary.OutsideByDimension), "Actions by dimension.");

        page.Section("Rewards");
        page.Add(
            Keep(HistogramGrid.Make("rewards", "Rewards", Histograms([_summary.Rewards]), 1)),
            "Rewards as recorded, of all steps."
        );
        page.Add(Dimensions([_summary.Rewards], null), "Rewards.");

        page.Section("Checks");
        page.Add(Checks(), "Counts of what a reader may want to know before training on it.");

        page.Section("Contents of the file");
        page.Add(Entries(), $"{_contents.Format}, {_contents.Length} bytes.");

        page.Section(ReportSections.Provenance);
        page.Add(Provenance(), "Where the data came from.");
        page.Code(_command);

        var path = Path.Combine(folder, "report.html");
        foreach (var figure in figures)
        {
            figure.Save(Path.Combine(folder, "figures"));
        }
        page.Save(path);
        return path;
    }

    private string Verdict(List<double> returns)
    {
        var culture = CultureInfo.InvariantCulture;
        var episodes =
            returns.Count == 0
                ? "no whole episode"
                : string.Create(
                    culture,
                    $"{returns.Count} whole episodes with returns from {returns.Min():0.##} to {returns.Max():0.##}, mean {returns.Average():0.##}"
                );
        var score =
            _task is null || returns.Count == 0
                ? ""
                : string.Create(culture, $" (normalized score {_task.Score(returns.Average()):0.0})");
        var finite =
            _summary.NotFinite == 0
                ? ""
                : $" {_summary.NotFinite} values are NaN or infinite: it cannot be trained on.";
        return $"{_summary.Steps} steps of {_steps.ObservationSize} observations and {_steps.ActionSize} actions in {episodes}{score}.{finite}";
    }

    private static IReadOnlyList<Histogram> Histograms(IReadOnlyList<DimensionSummary> dimensions) =>
        [.. dimensions.Select(one => new Histogram(one.Name, one.Min, one.Max, one.Histogram))];

    private Table Quantiles()
    {
        var table = new Table(
            new TableColumn("quantity", ""),
            new TableColumn("least", "least", "0.##"),
            new TableColumn("quarter", "25 %", "0.##"),
            new TableColumn("half", "50 %", "0.##"),
            new TableColumn("three_quarters", "75 %", "0.##"),
            new TableColumn("greatest", "greatest", "0.##"),
            new TableColumn("mean", "mean", "0.##")
        );
        void Add(string name, double[] values) =>
            table.Add(
                name,
                Quantile(values, 0),
                Quantile(values, 0.25),
                Quantile(values, 0.5),
                Quantile(values, 0.75),
                Quantile(values, 1),
                Mean(values)
            );
        var returns = _summary.Episodes.Select(episode => episode.Return).ToArray();
        Add("return", returns);
        if (_task is not null)
        {
            Add("normalized score", Array.ConvertAll(returns, _task.Score));
        }
        Add("length", [.. _summary.Episodes.Select(episode => (double)episode.Length)]);
        return table;
    }

    private Table EpisodeTable()
    {
        var table = new Table(
            new TableColumn("episode", "episode"),
            new TableColumn("start", "first step"),
            new TableColumn("length", "steps"),
            new TableColumn("return", "return", "0.##"),
            new TableColumn("end", "end")
        );
        for (var i = 0; i < Math.Min(EpisodeRows, _summary.Episodes.Count); i++)
        {
            var episode = _summary.Episodes[i];
            table.Add(
                i,
                episode.Start,
                episode.Length,
                episode.Return,
                episode.Terminated ? (episode.Truncated ? "terminated and cut off" : "terminated") : "cut off"
            );
        }
        return table;
    }

    private string EpisodeCaption()
    {
        var shown = Math.Min(EpisodeRows, _summary.Episodes.Count);
        var rest = _summary.UnfinishedSteps == 0 ? "" : $" {_summary.UnfinishedSteps} steps follow the last end.";
        return $"The first {shown} of {_summary.Episodes.Count} episodes.{rest}";
    }

    private static Table Dimensions(IReadOnlyList<DimensionSummary> dimensions, IReadOnlyList<int>? outside)
    {
        List<TableColumn> columns =
        [
            new("name", "dimension"),
            new("least", "least", "0.####"),
            new("greatest", "greatest", "0.####"),
            new("mean", "mean", "0.####"),
            new("deviation", "deviation", "0.####"),
            new("not_finite", "not finite"),
        ];
        if (outside is not null)
        {
            columns.Add(new("outside", "outside [−1, 1]"));
        }
        var table = new Table(columns);
        for (var j = 0; j < dimensions.Count; j++)
        {
            var one = dimensions[j];
            List<object?> cells = [one.Name, one.Min, one.Max, one.Mean, one.Deviation, one.NotFinite];
            if (outside is not null)
            {
                cells.Add(outside[j]);
            }
            table.Add([.. cells]);
        }
        return table;
    }

    private Table Checks()
    {
        var table = new Table(
            new TableColumn("check", "check"),
            new TableColumn("count", "steps"),
            new TableColumn("meaning", "meaning")
        );
        table.Add("NaN or infinite", _summary.NotFinite, "values; opening such a file for training is refused");
        table.Add("actions outside [−1, 1]", _summary.ActionsOutside, "kept as recorded, as D4RL keeps them");
        table.Add("duplicates", _summary.Duplicates, "observation and action equal those of an earlier step");
        table.Add("repeated observations", _summary.RepeatedObservations, "equal to that of the step just before");
        table.Add(
            "marked twice",
            _summary.MarkedTwice,
            "terminated and cut off; as a transition such a step is dropped"
        );
        table.Add(
            "constant dimensions",
            _summary.Observations.Count(dimension => dimension.IsConstant),
            "of the observation; they carry nothing, and their deviation is 0"
        );
        table.Add(
            "cut-off steps",
            _summary.Episodes.Count(episode => episode.Truncated),
            _summary.MarksCutOff
                ? "marked in the file"
                : "not marked in the file: cut by the step limit, where one is known"
        );
        return table;
    }

    private Table Entries()
    {
        var table = new Table(
            new TableColumn("name", "name"),
            new TableColumn("shape", "shape"),
            new TableColumn("type", "type"),
            new TableColumn("value", "value")
        );
        foreach (var entry in _contents.Entries)
        {
            table.Add(entry.Name, entry.Shape, entry.Type, entry.Text);
        }
        return table;
    }

    private Table Provenance()
    {
        var table = new Table(new TableColumn("what", "what"), new TableColumn("value", "value"));
        table.Add("file", Path.GetFullPath(_steps.Source));
        table.Add("SHA-256", _steps.Sha256);
        foreach (var (name, text) in _contents.Attributes)
        {
            table.Add(name, text.Length > 400 ? text[..400] + "…" : text);
        }
        if (_task is not null)
        {
            table.Add("score 0 is the return", _task.MinReturn.ToString(CultureInfo.InvariantCulture));
            table.Add("score 100 is the return", _task.MaxReturn.ToString(CultureInfo.InvariantCulture));
        }
        return table;
    }

    private static double Mean(double[] values) => values.Length == 0 ? double.NaN : values.Average();

    /// <summary>The quantile by linear interpolation between order statistics, as numpy has it by default.</summary>
    private static double Quantile(double[] values, double fraction)
    {
        if (values.Length == 0)
        {
            return double.NaN;
        }
        var sorted = values.Order().ToArray();
        var place = fraction * (sorted.Length - 1);
        var below = (int)Math.Floor(place);
        var above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
    }
}
