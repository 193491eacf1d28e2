using System.Text;
using System.Text.Json;

namespace Tilt.Model;

/// <summary>The element types of a safetensors file that Tilt reads and writes.</summary>
public enum ElementType
{
    /// <summary>64-bit float.</summary>
    F64,

    /// <summary>32-bit float.</summary>
    F32,

    /// <summary>16-bit IEEE float.</summary>
    F16,

    /// <summary>16-bit float with the exponent of a 32-bit one.</summary>
    BF16,

    /// <summary>64-bit signed integer.</summary>
    I64,

    /// <summary>32-bit signed integer.</summary>
    I32,

    /// <summary>16-bit signed integer.</summary>
    I16,

    /// <summary>8-bit signed integer.</summary>
    I8,

    /// <summary>8-bit unsigned integer.</summary>
    U8,

    /// <summary>One byte, 0 or 1.</summary>
    Bool,
}

/// <summary>What <see cref="ElementType"/> means in bytes and in the file's words.</summary>
public static class ElementTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int Bytes(this ElementType type) =>
        type switch
        {
            ElementType.F64 or ElementType.I64 => 8,
            ElementType.F32 or ElementType.I32 => 4,
            ElementType.F16 or ElementType.BF16 or ElementType.I16 => 2,
            _ => 1,
        };

    /// <summary>The word of the file format, such as <c>F32</c>.</summary>
    public static string Word(this ElementType type) => type == ElementType.Bool ? "BOOL" : type.ToString();

    /// <summary>The type of a word of the file format, or null when Tilt does not know it.</summary>
    /// <param name="word">Such as <c>F32</c>.</param>
    public static ElementType? Parse(string word) =>
        Array.Find(Enum.GetValues<ElementType>(), type => type.Word() == word) is var found && found.Word() == word
            ? found
            : null;
}

/// <summary>A tensor of a safetensors file: what stands in the header.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its shape, row-major. Empty for a scalar.</param>
public sealed record SafetensorsEntry(string Name, ElementType Type, IReadOnlyList<long> Shape)
{
    /// <summary>Where its bytes begin, counted from the end of the header. Known when read or laid out.</summary>
    public long Start { get; init; }

    /// <summary>How many elements the shape has.</summary>
    /// <exception cref="OverflowException">More than 2⁶³.</exception>
    public long Elements
    {
        get
        {
            var count = 1L;
            foreach (var length in Shape)
            {
                count = checked(count * length);
            }
            return count;
        }
    }

    /// <summary>How many bytes they take.</summary>
    public long Bytes => checked(Elements * Type.Bytes());

    /// <summary>Type and shape for messages, such as <c>F32 [128, 2]</c>.</summary>
    public string Describe() => Describe(Type, Shape);

    /// <summary>Type and shape for messages, such as <c>F32 [128, 2]</c>.</summary>
    /// <param name="type">The element type.</param>
    /// <param name="shape">The shape.</param>
    public static string Describe(ElementType type, IEnumerable<long> shape) =>
        $"{type.Word()} [{string.Join(", ", shape)}]";
}

/// <summary>The layout of a safetensors file, version 1 of the format.</summary>
/// <remarks>
/// Eight bytes hold the header's length (little-endian), then the header, a JSON object
/// <c>{name: {"dtype", "shape", "data_offsets": [start, end]}, "__metadata__": {text: text}}</c>, then all bytes, row-major and
/// little-endian, without holes or overlaps. Nothing in it can be executed.
/// </remarks>
internal static class SafetensorsFormat
{
    /// <summary>The key that holds texts instead of a tensor.</summary>
    public const string MetadataKey = "__metadata__";

    /// <summary>Longest header that is read, in bytes: the format's own bound.</summary>
    public const long LongestHeader = 100_000_000;

    /// <summary>Most dimensions a tensor may have, libtorch's own bound.</summary>
    public const int MostDimensions = 64;

    /// <summary>Reads a header, refusing everything that the format forbids.</summary>
    /// <param name="source">The file's name, for messages.</param>
    /// <param name="header">The JSON text.</param>
    /// <param name="dataBytes">Bytes that follow the header.</param>
    /// <param name="metadata">Receives the texts of <c>__metadata__</c>.</param>
    /// <returns>The tensors in the order of their bytes.</returns>
    public static List<SafetensorsEntry> Parse(
        string source,
        ReadOnlySpan<byte> header,
        long dataBytes,
        Dictionary<string, string> metadata
    )
    {
        var entries = new List<(SafetensorsEntry Entry, long End)>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        try
        {
            var json = new Utf8JsonReader(header, new JsonReaderOptions { MaxDepth = 8 });
            Take(ref json, JsonTokenType.StartObject, source, "the header to be a JSON object");
            while (Next(ref json, source) != JsonTokenType.EndObject)
            {
                var name = json.GetString()!;
                if (!names.Add(name))
                {
                    throw Broken(source, $"the header names '{name}' twice", "each name once");
                }
                if (name == MetadataKey)
                {
                    ReadMetadata(ref json, source, metadata);
                }
                else
                {
                    entries.Add(ReadEntry(ref json, source, name));
                }
            }
            while (json.Read()) { }
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a string of the header is not valid UTF-8.
            throw Broken(source, $"the header is not valid JSON ({Shorten(error.Message)})", "a safetensors header");
        }

        entries.Sort(
            (a, b) => a.Entry.Start != b.Entry.Start ? a.Entry.Start.CompareTo(b.Entry.Start) : a.End.CompareTo(b.End)
        );
        var reached = 0L;
        foreach (var (entry, end) in entries)
        {
            if (entry.Start != reached)
            {
                throw Broken(
                    source,
                    $"the bytes of '{entry.Name}' begin at {entry.Start}",
                    $"{reached}: tensors follow each other without holes or overlaps"
                );
            }
            reached = end;
        }
        if (reached != dataBytes)
        {
            var what = reached > dataBytes ? "cut off" : "followed by foreign bytes";
            throw Broken(
                source,
                $"{dataBytes} bytes of tensors: the file is {what}",
                $"{reached}, as the header says; copy the file again"
            );
        }
        return entries.ConvertAll(pair => pair.Entry);
    }

