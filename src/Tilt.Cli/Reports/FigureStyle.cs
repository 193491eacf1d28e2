using ScottPlot;
using SkiaSharp;

namespace Tilt.Cli.Reports;

/// <summary>What all figures have in common: the font, the colours, the look of a panel.</summary>
internal static class FigureStyle
{
    /// <summary>The family of the font that ships with Tilt.</summary>
    public const string FontFamily = "DejaVu Sans";

    /// <summary>Size of labels, in CSS pixels.</summary>
    public const float LabelSize = 12;

    /// <summary>Size of the numbers along axes.</summary>
    public const float TickSize = 10;

    private static readonly Lazy<SKTypeface> Face = new(LoadFont);

    /// <summary>Ink of text and frames.</summary>
    public static SKColor Ink { get; } = SKColor.Parse("#222222");

    /// <summary>Ink of what stands behind the data.</summary>
    public static SKColor Faint { get; } = SKColor.Parse("#8a8a8a");

    /// <summary>Labels of points: perceptually uniform, told apart by colour-blind readers, dark enough on white to its end.</summary>
    public static IColormap Points { get; } = new Range(new ScottPlot.Colormaps.Plasma(), 0, 0.84);

    /// <summary>Energies: perceptually uniform.</summary>
    public static IColormap Energies { get; } = new ScottPlot.Colormaps.Viridis();

    /// <summary>Differences: white is zero.</summary>
    public static IColormap Differences { get; } = new ScottPlot.Colormaps.Balance();

    // By Okabe and Ito, which colour-blind readers tell apart; the last is for what is exact.
    private static readonly SKColor[] Palette =
    [
        .. new[] { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222" }.Select(SKColor.Parse),
    ];

    // A method has the same colour in every figure.
    private static readonly Dictionary<string, int> Reserved = new(StringComparer.OrdinalIgnoreCase)
    {
        ["CEP"] = 0,
        ["MSE"] = 1,
        ["exp-MSE"] = 2,
        ["emse"] = 2,
        ["DPS"] = 3,
        ["exact"] = 6,
        ["ground truth"] = 6,
    };

    /// <summary>A colour for each series; those that are methods keep theirs from figure to figure.</summary>
    public static IReadOnlyList<SKColor> ColorsOf(IReadOnlyList<string> names)
    {
        var taken = names.Where(Reserved.ContainsKey).Select(name => Reserved[name]).ToHashSet();
        var free = new Queue<int>(Enumerable.Range(0, Palette.Length).Where(color => !taken.Contains(color)));
        var colors = new List<SKColor>();
        foreach (var name in names)
        {
            var index =
                Reserved.TryGetValue(name, out var own) ? own
                : free.Count > 0 ? free.Dequeue()
                : colors.Count;
            colors.Add(Palette[index % Palette.Length]);
        }
        return colors;
    }

    /// <summary>A font of the given size, the one that ships.</summary>
    public static SKFont Font(float size) => new(Face.Value, size) { Subpixel = true };

    /// <summary>The family of the font, once Skia has read it.</summary>
    /// <exception cref="TiltException">The file is missing, or no font.</exception>
    public static string CheckFont() => Face.Value.FamilyName;

    /// <summary>An empty panel in the common style.</summary>
    public static Plot NewPlot()
    {
        _ = Face.Value; // The font must be known before the first label.
        var plot = new Plot();
        plot.RenderManager.ClearCanvasBeforeEachRender = false; // Other panels are on the canvas already.
        plot.Font.Set(FontFamily);
        plot.FigureBackground.Color = Colors.Transparent;
        plot.DataBackground.Color = Colors.White;
        plot.Axes.Color(Color.FromSKColor(Ink));
        plot.Grid.MajorLineColor = Color.FromHex("#e8e8e8");
        plot.Axes.FrameWidth(1);
        foreach (var axis in new IAxis[] { plot.Axes.Left, plot.Axes.Bottom })
        {
            axis.TickLabelStyle.FontSize = TickSize;
            axis.TickLabelStyle.FontName = FontFamily;
            axis.MajorTickStyle.Length = 3;
            axis.MinorTickStyle.Length = 0;
        }
        return plot;
    }

    /// <summary>Writes text on a canvas.</summary>
    public static void Text(
        SKCanvas canvas,
        string text,
        float x,
        float y,
        float size = LabelSize,
        SKTextAlign align = SKTextAlign.Left,
        SKColor? color = null
    )
    {
        using var font = Font(size);
        using var paint = new SKPaint { Color = color ?? Ink, IsAntialias = true };
        canvas.DrawText(text, x, y, align, font, paint);
    }

    /// <summary>How wide a text comes out.</summary>
    public static float WidthOf(string text, float size = LabelSize)
    {
        using var font = Font(size);
        return font.MeasureText(text);
    }

    /// <summary>A colour of a map as Skia's.</summary>
    public static SKColor At(this IColormap map, double fraction) =>
        map.GetColor(Math.Clamp(fraction, 0, 1)).ToSKColor();

    private static SKTypeface LoadFont()
    {
        var file = Path.Combine(AppContext.BaseDirectory, "Fonts", "DejaVuSans.ttf");
        var face =
            SKTypeface.FromFile(file)
            ?? throw new TiltException(
                $"{file}: the font of the figures is missing; build again, or run './tilt doctor'."
            );
        Fonts.AddFontFile(FontFamily, file);
        Fonts.Default = FontFamily;
        return face;
    }

    /// <summary>A part of a colour map, stretched.</summary>
    private sealed class Range(IColormap whole, double from, double to) : IColormap
    {
        public string Name => whole.Name;

        public Color GetColor(double position) => whole.GetColor(from + (to - from) * Math.Clamp(position, 0, 1));
    }
}
