using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Tilt.OfflineRl.Data;
using Tilt.Runs;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>Draws several actions for each of a batch of observations.</summary>
/// <param name="observations">[states, S], as recorded.</param>
/// <param name="count">K.</param>
/// <param name="seed">Where they are drawn from.</param>
/// <param name="actions">Receives [states, K, A], not clipped.</param>
public delegate void SupportSampler(ReadOnlySpan<float> observations, int count, long seed, Span<float> actions);

/// <summary>K actions of each state, drawn from the behavior model once and kept: what critics and guidance compare.</summary>
/// <remarks>
/// Drawn in chunks of 256 states, each from a seed of its own, so that a drawing may stop and go on anywhere. Chunks that are done are
/// appended to a file beside the run, each with its hash; the whole is moved to a cache whose key covers everything that decides it:
/// the weights, the solver, the kernels, the states, K and the seed. A cache file may be deleted at any time.
/// </remarks>
public sealed class SupportActions : IDisposable
{
    /// <summary>States in a chunk.</summary>
    public const int ChunkStates = 256;

    private readonly UniqueStates _states;
    private readonly SupportSampler _sampler;
    private readonly ActionBox _box;
    private readonly long _seed;
    private readonly int _observationSize;
    private readonly bool _clip;
    private readonly string? _partFile;
    private FileStream? _part;
    private long _outside;
    private int _done;

    /// <summary>Support actions as yet undrawn.</summary>
    /// <param name="sampler">Draws from the behavior model.</param>
    /// <param name="identity">What tells the behavior model, its solver and its kernels from others: part of the key.</param>
    /// <param name="states">The states.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="count">K, actions of each state.</param>
    /// <param name="seed">Where they are drawn from.</param>
    /// <param name="box">The range of actions.</param>
    /// <param name="clip">Whether drawn actions are moved into the box; the cache keeps them as they were drawn.</param>
    /// <param name="partFile">Where chunks are kept while the drawing goes on; null for nowhere.</param>
    public SupportActions(
        SupportSampler sampler,
        string identity,
        UniqueStates states,
        int observationSize,
        int count,
        long seed,
        ActionBox box,
        bool clip,
        string? partFile
    )
    {
        (_sampler, _states, _observationSize, _seed) = (sampler, states, observationSize, seed);
        (_box, _clip, _partFile) = (box, clip, partFile);
        Key = ContentHash.Of(
            Encoding.UTF8.GetBytes(
                string.Join(
                    '\n',
                    "support 1",
                    identity,
                    states.Hash(),
                    count.ToString(CultureInfo.InvariantCulture),
                    seed.ToString(CultureInfo.InvariantCulture)
                )
            )
        );
        Actions = zeros([states.Count, count, box.Low.Count], dtype: ScalarType.Float32).DetachFromDisposeScope();
    }

    /// <summary>The number of chunks that some states take.</summary>
    public static int ChunksOf(int states) => (states + ChunkStates - 1) / ChunkStates;

    /// <summary>What decides them, hashed.</summary>
    public string Key { get; }

    /// <summary>The actions, [states, K, A]: as drawn until all are, then clipped where asked. Rows that are not drawn yet are zero.</summary>
    public Tensor Actions { get; }

    /// <summary>Chunks there are.</summary>
    public int Chunks => ChunksOf(_states.Count);

    /// <summary>Whether all are drawn.</summary>
    public bool IsComplete => _done == Chunks;

    /// <summary>The share of drawn actions with a component outside the box, before anything is clipped.</summary>
    public double OutsideShare
    {
        get
        {
            var actions = Math.Min((long)_done * ChunkStates, _states.Count) * Actions.shape[1];
            return actions == 0 ? 0 : (double)_outside / actions;
        }
    }

    /// <summary>Takes all actions from the cache, if they are there and whole.</summary>
    /// <param name="folder">The cache's folder.</param>
    /// <param name="say">Told of a damaged file.</param>
    public bool TryLoad(string? folder, Action<string> say)
    {
        if (folder is null || !File.Exists(CacheFile(folder)))
        {
            return false;
        }
        var file = CacheFile(folder);
        try
        {
            var metadata = TensorFile.Load(file, [("actions", Actions)]);
            if (metadata.GetValueOrDefault("sha256") != ContentHash.Of(Actions))
            {
                throw new TiltException($"{file}: its contents have another hash than it says.");
            }
            _outside = long.Parse(metadata["outside"], CultureInfo.InvariantCulture);
            _done = Chunks;
            Clip();
            return true;
        }
        catch (Exception error) when (error is TiltException or KeyNotFoundException or FormatException)
        {
            say($"the cached support actions are damaged and drawn again ({error.Message})");
            _done = 0;
            return false;
        }
    }

