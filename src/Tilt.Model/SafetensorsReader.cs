using System.Runtime.InteropServices;

namespace Tilt.Model;

/// <summary>Reads a safetensors file: names, types and shapes at once, the numbers when asked.</summary>
/// <remarks>
/// Opening checks the whole header against the file's length, so a cut-off or foreign file is refused before anything of its size
/// is allocated: no allocation is larger than the file itself. Reading runs no code of the file, as there is none.
/// </remarks>
public sealed class SafetensorsReader : IDisposable
{
    private readonly Stream _stream;
    private readonly long _dataStart;
    private readonly Dictionary<string, SafetensorsEntry> _byName;
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);

    /// <summary>The file, for messages.</summary>
    public string Source { get; }

    /// <summary>The tensors in the order of their bytes.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <summary>The texts that came with them.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    private SafetensorsReader(Stream stream, string source)
    {
        _stream = stream;
        Source = source;

        var length = stream.Length;
        Span<byte> prefix = stackalloc byte[8];
        if (length < prefix.Length)
        {
            throw SafetensorsFormat.Broken(source, $"{length} bytes", "at least the 8 bytes of the header's length");
        }
        stream.ReadExactly(prefix);
        var headerLength = MemoryMarshal.Read<ulong>(prefix);
        if (headerLength > SafetensorsFormat.LongestHeader)
        {
            throw SafetensorsFormat.Broken(
                source,
                $"a header length of {headerLength} bytes",
                $"at most {SafetensorsFormat.LongestHeader}; is it a file of another kind?"
            );
        }
        if ((long)headerLength > length - prefix.Length)
        {
            throw SafetensorsFormat.Broken(
                source,
                $"{length} bytes in all",
                $"a header of {headerLength} bytes: the file is cut off or of another kind"
            );
        }
        var header = new byte[(int)headerLength];
        stream.ReadExactly(header);
        _dataStart = prefix.Length + header.Length;
        Entries = SafetensorsFormat.Parse(source, header, length - _dataStart, _metadata);
        _byName = Entries.ToDictionary(entry => entry.Name, StringComparer.Ordinal);
    }

    /// <summary>Opens a file and reads its header.</summary>
    /// <param name="path">A safetensors file.</param>
    /// <exception cref="TiltException">It is missing, unreadable, cut off or foreign.</exception>
    public static SafetensorsReader Open(string path)
    {
        FileStream? stream = null;
        try
        {
            // A pipe would block on opening; like every special file it has no length.
            if (File.Exists(path) && new FileInfo(path).Length < 8)
            {
                throw SafetensorsFormat.Broken(
                    path,
                    $"{new FileInfo(path).Length} bytes",
                    "at least the 8 bytes of the header's length"
                );
            }
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
            return new SafetensorsReader(stream, path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            stream?.Dispose();
            throw new TiltException($"{path}: cannot be read: {error.Message}", inner: error);
        }
        catch
        {
            stream?.Dispose();
            throw;
        }
    }

    /// <summary>Reads a file that is in memory.</summary>
    /// <param name="bytes">The whole file.</param>
    /// <param name="source">What to call it in messages.</param>
    /// <exception cref="TiltException">It is cut off or foreign.</exception>
    public static SafetensorsReader Parse(byte[] bytes, string source) =>
        new(new MemoryStream(bytes, writable: false), source);

    /// <summary>The tensor of that name, or null.</summary>
    /// <param name="name">Its name.</param>
    public SafetensorsEntry? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="TiltException">There is none; the message suggests the nearest.</exception>
    public SafetensorsEntry this[string name]
    {
        get
        {
            if (_byName.TryGetValue(name, out var entry))
            {
                return entry;
            }
            var hint = Suggest.Nearest(name, _byName.Keys) is { } nearest ? $" Did you mean '{nearest}'?" : "";
            throw new TiltException($"{Source}: no tensor '{name}' among its {Entries.Count}.{hint}");
        }
    }

    /// <summary>Copies bytes of a tensor, row-major and little-endian.</summary>
    /// <param name="entry">One of <see cref="Entries"/>.</param>
    /// <param name="offset">The first byte wanted, counted from the tensor's first.</param>
    /// <param name="destination">Receives as many bytes as it is long.</param>
    /// <exception cref="TiltException">The disk failed, or the file was changed meanwhile.</exception>
    public void Read(SafetensorsEntry entry, long offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + destination.Length, entry.Bytes);
        try
        {
            _stream.Position = _dataStart + entry.Start + offset;
            _stream.ReadExactly(destination);
        }
        catch (IOException error)
        {
            throw new TiltException($"{Source}: '{entry.Name}' cannot be read: {error.Message}", inner: error);
        }
    }

    /// <summary>The numbers of a tensor whose elements are of the type that was asked for.</summary>
    /// <typeparam name="T">float for F32, double for F64, long for I64, and so on; byte for the raw bytes of any.</typeparam>
    /// <param name="name">The tensor.</param>
    /// <param name="expected">The element type that <typeparamref name="T"/> stands for.</param>
    /// <returns>A new array of all elements, row-major.</returns>
    /// <exception cref="TiltException">No such tensor, another type, or longer than an array can be.</exception>
    public T[] ReadArray<T>(string name, ElementType expected)
        where T : unmanaged
    {
        var entry = this[name];
        if (entry.Type != expected)
        {
            throw new TiltException($"{Source}: '{name}' is {entry.Describe()}; expected {expected.Word()}.");
        }
        if (entry.Bytes > Array.MaxLength)
        {
            throw new TiltException($"{Source}: '{name}' takes {entry.Bytes} bytes; an array holds at most 2³¹.");
        }
        var numbers = new T[entry.Bytes / System.Runtime.CompilerServices.Unsafe.SizeOf<T>()];
        Read(entry, 0, MemoryMarshal.AsBytes(numbers.AsSpan()));
        return numbers;
    }

    /// <summary>The 32-bit floats of a tensor.</summary>
    /// <param name="name">The tensor, of type F32.</param>
    public float[] ReadSingles(string name) => ReadArray<float>(name, ElementType.F32);

    /// <summary>The 64-bit floats of a tensor.</summary>
    /// <param name="name">The tensor, of type F64.</param>
    public double[] ReadDoubles(string name) => ReadArray<double>(name, ElementType.F64);

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();
}
