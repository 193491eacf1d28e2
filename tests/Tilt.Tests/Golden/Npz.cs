using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Tilt.Tests.Golden;

/// <summary>One array of an .npz file: C order, widened to double (numbers) or kept as text.</summary>
public sealed record NpyArray(string Type, int[] Shape, double[] Values, string[]? Texts = null)
{
    public int Rows => Shape.Length == 0 ? 1 : Shape[0];

    public int RowLength => Rows == 0 ? 0 : Values.Length / Rows;

    public double Scalar => Values[0];

    /// <summary>As a torch tensor of the given type and of the array's shape.</summary>
    public torch.Tensor ToTensor(torch.ScalarType type = torch.ScalarType.Float64)
    {
        using var flat = torch.tensor(Values, dtype: torch.ScalarType.Float64);
        return flat.reshape(Shape.Select(n => (long)n).ToArray()).to_type(type).clone();
    }
}

/// <summary>Reads and writes numpy's .npz (a zip of .npy), the form of the golden sets.</summary>
public sealed partial class Npz
{
    private readonly Dictionary<string, NpyArray> _arrays = new(StringComparer.Ordinal);

    public IReadOnlyCollection<string> Names => _arrays.Keys;

    public NpyArray this[string name] =>
        _arrays.TryGetValue(name, out var array)
            ? array
            : throw new KeyNotFoundException($"No array '{name}' in the golden file.");

    public bool Has(string name) => _arrays.ContainsKey(name);

    public void Set(string name, NpyArray array) => _arrays[name] = array;

    public static Npz Read(string path)
    {
        var npz = new Npz();
        using var zip = ZipFile.OpenRead(path);
        foreach (var entry in zip.Entries)
        {
            using var stream = entry.Open();
            using var memory = new MemoryStream();
            stream.CopyTo(memory);
            npz._arrays[entry.FullName[..^".npy".Length]] = Parse(memory.ToArray());
        }
        return npz;
    }

    public void Write(string path)
    {
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        foreach (var (name, array) in _arrays)
        {
            var entry = zip.CreateEntry(name + ".npy", CompressionLevel.SmallestSize);
            entry.LastWriteTime = new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);
            using var stream = entry.Open();
            stream.Write(Format(array));
        }
    }

    private static NpyArray Parse(byte[] bytes)
    {
        var major = bytes[6];
        var headerLength = major == 1 ? BitConverter.ToUInt16(bytes, 8) : BitConverter.ToInt32(bytes, 8);
        var start = major == 1 ? 10 : 12;
        var header = Encoding.Latin1.GetString(bytes, start, headerLength);
        var type = TypePattern().Match(header).Groups[1].Value;
        var shape = ShapePattern()
            .Match(header)
            .Groups[1]
            .Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(n => int.Parse(n, CultureInfo.InvariantCulture))
            .ToArray();
        var byColumns = header.Contains("'fortran_order': True", StringComparison.Ordinal) && shape.Length > 1;
        if (byColumns && shape.Length > 2)
        {
            throw new NotSupportedException("Fortran order of more than two axes.");
        }
        var body = bytes.AsSpan(start + headerLength);
        var count = shape.Aggregate(1, (a, b) => a * b);
        if (type[1] == 'U')
        {
            var width = int.Parse(type[2..], CultureInfo.InvariantCulture) * 4;
            var texts = new string[count];
            for (var i = 0; i < count; i++)
            {
                texts[i] = Encoding.UTF32.GetString(body.Slice(i * width, width)).TrimEnd('\0');
            }
            return new(type, shape, [], texts);
        }
        var values = Widen(type, body, count);
        return new(type, shape, byColumns ? Transposed(values, shape[0], shape[1]) : values);
    }

    private static double[] Transposed(double[] columns, int rows, int width)
    {
        var values = new double[columns.Length];
        for (var i = 0; i < columns.Length; i++)
        {
            values[i % rows * width + i / rows] = columns[i];
        }
        return values;
    }

    private static double[] Widen(string type, ReadOnlySpan<byte> body, int count)
    {
        var values = new double[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = type switch
            {
                "<f8" => MemoryMarshal.Read<double>(body[(8 * i)..]),
                "<f4" => MemoryMarshal.Read<float>(body[(4 * i)..]),
                "<i8" => MemoryMarshal.Read<long>(body[(8 * i)..]),
                "<i4" => MemoryMarshal.Read<int>(body[(4 * i)..]),
                "<i2" => MemoryMarshal.Read<short>(body[(2 * i)..]),
                "|i1" => (sbyte)body[i],
                "|u1" or "|b1" => body[i],
                _ => throw new NotSupportedException($"numpy type {type}"),
            };
        }
        return values;
    }

    private static byte[] Format(NpyArray array)
    {
        var shape = string.Join(", ", array.Shape) + (array.Shape.Length == 1 ? "," : "");
        var header = $"{{'descr': '{array.Type}', 'fortran_order': False, 'shape': ({shape}), }}";
        header = header.PadRight((10 + header.Length + 1 + 63) / 64 * 64 - 11) + "\n";
        using var memory = new MemoryStream();
        memory.Write([0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0]);
        memory.Write(BitConverter.GetBytes((ushort)header.Length));
        memory.Write(Encoding.Latin1.GetBytes(header));
        if (array.Texts is { } texts)
        {
            var width = int.Parse(array.Type[2..], CultureInfo.InvariantCulture) * 4;
            foreach (var text in texts)
            {
                var cell = new byte[width];
                Encoding.UTF32.GetBytes(text).CopyTo(cell, 0);
                memory.Write(cell);
            }
            return memory.ToArray();
        }
        foreach (var value in array.Values)
        {
            memory.Write(
                array.Type switch
                {
                    "<f8" => BitConverter.GetBytes(value),
                    "<f4" => BitConverter.GetBytes((float)value),
                    "<i8" => BitConverter.GetBytes((long)value),
                    "<i4" => BitConverter.GetBytes((int)value),
                    "<i2" => BitConverter.GetBytes((short)value),
                    "|i1" => [(byte)(sbyte)value],
                    "|u1" or "|b1" => [(byte)value],
                    _ => throw new NotSupportedException($"numpy type {array.Type}"),
                }
            );
        }
        return memory.ToArray();
    }

    [GeneratedRegex(@"'descr':\s*'([^']+)'")]
    private static partial Regex TypePattern();

    [GeneratedRegex(@"'shape':\s*\(([^)]*)\)")]
    private static partial Regex ShapePattern();
}
