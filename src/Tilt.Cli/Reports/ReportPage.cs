using System.Globalization;
using System.Net;
using System.Text;

namespace Tilt.Cli.Reports;

/// <summary>The headings of a report, in their order; a report uses those that it has something to say under.</summary>
internal static class ReportSections
{
    /// <summary>The exactness certificate: numbers, their noise floor, the test used.</summary>
    public const string Certificate = "Certificate";

    /// <summary>Samples of all methods beside the truth.</summary>
    public const string Gallery = "Samples";

    /// <summary>Learned energies beside the exact ones, and guidance arrows.</summary>
    public const string Energies = "Energies and guidance";

    /// <summary>Training.</summary>
    public const string Curves = "Learning curves";

    /// <summary>Scores over seeds.</summary>
    public const string Scores = "Scores";

    /// <summary>Guidance scale, β, and quality against time.</summary>
    public const string Dials = "Guidance scale, β and solver steps";

    /// <summary>Size, parity and latency of what is deployed.</summary>
    public const string Deployment = "Deployment";

    /// <summary>Data, versions, options, the command that makes the page again.</summary>
    public const string Provenance = "Provenance";
}

/// <summary>
/// A report as one HTML file that needs nothing else: no script, no network, images inside; for screens light and dark, and for A4.
/// </summary>
/// <remarks>It is well-formed XML too, so that other programs can take it apart.</remarks>
internal sealed class ReportPage
{
    private const string Style = """
        :root { color-scheme: light dark; --ink: #1d1d1f; --soft: #5b5b66; --page: #ffffff; --line: #d6d6dc; --card: #f4f4f7;
          --met: #00577f; --missed: #9a3d00; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e9e9ee; --soft: #a8a8b3; --page: #16161a; --line: #3a3a44; --card: #212128;
          --met: #66bdf0; --missed: #ff9e5e; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 "DejaVu Sans", Verdana, system-ui, sans-serif; }
        main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
        h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .75rem; }
        h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .6rem; border-top: 1px solid var(--line); }
        p { margin: .6rem 0; max-width: 46rem; }
        .verdict { border-left: .35rem solid var(--soft); background: var(--card); padding: .8rem 1rem; font-size: 1.05rem; max-width: none; }
        .verdict.met { border-color: var(--met); } .verdict.missed { border-color: var(--missed); }
        .verdict strong { margin-right: .5rem; }
        .met strong { color: var(--met); } .missed strong { color: var(--missed); }
        nav ol { padding-left: 1.2rem; columns: 2; color: var(--soft); } nav a { color: inherit; }
        figure { margin: 1.25rem 0; }
        figure img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: 4px; }
        figcaption, caption { color: var(--soft); font-size: .875rem; text-align: left; }
        figcaption { margin-top: .4rem; max-width: 46rem; } caption { padding-bottom: .4rem; max-width: min(46rem, calc(100vw - 2.5rem)); }
        .wide { overflow-x: auto; margin: 1.25rem 0; }
        table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
        th, td { padding: .3rem .8rem .3rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
        td.short { white-space: nowrap; } th.number, td.number { text-align: right; } thead th { border-bottom: 2px solid var(--line); }
        pre { background: var(--card); padding: .7rem .9rem; overflow-x: auto; border-radius: 4px; font-size: .875rem; }
        footer { margin-top: 3rem; color: var(--soft); font-size: .8rem; }
        @page { size: A4; margin: 15mm; }
        @media print {
          :root { --ink: #000000; --soft: #444444; --page: #ffffff; --line: #bbbbbb; --card: #f2f2f2; --met: #00577f; --missed: #9a3d00; }
          body { font-size: 10pt; } main { max-width: none; padding: 0; } nav { display: none; } footer { margin-top: 1rem; }
          figure, table, .verdict, pre { break-inside: avoid; } h2 { break-after: avoid; }
          .wide { overflow: visible; } pre { white-space: pre-wrap; } table { font-size: 8pt; }
        }
        """;

    private const int ShortCell = 24;

    private readonly string _title;
    private readonly string _verdict;
    private readonly bool? _met;
    private readonly StringBuilder _body = new();
    private readonly List<string> _headings = [];

    /// <summary>A page that opens with a verdict.</summary>
    /// <param name="title">The task and what was done.</param>
    /// <param name="verdict">The outcome in a sentence.</param>
    /// <param name="met">Whether the check was met; null where there is none.</param>
    public ReportPage(string title, string verdict, bool? met = null)
    {
        (_title, _verdict, _met) = (title, verdict, met);
    }

