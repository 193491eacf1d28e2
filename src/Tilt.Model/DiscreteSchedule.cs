namespace Tilt.Model;

/// <summary>A schedule given at N indices (DDPM and its kin), made continuous by interpolating log α between them.</summary>
/// <remarks>
/// Index n has t = (n + 1)/N and log α_n = ½·Σ log(1 − β_k) over k ≤ n; log α is piecewise linear between, and extrapolated with
/// the first and last piece outside (dpm-solver.md §2). Departure: below 1/N it is held at or under 0, where upstream's
/// extrapolation passes 0 and gives NaN.
/// </remarks>
public sealed class DiscreteSchedule : NoiseSchedule
{
    /// <summary>The λ under which a clipped schedule drops its tail, just below where the linear VP schedule ends.</summary>
    public const double ClipBelow = -5.1;

    private readonly double[] _logAlphas;

    private DiscreteSchedule(double[] logAlphas, bool clipped, ScheduleRecord? recipe)
    {
        if (logAlphas.Length < 2)
        {
            throw TiltException.Usage(
                $"A discrete schedule needs at least 2 steps, found {logAlphas.Length}. Give more betas."
            );
        }
        for (var n = 0; n < logAlphas.Length; n++)
        {
            var before = n == 0 ? 0 : logAlphas[n - 1];
            if (!double.IsFinite(logAlphas[n]) || logAlphas[n] >= before)
            {
                throw TiltException.Usage(
                    $"log alpha of a discrete schedule must be finite, below 0 and fall at every step; at index {n} it is "
                        + $"{logAlphas[n]} after {before}. Check the betas: each must lie strictly between 0 and 1."
                );
            }
        }
        Full = logAlphas;
        Clipped = clipped;
        _logAlphas = clipped ? Clip(logAlphas) : logAlphas;
        Recipe = recipe;
    }

    /// <inheritdoc/>
    public override string Name => Recipe?.Name ?? "discrete";

    /// <inheritdoc/>
    public override double End => 1;

    /// <inheritdoc/>
    public override double SamplingEnd => 1.0 / Count;

    /// <summary>N, after clipping.</summary>
    public int Count => _logAlphas.Length;

    /// <summary>Whether the tail with λ below <see cref="ClipBelow"/> was dropped and the times stretched over (0, 1].</summary>
    public bool Clipped { get; }

    /// <summary>log α at each index, after clipping.</summary>
    public IReadOnlyList<double> LogAlphas => _logAlphas;

    /// <summary>The values before clipping.</summary>
    internal double[] Full { get; }

    /// <summary>How a factory made it, if one did.</summary>
    internal ScheduleRecord? Recipe { get; }

    /// <summary>From the variances β_n that each step adds.</summary>
    /// <param name="betas">β_n, each in (0, 1), [N].</param>
    /// <param name="clip">Drop the trailing indices with λ &lt; −5.1, as upstream does since April 2023; the CEP authors' copy does not.</param>
    public static DiscreteSchedule FromBetas(ReadOnlySpan<double> betas, bool clip = true) =>
        new(LogAlphasOf(betas), clip, null);

    /// <summary>From log α_n = ½·log ᾱ_n.</summary>
    /// <param name="logAlphas">log α_n, negative and falling, [N].</param>
    /// <param name="clip">As for <see cref="FromBetas"/>.</param>
    public static DiscreteSchedule FromLogAlphas(ReadOnlySpan<double> logAlphas, bool clip = true) =>
        new(logAlphas.ToArray(), clip, null);

    /// <summary>DDPM's: β_n equally spaced.</summary>
    /// <param name="steps">N.</param>
    /// <param name="firstBeta">β at index 0.</param>
    /// <param name="lastBeta">β at index N − 1.</param>
    /// <param name="clip">As for <see cref="FromBetas"/>.</param>
    public static DiscreteSchedule Linear(
        int steps = 1000,
        double firstBeta = 1e-4,
        double lastBeta = 0.02,
        bool clip = true
    )
    {
        CheckRange("discrete-linear", steps, firstBeta, lastBeta);
        var betas = new double[steps];
        for (var n = 0; n < steps; n++)
        {
            betas[n] = firstBeta + (lastBeta - firstBeta) * n / (steps - 1);
        }
        return new(LogAlphasOf(betas), clip, RangeRecord("discrete-linear", steps, firstBeta, lastBeta, clip));
    }

    /// <summary>Latent diffusion's: √β_n equally spaced.</summary>
    /// <param name="steps">N.</param>
    /// <param name="firstBeta">β at index 0.</param>
    /// <param name="lastBeta">β at index N − 1.</param>
    /// <param name="clip">As for <see cref="FromBetas"/>.</param>
    public static DiscreteSchedule ScaledLinear(
        int steps = 1000,
        double firstBeta = 0.00085,
        double lastBeta = 0.012,
        bool clip = true
    )
    {
        CheckRange("discrete-scaled-linear", steps, firstBeta, lastBeta);
        var (first, last) = (Math.Sqrt(firstBeta), Math.Sqrt(lastBeta));
        var betas = new double[steps];
        for (var n = 0; n < steps; n++)
        {
            var root = first + (last - first) * n / (steps - 1);
            betas[n] = root * root;
        }
        return new(LogAlphasOf(betas), clip, RangeRecord("discrete-scaled-linear", steps, firstBeta, lastBeta, clip));
    }

