using System.Text;
using CsCheck;

namespace Tilt.Tests.Model;

public class SafetensorsTests
{
    private static readonly (SafetensorsEntry Entry, byte[] Bytes)[] Two =
    [
        (new SafetensorsEntry("bytes", ElementType.U8, [3]), [1, 2, 3]),
        (new SafetensorsEntry("weight", ElementType.F32, [2, 1]), [0, 0, 128, 63, 0, 0, 0, 192]),
    ];

    [Fact]
    public void The_bytes_are_those_of_the_published_format()
    {
        var file = SafetensorsWriter.ToBytes(Two, new Dictionary<string, string> { ["format"] = "pt" });

        const string Header =
            """{"__metadata__":{"format":"pt"},"weight":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"bytes":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}""";
        var padded = Header.PadRight((Header.Length + 7) / 8 * 8);
        Assert.Equal((ulong)padded.Length, BitConverter.ToUInt64(file));
        Assert.Equal(padded, Encoding.UTF8.GetString(file, 8, padded.Length));
        Assert.Equal([0, 0, 128, 63, 0, 0, 0, 192, 1, 2, 3], file[(8 + padded.Length)..]);
    }

    [Fact]
    public void A_file_of_another_writer_is_read()
    {
        // Unsorted names, an empty tensor, a scalar, escapes, no padding: all allowed by the format.
        var file = FileOf(
            """{"b":{"shape":[],"dtype":"F64","data_offsets":[4,12]}, "\u0061":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"empty":{"dtype":"I64","shape":[0,5],"data_offsets":[4,4]}}""",
            [1, 2, 3, 4, .. BitConverter.GetBytes(2.5)]
        );
        using var reader = SafetensorsReader.Parse(file, "other.safetensors");

        Assert.Equal(["a", "empty", "b"], reader.Entries.Select(entry => entry.Name));
        Assert.Equal([2.5], reader.ReadDoubles("b"));
        Assert.Equal([1, 2, 3, 4], reader.ReadArray<byte>("a", ElementType.BF16));
        Assert.Empty(reader.ReadArray<long>("empty", ElementType.I64));
        Assert.Empty(reader.Metadata);
    }

    [Fact]
    public void Whatever_is_written_is_read_back()
    {
        var entry =
            from name in Gen.String[1, 20]
            from type in Gen.Enum<ElementType>()
            from shape in Gen.Long[0, 4].Array[0, 4]
            select new SafetensorsEntry(name, type, shape);
        var metadata = Gen.Dictionary(Gen.String[0, 9], Gen.String[0, 9])[0, 3];
        Gen.Select(entry.Array[0, 8], metadata, Gen.Int)
            .Sample(
                (entries, texts, seed) =>
                {
                    var random = new Random(seed);
                    var tensors = entries
                        // A lone half of a surrogate pair is no text that UTF-8 could hold.
                        .Where(e => IsText(e.Name) && e.Name != "__metadata__")
                        .DistinctBy(e => e.Name)
                        .Select(e =>
                        {
                            var bytes = new byte[e.Bytes];
                            random.NextBytes(bytes);
                            return (Entry: e, Bytes: bytes);
                        })
                        .ToList();
                    var kept = texts.Where(pair => IsText(pair.Key) && IsText(pair.Value)).ToDictionary();
                    using var reader = SafetensorsReader.Parse(SafetensorsWriter.ToBytes(tensors, kept), "memory");

                    Assert.Equal(tensors.Count, reader.Entries.Count);
                    Assert.Equal(kept.OrderBy(p => p.Key), reader.Metadata.OrderBy(p => p.Key));
                    foreach (var (expected, bytes) in tensors)
                    {
                        var found = reader[expected.Name];
                        Assert.Equal(expected.Describe(), found.Describe());
                        var read = new byte[found.Bytes];
                        reader.Read(found, 0, read);
                        Assert.Equal(bytes, read);
                    }
                },
                iter: 300
            );

        static bool IsText(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) == text;
    }

