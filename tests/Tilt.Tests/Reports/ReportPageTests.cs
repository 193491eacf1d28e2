using System.Text.RegularExpressions;
using System.Xml.Linq;
using Tilt.Cli.Reports;

namespace Tilt.Tests.Reports;

public partial class ReportPageTests
{
    private static readonly XNamespace Html = "http://www.w3.org/1999/xhtml";

    private static string Page { get; } = Specimens.Page().Html();

    /// <summary>Set TILT_REPORT_SPECIMEN to a folder to look at the page and the figures with your own eyes.</summary>
    [Fact]
    public void It_saves_as_one_file()
    {
        using var temporary = new TemporaryFolder();
        var folder = Environment.GetEnvironmentVariable("TILT_REPORT_SPECIMEN") is { Length: > 0 } chosen
            ? chosen
            : temporary.Path;
        Directory.CreateDirectory(folder);

        Specimens.Page().Save(Path.Combine(folder, "report.html"));

        Assert.Equal(Page, File.ReadAllText(Path.Combine(folder, "report.html")));
        if (folder != temporary.Path)
        {
            foreach (var figure in Specimens.All)
            {
                figure.Save(folder);
            }
        }
    }

    [Fact]
    public void It_is_well_formed_and_has_no_script()
    {
        var document = XDocument.Parse(Page);

        Assert.Empty(document.Descendants(Html + "script"));
        Assert.DoesNotContain(
            document.Descendants().Attributes(),
            attribute => attribute.Name.LocalName.StartsWith("on", StringComparison.Ordinal)
        );
        Assert.DoesNotContain("<script", Page, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void It_needs_nothing_from_elsewhere()
    {
        var document = XDocument.Parse(Page);
        var links = document
            .Descendants()
            .Attributes()
            .Where(attribute => attribute.Name.LocalName is "src" or "href" or "srcset" or "data" or "action")
            .Select(attribute => attribute.Value);

        Assert.All(links, link => Assert.Matches("^(data:image/png;base64,|#s[0-9]+$)", link));
        Assert.DoesNotContain("url(", Page, StringComparison.Ordinal);
        Assert.DoesNotContain("@import", Page, StringComparison.Ordinal);
        Assert.DoesNotMatch(RemoteLink(), Page.Replace(Html.NamespaceName, "", StringComparison.Ordinal));
    }

    [Fact]
    public void Every_image_has_words_and_every_table_a_caption()
    {
        var document = XDocument.Parse(Page);

        Assert.Equal(6, document.Descendants(Html + "img").Count());
        Assert.All(document.Descendants(Html + "img"), image => Assert.True(image.Attribute("alt")!.Value.Length > 40));
        Assert.All(document.Descendants(Html + "table"), table => Assert.NotNull(table.Element(Html + "caption")));
        Assert.All(document.Descendants(Html + "th"), cell => Assert.Equal("col", cell.Attribute("scope")!.Value));
    }

    [Fact]
    public void Text_is_escaped_and_the_verdict_is_in_words()
    {
        var document = XDocument.Parse(Page);

        Assert.Contains(
            "mode total variation <script>alert(1)</script>",
            document.Descendants(Html + "td").Select(cell => cell.Value)
        );
        Assert.Contains("Met.", document.Descendants(Html + "strong").First().Value, StringComparison.Ordinal);
        Assert.Contains("Not met.", new ReportPage("t", "v", false).Html(), StringComparison.Ordinal);
        Assert.DoesNotContain("et.</strong>", new ReportPage("t", "v").Html(), StringComparison.Ordinal);
    }

    [Fact]
    public void It_knows_dark_screens_and_paper()
    {
        Assert.Contains("prefers-color-scheme: dark", Page, StringComparison.Ordinal);
        Assert.Contains("size: A4", Page, StringComparison.Ordinal);
    }

    [Fact]
    public void Sections_are_numbered_and_listed()
    {
        var document = XDocument.Parse(Page);

        Assert.Equal("2. Samples", document.Descendants(Html + "h2").ElementAt(1).Value);
        Assert.Equal(6, document.Descendants(Html + "nav").Descendants(Html + "a").Count());
    }

    [GeneratedRegex("https?://")]
    private static partial Regex RemoteLink();
}
