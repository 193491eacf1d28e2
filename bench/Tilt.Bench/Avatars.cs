using System.Diagnostics;
using System.Globalization;
using System.Text;
using Tilt.Images;
using Tilt.Images.Avatars;
using Tilt.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>How fast avatars are drawn, and how much of them a colour tilt leaves.</summary>
internal static class Avatars
{
    private static readonly double[] Betas = [10, 20, 40, 50];

    /// <summary>Prints speed, effective sample sizes of exp(−βE) per hue, and shares of the six hues; writes a contact sheet on request.</summary>
    public static int Run(string[] args)
    {
        if (args.Length > 2)
        {
            throw TiltException.Usage("avatars: found more than two arguments; expected [N [FILE]].");
        }
        var count = args.Length > 0 ? Number(args[0]) : 100_000;
        Draw(1000, 0);
        var watch = Stopwatch.StartNew();
        var set = Draw(count, 1);
        Console.WriteLine(
            $"{count} avatars in {watch.Elapsed.TotalSeconds:0.00} s ({Environment.ProcessorCount} cores)"
        );
        watch.Restart();
        using var energies = tensor(ColorEnergy.Energies(set.Pictures)).reshape(-1, Hues.Count);
        Console.WriteLine($"their six colour energies in {watch.Elapsed.TotalSeconds:0.00} s");

        Console.WriteLine("effective sample size of exp(-beta E), % of all");
        Console.WriteLine($"{"", 10}{string.Concat(Betas.Select(beta => $"{"beta " + beta, 10}"))}");
        for (var hue = 0; hue < Hues.Count; hue++)
        {
            using var scope = NewDisposeScope();
            var e = energies.select(1, hue);
            var sizes = Betas.Select(beta =>
                100 * Math.Exp((2 * (-beta * e).logsumexp(0) - (-2 * beta * e).logsumexp(0)).item<double>()) / count
            );
            Console.WriteLine($"{Hues.Names[hue], -10}{string.Concat(sizes.Select(size => $"{size, 10:0.0}"))}");
        }
        if (args.Length > 1)
        {
            Sheet(set.Pictures, args[1]);
        }
        return 0;
    }

    private static AvatarSet Draw(long count, long seed) => AvatarGenerator.Draw(count, seed);

    private static void Sheet(PictureSet pictures, string file)
    {
        // A portable pixmap: no package is needed to write one.
        const int columns = 16;
        const int zoom = 4;
        const int gap = 4;
        var shown = (int)Math.Min(pictures.Count, columns * 12);
        var (cell, rows) = (AvatarGenerator.Size * zoom + gap, (shown + columns - 1) / columns);
        var (width, height) = (columns * cell + gap, rows * cell + gap);
        var pixels = new byte[3 * width * height];
        pixels.AsSpan().Fill(255);
        for (var i = 0; i < shown; i++)
        {
            var picture = pictures[i];
            var (left, top) = (gap + i % columns * cell, gap + i / columns * cell);
            for (var y = 0; y < AvatarGenerator.Size * zoom; y++)
            {
                for (var x = 0; x < AvatarGenerator.Size * zoom; x++)
                {
                    for (var channel = 0; channel < 3; channel++)
                    {
                        pixels[3 * ((top + y) * width + left + x) + channel] = picture[
                            (channel * AvatarGenerator.Size + y / zoom) * AvatarGenerator.Size + x / zoom
                        ];
                    }
                }
            }
        }
        File.WriteAllBytes(file, [.. Encoding.ASCII.GetBytes($"P6 {width} {height} 255\n"), .. pixels]);
    }

    private static long Number(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
        && value is > 0 and <= AvatarGenerator.Most
            ? value
            : throw TiltException.Usage($"avatars: found '{text}' for N; expected 1 to {AvatarGenerator.Most}.");
}
