using System.Globalization;

namespace Tilt.Cli.Reports;

/// <summary>Writes comma-separated values (RFC 4180): nine digits, as many as a float32 has, and quotes only where they are needed.</summary>
internal sealed class CsvWriter(TextWriter output)
{
    /// <summary>Writes one line.</summary>
    public void Row(params ReadOnlySpan<object?> cells)
    {
        for (var i = 0; i < cells.Length; i++)
        {
            if (i > 0)
            {
                output.Write(',');
            }
            output.Write(Cell(cells[i]));
        }
        output.Write('\n');
    }

    private static string Cell(object? cell)
    {
        var text = cell switch
        {
            null => "",
            double number => number.ToString("G9", CultureInfo.InvariantCulture),
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => cell.ToString() ?? "",
        };
        return text.AsSpan().ContainsAny(",\"\n\r")
            ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\""
            : text;
    }
}