    /// <summary>Improved DDPM's: ᾱ follows cos², with β_n capped.</summary>
    /// <param name="steps">N.</param>
    /// <param name="offset">s of ᾱ(u) ∝ cos²((u + s)/(1 + s)·π/2).</param>
    /// <param name="largestBeta">The cap on β_n, which keeps the last steps from being singular.</param>
    /// <param name="clip">As for <see cref="FromBetas"/>.</param>
    public static DiscreteSchedule CosineBetas(
        int steps = 1000,
        double offset = 0.008,
        double largestBeta = 0.999,
        bool clip = true
    )
    {
        if (steps < 2 || !(offset > 0) || !(offset < 1) || !(largestBeta > 0) || !(largestBeta < 1))
        {
            throw TiltException.Usage(
                $"Schedule discrete-cosine: found steps {steps}, offset {offset}, largestBeta {largestBeta}; expected at "
                    + "least 2 steps, and offset and largestBeta strictly between 0 and 1."
            );
        }
        var betas = new double[steps];
        for (var n = 0; n < steps; n++)
        {
            betas[n] = Math.Min(1 - Kept(n + 1) / Kept(n), largestBeta);
        }
        return new(
            LogAlphasOf(betas),
            clip,
            new(
                "discrete-cosine",
                new SortedDictionary<string, double>(StringComparer.Ordinal)
                {
                    ["steps"] = steps,
                    ["offset"] = offset,
                    ["largestBeta"] = largestBeta,
                    ["clip"] = clip ? 1 : 0,
                }
            )
        );

        double Kept(int n)
        {
            var cosine = Math.Cos(((double)n / steps + offset) / (1 + offset) * Math.PI / 2);
            return cosine * cosine;
        }
    }

    /// <inheritdoc/>
    /// <remarks>(t − 1/N)·1000: the index, where N = 1000. With a clipped N it runs over the same 0 to 999 (dpm-solver.md §2, §3).</remarks>
    public override double NetworkTime(double time) => (time - 1.0 / Count) * 1000;

    /// <inheritdoc/>
    public override double TimeTold(double networkTime) => networkTime / 1000 + 1.0 / Count;

    /// <summary>The level of an index.</summary>
    /// <param name="index">n, from 0 (cleanest) to N − 1.</param>
    public NoiseLevel AtIndex(int index) => At((index + 1.0) / Count);

    /// <inheritdoc/>
    public override double LogAlpha(double time)
    {
        // Knot n stands at t = (n + 1)/N.
        var place = time * Count - 1;
        var n = Math.Clamp((int)Math.Floor(place), 0, Count - 2);
        var nearest = (int)Math.Round(place);
        if (nearest >= 0 && nearest < Count && Math.Abs(place - nearest) < 1e-12 * Count)
        {
            return _logAlphas[nearest];
        }
        var value = _logAlphas[n] + (place - n) * (_logAlphas[n + 1] - _logAlphas[n]);
        return Math.Min(value, 0);
    }

    /// <inheritdoc/>
    public override double TimeOf(double lambda)
    {
        var logAlpha = -0.5 * Numerics.LogAddExp(-2 * lambda, 0);
        // The values fall, so the search runs on their order reversed.
        var found = Array.BinarySearch(_logAlphas, logAlpha, Comparer<double>.Create((a, b) => b.CompareTo(a)));
        var n = Math.Clamp((found >= 0 ? found : ~found) - 1, 0, Count - 2);
        var share = (logAlpha - _logAlphas[n]) / (_logAlphas[n + 1] - _logAlphas[n]);
        return (n + 1 + share) / Count;
    }

    private static double[] LogAlphasOf(ReadOnlySpan<double> betas)
    {
        var logAlphas = new double[betas.Length];
        var sum = 0.0;
        for (var n = 0; n < betas.Length; n++)
        {
            if (!(betas[n] > 0) || !(betas[n] < 1))
            {
                throw TiltException.Usage(
                    $"Beta {n} of a discrete schedule is {betas[n]}; each must lie strictly between 0 and 1."
                );
            }
            sum += 0.5 * Numerics.LogP1(-betas[n]);
            logAlphas[n] = sum;
        }
        return logAlphas;
    }

    private static double[] Clip(double[] logAlphas)
    {
        var kept = logAlphas.Length;
        while (kept > 2 && logAlphas[kept - 1] - 0.5 * Math.Log(-Numerics.ExpM1(2 * logAlphas[kept - 1])) < ClipBelow)
        {
            kept--;
        }
        return logAlphas[..kept];
    }

    private static void CheckRange(string name, int steps, double first, double last)
    {
        if (steps < 2 || !(first > 0) || !(last >= first) || !(last < 1))
        {
            throw TiltException.Usage(
                $"Schedule {name}: found steps {steps}, firstBeta {first}, lastBeta {last}; expected at least 2 steps and "
                    + "0 < firstBeta <= lastBeta < 1."
            );
        }
    }

    private static ScheduleRecord RangeRecord(string name, int steps, double first, double last, bool clip) =>
        new(
            name,
            new SortedDictionary<string, double>(StringComparer.Ordinal)
            {
                ["steps"] = steps,
                ["firstBeta"] = first,
                ["lastBeta"] = last,
                ["clip"] = clip ? 1 : 0,
            }
        );
}
