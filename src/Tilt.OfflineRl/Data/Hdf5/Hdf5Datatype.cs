namespace Tilt.OfflineRl.Data.Hdf5;

/// <summary>Reads the datatype messages of HDF5.</summary>
internal static class Hdf5Datatype
{
    /// <summary>Reads a datatype message.</summary>
    public static ElementType Parse(ref Hdf5Cursor cursor, Hdf5Metadata metadata, string field, int depth = 0)
    {
        var classAndVersion = cursor.Byte();
        var (kind, version) = (classAndVersion & 15, classAndVersion >> 4);
        var bits = (int)cursor.Number(3);
        var size = cursor.UInt32();
        if (size is 0 or > 1 << 20 || version is 0 or > 5 || depth > 4)
        {
            throw metadata.Damage(field, $"a data type of version {version} and {size} bytes", "versions 1 to 5");
        }
        switch (kind)
        {
            case 0:
            case 4:
                var (shift, width) = (cursor.UInt16(), cursor.UInt16());
                var whole = shift == 0 && width == 8 * size && size is 1 or 2 or 4 or 8;
                var signed = kind == 0 && (bits & 8) != 0;
                var integer = (signed ? "int" : "uint") + 8 * size;
                return new(
                    whole ? ElementKind.Integer : ElementKind.Other,
                    (int)size,
                    (bits & 1) != 0,
                    signed,
                    integer
                );
            case 1:
                var layout = (
                    cursor.UInt16(),
                    cursor.UInt16(),
                    cursor.Byte(),
                    cursor.Byte(),
                    cursor.Byte(),
                    cursor.Byte()
                );
                var bias = cursor.UInt32();
                var ieee = (size, layout, bias) switch
                {
                    (2, (0, 16, 10, 5, 0, 10), 15) => true,
                    (4, (0, 32, 23, 8, 0, 23), 127) => true,
                    (8, (0, 64, 52, 11, 0, 52), 1023) => true,
                    _ => false,
                };
                return ieee && (bits & 0x40) == 0
                    ? new(ElementKind.Float, (int)size, (bits & 1) != 0, true, $"float{8 * size}")
                    : new(ElementKind.Other, (int)size, false, true, $"a float of {size} bytes that is not IEEE's");
            case 3:
                return new(ElementKind.FixedText, (int)size, false, false, $"text of {size} bytes");
            case 8:
                return Enumeration(ref cursor, metadata, field, depth, version, bits & 0xffff, (int)size);
            case 9:
                return (bits & 15) == 1
                    ? new(ElementKind.HeapText, (int)size, false, false, "text of any length")
                    : new(ElementKind.Other, (int)size, false, false, "lists of any length");
            default:
                string[] names = ["", "", "time", "", "", "opaque bytes", "compound", "references", "", "", "arrays"];
                var name = kind < names.Length ? names[kind] : $"data type class {kind}";
                return new(ElementKind.Other, (int)size, false, false, name);
        }
    }

    private static ElementType Enumeration(
        ref Hdf5Cursor cursor,
        Hdf5Metadata metadata,
        string field,
        int depth,
        int version,
        int members,
        int size
    )
    {
        var under = Parse(ref cursor, metadata, field, depth + 1);
        var names = new List<string>();
        for (var i = 0; i < members; i++)
        {
            var start = cursor.Position;
            names.Add(cursor.Text());
            if (version < 3)
            {
                cursor.Skip((8 - ((cursor.Position - start) & 7)) & 7);
            }
        }
        if (under.Kind != ElementKind.Integer || under.Size != size)
        {
            throw metadata.Damage(field, $"an enumeration over {under.Name}", $"integers of {size} bytes");
        }
        var boolean = names is ["FALSE", "TRUE"] && size == 1;
        return under with
        {
            Kind = ElementKind.Enumeration,
            Name = boolean ? "bool" : $"enumeration over {under.Name}",
        };
    }
}
