using System.Security.Cryptography;
using Tilt.Environments;

namespace Tilt.Tests.Environments;

public class RandomStreamTests
{
    /// <remarks>The first outputs of xoshiro256** from the state 1, 2, 3, 4, as its authors' code prints them.</remarks>
    [Fact]
    public void The_generator_is_xoshiro256_starstar()
    {
        var random = new RandomStream(0, "any") { State = (1, 2, 3, 4) };
        ulong[] expected = [11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600];
        foreach (var value in expected)
        {
            Assert.Equal(value, random.NextBits());
        }
    }

    [Fact]
    public void The_state_starts_as_the_hash_of_seed_and_name()
    {
        var digest = SHA256.HashData("7/environments/3"u8);
        var (a, _, _, d) = new RandomStream(7, "environments/3").State;
        Assert.Equal(BitConverter.ToUInt64(digest), a);
        Assert.Equal(BitConverter.ToUInt64(digest.AsSpan(24)), d);
    }

    [Fact]
    public void A_saved_state_continues_the_stream()
    {
        var random = new RandomStream(1, "a");
        random.Normal();
        var state = random.State;
        var next = random.NextBits();
        random.State = state;
        Assert.Equal(next, random.NextBits());
        Assert.Throws<EnvironmentException>(() => random.State = (0, 0, 0, 0));
    }

    [Fact]
    public void Uniform_integer_and_normal_numbers_have_their_moments()
    {
        const int n = 200_000;
        var random = new RandomStream(3, "moments");
        double uniform = 0,
            squares = 0,
            normal = 0,
            variance = 0,
            fourth = 0;
        var counts = new int[6];
        for (var i = 0; i < n; i++)
        {
            var u = random.Uniform(-2, 4);
            Assert.InRange(u, -2, 4);
            uniform += u;
            squares += u * u;
            var z = random.Normal();
            normal += z;
            variance += z * z;
            fourth += z * z * z * z;
            counts[random.Integer(6)]++;
        }
        // Five standard errors each.
        Assert.Equal(1, uniform / n, 5 * Math.Sqrt(3.0 / n));
        Assert.Equal(4, squares / n, 5 * Math.Sqrt(13.0 / n));
        Assert.Equal(0, normal / n, 5 / Math.Sqrt(n));
        Assert.Equal(1, variance / n, 5 * Math.Sqrt(2.0 / n));
        Assert.Equal(3, fourth / n, 5 * Math.Sqrt(96.0 / n));
        foreach (var count in counts)
        {
            Assert.Equal(n / 6.0, count, 5 * Math.Sqrt(n * 5.0 / 36));
        }
    }
}
