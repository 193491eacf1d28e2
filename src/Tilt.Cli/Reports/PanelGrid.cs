using ScottPlot;
using SkiaSharp;

namespace Tilt.Cli.Reports;

/// <summary>Panels in rows and columns with titles, a legend and a colour bar, laid out in CSS pixels.</summary>
internal sealed class PanelGrid
{
    private const float Gap = 8;
    private const float LegendRow = 20;
    private const float ColorBarWidth = 12;

    /// <summary>Rows of panels.</summary>
    public required int Rows { get; init; }

    /// <summary>Columns of panels.</summary>
    public required int Columns { get; init; }

    /// <summary>Width of the data area of a panel.</summary>
    public required float PanelWidth { get; init; }

    /// <summary>Height of the data area of a panel.</summary>
    public required float PanelHeight { get; init; }

    /// <summary>A title left of each row.</summary>
    public IReadOnlyList<string> RowTitles { get; init; } = [];

    /// <summary>A title above each column.</summary>
    public IReadOnlyList<string> ColumnTitles { get; init; } = [];

    /// <summary>A title above each panel, row by row, instead of those above columns.</summary>
    public IReadOnlyList<string> PanelTitles { get; init; } = [];

    /// <summary>Whether each panel shows its own numbers; otherwise only those at the left and the bottom do.</summary>
    public bool OwnAxes { get; init; }

    /// <summary>Written below the panels.</summary>
    public string? XLabel { get; init; }

    /// <summary>Written left of the panels, upwards.</summary>
    public string? YLabel { get; init; }

    /// <summary>Series and their colours, above the panels.</summary>
    public IReadOnlyList<LegendEntry> Legend { get; init; } = [];

    /// <summary>What the colours of the panels mean.</summary>
    public ColorScale? Colors { get; init; }

    /// <summary>What stands in the place of a panel that there is not; null for nothing.</summary>
    public string? Absent { get; init; }

    /// <summary>Width of the whole figure.</summary>
    public int Width =>
        (int)Math.Ceiling(Math.Max(Left + Columns * PanelWidth + (Columns - 1) * ColumnGap + Right, LegendWidth));

    /// <summary>Height of the whole figure.</summary>
    public int Height => (int)Math.Ceiling(Top + Rows * PanelHeight + (Rows - 1) * RowGap + Bottom);

    private float TickWidth => OwnAxes ? 36 : 24;

    private const float TickHeight = 18;

    private float Left =>
        8
        + (YLabel is null ? 0 : 18)
        + (RowTitles.Count == 0 ? 0 : RowTitles.Max(title => FigureStyle.WidthOf(title)) + 10)
        + TickWidth;

    private float Right =>
        Colors is null
            ? 12
            : 12 + Math.Max(ColorBarWidth + 40, FigureStyle.WidthOf(Colors.Label, FigureStyle.TickSize)) + 8;

    private float TitleHeight => ColumnTitles.Count > 0 || PanelTitles.Count > 0 ? 20 : 6;

    private float Top => 6 + LegendLines.Count * LegendRow + TitleHeight;

    private float Bottom => TickHeight + (XLabel is null ? 4 : 22);

    private float ColumnGap => OwnAxes ? Gap + TickWidth : Gap;

    private float RowGap => (OwnAxes ? Gap + TickHeight : Gap) + (PanelTitles.Count > 0 ? TitleHeight : 0);

    private float LegendWidth => Legend.Count == 0 ? 0 : LegendLines.Max(line => line.Sum(EntryWidth)) + 16;

    /// <summary>Legend entries broken into lines as wide as the panels.</summary>
    private List<List<LegendEntry>> LegendLines
    {
        get
        {
            var room = Left + Columns * PanelWidth + (Columns - 1) * ColumnGap + Right - 16;
            var lines = new List<List<LegendEntry>>();
            foreach (var entry in Legend)
            {
                if (lines.Count == 0 || lines[^1].Sum(EntryWidth) + EntryWidth(entry) > room)
                {
                    lines.Add([]);
                }
                lines[^1].Add(entry);
            }
            return lines;
        }
    }

    /// <summary>Draws everything.</summary>
    /// <param name="canvas">Where.</param>
    /// <param name="panel">Makes the panel of a row and column; nothing leaves the place empty.</param>
    public void Draw(SKCanvas canvas, Func<int, int, Plot?> panel)
    {
        DrawLegend(canvas);
        DrawTitles(canvas);
        for (var row = 0; row < Rows; row++)
        {
            for (var column = 0; column < Columns; column++)
            {
                using var plot = panel(row, column);
                if (plot is not null)
                {
                    DrawPanel(canvas, plot, row, column);
                }
                else if (Absent is not null)
                {
                    var place = DataRect(row, column);
                    FigureStyle.Text(canvas, Absent, place.MidX, place.MidY, align: SKTextAlign.Center);
                }
            }
        }
        if (Colors is { } scale)
        {
            var last = DataRect(0, Columns - 1);
            scale.Draw(
                canvas,
                last.Right + 12,
                last.Top,
                ColorBarWidth,
                Math.Min(DataRect(Rows - 1, 0).Bottom - last.Top, 260)
            );
        }
    }

    /// <summary>Where the data of a panel stand.</summary>
    public SKRect DataRect(int row, int column) =>
        SKRect.Create(
            Left + column * (PanelWidth + ColumnGap),
            Top + row * (PanelHeight + RowGap),
            PanelWidth,
            PanelHeight
        );

    private static float EntryWidth(LegendEntry entry) => 18 + FigureStyle.WidthOf(entry.Name) + 16;

