namespace Tilt.OfflineRl.Data.Hdf5;

/// <summary>Reads the part of HDF5 that D4RL's files use, and what h5py and PureHDF write by default.</summary>
/// <remarks>
/// After the HDF5 File Format Specification, version 3.0: superblocks 0 to 3; object headers 1 and 2; groups as symbol tables
/// or link messages; numbers, enumerations and text; compact, contiguous and chunked arrays of up to two dimensions; deflate,
/// shuffle and Fletcher-32. Nothing loops or allocates beyond what the file's own length allows: every reference is checked
/// against it, every block is visited once, metadata are read within a budget, and an array's declared shape is checked against
/// the bytes stored for it before memory is taken.
/// </remarks>
internal sealed class Hdf5File : IArrayFile
{
    private const int SymbolTableMessage = 17;
    private const int LinkInfoMessage = 2;
    private const int LinkMessage = 6;
    private const int AttributeMessage = 12;
    private const int MostObjects = 10_000;
    private const int DeepestGroup = 16;

    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'H', (byte)'D', (byte)'F', 0x0d, 0x0a, 0x1a, 0x0a];

    private readonly Hdf5Metadata _metadata;
    private readonly int _workers;
    private readonly SortedDictionary<string, Hdf5Header> _objects = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _elsewhere = new(StringComparer.Ordinal);

    private Hdf5File(Hdf5Metadata metadata, int workers)
    {
        (_metadata, _workers) = (metadata, workers);
    }

    /// <summary>The file's name, as errors give it.</summary>
    public string Name => _metadata.Name;

    /// <summary>Full paths of all arrays, sorted, such as <c>infos/qpos</c>.</summary>
    public IEnumerable<string> Names => _objects.Where(pair => IsArray(pair.Value)).Select(pair => pair.Key);

    /// <summary>Attributes of the root group as text, by name; those that are not numbers or text are left out.</summary>
    public IReadOnlyDictionary<string, string> Attributes { get; private set; } = new Dictionary<string, string>();

    /// <summary>Whether the bytes begin as an HDF5 file does.</summary>
    public static bool Recognizes(ByteSource source) => FindSignature(source) >= 0;

    /// <summary>Reads the structure of a file; arrays are read later.</summary>
    /// <param name="source">Its bytes; who opened them disposes them.</param>
    /// <param name="workers">Threads that decode chunks.</param>
    /// <exception cref="DataException">It is no HDF5 file, is damaged, or uses what this reader does not know.</exception>
    public static Hdf5File Open(ByteSource source, int workers = 1)
    {
        var metadata = new Hdf5Metadata(source);
        var start = FindSignature(source);
        if (start < 0)
        {
            throw new DataException(
                source.Name,
                "the file's signature",
                source.Length == 0 ? "an empty file" : $"bytes {Opening(source)}",
                "89 48 44 46 0D 0A 1A 0A, with which HDF5 files begin",
                "Pass an HDF5 file, or name a .csv or .npz file as such."
            );
        }
        var file = new Hdf5File(metadata, workers);
        var root = file.ReadSuperblock(start);
        file.Walk(root);
        return file;
    }

    /// <summary>Whether there is an array of that path, or a link by that name to somewhere else.</summary>
    public bool Has(string name) =>
        _elsewhere.ContainsKey(name) || (_objects.TryGetValue(name, out var header) && IsArray(header));

    /// <inheritdoc/>
    public StoredArray Array(string name)
    {
        var array = Read(name);
        return new(name, array.Type, array.Shape, to => array.ReadFloats(to, _workers));
    }

    /// <summary>A scalar, or the first element of a small array, as text; null when it is neither number nor text.</summary>
    public string? Text(string name) => Read(name).ReadText();

    /// <summary>Nothing: the source belongs to whoever opened it.</summary>
    public void Dispose() { }

    private Hdf5Array Read(string name) =>
        _elsewhere.TryGetValue(name, out var link)
            ? throw _metadata.Unsupported(name, link, "an array of the file itself")
            : Hdf5Array.Read(_metadata, _objects[name]);

    private static bool IsArray(Hdf5Header header) => header.Find(Hdf5Array.LayoutMessage) is not null;

    private static long FindSignature(ByteSource source)
    {
        Span<byte> found = stackalloc byte[8];
        for (var at = 0L; at <= source.Length - 8; at = at == 0 ? 512 : 2 * at)
        {
            source.Read(at, found, "the file's signature");
            if (found.SequenceEqual(Signature))
            {
                return at;
            }
        }
        return -1;
    }

    private static string Opening(ByteSource source)
    {
        var bytes = source.Bytes(0, Math.Min(8, source.Length), "the file's signature");
        return string.Join(' ', bytes.Select(b => b.ToString("X2")));
    }

    private long ReadSuperblock(long start)
    {
        const string field = "the superblock";
        var block = _metadata.Block(start, Math.Min(128, _metadata.FileLength - start), field);
        var cursor = new Hdf5Cursor(block, _metadata, field);
        cursor.Skip(8);
        var version = cursor.Byte();
        if (version > 3)
        {
            throw _metadata.Unsupported(field, $"version {version}", "version 0 to 3");
        }
        if (version < 2)
        {
            cursor.Skip(4);
        }
        (_metadata.OffsetSize, _metadata.LengthSize) = (cursor.Byte(), cursor.Byte());
        if (_metadata.OffsetSize is not (2 or 4 or 8) || _metadata.LengthSize is not (2 or 4 or 8))
        {
            throw _metadata.Damage(
                field,
                $"offsets of {_metadata.OffsetSize} and lengths of {_metadata.LengthSize} bytes",
                "2, 4 or 8"
            );
        }
        cursor.Skip(version < 2 ? 9 : 1);
        cursor.Skip(version == 1 ? 4 : 0);
        var origin = cursor.Offset();
        cursor.Offset();
        var end = cursor.Offset();
        if (version < 2)
        {
            cursor.Offset();
            cursor.Offset();
        }
        var root = cursor.Offset();
        if (version >= 2)
        {
            cursor.Skip(4);
            _metadata.ExpectChecksum(block.AsSpan(0, cursor.Position), field);
        }
        if (origin != start && origin != 0)
        {
            throw _metadata.Damage(field, $"a base address of {origin}", $"{start}");
        }
        _metadata.Base = origin;
        if (end < 0 || end > _metadata.FileLength)
        {
            throw new DataException(
                Name,
                "the file's length",
                $"{_metadata.FileLength} bytes",
                $"{(end < 0 ? "a stated number of" : end)} bytes, as its superblock says",
                "The file is cut short: copy or download it again."
            );
        }
        return root + origin;
    }

    private void Walk(long root)
    {
        var visited = new HashSet<long>();
        var open = new Queue<(string Path, long Address, int Depth)>();
        open.Enqueue(("", root, 0));
        while (open.TryDequeue(out var next))
        {
            var field = next.Path.Length == 0 ? "the root group" : next.Path;
            if (!visited.Add(next.Address))
            {
                // A second hard link to the same object: the first name stands.
                continue;
            }
            if (visited.Count > MostObjects || next.Depth > DeepestGroup)
            {
                throw _metadata.Damage(
                    field,
                    $"more than {MostObjects} objects, or groups nested deeper than {DeepestGroup}",
                    "a file of arrays"
                );
            }
            var header = Hdf5Header.Read(_metadata, next.Address, field);
            _objects[next.Path] = header;
            if (next.Depth == 0)
            {
                Attributes = ReadAttributes(header);
            }
            foreach (var (name, address) in Links(header))
            {
                var path = next.Path.Length == 0 ? name : $"{next.Path}/{name}";
                if (address >= 0)
                {
                    open.Enqueue((path, address, next.Depth + 1));
                }
                else
                {
                    _elsewhere[path] = "a soft or external link";
                }
            }
        }
    }

    /// <summary>Names and addresses of a group's members; the address is −1 for links that are not hard.</summary>
    private List<(string Name, long Address)> Links(Hdf5Header header)
    {
        var links = new List<(string, long)>();
        foreach (var message in header.Messages)
        {
            var cursor = new Hdf5Cursor(message.Body.Span, _metadata, header.Field);
            switch (message.Type)
            {
                case SymbolTableMessage:
                    var (tree, heap) = (cursor.Offset(), cursor.Offset());
                    new Hdf5SymbolTable(_metadata, header.Field, heap).Read(tree, links);
                    break;
                case LinkMessage:
                    links.Add(Link(ref cursor, header.Field));
                    break;
                case LinkInfoMessage:
                    cursor.Skip(1);
                    var flags = cursor.Byte();
                    cursor.Skip((flags & 1) != 0 ? 8 : 0);
                    if (cursor.Offset() >= 0)
                    {
                        throw _metadata.Unsupported(
                            header.Field,
                            "a group whose links are stored densely (more than eight, by a newer format)",
                            "a group of h5py's default format"
                        );
                    }
                    break;
            }
            if (links.Count > MostObjects)
            {
                throw _metadata.Damage(header.Field, $"more than {MostObjects} links", "a file of arrays");
            }
        }
        return links;
    }

    private (string Name, long Address) Link(ref Hdf5Cursor cursor, string field)
    {
        var version = cursor.Byte();
        if (version != 1)
        {
            throw _metadata.Damage(field, $"a link message of version {version}", "version 1");
        }
        var flags = cursor.Byte();
        var type = (flags & 8) != 0 ? cursor.Byte() : 0;
        cursor.Skip((flags & 4) != 0 ? 8 : 0);
        cursor.Skip((flags & 16) != 0 ? 1 : 0);
        var length = cursor.Number(1 << (flags & 3));
        var name = Hdf5Metadata.Decode(cursor.Bytes((long)Math.Min(length, int.MaxValue)));
        return (name, type == 0 ? cursor.Offset() : -1);
    }

    private Dictionary<string, string> ReadAttributes(Hdf5Header header)
    {
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var message in header.Messages.Where(message => message.Type == AttributeMessage))
        {
            if (Hdf5Array.ReadAttribute(_metadata, message, header.Field) is var (name, text))
            {
                attributes[name] = text;
            }
        }
        return attributes;
    }
}
