using Microsoft.Win32.SafeHandles;

namespace Tilt.Cli;

/// <summary>Where a verb writes: results on one side, remarks and errors on the other, with what the terminal can show.</summary>
internal sealed class Terminal
{
    private readonly bool _console;

    /// <summary>Results: what a script would read.</summary>
    public TextWriter Output { get; }

    /// <summary>Remarks and errors.</summary>
    public TextWriter Error { get; }

    /// <summary>No remarks and no progress; results and errors remain.</summary>
    public bool Quiet { get; set; }

    /// <summary>Writes to the given streams; only the process's own streams can be a terminal.</summary>
    public Terminal(TextWriter output, TextWriter error)
    {
        (Output, Error) = (output, error);
        _console = ReferenceEquals(output, Console.Out);
    }

    /// <summary>Whether someone is looking: the output is a terminal, not a file or a pipe.</summary>
    public bool IsInteractive => _console && !Console.IsOutputRedirected && Variable("TERM") != "dumb";

    /// <summary>Whether to colour: on a terminal, unless NO_COLOR is set.</summary>
    public bool HasColor => IsInteractive && Variable("NO_COLOR") is null;

    /// <summary>Columns to fit tables into; without a terminal there is no limit, so that lines stay whole for scripts.</summary>
    public int TableWidth => Columns ?? 10_000;

    /// <summary>Columns to fit prose into.</summary>
    public int ProseWidth => Math.Clamp(Columns ?? 100, 20, 120);

    private int? Columns
    {
        get
        {
            if (int.TryParse(Variable("COLUMNS"), out var chosen) && chosen > 0)
            {
                return chosen;
            }
            return IsInteractive && Console.WindowWidth > 0 ? Console.WindowWidth : null;
        }
    }

    /// <summary>A writer for results of many lines; it throws <see cref="IOException"/> once whoever reads them has gone.</summary>
    /// <remarks>The console's own writer swallows that error, so that work for <c>| head</c> would go on to its end.</remarks>
    public TextWriter Piped() =>
        _console && Console.IsOutputRedirected
            ? new StreamWriter(
                new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, 1),
                bufferSize: 1 << 16
            )
            : Output;

    /// <summary>Whether an error says that whoever read the output has gone: errno EPIPE.</summary>
    public static bool ReaderHasGone(IOException error) => error.HResult == 32;

    /// <summary>A line of the result.</summary>
    public void Line(string text = "") => Output.WriteLine(text);

    /// <summary>A remark on the way; silent under --quiet.</summary>
    public void Remark(string text)
    {
        if (!Quiet)
        {
            Error.WriteLine(text);
        }
    }

    /// <summary>Prose broken at spaces; lines after the first are indented.</summary>
    public void Wrapped(string text, int indent = 0)
    {
        foreach (var line in Wrap(text, ProseWidth, indent))
        {
            Line(line);
        }
    }

    /// <summary>Breaks text at spaces into lines of at most the given width; lines after the first are indented.</summary>
    public static IEnumerable<string> Wrap(string text, int width, int indent = 0)
    {
        var margin = new string(' ', indent);
        var line = new string(' ', text.Length - text.TrimStart(' ').Length);
        var isBlank = true;
        foreach (var word in text.TrimStart(' ').Split(' '))
        {
            if (!isBlank && line.Length + 1 + word.Length > width)
            {
                yield return line.TrimEnd();
                (line, isBlank) = (margin, true);
            }
            line += isBlank ? word : " " + word;
            isBlank &= word.Length == 0;
        }
        yield return line.TrimEnd();
    }

    private static string? Variable(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