    private void DrawPanel(SKCanvas canvas, Plot plot, int row, int column)
    {
        var data = DataRect(row, column);
        if (!OwnAxes && column > 0)
        {
            plot.Axes.Left.TickLabelStyle.IsVisible = false;
        }
        if (!OwnAxes && row + 1 < Rows)
        {
            plot.Axes.Bottom.TickLabelStyle.IsVisible = false;
        }
        var padding = new PixelPadding(TickWidth, 2, TickHeight, 2);
        plot.Layout.Fixed(padding);
        var place = new PixelRect(
            data.Left - padding.Left,
            data.Right + padding.Right,
            data.Bottom + padding.Bottom,
            data.Top - padding.Top
        );
        // A plot that is drawn for the first time is drawn twice, on top of itself; the first goes nowhere.
        using var nowhere = new SKNoDrawCanvas(Width, Height);
        plot.Render(nowhere, place);
        plot.Render(canvas, place);
    }

    private void DrawLegend(SKCanvas canvas)
    {
        var y = 6f;
        foreach (var line in LegendLines)
        {
            var x = 8f;
            foreach (var entry in line)
            {
                entry.DrawSwatch(canvas, x, y + 9);
                FigureStyle.Text(canvas, entry.Name, x + 18, y + 13);
                x += EntryWidth(entry);
            }
            y += LegendRow;
        }
    }

    /// <summary>The size of a title above a panel: smaller where it would reach into the neighbour's.</summary>
    internal float TitleSize(string title)
    {
        var room = PanelWidth + ColumnGap - 6;
        return FigureStyle.LabelSize * Math.Min(1, room / FigureStyle.WidthOf(title));
    }

    private void DrawTitle(SKCanvas canvas, string title, SKRect data) =>
        FigureStyle.Text(canvas, title, data.MidX, data.Top - 7, TitleSize(title), SKTextAlign.Center);

    private void DrawTitles(SKCanvas canvas)
    {
        for (var column = 0; column < ColumnTitles.Count; column++)
        {
            var data = DataRect(0, column);
            DrawTitle(canvas, ColumnTitles[column], data);
        }
        for (var row = 0; row < RowTitles.Count; row++)
        {
            var data = DataRect(row, 0);
            FigureStyle.Text(
                canvas,
                RowTitles[row],
                data.Left - TickWidth - 4,
                data.MidY + 4,
                align: SKTextAlign.Right
            );
        }
        for (var i = 0; i < PanelTitles.Count; i++)
        {
            var data = DataRect(i / Columns, i % Columns);
            DrawTitle(canvas, PanelTitles[i], data);
        }
        var (first, last) = (DataRect(0, 0), DataRect(Rows - 1, Columns - 1));
        if (XLabel is not null)
        {
            FigureStyle.Text(canvas, XLabel, (first.Left + last.Right) / 2, Height - 8, align: SKTextAlign.Center);
        }
        if (YLabel is not null)
        {
            canvas.Save();
            canvas.RotateDegrees(-90, 18, (first.Top + last.Bottom) / 2);
            FigureStyle.Text(canvas, YLabel, 18, (first.Top + last.Bottom) / 2, align: SKTextAlign.Center);
            canvas.Restore();
        }
    }
}

/// <summary>A line of a legend.</summary>
/// <param name="Name">What it stands for.</param>
/// <param name="Color">Its colour.</param>
/// <param name="IsDashed">Whether it is drawn as a dashed line, not as an area.</param>
internal sealed record LegendEntry(string Name, SKColor Color, bool IsDashed = false)
{
    /// <summary>Draws the sign that stands before the name, 12 wide.</summary>
    public void DrawSwatch(SKCanvas canvas, float x, float y)
    {
        using var paint = new SKPaint { Color = Color, IsAntialias = true };
        if (!IsDashed)
        {
            canvas.DrawRect(x, y - 5, 12, 10, paint);
            return;
        }
        for (var dash = 0; dash < 3; dash++)
        {
            canvas.DrawRect(x + dash * 4.5f, y - 0.5f, 3, 1, paint);
        }
    }
}

/// <summary>What colours mean: a map over a range, with a bar that shows it.</summary>
/// <param name="Map">From 0 to 1.</param>
/// <param name="Low">What 0 stands for.</param>
/// <param name="High">What 1 stands for.</param>
/// <param name="Label">The quantity and its unit.</param>
internal sealed record ColorScale(IColormap Map, double Low, double High, string Label)
{
    /// <summary>Draws the bar.</summary>
    public void Draw(SKCanvas canvas, float x, float y, float width, float height)
    {
        const int stops = 33;
        using var gradient = SKShader.CreateLinearGradient(
            new SKPoint(x, y),
            new SKPoint(x, y + height),
            [.. Enumerable.Range(0, stops).Select(i => Map.At(1 - i / (stops - 1.0)))],
            SKShaderTileMode.Clamp
        );
        using var fill = new SKPaint { Shader = gradient };
        canvas.DrawRect(x, y, width, height, fill);
        foreach (var tick in NumberTicks.Linear(Low, High, 6))
        {
            var at = y + height * (float)(1 - (tick - Low) / (High - Low));
            using var line = new SKPaint { Color = FigureStyle.Ink, StrokeWidth = 1 };
            canvas.DrawLine(x + width, at, x + width + 3, at, line);
            FigureStyle.Text(canvas, NumberTicks.Text(tick), x + width + 5, at + 3.5f, FigureStyle.TickSize);
        }
        FigureStyle.Text(canvas, Label, x, y - 8, FigureStyle.TickSize);
    }
}
