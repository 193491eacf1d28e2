using SkiaSharp;
using Tilt.Images;

namespace Tilt.Cli.Reports;

/// <summary>Pictures in rows and columns of blocks, every pixel enlarged to a square: small pictures that one can look at.</summary>
internal static class PictureGrid
{
    private const int Apart = 2; // between pictures of a block
    private const int Gap = 10; // between blocks
    private const int TitleRow = 20;

    /// <summary>Makes the figure.</summary>
    /// <param name="name">File name without an ending.</param>
    /// <param name="title">What it shows.</param>
    /// <param name="alt">What a viewer would take from it.</param>
    /// <param name="rows">A title for each row of blocks; empty strings for none.</param>
    /// <param name="columns">A title for each column of blocks.</param>
    /// <param name="blocks">The pictures of each row and column; null leaves the place empty. All of one size.</param>
    /// <param name="across">Pictures side by side in a block.</param>
    /// <param name="zoom">CSS pixels of a pixel; 16×16 pictures are 32×32 at 2.</param>
    public static Figure Make(
        string name,
        string title,
        string alt,
        IReadOnlyList<string> rows,
        IReadOnlyList<string> columns,
        Func<int, int, PictureSet?> blocks,
        int across,
        int zoom = 2
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(across, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(zoom, 1);
        var cells = rows.Select((_, r) => columns.Select((_, c) => blocks(r, c)).ToArray()).ToArray();
        var all = cells.SelectMany(row => row).OfType<PictureSet>().ToList();
        var (pictureWidth, pictureHeight) = all.Count == 0 ? (16, 16) : (all[0].Width, all[0].Height);
        if (all.Any(set => set.Width != pictureWidth || set.Height != pictureHeight))
        {
            throw new ArgumentException("Pictures of one figure are of one size.");
        }
        var down = all.Count == 0 ? 1 : (int)all.Max(set => (set.Count + across - 1) / across);
        var (stepX, stepY) = (pictureWidth * zoom + Apart, pictureHeight * zoom + Apart);
        var (blockWidth, blockHeight) = (across * stepX - Apart, down * stepY - Apart);
        var side = rows.All(string.IsNullOrEmpty)
            ? 0
            : (int)Math.Ceiling(rows.Max(row => FigureStyle.WidthOf(row))) + 12;
        var head = columns.All(string.IsNullOrEmpty) ? 0 : TitleRow;
        var width = Gap + side + columns.Count * (blockWidth + Gap);
        var height = Gap + head + rows.Count * (blockHeight + Gap);
        SKPoint At(int row, int column) =>
            new(Gap + side + column * (blockWidth + Gap), Gap + head + row * (blockHeight + Gap));

        return new(name, title, alt, width, height)
        {
            Draw = canvas =>
            {
                for (var column = 0; column < columns.Count; column++)
                {
                    FigureStyle.Text(
                        canvas,
                        columns[column],
                        At(0, column).X + blockWidth / 2f,
                        Gap + TitleRow - 8,
                        FigureStyle.LabelSize
                            * Math.Min(1, (blockWidth + Gap - 4) / FigureStyle.WidthOf(columns[column])),
                        SKTextAlign.Center
                    );
                }
                for (var row = 0; row < rows.Count; row++)
                {
                    FigureStyle.Text(canvas, rows[row], Gap, At(row, 0).Y + blockHeight / 2f + 4);
                    for (var column = 0; column < columns.Count; column++)
                    {
                        if (cells[row][column] is { } set)
                        {
                            using var bitmap = Block(set, across, zoom);
                            canvas.DrawBitmap(bitmap, At(row, column));
                        }
                    }
                }
            },
            WriteData = csv =>
            {
                csv.Row("row", "column", "picture", "height", "width", "rgb_planes_hex");
                for (var row = 0; row < rows.Count; row++)
                {
                    for (var column = 0; column < columns.Count; column++)
                    {
                        for (var i = 0L; i < (cells[row][column]?.Count ?? 0); i++)
                        {
                            var set = cells[row][column]!;
                            csv.Row(
                                rows[row],
                                columns[column],
                                i,
                                set.Height,
                                set.Width,
                                Convert.ToHexStringLower(set[i])
                            );
                        }
                    }
                }
            },
        };
    }

    /// <summary>A block as one bitmap: pixels enlarged here, so that no viewer smooths them.</summary>
    private static SKBitmap Block(PictureSet set, int across, int zoom)
    {
        var (stepX, stepY) = (set.Width * zoom + Apart, set.Height * zoom + Apart);
        var down = (int)((set.Count + across - 1) / across);
        var bitmap = new SKBitmap(
            Math.Max(1, (int)Math.Min(across, set.Count) * stepX - Apart),
            Math.Max(1, down * stepY - Apart),
            SKColorType.Rgba8888,
            SKAlphaType.Unpremul
        );
        bitmap.Erase(SKColors.Transparent);
        var pixels = bitmap.GetPixelSpan();
        var plane = set.Width * set.Height;
        for (var i = 0; i < set.Count; i++)
        {
            var picture = set[i];
            var (left, top) = (i % across * stepX, i / across * stepY);
            for (var y = 0; y < set.Height * zoom; y++)
            {
                for (var x = 0; x < set.Width * zoom; x++)
                {
                    var from = y / zoom * set.Width + x / zoom;
                    var to = pixels.Slice(4 * ((top + y) * bitmap.Width + left + x), 4);
                    (to[0], to[1], to[2], to[3]) = (
                        picture[from],
                        picture[plane + from],
                        picture[2 * plane + from],
                        255
                    );
                }
            }
        }
        return bitmap;
    }
}
