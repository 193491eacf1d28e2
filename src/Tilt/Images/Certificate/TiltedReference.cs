using Tilt.Metrics;

namespace Tilt.Images.Certificate;

/// <summary>The target p₀ ∝ q₀·exp(−β·E) of pictures, as reweighted draws of q₀: the truth that samples are held against.</summary>
/// <remarks>
/// Draws pass through in blocks; kept are their energies and readings, not their pixels. A picture is drawn again by its number when
/// it is asked for. With weights w = exp(−β·E), masses are Σw·1[value]/Σw and the effective sample size is (Σw)²/Σw²: how many
/// draws of p₀ itself the reference is worth.
/// </remarks>
public sealed class TiltedReference
{
    private readonly double[] _energies; // N·K
    private readonly byte[][] _values; // by reading

    private TiltedReference(
        PictureLaw law,
        PictureEnergies energies,
        IReadOnlyList<PictureReading> readings,
        double[] energyValues,
        byte[][] values
    )
    {
        (Law, Energies, Readings, _energies, _values) = (law, energies, readings, energyValues, values);
    }

    /// <summary>Where the draws come from.</summary>
    public PictureLaw Law { get; }

    /// <summary>The energies that it can be tilted by.</summary>
    public PictureEnergies Energies { get; }

    /// <summary>What is read of every picture.</summary>
    public IReadOnlyList<PictureReading> Readings { get; }

    /// <summary>Draws.</summary>
    public long Count => Law.Count;

    /// <summary>Draws, measures and forgets the pictures.</summary>
    /// <param name="law">Where they come from; all of its <see cref="PictureLaw.Count"/> are used.</param>
    /// <param name="energies">What to tilt by.</param>
    /// <param name="readings">What to read.</param>
    /// <param name="progress">Told how many have passed; may be null.</param>
    /// <exception cref="TiltException">There are no pictures.</exception>
    public static TiltedReference Build(
        PictureLaw law,
        PictureEnergies energies,
        IReadOnlyList<PictureReading> readings,
        Action<long>? progress = null
    )
    {
        if (law.Count < 1)
        {
            throw new TiltException($"a reference needs pictures; {law.Name} has none.");
        }
        const long block = 16_384;
        var kinds = energies.Names.Count;
        var energyValues = new double[law.Count * kinds];
        var values = readings.Select(reading => new byte[Math.Min(law.Count, reading.Most)]).ToArray();
        for (var first = 0L; first < law.Count; first += block)
        {
            var count = Math.Min(block, law.Count - first);
            var pictures = law.Stretch(first, count);
            energies.Of(pictures).CopyTo(energyValues, first * kinds);
            for (var i = 0; i < readings.Count; i++)
            {
                var left = Math.Min(count, values[i].LongLength - first);
                if (left > 0)
                {
                    var part =
                        left == count
                            ? pictures
                            : pictures with
                            {
                                Pixels = pictures.Pixels[..(int)(left * pictures.Stride)],
                            };
                    readings[i].Read(part).CopyTo(values[i], first);
                }
            }
            progress?.Invoke(first + count);
        }
        return new(law, energies, readings, energyValues, values);
    }

    /// <summary>(Σw)²/Σw² of the tilt: the draws of p₀ that the reference is worth.</summary>
    /// <param name="energy">A name of <see cref="Energies"/>.</param>
    /// <param name="beta">β; 0 for no tilt.</param>
    public double EffectiveSize(string energy, double beta) => EffectiveSize(Weights(energy, beta, Count));

    /// <summary>Mean E under p₀.</summary>
    /// <param name="energy">A name of <see cref="Energies"/>.</param>
    /// <param name="beta">β.</param>
    public double MeanEnergy(string energy, double beta)
    {
        var weights = Weights(energy, beta, Count);
        var (kinds, kind) = (Energies.Names.Count, Energies.Index(energy));
        var (sum, total) = (0.0, 0.0);
        for (var i = 0L; i < Count; i++)
        {
            sum += weights[i] * _energies[i * kinds + kind];
            total += weights[i];
        }
        return sum / total;
    }

    /// <summary>The mass of each value of a reading under p₀.</summary>
    /// <param name="reading">One of <see cref="Readings"/>.</param>
    /// <param name="energy">A name of <see cref="Energies"/>.</param>
    /// <param name="beta">β.</param>
    public double[] Masses(PictureReading reading, string energy, double beta) => Tally(reading, energy, beta).Masses;

