using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Tilt.Model;

/// <summary>One tensor of a saved policy, float32.</summary>
/// <param name="Shape">Its shape, row-major.</param>
/// <param name="Values">Its numbers.</param>
public sealed record PolicyTensor(IReadOnlyList<long> Shape, float[] Values);

/// <summary>A saved policy: one safetensors file that holds the weights and everything that acting needs besides.</summary>
/// <remarks>
/// Tensors are float32, named <c>score.…</c> and <c>guidance.…</c> after the modules they were trained in. The metadata hold the record as
/// JSON (<c>tilt.policy</c>) and SHA-256 over record, names, shapes and numbers (<c>tilt.sha256</c>), which reading checks: a flipped bit
/// anywhere is found before a robot moves.
/// </remarks>
/// <param name="Record">What the numbers mean.</param>
/// <param name="Tensors">The numbers by name.</param>
public sealed record PolicyFile(PolicyRecord Record, IReadOnlyDictionary<string, PolicyTensor> Tensors)
{
    /// <summary>What the score network's tensors are named by.</summary>
    public const string ScorePrefix = "score.";

    /// <summary>What the guidance network's tensors are named by.</summary>
    public const string GuidancePrefix = "guidance.";

    /// <summary>What the file is called in a run's folder.</summary>
    public const string DefaultName = "policy.safetensors";

    private const string RecordKey = "tilt.policy";
    private const string HashKey = "tilt.sha256";

    /// <summary>SHA-256 of the contents, in lower-case hexadecimal: what the file is, whatever it is called.</summary>
    public string Hash() => Hash(Record.ToJson());

    /// <summary>Writes the policy: aside, forced to the disk, renamed.</summary>
    /// <param name="path">The file, usually <c>policy.safetensors</c>.</param>
    /// <exception cref="TiltException">The record makes no sense, a tensor is not finite, or the disk refused.</exception>
    public void Write(string path)
    {
        Record.Validate(path);
        foreach (var (name, tensor) in Tensors)
        {
            if (tensor.Values.AsSpan().ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
            {
                throw new TiltException(
                    $"{path}: the tensor '{name}' holds numbers that are not finite; expected finite weights. The training has diverged; "
                        + "save an earlier checkpoint."
                );
            }
        }
        var json = Record.ToJson();
        var metadata = new Dictionary<string, string> { [RecordKey] = json, [HashKey] = Hash(json) };
        var tensors = Ordered()
            .Select(pair =>
                (
                    new SafetensorsEntry(pair.Key, ElementType.F32, pair.Value.Shape),
                    MemoryMarshal.AsBytes(pair.Value.Values.AsSpan()).ToArray()
                )
            );
        var bytes = SafetensorsWriter.ToBytes(tensors, metadata);
        DurableFile.Replace(path, stream => stream.Write(bytes));
    }

    /// <summary>Reads a policy and checks that it is what was written.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="TiltException">It is missing, foreign, damaged, or its record makes no sense.</exception>
    public static PolicyFile Read(string path)
    {
        using var reader = SafetensorsReader.Open(path);
        if (
            !reader.Metadata.TryGetValue(RecordKey, out var json) || !reader.Metadata.TryGetValue(HashKey, out var hash)
        )
        {
            throw new TiltException(
                $"{path}: holds no policy (found no '{RecordKey}' and '{HashKey}' in its metadata); expected a file that was exported "
                    + "as a policy. Checkpoints are not policies: export the run."
            );
        }
        var tensors = reader.Entries.ToDictionary(
            entry => entry.Name,
            entry => new PolicyTensor(entry.Shape, reader.ReadSingles(entry.Name)),
            StringComparer.Ordinal
        );
        // Hashed as it stands in the file: a later version may write the same record with other words.
        var policy = new PolicyFile(PolicyRecord.FromJson(json, path), tensors);
        var found = policy.Hash(json);
        return found == hash
            ? policy
            : throw new TiltException(
                $"{path}: the contents have hash {found}, the file says {hash}: it was damaged or altered. Restore it from a copy or export "
                    + "the run again."
            );
    }

    private IEnumerable<KeyValuePair<string, PolicyTensor>> Ordered() =>
        Tensors.OrderBy(pair => pair.Key, StringComparer.Ordinal);

    private string Hash(string json)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(json));
        foreach (var (name, tensor) in Ordered())
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"\n{name} [{string.Join(", ", tensor.Shape)}]\n"));
            hash.AppendData(MemoryMarshal.AsBytes(tensor.Values.AsSpan()));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