    [Fact]
    public void Mutated_files_are_read_or_refused_but_never_break_the_reader()
    {
        var whole = SafetensorsWriter.ToBytes(Two, new Dictionary<string, string> { ["schedule"] = "linear" });
        var edit = Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte, Gen.Int[0, 3]);
        Gen.Select(edit.Array[1, 6], Gen.Int[0, whole.Length + 20])
            .Sample(
                (edits, length) =>
                {
                    var bytes = whole.ToList();
                    foreach (var (at, value, kind) in edits)
                    {
                        switch (kind)
                        {
                            case 0 when at < bytes.Count:
                                bytes.RemoveAt(at);
                                break;
                            case 1:
                                bytes.Insert(Math.Min(at, bytes.Count), value);
                                break;
                            case 2 when at < bytes.Count:
                                // Digits into digits keeps the header JSON and alters shapes and offsets.
                                bytes[at] = char.IsAsciiDigit((char)bytes[at]) ? (byte)('0' + value % 10) : bytes[at];
                                break;
                            default:
                                bytes[Math.Min(at, bytes.Count - 1)] = value;
                                break;
                        }
                    }
                    var file = bytes.Take(length).ToArray();
                    var before = GC.GetAllocatedBytesForCurrentThread();
                    try
                    {
                        using var reader = SafetensorsReader.Parse(file, "mutated");
                        foreach (var entry in reader.Entries)
                        {
                            reader.Read(entry, 0, new byte[entry.Bytes]);
                        }
                    }
                    catch (TiltException error)
                    {
                        Assert.StartsWith("mutated: not a safetensors file Tilt can read: found ", error.Message);
                    }
                    Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1_000_000);
                },
                iter: 20_000
            );
    }

    [Theory]
    [InlineData(
        """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""",
        "names 'a' twice"
    )]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "the field 'dtype' at 'a'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"code":"x"}}""", "the field 'code' at 'a'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1]}}""", "'a' without all of its fields")]
    [InlineData("""{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}}""", "dtype 'Q4' at 'a'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", "expected 8 bytes, as F32 [2] takes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", "expected whole numbers from 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", "expected whole numbers from 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}""", "a shape that fits")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", "data_offsets [4, 0] at 'a'")]
    [InlineData("""{"a":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}""", "begin at 1; expected 0")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}""",
        "without holes or overlaps"
    )]
    [InlineData("""{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}""", "followed by foreign bytes")]
    [InlineData("""{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}""", "cut off")]
    [InlineData("""{"__metadata__":{"a":1}}""", "__metadata__.a to be a text")]
    [InlineData("""{"__metadata__":{"a":"1","a":"2"}}""", "'a' twice in __metadata__")]
    [InlineData("""[1]""", "expected the header to be a JSON object")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}} {}""", "not valid JSON")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}""", "not valid JSON")]
    [InlineData("""{"a\uD800":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", "not valid JSON")]
    [InlineData("""{"a":[[[[[[[[[[[[1]]]]]]]]]]]]}""", "to be an object")]
    [InlineData("", "not valid JSON")]
    public void What_the_format_forbids_is_refused_with_what_was_found(string header, string said)
    {
        var error = Assert.Throws<TiltException>(() =>
            SafetensorsReader.Parse(FileOf(header, [1, 2, 3, 4]), "f.safetensors")
        );

        Assert.StartsWith("f.safetensors: ", error.Message);
        Assert.Contains(said, error.Message);
    }

    [Fact]
    public void A_shape_of_too_many_dimensions_is_refused()
    {
        var ones = string.Join(",", Enumerable.Repeat("1", 65));
        var file = FileOf("""{"a":{"dtype":"U8","shape":[ones],"data_offsets":[0,1]}}""".Replace("ones", ones), [1]);

        Assert.Contains("more than 64", Assert.Throws<TiltException>(() => SafetensorsReader.Parse(file, "f")).Message);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(100_000_001)]
    [InlineData(99_999_999)]
    public void A_header_length_that_cannot_be_is_refused_before_anything_is_allocated(ulong length)
    {
        byte[] file = [.. BitConverter.GetBytes(length), .. "PK is what a zip begins with"u8];
        var before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Throws<TiltException>(() => SafetensorsReader.Parse(file, "foreign.zip"));

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }

    [Fact]
    public void Every_cut_of_a_file_is_refused()
    {
        var whole = SafetensorsWriter.ToBytes(Two);
        for (var length = 0; length < whole.Length; length++)
        {
            Assert.Throws<TiltException>(() => SafetensorsReader.Parse(whole[..length], "cut"));
        }
    }

    [Theory]
    [InlineData("/dev/zero")]
    [InlineData("/nowhere/model.safetensors")]
    [InlineData("/tmp")]
    public void What_is_no_file_is_refused_by_name(string path)
    {
        var error = Assert.Throws<TiltException>(() => SafetensorsReader.Open(path));

        Assert.StartsWith(path + ": ", error.Message);
    }

    [Fact]
    public void A_missing_tensor_gets_a_suggestion()
    {
        using var reader = SafetensorsReader.Parse(SafetensorsWriter.ToBytes(Two), "f");

        Assert.Contains("Did you mean 'weight'?", Assert.Throws<TiltException>(() => reader["wieght"]).Message);
        Assert.Contains("expected F32", Assert.Throws<TiltException>(() => reader.ReadSingles("bytes")).Message);
    }

    [Fact]
    public void A_writer_takes_each_tensor_once_whole_and_in_order()
    {
        Assert.Throws<ArgumentException>(() =>
            SafetensorsWriter.ToBytes([(new("__metadata__", ElementType.U8, [0]), [])])
        );
        var writer = new SafetensorsWriter(Stream.Null, Two.Select(tensor => tensor.Entry));
        Assert.Throws<InvalidOperationException>(() => writer.Write("bytes", [1, 2, 3]));
        writer.Write("weight", [1, 2, 3, 4, 5]);
        Assert.Throws<InvalidOperationException>(writer.Finish);
        Assert.Throws<InvalidOperationException>(() => writer.Write("weight", [1, 2, 3, 4]));
        writer.Write("weight", [6, 7, 8]);
        writer.Write("bytes", [1, 2, 3]);
        writer.Finish();
    }

    private static byte[] FileOf(string header, byte[] data)
    {
        var text = Encoding.UTF8.GetBytes(header);
        return [.. BitConverter.GetBytes((ulong)text.Length), .. text, .. data];
    }
}
