using System.Text.Json;
using Tilt.Cli;

namespace Tilt.Tests.Cli;

public class TableTests
{
    private static Table Example()
    {
        var table = new Table(
            new TableColumn("method", "method"),
            new TableColumn("w1", "sliced W1", "0.000"),
            new TableColumn("met", "met"),
            new TableColumn("note", "note")
        );
        table.Add("cep", 0.0312, true, "within the noise floor of the reference");
        table.Add("dps", 1.25, false, null);
        return table;
    }

    [Fact]
    public void Columns_align_and_numbers_stand_to_the_right()
    {
        using var output = new StringWriter();

        Example().Print(new Terminal(output, TextWriter.Null));

        Assert.Equal(
            """
            method  sliced W1  met  note
            cep         0.031  yes  within the noise floor of the reference
            dps         1.250  no

            """,
            output.ToString()
        );
    }

    [Fact]
    public void A_table_too_wide_becomes_one_block_a_row()
    {
        using var output = new StringWriter();

        Example().PrintBlocks(new Terminal(output, TextWriter.Null), 30);

        var text = output.ToString();
        Assert.All(text.Split('\n'), line => Assert.True(line.Length <= 30, line));
        Assert.Contains("sliced W1  0.031\n", text, StringComparison.Ordinal);
        Assert.Contains("method     dps\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_keeps_every_digit_and_the_type_of_a_cell()
    {
        using var output = new StringWriter();
        var table = new Table(new TableColumn("a", "A", "0.0"), new TableColumn("b", "B"));
        table.Add(1.0 / 3, true);
        table.Add(double.NaN, "β ≤ 3 & more");

        table.WriteJson(output);

        using var document = JsonDocument.Parse(output.ToString());
        Assert.Equal(1.0 / 3, document.RootElement[0].GetProperty("a").GetDouble());
        Assert.True(document.RootElement[0].GetProperty("b").GetBoolean());
        Assert.Equal(JsonValueKind.Null, document.RootElement[1].GetProperty("a").ValueKind);
        Assert.Equal("β ≤ 3 & more", document.RootElement[1].GetProperty("b").GetString());
    }

    [Fact]
    public void Prose_breaks_at_spaces_and_indents_what_follows()
    {
        Assert.Equal(["  one  two", "    three", "    four"], Terminal.Wrap("  one  two three four", 12, 4));
        Assert.Equal(["unbreakable-word"], Terminal.Wrap("unbreakable-word", 5));
        Assert.Equal([""], Terminal.Wrap("", 5));
    }
}
