using Tilt.Training;

namespace Tilt.Cli.Progress;

/// <summary>How far a training is, in one line that fits.</summary>
internal static class ProgressLine
{
    private const string Gap = "  ";
    private const int NarrowestBar = 8;
    private const int WidestBar = 30;

    /// <summary>Below this width a bar would come and go with every digit beside it.</summary>
    private const int WideEnoughForBar = 50;

    /// <summary>A line for a terminal: what is worth most shows, what does not fit is left out.</summary>
    /// <param name="report">How far the training is.</param>
    /// <param name="width">Columns to fit into.</param>
    /// <param name="title">What is being trained, if there are several.</param>
    public static string Live(TrainingReport report, int width, string? title = null)
    {
        var left = report.TimeLeft is { } time ? $"{Duration(time)} left" : "";
        var numbered =
            report.StageCount > 1 ? $"{report.Stage} {report.StageNumber}/{report.StageCount}" : report.Stage;
        var stage = Join([numbered, Percent(report), left]).Length <= width ? numbered : report.Stage;

        // In the order of reading, each with its worth.
        var parts = new List<(string Text, int Worth)>
        {
            (title ?? "", 4),
            (stage, 0),
            (Percent(report), 1),
            ($"{report.Step}/{report.Steps}", 5),
            (Rate(report.StepsPerSecond, shortly: width < 60), 3),
            (left, 2),
        };
        parts.AddRange(report.Metrics.Select(metric => ($"{metric.Key} {Number(metric.Value)}", 6)));

        var hasBar = width >= WideEnoughForBar;
        var room = width + Gap.Length;
        var shown = new bool[parts.Count];
        foreach (var i in Enumerable.Range(0, parts.Count).OrderBy(i => parts[i].Worth))
        {
            var needed = parts[i].Text.Length + Gap.Length;
            // A bar says more than counts and metrics do, so they leave room for it.
            var spare = hasBar && parts[i].Worth >= 5 ? NarrowestBar + Gap.Length : 0;
            shown[i] = parts[i].Text.Length > 0 && needed + spare <= room;
            room -= shown[i] ? needed : 0;
        }
        if (!shown[1])
        {
            return Cut(stage, width);
        }
        var texts = parts.Where((_, i) => shown[i]).Select(part => part.Text).ToList();
        if (hasBar && room >= NarrowestBar + Gap.Length)
        {
            texts.Insert(texts.IndexOf(stage) + 1, Bar(report, Math.Min(WidestBar, room - Gap.Length)));
        }
        return Join(texts);
    }

    /// <summary>A line for a file: everything, in words.</summary>
    /// <param name="report">How far the training is.</param>
    /// <param name="title">What is being trained, if there are several.</param>
    public static string Plain(TrainingReport report, string? title = null)
    {
        var stage =
            report.StageCount > 1 ? $"{report.Stage} ({report.StageNumber} of {report.StageCount})" : report.Stage;
        var parts = new List<string> { $"step {report.Step} of {report.Steps} ({Percent(report)})" };
        if (Rate(report.StepsPerSecond, shortly: false) is { Length: > 0 } rate)
        {
            parts.Add(rate);
        }
        if (report.TimeLeft is { } time && report.Step < report.Steps)
        {
            parts.Add($"{Duration(time)} left");
        }
        parts.AddRange(report.Metrics.Select(metric => $"{metric.Key} {Number(metric.Value)}"));
        return $"{(title is null ? "" : title + ", ")}{stage}: {string.Join(", ", parts)}";
    }

    /// <summary>A span of time as people say it: two units at most.</summary>
    public static string Duration(TimeSpan time)
    {
        var seconds = Math.Max(0, (long)Math.Ceiling(time.TotalSeconds));
        return seconds switch
        {
            < 60 => $"{seconds} s",
            < 3600 => $"{seconds / 60} min {seconds % 60:00} s",
            < 86_400 => $"{seconds / 3600} h {seconds / 60 % 60:00} min",
            _ => $"{seconds / 86_400} d {seconds / 3600 % 24} h",
        };
    }

    /// <summary>Cuts a text to a width, with an ellipsis where something is missing.</summary>
    public static string Cut(string text, int width) =>
        text.Length <= width ? text
        : width <= 1 ? ""
        : string.Concat(text.AsSpan(0, width - 1), "…");

    private static string Percent(TrainingReport report) =>
        report.Steps == 0 ? "100 %" : $"{100 * report.Step / report.Steps} %";

    private static string Rate(double? stepsPerSecond, bool shortly)
    {
        var unit = shortly ? "/s" : " steps/s";
        return stepsPerSecond switch
        {
            null or 0 => "",
            < 0.95 and > 0 => $"{1 / stepsPerSecond.Value:0.0} s/step",
            < 10 => $"{stepsPerSecond.Value:0.0}{unit}",
            _ => $"{stepsPerSecond.Value:0}{unit}",
        };
    }

    private static string Bar(TrainingReport report, int width)
    {
        var filled = report.Steps == 0 ? width : (int)(width * report.Step / report.Steps);
        return new string('█', filled) + new string('░', width - filled);
    }

    private static string Number(double value)
    {
        var size = Math.Abs(value);
        return size is 0 or (>= 1e-3 and < 1e6)
            ? value.ToString(size < 10 ? "0.####" : "0.##")
            : value.ToString("0.00e0");
    }

    private static string Join(IEnumerable<string> parts) => string.Join(Gap, parts.Where(part => part.Length > 0));
}
