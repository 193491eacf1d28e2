using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Tilt.OfflineRl.Data;

/// <summary>What kind of value an element is.</summary>
internal enum ElementKind
{
    /// <summary>An integer, signed or not.</summary>
    Integer,

    /// <summary>An IEEE number of 2, 4 or 8 bytes.</summary>
    Float,

    /// <summary>An enumeration over integers, as h5py stores booleans.</summary>
    Enumeration,

    /// <summary>Text of a fixed number of bytes.</summary>
    FixedText,

    /// <summary>Text of any length, kept elsewhere in the file.</summary>
    HeapText,

    /// <summary>Anything else, named in <see cref="ElementType.Name"/>.</summary>
    Other,
}

/// <summary>The type of an element of a stored array.</summary>
/// <param name="Kind">What kind of value.</param>
/// <param name="Size">Bytes of one element.</param>
/// <param name="BigEndian">Whether the most significant byte comes first.</param>
/// <param name="Signed">Whether integers carry a sign.</param>
/// <param name="Name">In the words of numpy: float32, int64, bool, …</param>
internal sealed record ElementType(ElementKind Kind, int Size, bool BigEndian, bool Signed, string Name)
{
    /// <summary>Whether numbers can be read from it.</summary>
    public bool IsNumeric => Kind is ElementKind.Integer or ElementKind.Float or ElementKind.Enumeration;

    /// <summary>Elements as float32, rounded to nearest as numpy's astype does.</summary>
    public void Widen(ReadOnlySpan<byte> from, Span<float> to)
    {
        switch (Kind, Size, BigEndian)
        {
            case (ElementKind.Float, 4, false):
                MemoryMarshal.Cast<byte, float>(from)[..to.Length].CopyTo(to);
                break;
            case (ElementKind.Float, 8, false):
                var doubles = MemoryMarshal.Cast<byte, double>(from);
                for (var i = 0; i < to.Length; i++)
                {
                    to[i] = (float)doubles[i];
                }
                break;
            default:
                for (var i = 0; i < to.Length; i++)
                {
                    to[i] = (float)Value(from.Slice(i * Size, Size));
                }
                break;
        }
    }

    /// <summary>One element as a double.</summary>
    public double Value(ReadOnlySpan<byte> bytes)
    {
        var raw = Size switch
        {
            1 => bytes[0],
            2 => BigEndian
                ? BinaryPrimitives.ReadUInt16BigEndian(bytes)
                : BinaryPrimitives.ReadUInt16LittleEndian(bytes),
            4 => BigEndian
                ? BinaryPrimitives.ReadUInt32BigEndian(bytes)
                : BinaryPrimitives.ReadUInt32LittleEndian(bytes),
            _ => BigEndian
                ? BinaryPrimitives.ReadUInt64BigEndian(bytes)
                : BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        };
        return (Kind, Size) switch
        {
            (ElementKind.Float, 2) => (double)BitConverter.UInt16BitsToHalf((ushort)raw),
            (ElementKind.Float, 4) => BitConverter.UInt32BitsToSingle((uint)raw),
            (ElementKind.Float, _) => BitConverter.UInt64BitsToDouble(raw),
            (_, 1) when Signed => (sbyte)raw,
            (_, 2) when Signed => (short)raw,
            (_, 4) when Signed => (int)raw,
            (_, 8) when Signed => (long)raw,
            _ => raw,
        };
    }
}
