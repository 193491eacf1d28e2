using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Tilt.OfflineRl.Data;

namespace Tilt.OfflineRl.Collection;

/// <summary>A policy that acted in a collection.</summary>
/// <param name="Name">Such as <c>snapshot-3</c> or <c>waypoint controller</c>.</param>
/// <param name="Sha256">SHA-256 of its file; null for one that is code.</param>
/// <param name="Return">Its measured mean return, where there is one.</param>
/// <param name="Steps">How many of the steps are its; null for all.</param>
public sealed record ActingPolicy(string Name, string? Sha256 = null, double? Return = null, int? Steps = null);

/// <summary>Steps being collected: arrays of their final size, to be filled by any number of threads, each its own rows.</summary>
/// <remarks>Float32, row after row. The names in the file are D4RL's.</remarks>
public sealed class CollectedSteps
{
    private readonly SortedDictionary<string, (float[] Values, int Columns)> _arrays = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, string> _texts = new(StringComparer.Ordinal);

    /// <summary>Room for N steps.</summary>
    /// <param name="count">N.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="actionSize">A.</param>
    /// <exception cref="TiltException">That many do not fit into memory.</exception>
    public CollectedSteps(int count, int observationSize, int actionSize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        (Count, ObservationSize, ActionSize) = (count, observationSize, actionSize);
        var wanted = (long)count * (2 * observationSize + actionSize + 4) * sizeof(float);
        var there = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if ((long)count * observationSize > System.Array.MaxLength || wanted > there)
        {
            throw TiltException.Usage(
                $"{count} steps of {observationSize} observations: they need up to {wanted / 1e9:0.0} GB of memory, and there are "
                    + $"{there / 1e9:0.0} GB; ask for fewer."
            );
        }
        Observations = new float[count * observationSize];
        Actions = new float[count * actionSize];
        Rewards = new float[count];
        Terminated = new bool[count];
        Truncated = new bool[count];
    }

    /// <summary>N.</summary>
    public int Count { get; }

    /// <summary>S.</summary>
    public int ObservationSize { get; }

    /// <summary>A.</summary>
    public int ActionSize { get; }

    /// <summary>s before each step, [N, S].</summary>
    public float[] Observations { get; }

    /// <summary>a, [N, A].</summary>
    public float[] Actions { get; }

    /// <summary>r, [N].</summary>
    public float[] Rewards { get; }

    /// <summary>Whether the task's rule ended the episode with the step, [N]; terminals in the file.</summary>
    public bool[] Terminated { get; }

    /// <summary>Whether the trajectory was cut off after the step, [N]; timeouts in the file.</summary>
    public bool[] Truncated { get; }

    /// <summary>s′ after each step, [N, S], where the data set records it.</summary>
    public float[]? NextObservations { get; private set; }

    /// <summary>The policies that acted.</summary>
    public List<ActingPolicy> Policies { get; } = [];

    /// <summary>What else the manifest should say, by name.</summary>
    public SortedDictionary<string, string> Notes { get; } = new(StringComparer.Ordinal);

    /// <summary>Room for s′.</summary>
    public float[] WithNextObservations() => NextObservations ??= new float[Count * ObservationSize];

    /// <summary>Room for another array of N rows, such as infos/qpos.</summary>
    /// <param name="path">Where in the file.</param>
    /// <param name="columns">Numbers per row.</param>
    public float[] With(string path, int columns) => With(path, new float[(long)Count * columns], columns);

    /// <summary>Another array. Below metadata/ it may have any number of rows.</summary>
    /// <param name="path">Where in the file.</param>
    /// <param name="values">Row after row.</param>
    /// <param name="columns">Numbers per row.</param>
    public float[] With(string path, float[] values, int columns)
    {
        _arrays.Add(path, (values, columns));
        return values;
    }

    /// <summary>An array that was added under that path.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public float[] Array(string path) => _arrays[path].Values;

    /// <summary>A text, such as metadata/algorithm.</summary>
    /// <param name="path">Where in the file.</param>
    /// <param name="text">What it says.</param>
    public void With(string path, string text) => _texts.Add(path, text);

    /// <summary>SHA-256 over names, sizes and numbers, whatever the file's layout and compression; lower-case hexadecimal.</summary>
    public string ContentSha256()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> size = stackalloc byte[8];
        void Add(string name, ReadOnlySpan<byte> bytes, Span<byte> size)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(name));
            BinaryPrimitives.WriteInt64LittleEndian(size, bytes.Length);
            hash.AppendData(size);
            hash.AppendData(bytes);
        }
        Add("observations", MemoryMarshal.AsBytes<float>(Observations), size);
        Add("actions", MemoryMarshal.AsBytes<float>(Actions), size);
        Add("rewards", MemoryMarshal.AsBytes<float>(Rewards), size);
        Add("terminals", MemoryMarshal.AsBytes<bool>(Terminated), size);
        Add("timeouts", MemoryMarshal.AsBytes<bool>(Truncated), size);
        Add("next_observations", MemoryMarshal.AsBytes<float>(NextObservations), size);
        foreach (var (path, (values, _)) in _arrays)
        {
            Add(path, MemoryMarshal.AsBytes<float>(values), size);
        }
        foreach (var (path, text) in _texts)
        {
            Add(path, Encoding.UTF8.GetBytes(text), size);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The file's content.</summary>
    public D4rlFile ToFile()
    {
        var file = new D4rlFile()
            .Add("observations", Observations, ObservationSize)
            .Add("actions", Actions, ActionSize)
            .Add("rewards", Rewards)
            .Add("terminals", Terminated)
            .Add("timeouts", Truncated);
        if (NextObservations is not null)
        {
            file.Add("next_observations", NextObservations, ObservationSize);
        }
        foreach (var (path, (values, columns)) in _arrays)
        {
            _ = columns == 1 ? file.Add(path, values) : file.Add(path, values, columns);
        }
        foreach (var (path, text) in _texts)
        {
            file.Add(path, text);
        }
        return file;
    }
}
