namespace Tilt.Tests.Documentation;

/// <summary>Reads a table of a page, so that the page and the code can be held against each other.</summary>
internal static class MarkdownTable
{
    /// <summary>The cells of the first table after a heading, without its heading row.</summary>
    public static IReadOnlyList<string[]> Read(string page, string heading)
    {
        var rows = File.ReadLines(page)
            .SkipWhile(line => line != heading)
            .SkipWhile(line => !line.StartsWith('|'))
            .TakeWhile(line => line.StartsWith('|'))
            .Skip(2)
            .Select(line => line.Trim('|').Split('|', StringSplitOptions.TrimEntries))
            .ToList();
        Assert.True(rows.Count > 0, $"{page}: no table after '{heading}'");
        return rows;
    }

    /// <summary>The names in backticks of a cell.</summary>
    public static IReadOnlyList<string> Names(string cell) => [.. cell.Split('`').Where((_, i) => i % 2 == 1)];
}
