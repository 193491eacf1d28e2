using System.Runtime.InteropServices;
using Tilt.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.OfflineRl.Data;

/// <summary>B transitions drawn uniformly, with replacement. The tensors are overwritten by the next draw.</summary>
public sealed class Minibatch : IDisposable
{
    internal Minibatch(int size, int observationSize, int actionSize, Device device)
    {
        Transitions = Room(device, ScalarType.Int64, size);
        Observations = Room(device, ScalarType.Float32, size, observationSize);
        Actions = Room(device, ScalarType.Float32, size, actionSize);
        Rewards = Room(device, ScalarType.Float32, size);
        NextObservations = Room(device, ScalarType.Float32, size, observationSize);
        Terminated = Room(device, ScalarType.Float32, size);
    }

    /// <summary>The numbers of the transitions in the data set, int64, [B].</summary>
    public Tensor Transitions { get; }

    /// <summary>s, [B, S].</summary>
    public Tensor Observations { get; }

    /// <summary>a, [B, A].</summary>
    public Tensor Actions { get; }

    /// <summary>r, [B].</summary>
    public Tensor Rewards { get; }

    /// <summary>s′, [B, S].</summary>
    public Tensor NextObservations { get; }

    /// <summary>1 where nothing is bootstrapped, else 0; [B].</summary>
    public Tensor Terminated { get; }

    internal IEnumerable<Tensor> All => [Transitions, Observations, Actions, Rewards, NextObservations, Terminated];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in All)
        {
            tensor.Dispose();
        }
    }

    private static Tensor Room(Device device, ScalarType type, params long[] shape) =>
        zeros(shape, dtype: type, device: device).DetachFromDisposeScope();
}

/// <summary>Draws minibatches by a named stream of random numbers, without allocating.</summary>
/// <remarks>
/// Draw number c of the stream is the c-th output of SplitMix64 (Steele, Lea &amp; Flood 2014) started at the stream's seed, and the
/// transition is the high word of its product with Count. So the draws are the same on every machine, and their position is one number,
/// which a checkpoint carries.
/// </remarks>
public sealed class MinibatchSampler : IDisposable, IStateful
{
    private readonly TransitionDataset _data;
    private readonly ulong _seed;
    private readonly Tensor _position;
    private readonly Minibatch _host;
    private readonly Minibatch? _remote;

    /// <summary>A sampler of batches of one size.</summary>
    /// <param name="data">What to draw from.</param>
    /// <param name="size">B, transitions in a batch.</param>
    /// <param name="streams">The run's random streams.</param>
    /// <param name="stream">The name of the stream it draws by.</param>
    /// <param name="device">Where the batches are wanted; null for the CPU.</param>
    public MinibatchSampler(
        TransitionDataset data,
        int size,
        RandomStreams streams,
        string stream = "minibatches",
        Device? device = null
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        _data = data;
        _seed = (ulong)streams.SeedOf(stream);
        _position = zeros(1, dtype: ScalarType.Int64).DetachFromDisposeScope();
        _host = new(size, data.ObservationSize, data.ActionSize, CPU);
        _remote =
            device is null || device.type == DeviceType.CPU
                ? null
                : new(size, data.ObservationSize, data.ActionSize, device);
        Size = size;
    }

    /// <summary>B, transitions in a batch.</summary>
    public int Size { get; }

    /// <summary>How many batches have been drawn.</summary>
    public long Drawn => MemoryMarshal.Cast<byte, long>(_position.bytes)[0] / Size;

    /// <summary>Draws a batch. The same object is returned each time, with new contents.</summary>
    public Minibatch Next()
    {
        ref var position = ref MemoryMarshal.Cast<byte, long>(_position.bytes)[0];
        var transitions = MemoryMarshal.Cast<byte, long>(_host.Transitions.bytes);
        for (var i = 0; i < transitions.Length; i++)
        {
            transitions[i] = (long)Math.BigMul(SplitMix64(_seed, (ulong)position++), (ulong)_data.Count, out _);
        }
        _data.Gather(
            transitions,
            Floats(_host.Observations),
            Floats(_host.Actions),
            Floats(_host.Rewards),
            Floats(_host.NextObservations),
            Floats(_host.Terminated)
        );
        if (_remote is null)
        {
            return _host;
        }
        using var scope = NewDisposeScope();
        foreach (var (from, to) in _host.All.Zip(_remote.All))
        {
            to.copy_(from);
        }
        return _remote;
    }

    /// <inheritdoc/>
    public IEnumerable<(string Name, Tensor Value)> NamedState() => [("position", _position)];

    /// <inheritdoc/>
    public void Dispose()
    {
        _position.Dispose();
        _host.Dispose();
        _remote?.Dispose();
    }

    private static Span<float> Floats(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);

    private static ulong SplitMix64(ulong seed, ulong count)
    {
        var z = seed + ((count + 1) * 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
}
