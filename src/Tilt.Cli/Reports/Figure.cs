using System.Text;
using System.Text.RegularExpressions;
using SkiaSharp;

namespace Tilt.Cli.Reports;

/// <summary>A figure: one drawing for every format, the data behind it, and words for those who cannot see it.</summary>
/// <param name="Name">The file name without an ending, such as <c>gallery</c>.</param>
/// <param name="Title">What it shows, in a few words.</param>
/// <param name="Alt">What a viewer would take from it, in a sentence or two.</param>
/// <param name="Width">In CSS pixels.</param>
/// <param name="Height">In CSS pixels.</param>
internal sealed partial record Figure(string Name, string Title, string Alt, int Width, int Height)
{
    /// <summary>Draws it on a canvas of the given size.</summary>
    public required Action<SKCanvas> Draw { get; init; }

    /// <summary>Writes the numbers that were drawn, one record a line under a heading line.</summary>
    public required Action<CsvWriter> WriteData { get; init; }

    /// <summary>The figure as a PNG.</summary>
    /// <param name="scale">Pixels per CSS pixel; 2 is sharp on paper and on dense screens.</param>
    public byte[] Png(float scale = 2)
    {
        using var surface = SKSurface.Create(new SKImageInfo((int)(Width * scale), (int)(Height * scale)));
        surface.Canvas.Clear(SKColors.White);
        surface.Canvas.Scale(scale);
        Draw(surface.Canvas);
        using var image = surface.Snapshot();
        using var data = image.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }

    /// <summary>The figure as an SVG document with its title and description.</summary>
    public string Svg()
    {
        using var stream = new MemoryStream();
        using (var canvas = SKSvgCanvas.Create(SKRect.Create(Width, Height), stream))
        {
            canvas.DrawRect(0, 0, Width, Height, new SKPaint { Color = SKColors.White });
            Draw(canvas);
        }
        var svg = StableNames(Encoding.UTF8.GetString(stream.ToArray()));
        // A view box lets the drawing scale; the title and description are what screen readers read.
        var open = svg.IndexOf("<svg", StringComparison.Ordinal);
        var close = svg.IndexOf('>', open);
        return svg[..close]
            + $" viewBox=\"0 0 {Width} {Height}\" role=\"img\">\n<title>{Escaped(Title)}</title>\n<desc>{Escaped(Alt)}</desc>"
            + svg[(close + 1)..];
    }

    /// <summary>The data as CSV.</summary>
    public string Csv()
    {
        using var text = new StringWriter { NewLine = "\n" };
        WriteData(new CsvWriter(text));
        return text.ToString();
    }

    /// <summary>Writes NAME.png, NAME.svg and NAME.csv, each aside first and then renamed.</summary>
    /// <param name="folder">Made if it is not there.</param>
    /// <exception cref="TiltException">The disk is full or read-only.</exception>
    public void Save(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Refused(folder, error);
        }
        var png = Png();
        DurableFile.Replace(Path.Combine(folder, Name + ".png"), stream => stream.Write(png), force: false);
        DurableFile.Replace(Path.Combine(folder, Name + ".svg"), Svg(), force: false);
        DurableFile.Replace(Path.Combine(folder, Name + ".csv"), Csv(), force: false);
    }

    /// <summary>Skia numbers clips and images by a counter of the process; the same figure should be the same file.</summary>
    private static string StableNames(string svg)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        return CountedName()
            .Replace(
                svg,
                match =>
                {
                    if (!names.TryGetValue(match.Value, out var name))
                    {
                        name = $"{match.Groups[1].Value}_{names.Count}";
                        names.Add(match.Value, name);
                    }
                    return name;
                }
            );
    }

    [GeneratedRegex("(?<=[\"#])(cl|img|gradient|pattern)_[0-9a-f]+")]
    private static partial Regex CountedName();

    private static string Escaped(string text) => System.Net.WebUtility.HtmlEncode(text);
}