    /// <summary>Starts a section.</summary>
    /// <param name="heading">One of <see cref="ReportSections"/>, or another.</param>
    public ReportPage Section(string heading)
    {
        if (_headings.Count > 0)
        {
            _body.Append("</section>\n");
        }
        _headings.Add(heading);
        _body.Append(
            CultureInfo.InvariantCulture,
            $"<section id=\"s{_headings.Count}\">\n<h2>{_headings.Count}. {Escaped(heading)}</h2>\n"
        );
        return this;
    }

    /// <summary>Adds a paragraph.</summary>
    public ReportPage Text(string paragraph)
    {
        _body.Append(CultureInfo.InvariantCulture, $"<p>{Escaped(paragraph)}</p>\n");
        return this;
    }

    /// <summary>Adds a command or other text to be copied as it stands.</summary>
    public ReportPage Code(string text)
    {
        _body.Append(CultureInfo.InvariantCulture, $"<pre>{Escaped(text)}</pre>\n");
        return this;
    }

    /// <summary>Adds a figure, its image inside the page.</summary>
    /// <param name="figure">The figure.</param>
    /// <param name="caption">How to read it.</param>
    public ReportPage Add(Figure figure, string caption)
    {
        var image = Convert.ToBase64String(figure.Png());
        _body.Append(
            CultureInfo.InvariantCulture,
            $"""
            <figure>
            <img src="data:image/png;base64,{image}" width="{figure.Width}" height="{figure.Height}" alt="{Escaped(
                figure.Alt
            )}" />
            <figcaption>{Escaped(caption)}</figcaption>
            </figure>

            """
        );
        return this;
    }

    /// <summary>Adds a table.</summary>
    /// <param name="table">The table.</param>
    /// <param name="caption">How to read it.</param>
    public ReportPage Add(Table table, string caption)
    {
        string Class(int column) => table.IsNumeric(column) ? " class=\"number\"" : "";
        // Values stay in one piece on narrow screens, where the table can be pushed aside; sentences break.
        string CellClass(int row, int column) =>
            table.IsNumeric(column) || table.Text(row, column).Length > ShortCell ? Class(column) : " class=\"short\"";
        _body.Append(
            CultureInfo.InvariantCulture,
            $"<div class=\"wide\"><table>\n<caption>{Escaped(caption)}</caption>\n<thead><tr>"
        );
        for (var c = 0; c < table.Columns.Count; c++)
        {
            _body.Append(
                CultureInfo.InvariantCulture,
                $"<th scope=\"col\"{Class(c)}>{Escaped(table.Columns[c].Heading)}</th>"
            );
        }
        _body.Append("</tr></thead>\n<tbody>\n");
        for (var r = 0; r < table.Rows.Count; r++)
        {
            _body.Append("<tr>");
            for (var c = 0; c < table.Columns.Count; c++)
            {
                _body.Append(CultureInfo.InvariantCulture, $"<td{CellClass(r, c)}>{Escaped(table.Text(r, c))}</td>");
            }
            _body.Append("</tr>\n");
        }
        _body.Append("</tbody></table></div>\n");
        return this;
    }

    /// <summary>The whole page.</summary>
    public string Html()
    {
        var (word, kind) = _met switch
        {
            true => ("✓ Met.", "verdict met"),
            false => ("✗ Not met.", "verdict missed"),
            null => ("", "verdict"),
        };
        var contents = string.Concat(
            _headings.Select((heading, i) => $"<li><a href=\"#s{i + 1}\">{Escaped(heading)}</a></li>")
        );
        return $"""
            <!DOCTYPE html>
            <html xmlns="http://www.w3.org/1999/xhtml" lang="en">
            <head>
            <meta charset="utf-8" />
            <meta name="viewport" content="width=device-width, initial-scale=1" />
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'" />
            <title>{Escaped(_title)}</title>
            <style>
            {Style}
            </style>
            </head>
            <body>
            <main>
            <header>
            <h1>{Escaped(_title)}</h1>
            <p class="{kind}"><strong>{word}</strong>{Escaped(_verdict)}</p>
            </header>
            {(_headings.Count > 2 ? $"<nav aria-label=\"Contents\"><ol>{contents}</ol></nav>" : "")}
            {_body}{(_headings.Count > 0 ? "</section>" : "")}
            <footer>Written by Tilt {Escaped(
                Versions.Tilt
            )}. Colours follow palettes that colour-blind readers can tell apart.</footer>
            </main>
            </body>
            </html>

            """;
    }

    /// <summary>Writes the page aside and renames it.</summary>
    /// <exception cref="TiltException">The disk is full or read-only.</exception>
    public void Save(string path) => DurableFile.Replace(path, Html());

    private static string Escaped(string text) => WebUtility.HtmlEncode(text);
}
