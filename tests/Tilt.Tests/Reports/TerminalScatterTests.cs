using System.Text.RegularExpressions;
using Tilt.Cli.Reports;

namespace Tilt.Tests.Reports;

public partial class TerminalScatterTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(20)]
    [InlineData(40)]
    [InlineData(80)]
    [InlineData(200)]
    public void It_fits_any_width(int width)
    {
        foreach (var color in new[] { false, true })
        {
            var lines = TerminalScatter.Lines([.. Specimens.Clouds()], width, color: color);

            Assert.All(
                lines,
                line => Assert.True(Escapes().Replace(line, "").Length <= width, $"{line.Length}: {line}")
            );
            Assert.Contains(lines, line => line.Any(letter => letter is >= '\u2801' and <= '\u28ff'));
        }
    }

    [Fact]
    public void Panels_stand_side_by_side_where_they_fit()
    {
        Assert.Equal("β = 0", TerminalScatter.Lines([.. Specimens.Clouds()], 20)[0].Trim());
        Assert.Contains("β = 20", TerminalScatter.Lines([.. Specimens.Clouds()], 80)[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Points_stand_where_they_belong()
    {
        var corners = new PlanePoints([-4.4, 4.4, 4.4], [4.4, 4.4, -4.4], [0, 0, 0]);

        var lines = TerminalScatter.Lines([("corners", corners)], 16);

        Assert.Equal('\u2801', lines[1][0]);
        Assert.Equal('\u2808', lines[1][15]);
        Assert.Equal('\u2880', lines[8][15]);
        Assert.All(lines.Skip(2).Take(6), line => Assert.Empty(line));
    }

    [Fact]
    public void Colour_appears_only_on_request_and_points_outside_are_left_out()
    {
        var points = new PlanePoints([0, 99, double.NaN], [0, 0, 0], [1, 1, 1]);

        Assert.DoesNotContain('\e', string.Concat(TerminalScatter.Lines([("p", points)], 20)));
        Assert.Contains(
            "\e[38;5;",
            string.Concat(TerminalScatter.Lines([("p", points)], 20, color: true)),
            StringComparison.Ordinal
        );
        Assert.Empty(TerminalScatter.Lines([], 20));
    }

    [GeneratedRegex("\e\\[[0-9;]*m")]
    private static partial Regex Escapes();
}
