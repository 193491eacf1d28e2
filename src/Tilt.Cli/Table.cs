using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace Tilt.Cli;

/// <summary>A column: how JSON calls it and how a reader sees it.</summary>
/// <param name="Key">The name in JSON, such as <c>sliced_w1</c>.</param>
/// <param name="Heading">The heading in the printed table.</param>
/// <param name="Format">How numbers are printed, a .NET format such as <c>0.0000</c>; JSON keeps every digit.</param>
internal sealed record TableColumn(string Key, string Heading, string? Format = null);

/// <summary>Rows under headings, printed for people (as wide as the terminal allows) or as JSON for programs.</summary>
internal sealed class Table
{
    private readonly List<object?[]> _rows = [];

    /// <summary>The columns, left to right.</summary>
    public IReadOnlyList<TableColumn> Columns { get; }

    /// <summary>The rows, top to bottom: text, numbers, truth values or nothing.</summary>
    public IReadOnlyList<IReadOnlyList<object?>> Rows => _rows;

    /// <summary>An empty table.</summary>
    public Table(params IReadOnlyList<TableColumn> columns)
    {
        Columns = columns;
    }

    /// <summary>Adds a row, one cell a column.</summary>
    public void Add(params object?[] cells)
    {
        if (cells.Length != Columns.Count)
        {
            throw new ArgumentException($"A row of {cells.Length} cells for {Columns.Count} columns.");
        }
        _rows.Add(cells);
    }

    /// <summary>A cell as a reader sees it.</summary>
    public string Text(int row, int column)
    {
        return _rows[row][column] switch
        {
            null => "",
            bool flag => flag ? "yes" : "no",
            double number when double.IsNaN(number) => "–",
            IFormattable number => number.ToString(Columns[column].Format, CultureInfo.InvariantCulture),
            var other => other.ToString() ?? "",
        };
    }

    /// <summary>Whether a column holds numbers, which align to the right.</summary>
    public bool IsNumeric(int column) =>
        _rows.Count > 0 && _rows.All(row => row[column] is null or double or float or int or long);

    /// <summary>Prints it: in columns where they fit, else one block a row.</summary>
    public void Print(Terminal terminal)
    {
        var widths = Columns
            .Select((column, c) => _rows.Select((_, r) => Text(r, c).Length).Append(column.Heading.Length).Max())
            .ToArray();
        if (widths.Sum() + 2 * (widths.Length - 1) <= terminal.TableWidth)
        {
            PrintColumns(terminal);
        }
        else
        {
            PrintBlocks(terminal, terminal.TableWidth);
        }
    }

    /// <summary>Writes it as a JSON array with one object a row.</summary>
    public void WriteJson(TextWriter output)
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory, JsonStyle))
        {
            json.WriteStartArray();
            foreach (var row in _rows)
            {
                json.WriteStartObject();
                for (var c = 0; c < row.Length; c++)
                {
                    json.WritePropertyName(Columns[c].Key);
                    WriteCell(json, row[c]);
                }
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        output.WriteLine(System.Text.Encoding.UTF8.GetString(memory.ToArray()));
    }

    /// <summary>Prints it for people or, if asked, for programs.</summary>
    public void Show(Terminal terminal, bool asJson)
    {
        if (asJson)
        {
            WriteJson(terminal.Output);
        }
        else
        {
            Print(terminal);
        }
    }

    private static JsonWriterOptions JsonStyle =>
        new() { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static void WriteCell(Utf8JsonWriter json, object? cell)
    {
        switch (cell)
        {
            case null or double.NaN or double.PositiveInfinity or double.NegativeInfinity:
                json.WriteNullValue();
                break;
            case bool flag:
                json.WriteBooleanValue(flag);
                break;
            case double number:
                json.WriteNumberValue(number);
                break;
            case float number:
                json.WriteNumberValue(number);
                break;
            case int number:
                json.WriteNumberValue(number);
                break;
            case long number:
                json.WriteNumberValue(number);
                break;
            default:
                json.WriteStringValue(cell.ToString());
                break;
        }
    }

    private void PrintColumns(Terminal terminal)
    {
        using var text = new StringWriter();
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Out = new AnsiConsoleOutput(text),
                Ansi = terminal.HasColor ? AnsiSupport.Yes : AnsiSupport.No,
                ColorSystem = terminal.HasColor ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
                Interactive = InteractionSupport.No,
            }
        );
        console.Profile.Width = terminal.TableWidth;
        var table = new Spectre.Console.Table().Border(TableBorder.None).HideHeaders();
        for (var c = 0; c < Columns.Count; c++)
        {
            var column = new Spectre.Console.TableColumn("")
                .NoWrap()
                .PadLeft(0)
                .PadRight(c + 1 < Columns.Count ? 2 : 0);
            table.AddColumn(IsNumeric(c) ? column.RightAligned() : column);
        }
        table.AddRow(Columns.Select(column => new Text(column.Heading, new Style(decoration: Decoration.Bold))));
        for (var r = 0; r < _rows.Count; r++)
        {
            table.AddRow(Columns.Select((_, c) => new Text(Text(r, c))));
        }
        console.Write(table);
        foreach (var line in text.ToString().TrimEnd('\n').Split('\n'))
        {
            terminal.Line(line.TrimEnd());
        }
    }

    /// <summary>Prints one block a row, heading and cell on each line.</summary>
    internal void PrintBlocks(Terminal terminal, int width)
    {
        var indent = Math.Min(Columns.Max(column => column.Heading.Length) + 2, width / 2);
        for (var r = 0; r < _rows.Count; r++)
        {
            if (r > 0)
            {
                terminal.Line();
            }
            for (var c = 0; c < Columns.Count; c++)
            {
                if (Text(r, c).Length > 0)
                {
                    var line = Columns[c].Heading.PadRight(indent - 1) + " " + Text(r, c);
                    foreach (var part in Terminal.Wrap(line, width, indent))
                    {
                        terminal.Line(part);
                    }
                }
            }
        }
    }
}