    /// <summary>What the total variation of n true samples from these masses comes to.</summary>
    /// <param name="reading">One of <see cref="Readings"/>.</param>
    /// <param name="energy">A name of <see cref="Energies"/>.</param>
    /// <param name="beta">β.</param>
    /// <param name="n">True samples.</param>
    /// <param name="repetitions">Draws, at least 2.</param>
    /// <param name="streams">A stream of its own name is used.</param>
    /// <remarks>
    /// True samples scatter, and so does the reference, which is worth no more draws than its effective size. Each repetition draws both:
    /// masses as that many draws would show them, and n samples.
    /// </remarks>
    public NoiseFloor Floor(
        PictureReading reading,
        string energy,
        double beta,
        long n,
        int repetitions,
        RandomStreams streams
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(repetitions, 2);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        var (masses, size) = Tally(reading, energy, beta);
        var random = new SplitMix((ulong)streams.SeedOf($"floor/{reading.Name}/{energy}/{beta}"));
        var distances = new double[repetitions];
        for (var r = 0; r < repetitions; r++)
        {
            var shown = Multinomial(masses, (long)Math.Max(1, Math.Round(size)), random);
            var samples = Multinomial(masses, n, random);
            distances[r] = BinTotalVariation.Distance(samples, shown);
        }
        var mean = distances.Average();
        var variance = distances.Sum(value => (value - mean) * (value - mean)) / (repetitions - 1);
        return new(mean, Math.Sqrt(variance), repetitions, n);
    }

    /// <summary>Numbers of pictures drawn from p₀: resampled by weight, with replacement.</summary>
    /// <param name="energy">A name of <see cref="Energies"/>.</param>
    /// <param name="beta">β.</param>
    /// <param name="n">How many.</param>
    /// <param name="seed">The seed of the draw.</param>
    /// <remarks>Exact as far as the reference goes: with n well below its effective size hardly a picture comes twice.</remarks>
    public long[] Draw(string energy, double beta, long n, long seed)
    {
        var cumulative = Weights(energy, beta, Count);
        for (var i = 1; i < cumulative.Length; i++)
        {
            cumulative[i] += cumulative[i - 1];
        }
        var random = new SplitMix((ulong)seed);
        var numbers = new long[n];
        for (var i = 0; i < n; i++)
        {
            var found = Array.BinarySearch(cumulative, random.Next() * cumulative[^1]);
            numbers[i] = Math.Min(found < 0 ? ~found : found + 1, Count - 1);
        }
        return numbers;
    }

    /// <summary>The pictures of <see cref="Draw"/>.</summary>
    public PictureSet DrawPictures(string energy, double beta, long n, long seed) =>
        Law.Pick(Draw(energy, beta, n, seed));

    private (double[] Masses, double Size) Tally(PictureReading reading, string energy, double beta)
    {
        var place = Readings.ToList().FindIndex(known => known.Name == reading.Name);
        if (place < 0)
        {
            throw Suggest.Unknown("reading", reading.Name, [.. Readings.Select(known => known.Name)]);
        }
        var values = _values[place];
        var weights = Weights(energy, beta, values.LongLength);
        var masses = new double[reading.Values.Count];
        var sum = 0.0;
        for (var i = 0; i < values.Length; i++)
        {
            masses[values[i]] += weights[i];
            sum += weights[i];
        }
        for (var i = 0; i < masses.Length; i++)
        {
            masses[i] /= sum;
        }
        return (masses, EffectiveSize(weights));
    }

    private double[] Weights(string energy, double beta, long count)
    {
        if (!(beta >= 0 && double.IsFinite(beta)))
        {
            throw new ArgumentOutOfRangeException(nameof(beta), beta, "β must be finite and at least 0.");
        }
        var weights = new double[count];
        if (beta == 0)
        {
            weights.AsSpan().Fill(1);
            return weights;
        }
        var (kinds, kind) = (Energies.Names.Count, Energies.Index(energy));
        var lowest = double.PositiveInfinity;
        for (var i = 0L; i < count; i++)
        {
            lowest = Math.Min(lowest, _energies[i * kinds + kind]);
        }
        for (var i = 0L; i < count; i++)
        {
            weights[i] = Math.Exp(-beta * (_energies[i * kinds + kind] - lowest));
        }
        return weights;
    }

    private static double EffectiveSize(double[] weights)
    {
        var (sum, squares) = (0.0, 0.0);
        foreach (var weight in weights)
        {
            sum += weight;
            squares += weight * weight;
        }
        return sum * sum / squares;
    }

    private static double[] Multinomial(double[] masses, long n, SplitMix random)
    {
        var edges = new double[masses.Length];
        var sum = 0.0;
        for (var i = 0; i < edges.Length; i++)
        {
            edges[i] = sum += masses[i];
        }
        var shares = new double[masses.Length];
        for (var i = 0L; i < n; i++)
        {
            var u = random.Next() * sum;
            var bin = 0;
            while (bin < edges.Length - 1 && u >= edges[bin])
            {
                bin++;
            }
            shares[bin] += 1.0 / n;
        }
        return shares;
    }

    private sealed class SplitMix(ulong state)
    {
        public double Next()
        {
            state += 0x9E3779B97F4A7C15;
            var z = state;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
        }
    }
}