    /// <summary>Takes what an interrupted drawing left, and draws what it should have left and did not.</summary>
    /// <param name="done">Chunks that are said to be done.</param>
    /// <param name="stop">Asks to give up.</param>
    public void Resume(int done, CancellationToken stop)
    {
        var record = SHA256.HashSizeInBytes + ChunkBytes(0);
        var buffer = new byte[record];
        using (var part = Existing())
        {
            while (part is not null && _done < done && TakeNext(part))
            {
                Count(_done++);
            }
        }
        // A file that was cut off or altered loses the chunks behind the spot; they are drawn again, to the same bits.
        Truncate();
        while (_done < done)
        {
            stop.ThrowIfCancellationRequested();
            Draw(_done);
        }

        bool TakeNext(FileStream part)
        {
            var bytes = ChunkBytes(_done);
            var room = buffer.AsSpan(0, SHA256.HashSizeInBytes + bytes);
            if (part.ReadAtLeast(room, room.Length, throwOnEndOfStream: false) < room.Length)
            {
                return false;
            }
            var content = room[SHA256.HashSizeInBytes..];
            if (!SHA256.HashData(content).AsSpan().SequenceEqual(room[..SHA256.HashSizeInBytes]))
            {
                return false;
            }
            using var rows = Rows(_done);
            content.CopyTo(rows.bytes);
            return true;
        }

        FileStream? Existing() =>
            _partFile is not null && File.Exists(_partFile) ? new FileStream(_partFile, FileMode.Open) : null;

        void Truncate()
        {
            if (_partFile is null || !File.Exists(_partFile))
            {
                return;
            }
            var length = 0L;
            for (var chunk = 0; chunk < _done; chunk++)
            {
                length += SHA256.HashSizeInBytes + ChunkBytes(chunk);
            }
            using var part = new FileStream(_partFile, FileMode.Open);
            if (part.Length > length)
            {
                part.SetLength(length);
            }
        }
    }

    /// <summary>Draws the next chunk.</summary>
    /// <param name="chunk">Its number: the one after the last that is done.</param>
    /// <exception cref="TiltException">The disk refused.</exception>
    public void Draw(int chunk)
    {
        if (chunk != _done)
        {
            throw new InvalidOperationException($"Chunk {chunk} does not follow the {_done} that are drawn.");
        }
        var states = StatesOf(chunk);
        var observations = new float[states * _observationSize];
        _states.Copy(chunk * ChunkStates, observations);
        using (var rows = Rows(chunk))
        {
            var actions = MemoryMarshal.Cast<byte, float>(rows.bytes);
            _sampler(observations, (int)Actions.shape[1], SeedOf(chunk), actions);
            if (actions.ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
            {
                throw new TiltException(
                    $"support actions of states {chunk * ChunkStates} to {(chunk * ChunkStates) + states - 1}: the behavior model "
                        + "gave NaN or infinity. It has not learned the data: train it longer or with a lower learning rate."
                );
            }
            Append(rows.bytes);
        }
        Count(chunk);
        _done++;
    }

    /// <summary>Puts all actions, once drawn, into the cache and removes the part file.</summary>
    /// <param name="folder">The cache's folder; null to keep them in memory only.</param>
    /// <exception cref="TiltException">The disk refused.</exception>
    public void Store(string? folder)
    {
        _part?.Dispose();
        _part = null;
        if (folder is not null)
        {
            try
            {
                Directory.CreateDirectory(folder);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw DurableFile.Refused(folder, error);
            }
            DurableFile.Replace(
                CacheFile(folder),
                stream =>
                    TensorFile.Write(
                        stream,
                        [("actions", Actions)],
                        new Dictionary<string, string>
                        {
                            ["key"] = Key,
                            ["sha256"] = ContentHash.Of(Actions),
                            ["outside"] = _outside.ToString(CultureInfo.InvariantCulture),
                        }
                    )
            );
        }
        if (_partFile is not null)
        {
            File.Delete(_partFile);
        }
        Clip();
    }

    private void Clip()
    {
        if (!_clip)
        {
            return;
        }
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var (low, high) = Box();
        Actions.clamp_(low, high);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _part?.Dispose();
        Actions.Dispose();
    }

    private string CacheFile(string folder) => Path.Combine(folder, $"support-{Key[..32]}.safetensors");

    private int StatesOf(int chunk) => Math.Min(ChunkStates, _states.Count - (chunk * ChunkStates));

    private int ChunkBytes(int chunk) =>
        checked((int)(StatesOf(chunk) * Actions.shape[1] * Actions.shape[2] * sizeof(float)));

    private Tensor Rows(int chunk) => Actions.narrow(0, (long)chunk * ChunkStates, StatesOf(chunk));

    private long SeedOf(int chunk)
    {
        using var streams = new RandomStreams(_seed);
        return streams.SeedOf(chunk.ToString(CultureInfo.InvariantCulture));
    }

    private (Tensor Low, Tensor High) Box() =>
        (
            tensor(_box.Low.Select(value => (float)value).ToArray()),
            tensor(_box.High.Select(value => (float)value).ToArray())
        );

    private void Count(int chunk)
    {
        using var scope = NewDisposeScope();
        var (low, high) = Box();
        var rows = Rows(chunk);
        _outside += rows.lt(low).logical_or(rows.gt(high)).any(-1).sum().item<long>();
    }

    private void Append(ReadOnlySpan<byte> actions)
    {
        if (_partFile is null)
        {
            return;
        }
        try
        {
            // No buffer: what a checkpoint vouches for has left the process.
            _part ??= new FileStream(_partFile, FileMode.Append, FileAccess.Write, FileShare.Read, 0);
            var record = new byte[SHA256.HashSizeInBytes + actions.Length];
            SHA256.HashData(actions).CopyTo(record, 0);
            actions.CopyTo(record.AsSpan(SHA256.HashSizeInBytes));
            _part.Write(record);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Refused(_partFile, error);
        }
    }
}
