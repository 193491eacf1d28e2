namespace Tilt.Model;

/// <summary>Writes a safetensors file: first the header of all tensors, then the bytes of one after the other.</summary>
/// <remarks>
/// The order is the format's customary one, wider element types first and names in ordinal order within, so that every tensor is
/// aligned and equal contents give equal bytes.
/// </remarks>
public sealed class SafetensorsWriter
{
    private static readonly IReadOnlyDictionary<string, string> NoMetadata = new Dictionary<string, string>();

    private readonly Stream _stream;
    private int _current;
    private long _left;

    /// <summary>The tensors in the order in which their bytes have to be written.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <summary>Writes the header.</summary>
    /// <param name="stream">Receives the file. Stays open.</param>
    /// <param name="entries">The tensors, in any order.</param>
    /// <param name="metadata">Texts that go with them.</param>
    /// <exception cref="ArgumentException">Two tensors of one name, or a name that the format reserves.</exception>
    public SafetensorsWriter(
        Stream stream,
        IEnumerable<SafetensorsEntry> entries,
        IReadOnlyDictionary<string, string>? metadata = null
    )
    {
        _stream = stream;
        var laidOut = new List<SafetensorsEntry>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        var start = 0L;
        foreach (
            var entry in entries
                .OrderByDescending(entry => entry.Type.Bytes())
                .ThenBy(entry => entry.Name, StringComparer.Ordinal)
        )
        {
            if (entry.Name == SafetensorsFormat.MetadataKey || !names.Add(entry.Name))
            {
                throw new ArgumentException($"The tensor name '{entry.Name}' is taken.", nameof(entries));
            }
            laidOut.Add(entry with { Start = start });
            start = checked(start + entry.Bytes);
        }
        Entries = laidOut;
        stream.Write(SafetensorsFormat.Head(laidOut, metadata ?? NoMetadata));
        _current = -1;
        Advance();
    }

    /// <summary>Writes the next bytes; those of a tensor may come in pieces.</summary>
    /// <param name="name">The tensor they belong to: the next of <see cref="Entries"/> that is not complete.</param>
    /// <param name="bytes">Row-major, little-endian.</param>
    public void Write(string name, ReadOnlySpan<byte> bytes)
    {
        if (_current >= Entries.Count || Entries[_current].Name != name || bytes.Length > _left)
        {
            throw new InvalidOperationException($"{bytes.Length} bytes of '{name}' are not what comes next.");
        }
        _stream.Write(bytes);
        _left -= bytes.Length;
        Advance();
    }

    /// <summary>Makes sure that every tensor has been written whole.</summary>
    public void Finish()
    {
        if (_current < Entries.Count)
        {
            throw new InvalidOperationException($"'{Entries[_current].Name}' lacks {_left} bytes.");
        }
    }

    /// <summary>A whole file in memory, from byte arrays.</summary>
    /// <param name="tensors">Every tensor with its bytes, row-major and little-endian.</param>
    /// <param name="metadata">Texts that go with them.</param>
    public static byte[] ToBytes(
        IEnumerable<(SafetensorsEntry Entry, byte[] Bytes)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null
    )
    {
        var all = tensors.ToDictionary(tensor => tensor.Entry.Name, StringComparer.Ordinal);
        using var stream = new MemoryStream();
        var writer = new SafetensorsWriter(stream, all.Values.Select(tensor => tensor.Entry), metadata);
        foreach (var entry in writer.Entries.Where(entry => entry.Bytes > 0))
        {
            writer.Write(entry.Name, all[entry.Name].Bytes);
        }
        writer.Finish();
        return stream.ToArray();
    }

    /// <summary>Moves on to the next tensor that has bytes to come.</summary>
    private void Advance()
    {
        while (_left == 0 && _current < Entries.Count)
        {
            _current++;
            _left = _current < Entries.Count ? Entries[_current].Bytes : 0;
        }
    }
}
