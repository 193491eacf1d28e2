using System.Numerics;

namespace Tilt.Inference;

/// <summary>Standard normal numbers that follow from a seed and an index alone: row i of a batch draws what it would draw anywhere.</summary>
/// <remarks>
/// xoshiro256** (Blackman and Vigna 2018), its state filled by SplitMix64 from seed and index, through the Box–Muller transform in
/// double precision.
/// </remarks>
internal static class Normals
{
    /// <summary>Fills a vector.</summary>
    /// <param name="seed">Chosen by the caller.</param>
    /// <param name="index">Which vector of that seed.</param>
    /// <param name="values">Receives the numbers.</param>
    public static void Fill(long seed, long index, Span<float> values)
    {
        var mix = Scramble((ulong)seed) ^ (ulong)index;
        var (s0, s1, s2, s3) = (Next(ref mix), Next(ref mix), Next(ref mix), Next(ref mix));
        for (var i = 0; i < values.Length; i += 2)
        {
            // 1 − u lies in (0, 1], so its logarithm is finite.
            var radius = Math.Sqrt(-2 * Math.Log(1 - Uniform()));
            var (sine, cosine) = Math.SinCos(2 * Math.PI * Uniform());
            values[i] = (float)(radius * cosine);
            if (i + 1 < values.Length)
            {
                values[i + 1] = (float)(radius * sine);
            }
        }

        double Uniform()
        {
            var result = BitOperations.RotateLeft(s1 * 5, 7) * 9;
            var shifted = s1 << 17;
            s2 ^= s0;
            s3 ^= s1;
            s1 ^= s2;
            s0 ^= s3;
            s2 ^= shifted;
            s3 = BitOperations.RotateLeft(s3, 45);
            return (result >> 11) * (1.0 / (1L << 53));
        }
    }

    private static ulong Next(ref ulong state)
    {
        state += 0x9e3779b97f4a7c15;
        return Scramble(state);
    }

    private static ulong Scramble(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
}