    /// <summary>The bytes before the tensors: length, JSON, and spaces up to a multiple of eight.</summary>
    /// <param name="entries">The tensors with their starts, in the order of their bytes.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>; sorted, so that equal contents give equal files.</param>
    public static byte[] Head(IEnumerable<SafetensorsEntry> entries, IReadOnlyDictionary<string, string> metadata)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject(MetadataKey);
                foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                {
                    json.WriteString(key, value);
                }
                json.WriteEndObject();
            }
            foreach (var entry in entries)
            {
                json.WriteStartObject(entry.Name);
                json.WriteString("dtype", entry.Type.Word());
                json.WriteStartArray("shape");
                foreach (var length in entry.Shape)
                {
                    json.WriteNumberValue(length);
                }
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(entry.Start);
                json.WriteNumberValue(entry.Start + entry.Bytes);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        // Padded so that every tensor is aligned for its type, as long as wider types come first.
        var length8 = (text.Length + 7) / 8 * 8;
        var head = new byte[8 + length8];
        BitConverter.TryWriteBytes(head, length8);
        text.ToArray().CopyTo(head, 8);
        head.AsSpan(8 + (int)text.Length).Fill((byte)' ');
        return head;
    }

    /// <summary>An error that names the file, what was found and what was expected.</summary>
    public static TiltException Broken(string source, string found, string expected) =>
        new($"{source}: not a safetensors file Tilt can read: found {found}; expected {expected}.");

    private static void ReadMetadata(ref Utf8JsonReader json, string source, Dictionary<string, string> metadata)
    {
        Take(ref json, JsonTokenType.StartObject, source, $"{MetadataKey} to be an object of texts");
        while (Next(ref json, source) != JsonTokenType.EndObject)
        {
            var key = json.GetString()!;
            Take(ref json, JsonTokenType.String, source, $"{MetadataKey}.{key} to be a text");
            if (!metadata.TryAdd(key, json.GetString()!))
            {
                throw Broken(source, $"'{key}' twice in {MetadataKey}", "each key once");
            }
        }
    }

    private static (SafetensorsEntry Entry, long End) ReadEntry(ref Utf8JsonReader json, string source, string name)
    {
        Take(ref json, JsonTokenType.StartObject, source, $"'{name}' to be an object");
        string? word = null;
        List<long>? shape = null;
        List<long>? offsets = null;
        while (Next(ref json, source) != JsonTokenType.EndObject)
        {
            var field = json.GetString()!;
            switch (field)
            {
                case "dtype" when word is null:
                    Take(ref json, JsonTokenType.String, source, $"'{name}'.dtype to be a text");
                    word = json.GetString();
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers(ref json, source, $"'{name}'.shape", MostDimensions);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadNumbers(ref json, source, $"'{name}'.data_offsets", 2);
                    break;
                default:
                    throw Broken(
                        source,
                        $"the field '{Shorten(field)}' at '{name}'",
                        "dtype, shape and data_offsets, once each"
                    );
            }
        }
        if (word is null || shape is null || offsets is not [var start, var end])
        {
            throw Broken(source, $"'{name}' without all of its fields", "dtype, shape and two data_offsets");
        }
        var type =
            ElementTypes.Parse(word)
            ?? throw Broken(
                source,
                $"dtype '{Shorten(word)}' at '{name}'",
                $"one of {string.Join(", ", Enum.GetValues<ElementType>().Select(known => known.Word()))}"
            );
        var entry = new SafetensorsEntry(name, type, shape) { Start = start };
        long bytes;
        try
        {
            bytes = entry.Bytes;
        }
        catch (OverflowException)
        {
            throw Broken(source, $"'{name}' of shape [{string.Join(", ", shape)}]", "a shape that fits in the file");
        }
        if (end < start || end - start != bytes)
        {
            throw Broken(
                source,
                $"data_offsets [{start}, {end}] at '{name}'",
                $"{bytes} bytes, as {entry.Describe()} takes"
            );
        }
        return (entry, end);
    }

    private static List<long> ReadNumbers(ref Utf8JsonReader json, string source, string what, int most)
    {
        Take(ref json, JsonTokenType.StartArray, source, $"{what} to be an array");
        var numbers = new List<long>();
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            if (json.TokenType != JsonTokenType.Number || !json.TryGetInt64(out var number) || number < 0)
            {
                throw Broken(source, $"something else in {what}", "whole numbers from 0");
            }
            if (numbers.Count == most)
            {
                throw Broken(source, $"more than {most} numbers in {what}", $"at most {most}");
            }
            numbers.Add(number);
        }
        return numbers;
    }

    private static JsonTokenType Next(ref Utf8JsonReader json, string source)
    {
        if (!json.Read())
        {
            throw Broken(source, "a header that ends too early", "a whole JSON object");
        }
        return json.TokenType;
    }

    private static void Take(ref Utf8JsonReader json, JsonTokenType expected, string source, string what)
    {
        if (!json.Read() || json.TokenType != expected)
        {
            throw Broken(source, $"{json.TokenType}", what);
        }
    }

    private static string Shorten(string text) => text.Length <= 120 ? text : string.Concat(text.AsSpan(0, 120), "…");
}
