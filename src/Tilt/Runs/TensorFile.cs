namespace Tilt.Runs;

/// <summary>Saves named tensors as safetensors, and loads them in place.</summary>
/// <remarks>Tensors may be on any device and of any strides; files hold them row-major. Bits are kept exactly.</remarks>
public static class TensorFile
{
    // Tensors are copied in pieces of this size, so that no array ever has to be as long as the largest of them.
    private const long PieceBytes = 1 << 24;

    /// <summary>Replaces a file by the tensors: written aside, forced to the disk, renamed.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Names and tensors. They are only read.</param>
    /// <param name="metadata">Texts that go with them.</param>
    /// <exception cref="TiltException">The disk refused; an older file is as it was.</exception>
    public static void Save(
        string path,
        IEnumerable<(string Name, Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null
    ) => DurableFile.Replace(path, stream => Write(stream, tensors, metadata));

    /// <summary>Writes the tensors to a stream.</summary>
    /// <param name="stream">Receives the file. Stays open.</param>
    /// <param name="tensors">Names and tensors. They are only read.</param>
    /// <param name="metadata">Texts that go with them.</param>
    public static void Write(
        Stream stream,
        IEnumerable<(string Name, Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null
    )
    {
        using var recording = no_grad();
        var all = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        foreach (var (name, value) in tensors)
        {
            if (!all.TryAdd(name, value))
            {
                throw new ArgumentException($"Two tensors are named '{name}'.", nameof(tensors));
            }
        }
        var entries = all.Select(pair => new SafetensorsEntry(pair.Key, TypeOf(pair.Value.dtype), pair.Value.shape));
        var writer = new SafetensorsWriter(stream, entries, metadata);
        foreach (var entry in writer.Entries.Where(entry => entry.Bytes > 0))
        {
            using var scope = NewDisposeScope();
            var flat = all[entry.Name].detach().cpu().contiguous().view(-1);
            var pieceElements = PieceBytes / entry.Type.Bytes();
            for (var at = 0L; at < entry.Elements; at += pieceElements)
            {
                using var piece = flat.narrow(0, at, Math.Min(pieceElements, entry.Elements - at));
                writer.Write(entry.Name, piece.bytes);
            }
        }
        writer.Finish();
    }

    /// <summary>Loads a file into tensors that exist, each in place.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Names and live tensors. Names, types and shapes must be the file's, all of them.</param>
    /// <returns>The texts that go with them.</returns>
    /// <exception cref="TiltException">
    /// The file cannot be read, or differs from what is expected. Then no tensor has been altered.
    /// </exception>
    public static IReadOnlyDictionary<string, string> Load(
        string path,
        IEnumerable<(string Name, Tensor Value)> tensors
    )
    {
        using var reader = SafetensorsReader.Open(path);
        Load(reader, tensors);
        return reader.Metadata;
    }

    /// <summary>Loads an open file into tensors that exist, each in place.</summary>
    /// <param name="reader">The open file.</param>
    /// <param name="tensors">Names and live tensors. Names, types and shapes must be the file's.</param>
    /// <param name="ignored">Names that the file may hold besides.</param>
    /// <exception cref="TiltException">The file differs from what is expected. Then no tensor has been altered.</exception>
    public static void Load(
        SafetensorsReader reader,
        IEnumerable<(string Name, Tensor Value)> tensors,
        Func<string, bool>? ignored = null
    )
    {
        var all = tensors.ToList();
        Compare(reader, all, ignored);

        using var recording = no_grad();
        foreach (var (name, value) in all)
        {
            using var scope = NewDisposeScope();
            using var read = Read(reader, name);
            value.copy_(read);
        }
    }

    /// <summary>One tensor of an open file, new and on the CPU.</summary>
    /// <param name="reader">The open file.</param>
    /// <param name="name">Its name.</param>
    public static Tensor Read(SafetensorsReader reader, string name)
    {
        using var recording = no_grad();
        using var scope = NewDisposeScope();
        var entry = reader[name];
        var tensor = empty(entry.Shape.ToArray(), dtype: TypeOf(entry.Type));
        if (entry.Bytes > 0)
        {
            var flat = tensor.view(-1);
            var pieceElements = PieceBytes / entry.Type.Bytes();
            for (var at = 0L; at < entry.Elements; at += pieceElements)
            {
                using var piece = flat.narrow(0, at, Math.Min(pieceElements, entry.Elements - at));
                reader.Read(entry, at * entry.Type.Bytes(), piece.bytes);
            }
        }
        return tensor.MoveToOuterDisposeScope();
    }

    /// <summary>All tensors of a file, new and on the CPU. The caller disposes them.</summary>
    /// <param name="path">The file.</param>
    public static IReadOnlyDictionary<string, Tensor> ReadAll(string path)
    {
        using var reader = SafetensorsReader.Open(path);
        return reader.Entries.ToDictionary(
            entry => entry.Name,
            entry => Read(reader, entry.Name).DetachFromDisposeScope(),
            StringComparer.Ordinal
        );
    }

    /// <summary>The file's word for an element type of libtorch.</summary>
    /// <exception cref="NotSupportedException">The format has no such type.</exception>
    public static ElementType TypeOf(ScalarType type) =>
        type switch
        {
            ScalarType.Float64 => ElementType.F64,
            ScalarType.Float32 => ElementType.F32,
            ScalarType.Float16 => ElementType.F16,
            ScalarType.BFloat16 => ElementType.BF16,
            ScalarType.Int64 => ElementType.I64,
            ScalarType.Int32 => ElementType.I32,
            ScalarType.Int16 => ElementType.I16,
            ScalarType.Int8 => ElementType.I8,
            ScalarType.Byte => ElementType.U8,
            ScalarType.Bool => ElementType.Bool,
            _ => throw new NotSupportedException($"safetensors files hold no {type} tensors here."),
        };

    /// <summary>libtorch's element type for the file's word.</summary>
    public static ScalarType TypeOf(ElementType type) =>
        type switch
        {
            ElementType.F64 => ScalarType.Float64,
            ElementType.F32 => ScalarType.Float32,
            ElementType.F16 => ScalarType.Float16,
            ElementType.BF16 => ScalarType.BFloat16,
            ElementType.I64 => ScalarType.Int64,
            ElementType.I32 => ScalarType.Int32,
            ElementType.I16 => ScalarType.Int16,
            ElementType.I8 => ScalarType.Int8,
            ElementType.U8 => ScalarType.Byte,
            _ => ScalarType.Bool,
        };

    private static void Compare(
        SafetensorsReader reader,
        List<(string Name, Tensor Value)> all,
        Func<string, bool>? ignored
    )
    {
        var expected = all.Select(tensor => tensor.Name).ToHashSet(StringComparer.Ordinal);
        var missing = all.Where(tensor => reader.Find(tensor.Name) is null).Select(tensor => tensor.Name).ToList();
        var others = reader
            .Entries.Select(entry => entry.Name)
            .Where(name => !expected.Contains(name) && ignored?.Invoke(name) != true)
            .ToList();
        if (missing.Count > 0 || others.Count > 0)
        {
            throw new TiltException(
                $"{reader.Source}: holds other tensors than this model: "
                    + string.Join(
                        "; ",
                        new[] { Listed("missing", missing), Listed("not expected", others) }.OfType<string>()
                    )
                    + ". It was saved by a model of another architecture or by other options."
            );
        }
        foreach (var (name, value) in all)
        {
            var entry = reader[name];
            var type = TypeOf(value.dtype);
            if (entry.Type != type || !value.shape.AsSpan().SequenceEqual(entry.Shape.ToArray()))
            {
                throw new TiltException(
                    $"{reader.Source}: '{name}' is {entry.Describe()}; expected "
                        + $"{SafetensorsEntry.Describe(type, value.shape)}. It was saved by a model of another size or precision."
                );
            }
        }
    }

    private static string? Listed(string what, List<string> names) =>
        names.Count switch
        {
            0 => null,
            <= 4 => $"{what} {string.Join(", ", names.Select(name => $"'{name}'"))}",
            _ => $"{what} {string.Join(", ", names.Take(3).Select(name => $"'{name}'"))} and {names.Count - 3} more",
        };
}
