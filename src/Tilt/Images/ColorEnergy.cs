using Tilt.Energy;

namespace Tilt.Images;

/// <summary>How far a picture is from each of the six hues: an energy on images, with no labels.</summary>
/// <remarks>
/// The energy of the paper's colour guidance (the authors' code; images.md §3.1). Of pixels in [0, 1] with V = max, m = min and
/// δ = 10⁻⁷: hue H by the usual sixths, 0 for greys; saturation S = (V − m)/(V + δ), 0 where V ≤ 0.
/// With d_i = min(|H − i/6|, 1 − |H − i/6|),
/// E_i = mean over pixels of d_i + 3·(0.1 − S̄)⁺, S̄ the mean saturation.
/// Pixels are not weighted by saturation, so greys count as red. Energies lie in [0, 0.8]; at β = 50 that is up to 40 nats.
/// Differentiable almost everywhere (not where two channels tie), as DPS needs; where V = m the gradient is 0.
/// Pixels outside of [0, 1], as a model's estimates of x₀ have, are taken as they are: hue does not change with brightness, and a
/// saturation above 1 only tells that the picture is far from grey.
/// </remarks>
public static class ColorEnergy
{
    /// <summary>δ, which keeps quotients finite.</summary>
    private const double Delta = 1e-7;

    /// <summary>Mean saturation below which a picture is punished for being grey.</summary>
    public const double LeastSaturation = 0.1;

    /// <summary>How strongly.</summary>
    public const double GreyPenalty = 3;

    /// <summary>The energies of all six hues.</summary>
    /// <param name="images">[B, 3, H, W] in [−1, 1].</param>
    /// <returns>E_i in nats per unit β, [B, 6], in the order of <see cref="Hues.Names"/>.</returns>
    public static Tensor Energies(Tensor images)
    {
        using var scope = NewDisposeScope();

        var (hue, saturation) = HueAndSaturation(images);
        var energies = new Tensor[Hues.Count];
        for (var i = 0; i < Hues.Count; i++)
        {
            energies[i] = Distance(hue, i).mean([1, 2]);
        }
        return (stack(energies, 1) + Penalty(saturation).unsqueeze(1)).MoveToOuterDisposeScope();
    }

    /// <summary>The energies of all six hues, of pictures of eight bits: the same numbers without tensors, several times as fast.</summary>
    /// <param name="pictures">N of them.</param>
    /// <returns>E_i, N·6 numbers, picture by picture.</returns>
    public static double[] Energies(PictureSet pictures)
    {
        var energies = new double[pictures.Count * Hues.Count];
        Parallel.For(0, (int)pictures.Count, i => Energies(pictures[i], energies.AsSpan(i * Hues.Count, Hues.Count)));
        return energies;
    }

    private static void Energies(ReadOnlySpan<byte> picture, Span<double> energies)
    {
        var plane = picture.Length / 3;
        var (last, hue, saturation, sum) = (-1, 0.0, 0.0, 0.0);
        Span<double> distances = stackalloc double[Hues.Count];
        for (var i = 0; i < plane; i++)
        {
            var (red, green, blue) = (picture[i], picture[plane + i], picture[2 * plane + i]);
            var color = red << 16 | green << 8 | blue;
            if (color != last)
            {
                // Neighbours are often of one colour.
                last = color;
                (hue, saturation) = HueAndSaturation(red / 255.0, green / 255.0, blue / 255.0);
                for (var k = 0; k < Hues.Count; k++)
                {
                    var away = Math.Abs(hue - (double)k / Hues.Count);
                    distances[k] = Math.Min(away, 1 - away);
                }
            }
            sum += saturation;
            for (var k = 0; k < Hues.Count; k++)
            {
                energies[k] += distances[k];
            }
        }
        var penalty = GreyPenalty * Math.Max(0, LeastSaturation - sum / plane);
        for (var k = 0; k < Hues.Count; k++)
        {
            energies[k] = energies[k] / plane + penalty;
        }
    }

    private static (double Hue, double Saturation) HueAndSaturation(double r, double g, double b)
    {
        var (v, m) = (Math.Max(r, Math.Max(g, b)), Math.Min(r, Math.Min(g, b)));
        var range = v - m;
        if (range == 0)
        {
            return (0, 0);
        }
        var sixths =
            r == v ? (g - b) / (range + Delta)
            : g == v ? 2 + (b - r) / (range + Delta)
            : 4 + (r - g) / (range + Delta);
        return ((sixths < 0 ? sixths + 6 : sixths) / 6, range / (v + Delta));
    }

    /// <summary>The energy of one hue.</summary>
    /// <param name="hue">Its place in <see cref="Hues.Names"/>.</param>
    public static EnergyFunction Of(int hue)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(hue);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(hue, Hues.Count);
        return images =>
        {
            using var scope = NewDisposeScope();
            var (h, saturation) = HueAndSaturation(images);
            return (Distance(h, hue).mean([1, 2]) + Penalty(saturation)).MoveToOuterDisposeScope();
        };
    }

    /// <summary>The energy of one hue.</summary>
    /// <param name="hue">Its name, such as <c>cyan</c>.</param>
    public static EnergyFunction Of(string hue) => Of(Hues.Index(hue));

    /// <summary>Hue H in [0, 1) and saturation of every pixel, each [B, H, W].</summary>
    /// <param name="images">[B, 3, H, W] in [−1, 1].</param>
    public static (Tensor Hue, Tensor Saturation) HueAndSaturation(Tensor images)
    {
        Expect.Shape(images, -1, 3, -1, -1);
        using var scope = NewDisposeScope();

        var pixels = (images + 1) / 2;
        var (r, g, b) = (pixels.select(1, 0), pixels.select(1, 1), pixels.select(1, 2));
        var v = maximum(maximum(r, g), b);
        var m = minimum(minimum(r, g), b);
        var range = v - m;
        // Later cases override earlier ones: blue, then green, then red, then grey.
        var sixths = 4 + (r - g) / (range + Delta);
        sixths = where(g == v, 2 + (b - r) / (range + Delta), sixths);
        sixths = where(r == v, ((g - b) / (range + Delta)).remainder(6), sixths);
        sixths = where(range == 0, zeros_like(sixths), sixths);
        // The clamp changes nothing where V > 0; elsewhere it keeps the unused quotient, and its gradient, finite.
        var saturation = where(v > 0, range / (v.clamp_min(0) + Delta), zeros_like(v));
        return ((sixths / 6).MoveToOuterDisposeScope(), saturation.MoveToOuterDisposeScope());
    }

    private static Tensor Distance(Tensor hue, int to)
    {
        var away = (hue - (double)to / Hues.Count).abs();
        return minimum(away, 1 - away);
    }

    private static Tensor Penalty(Tensor saturation) =>
        GreyPenalty * (LeastSaturation - saturation.mean([1, 2])).clamp_min(0);
}
