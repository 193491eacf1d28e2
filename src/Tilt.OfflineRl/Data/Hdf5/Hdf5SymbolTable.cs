namespace Tilt.OfflineRl.Data.Hdf5;

/// <summary>The members of an older group: a B-tree of symbol nodes, whose names lie in a local heap.</summary>
internal sealed class Hdf5SymbolTable
{
    private const int Deepest = 16;

    private readonly Hdf5Metadata _metadata;
    private readonly string _field;
    private readonly byte[] _names;
    private readonly HashSet<long> _visited = [];

    /// <summary>The table whose names lie in the heap at the given address.</summary>
    public Hdf5SymbolTable(Hdf5Metadata metadata, string field, long heap)
    {
        (_metadata, _field) = (metadata, field);
        var block = metadata.Block(heap, 8 + (2 * metadata.LengthSize) + metadata.OffsetSize, field);
        metadata.ExpectSignature(block, "HEAP"u8, field);
        var cursor = new Hdf5Cursor(block, metadata, field);
        cursor.Skip(8);
        var size = cursor.Length();
        cursor.Length();
        _names = metadata.Block(cursor.Offset(), size, field);
    }

    /// <summary>Adds the members below a node of the tree.</summary>
    public void Read(long node, List<(string Name, long Address)> links, int depth = 0)
    {
        if (!_visited.Add(node) || depth > Deepest)
        {
            throw _metadata.Damage(_field, "a group tree that refers to itself", "a tree");
        }
        var prefixSize = 8 + (2 * _metadata.OffsetSize);
        var prefix = _metadata.Block(node, prefixSize, _field);
        _metadata.ExpectSignature(prefix, "TREE"u8, _field);
        var cursor = new Hdf5Cursor(prefix, _metadata, _field);
        cursor.Skip(4);
        var (type, level, used) = (cursor.Byte(), cursor.Byte(), cursor.UInt16());
        if (type != 0)
        {
            throw _metadata.Damage(_field, "a tree of chunks", "a tree of names");
        }
        var body = _metadata.Block(node + prefixSize, used * (_metadata.LengthSize + _metadata.OffsetSize), _field);
        var entries = new Hdf5Cursor(body, _metadata, _field);
        for (var i = 0; i < used; i++)
        {
            entries.Skip(_metadata.LengthSize);
            var child = entries.Offset();
            if (level > 0)
            {
                Read(child, links, depth + 1);
            }
            else
            {
                Symbols(child, links);
            }
        }
    }

    private void Symbols(long address, List<(string, long)> links)
    {
        if (!_visited.Add(address))
        {
            throw _metadata.Damage(_field, "a node of names listed twice", "each once");
        }
        var prefix = _metadata.Block(address, 8, _field);
        _metadata.ExpectSignature(prefix, "SNOD"u8, _field);
        var count = BitConverter.ToUInt16(prefix, 6);
        var body = _metadata.Block(address + 8, (long)count * ((2 * _metadata.OffsetSize) + 24), _field);
        var cursor = new Hdf5Cursor(body, _metadata, _field);
        for (var i = 0; i < count; i++)
        {
            var name = cursor.Number(_metadata.OffsetSize);
            var header = cursor.Offset();
            var kind = cursor.UInt32();
            cursor.Skip(20);
            const uint softLink = 2;
            links.Add((NameAt(name), kind == softLink ? -1 : header));
        }
    }

    private string NameAt(ulong offset)
    {
        if (offset >= (ulong)_names.Length)
        {
            throw _metadata.Damage(_field, $"a name at {offset} of {_names.Length} bytes of names", "one inside them");
        }
        var cursor = new Hdf5Cursor(_names.AsSpan((int)offset), _metadata, _field);
        return cursor.Text();
    }
}
