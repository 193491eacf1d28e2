using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Tilt.Environments;

/// <summary>A small random generator that belongs to a seed and a name: a new stream shifts nobody's numbers.</summary>
/// <remarks>
/// xoshiro256** (Blackman and Vigna 2018): 256 bits of state, period 2²⁵⁶ − 1. The state starts as SHA-256("seed/name"), read
/// as four little-endian words, so streams of different names are unrelated. The same seed and name give the same numbers on
/// any machine, up to the last bit of the logarithm in <see cref="Normal"/>.
/// </remarks>
public sealed class RandomStream
{
    private ulong _s0;
    private ulong _s1;
    private ulong _s2;
    private ulong _s3;

    /// <summary>The stream of that name under that seed.</summary>
    /// <param name="seed">Shared by all streams of a run.</param>
    /// <param name="name">What the numbers are for, such as <c>environments/3</c>.</param>
    public RandomStream(long seed, string name)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}/{name}"), digest);
        _s0 = BitConverter.ToUInt64(digest);
        _s1 = BitConverter.ToUInt64(digest[8..]);
        _s2 = BitConverter.ToUInt64(digest[16..]);
        _s3 = BitConverter.ToUInt64(digest[24..]);
    }

    /// <summary>The position in the stream: four words that a checkpoint keeps.</summary>
    public (ulong, ulong, ulong, ulong) State
    {
        get => (_s0, _s1, _s2, _s3);
        set
        {
            if (value is (0, 0, 0, 0))
            {
                throw EnvironmentException.Usage(
                    "random stream: a state of four zeros is not one that the generator can have; restore a saved state."
                );
            }
            (_s0, _s1, _s2, _s3) = value;
        }
    }

    /// <summary>64 random bits.</summary>
    public ulong NextBits()
    {
        var result = BitOperations.RotateLeft(_s1 * 5, 7) * 9;
        var shifted = _s1 << 17;
        _s2 ^= _s0;
        _s3 ^= _s1;
        _s1 ^= _s2;
        _s0 ^= _s3;
        _s2 ^= shifted;
        _s3 = BitOperations.RotateLeft(_s3, 45);
        return result;
    }

    /// <summary>Uniform on [0, 1): a multiple of 2⁻⁵³.</summary>
    public double NextDouble() => (NextBits() >> 11) * (1.0 / (1L << 53));

    /// <summary>Uniform on [low, high).</summary>
    public double Uniform(double low, double high) => low + (high - low) * NextDouble();

    /// <summary>Uniform on 0 … count − 1, without bias.</summary>
    /// <param name="count">At least 1.</param>
    public int Integer(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        var n = (ulong)count;
        var tooLow = (0 - n) % n; // 2⁶⁴ mod n: low halves below it would favour some results
        while (true)
        {
            var high = Math.BigMul(NextBits(), n, out var low);
            if (low >= tooLow)
            {
                return (int)high;
            }
        }
    }

    /// <summary>Standard normal, by Marsaglia's polar method; the second number of each pair is dropped.</summary>
    public double Normal()
    {
        while (true)
        {
            var u = Uniform(-1, 1);
            var v = Uniform(-1, 1);
            var square = u * u + v * v;
            if (square is > 0 and < 1)
            {
                return u * Math.Sqrt(-2 * Math.Log(square) / square);
            }
        }
    }
}
