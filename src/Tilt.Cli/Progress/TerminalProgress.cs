using System.Text;
using Tilt.Training;

namespace Tilt.Cli.Progress;

/// <summary>A training's progress for whoever called the command: live on a terminal, plain lines in a file, nothing if quiet.</summary>
/// <remarks>Written to the error stream, so that what a verb prints as its result stays clean.</remarks>
internal abstract class TerminalProgress : ITrainingProgress
{
    /// <summary>What is being trained, where a command trains several. Shown first.</summary>
    public string? Title { get; set; }

    /// <summary>The kind that suits a terminal.</summary>
    public static TerminalProgress For(Terminal terminal) =>
        terminal.Quiet ? new QuietProgress()
        : ReferenceEquals(terminal.Error, Console.Error)
        && !Console.IsErrorRedirected
        && Environment.GetEnvironmentVariable("TERM") is not ("dumb" or null or "")
            ? new LiveProgress(terminal.Error, () => Console.WindowWidth)
        : new LineProgress(terminal.Error, TimeProvider.System);

    /// <inheritdoc/>
    public abstract void Update(TrainingReport report);

    /// <inheritdoc/>
    public abstract void Say(string message);

    /// <inheritdoc/>
    public abstract void Show(IReadOnlyList<string> lines);

    /// <inheritdoc/>
    public abstract void End(TrainingReport report);
}

/// <summary>Nothing at all.</summary>
internal sealed class QuietProgress : TerminalProgress
{
    public override void Update(TrainingReport report) { }

    public override void Say(string message) { }

    public override void Show(IReadOnlyList<string> lines) { }

    public override void End(TrainingReport report) { }
}

/// <summary>One plain line per interval: for logs, pipes and terminals that cannot move the cursor.</summary>
internal sealed class LineProgress(TextWriter writer, TimeProvider time, TimeSpan? interval = null) : TerminalProgress
{
    private readonly TimeSpan _interval = interval ?? TimeSpan.FromSeconds(10);
    private long? _last;
    private string _lastLine = "";

    public override void Update(TrainingReport report)
    {
        // The first line comes after one interval too: a training that is over by then needs only its last line.
        _last ??= time.GetTimestamp();
        if (time.GetElapsedTime(_last.Value) >= _interval)
        {
            _last = time.GetTimestamp();
            Write(report);
        }
    }

    public override void Say(string message) => writer.WriteLine(message);

    public override void Show(IReadOnlyList<string> lines) { }

    public override void End(TrainingReport report)
    {
        _last = null;
        Write(report);
        _lastLine = "";
    }

    private void Write(TrainingReport report)
    {
        var line = ProgressLine.Plain(report, Title);
        if (line != _lastLine)
        {
            writer.WriteLine(line);
            writer.Flush();
            _lastLine = line;
        }
    }
}

/// <summary>A line that is drawn over and over, with a picture in text above it if there is one.</summary>
/// <remarks>
/// Only three control sequences are used: to the line's start, up, and clear to the end. Every line is cut to the terminal's
/// width, asked anew each time, because a line that wraps would not be found again.
/// </remarks>
internal sealed class LiveProgress(TextWriter writer, Func<int> width) : TerminalProgress
{
    private const int UsualWidth = 80;

    private IReadOnlyList<string> _picture = [];
    private TrainingReport? _report;
    private int _drawn;

    public override void Update(TrainingReport report)
    {
        _report = report;
        Draw();
    }

    public override void Say(string message) => Draw(message);

    public override void Show(IReadOnlyList<string> lines)
    {
        _picture = lines;
        Draw();
    }

    public override void End(TrainingReport report)
    {
        if (_report is not null)
        {
            _report = report with { TimeLeft = null };
            Draw();
            writer.WriteLine();
        }
        writer.Flush();
        (_report, _picture, _drawn) = (null, [], 0);
    }

    /// <summary>Draws anew, in one piece so that nothing flickers.</summary>
    /// <param name="message">A line to leave standing above.</param>
    private void Draw(string? message = null)
    {
        // The last column stays free: some terminals wrap as soon as it is written.
        var columns = Math.Max(1, (width() is > 0 and var known ? known : UsualWidth) - 1);
        var text = new StringBuilder(_drawn > 0 ? $"\r\e[{_drawn}A\e[J" : "\r\e[J");
        if (message is not null)
        {
            text.Append(message).Append('\n');
        }
        foreach (var line in _picture)
        {
            text.Append(ProgressLine.Cut(line, columns)).Append('\n');
        }
        if (_report is not null)
        {
            text.Append(ProgressLine.Live(_report, columns, Title));
        }
        writer.Write(text.ToString());
        writer.Flush();
        _drawn = _picture.Count;
    }
}
