using System.Security.Cryptography;
using System.Text;

namespace Tilt;

/// <summary>Random generators by name, all from one seed: a new consumer shifts nobody's numbers.</summary>
/// <remarks>
/// The seed of a stream is the first eight bytes of SHA-256("seed/name"). Generators draw on the CPU; move the draws, not the
/// generator. <see cref="States"/> and <see cref="Restore"/> carry every stream's position through a checkpoint.
/// </remarks>
public sealed class RandomStreams : IDisposable
{
    private readonly SortedDictionary<string, Generator> _streams = new(StringComparer.Ordinal);

    /// <summary>The seed they all come from.</summary>
    public long Seed { get; }

    /// <summary>Names of the streams that have been used, in ordinal order.</summary>
    public IReadOnlyCollection<string> Names => _streams.Keys;

    /// <summary>Streams of the given seed.</summary>
    public RandomStreams(long seed)
    {
        Seed = seed;
    }

    /// <summary>The generator of that name, made at first use and kept.</summary>
    public Generator this[string name]
    {
        get
        {
            if (!_streams.TryGetValue(name, out var generator))
            {
                generator = new Generator((ulong)SeedOf(name));
                _streams.Add(name, generator);
            }
            return generator;
        }
    }

    /// <summary>The seed of a stream, for consumers that draw without libtorch. Non-negative.</summary>
    public long SeedOf(string name)
    {
        var digest = SHA256.HashData(Encoding.UTF8.GetBytes($"{Seed}/{name}"));
        return BitConverter.ToInt64(digest) & long.MaxValue;
    }

    /// <summary>Names and positions of all streams that have been used, as uint8 tensors. The caller disposes them.</summary>
    public IReadOnlyDictionary<string, Tensor> States() =>
        _streams.ToDictionary(pair => pair.Key, pair => pair.Value.get_state());

    /// <summary>Puts streams back where <see cref="States"/> found them.</summary>
    public void Restore(IReadOnlyDictionary<string, Tensor> states)
    {
        foreach (var (name, state) in states)
        {
            this[name].set_state(state);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var generator in _streams.Values)
        {
            generator.Dispose();
        }
        _streams.Clear();
    }
}
