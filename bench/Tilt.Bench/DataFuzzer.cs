using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using Tilt.Model;
using Tilt.OfflineRl.Data;
using Tilt.OfflineRl.Data.Hdf5;

namespace Tilt.Bench;

/// <summary>Mutates data files and reads them: each has to be read, or refused with a message, in bounded time and memory.</summary>
/// <remarks>The tests compile this file too. Everything follows from the seed.</remarks>
internal static class DataFuzzer
{
    private const double HangSeconds = 60;

    /// <summary>Blocks of HDF5 that carry structure; bytes behind these words are mutated more often.</summary>
    private static readonly byte[][] Landmarks =
    [
        [.. "TREE"u8],
        [.. "SNOD"u8],
        [.. "HEAP"u8],
        [.. "OHDR"u8],
        [.. "FADB"u8],
        [.. "FAHD"u8],
        [.. "GCOL"u8],
        [.. "deflate"u8],
        [0x11, 0, 0x10, 0],
        [1, 0, 1, 0, 0, 0, 0, 0],
        [.. "PK"u8],
        [.. "NUMPY"u8],
        [.. "descr"u8],
    ];

    /// <summary>What became of the mutants.</summary>
    public sealed class Outcome
    {
        public int Read { get; set; }
        public int Refused { get; set; }
        public double SlowestSeconds { get; set; }

        /// <summary>The most managed memory that reading one took, as a multiple of its length; files under 64 KB count as 64 KB.</summary>
        public double MostAllocation { get; set; }

        /// <summary>Mutants that crashed, hung or took too much memory, with the seed that makes them again.</summary>
        public List<string> Failures { get; } = [];
    }

    /// <summary>Files to start from.</summary>
    public static List<byte[]> Seeds(IEnumerable<string> files) =>
        [.. files.Order(StringComparer.Ordinal).Select(File.ReadAllBytes).Where(bytes => bytes.Length > 64)];

    /// <summary>Tables to start from.</summary>
    public static List<byte[]> TableSeeds()
    {
        var plain = new StringBuilder("observation_0,observation_1,action_0,reward,terminated,truncated\n");
        var quoted = new StringBuilder("\ufeff\"obs_0\";\"action_0\";\"reward\";\"terminal\";\"episode\";\"note\"\r\n");
        for (var i = 0; i < 40; i++)
        {
            plain.Append($"{i * 0.25},{-i},{i % 3 - 1},{i * 1e-3},{(i % 10 == 9 ? 1 : 0)},0\n");
            quoted.Append($"{i};-0.5;1e{i % 9};{(i % 7 == 6 ? "true" : "false")};run {i / 5};\"a;b\"\r\n\r\n");
        }
        return [Encoding.UTF8.GetBytes(plain.ToString()), Encoding.UTF8.GetBytes(quoted.ToString())];
    }

    /// <summary>Archives of arrays to start from: deflated matrices, and stored columns.</summary>
    public static List<byte[]> NpzSeeds() =>
        [
            Npz(
                CompressionLevel.Optimal,
                ("observations", "<f8", "(40, 3)", 960),
                ("actions", "<f4", "(40, 2)", 320),
                ("rewards", "<f4", "(40,)", 160),
                ("terminals", "|b1", "(40,)", 40),
                ("timeouts", "|u1", "(40,)", 40)
            ),
            Npz(
                CompressionLevel.NoCompression,
                ("obs_0", "<f4", "(40,)", 160),
                ("obs_1", ">f4", "(40, 1)", 160),
                ("action_0", "<f2", "(40,)", 80),
                ("reward", "<i4", "(40,)", 160),
                ("terminated", "|b1", "(40,)", 40),
                ("episode", "<i8", "(40,)", 320)
            ),
        ];

    /// <summary>Reads mutants of the seeds.</summary>
    /// <param name="kind">hdf5, csv or npz: what the mutants are named as.</param>
    /// <param name="seeds">Files to start from.</param>
    /// <param name="count">How many mutants.</param>
    /// <param name="seed">Where all chance comes from.</param>
    /// <param name="first">The number of the first mutant; mutant n of a seed is always the same.</param>
    /// <param name="progress">Told how many are done, now and then.</param>
    public static Outcome Run(
        string kind,
        IReadOnlyList<byte[]> seeds,
        int count,
        int seed,
        int first = 0,
        Action<int>? progress = null
    )
    {
        var outcome = new Outcome();
        var (current, started) = (first, Stopwatch.GetTimestamp());
        var worker = new Thread(() =>
        {
            for (var n = first; n < first + count; n++)
            {
                (current, started) = (n, Stopwatch.GetTimestamp());
                Read(kind, Mutant(seeds, seed, n), $"{kind} mutant {n} of seed {seed}", outcome);
            }
        })
        {
            IsBackground = true,
        };
        worker.Start();
        while (!worker.Join(1000))
        {
            progress?.Invoke(current - first);
            if (Stopwatch.GetElapsedTime(started).TotalSeconds > HangSeconds)
            {
                outcome.Failures.Add($"{kind} mutant {current} of seed {seed} hangs");
                break;
            }
        }
        return outcome;
    }

    /// <summary>A mutant by number.</summary>
    public static byte[] Mutant(IReadOnlyList<byte[]> seeds, int seed, int number)
    {
        var random = new Random(unchecked((seed * 1_000_003) + number));
        var bytes = seeds[random.Next(seeds.Count)].ToList();
        for (var changes = 1 + random.Next(4); changes > 0; changes--)
        {
            Change(bytes, seeds, random);
        }
        return [.. bytes];
    }

    private static void Read(string kind, byte[] bytes, string name, Outcome outcome)
    {
        var start = Stopwatch.GetTimestamp();
        var before = GC.GetAllocatedBytesForCurrentThread();
        var native = 0L;
        try
        {
            var source = new ByteSource($"mutant.{kind}", bytes);
            if (kind == "hdf5")
            {
                Survey(source);
            }
            if (kind == "safetensors")
            {
                ReadWeights(bytes);
            }
            else
            {
                using var steps = RecordedSteps.Read(source, new() { Workers = 1 });
                native = steps.Storage.Bytes;
            }
            outcome.Read++;
        }
        catch (TiltException)
        {
            outcome.Refused++;
        }
        catch (Exception e)
        {
            outcome.Failures.Add($"{name}: {e}");
        }
        outcome.SlowestSeconds = Math.Max(outcome.SlowestSeconds, Stopwatch.GetElapsedTime(start).TotalSeconds);
        var taken = GC.GetAllocatedBytesForCurrentThread() - before + native;
        var length = Math.Max(bytes.Length, 65536);
        outcome.MostAllocation = Math.Max(outcome.MostAllocation, (double)taken / length);
        // Chunk, spare and result, each of what deflate can make of the file at most.
        if (taken > 3 * Hdf5Filters.MostExpansion * length)
        {
            outcome.Failures.Add($"{name}: {taken} bytes taken for a file of {bytes.Length}");
        }
    }

    private static void ReadWeights(byte[] bytes)
    {
        using var reader = SafetensorsReader.Parse(bytes, "mutant.safetensors");
        foreach (var entry in reader.Entries)
        {
            reader.Read(entry, 0, new byte[entry.Bytes]);
        }
    }

    /// <summary>Looks at every array and text of an HDF5 file; what cannot be read is skipped.</summary>
    private static void Survey(ByteSource source)
    {
        var file = Hdf5File.Open(source);
        foreach (var name in file.Names.ToList())
        {
            try
            {
                file.Array(name);
                file.Text(name);
            }
            catch (DataException)
            {
                // Refused, as it should be.
            }
        }
    }

    private static void Change(List<byte> bytes, IReadOnlyList<byte[]> seeds, Random random)
    {
        if (bytes.Count == 0)
        {
            bytes.Add(0);
        }
        var at = Place(bytes, random);
        switch (random.Next(9))
        {
            case 0:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1:
                bytes[at] = (byte)random.Next(256);
                break;
            case 2:
                bytes[at] = random.Next(2) == 0 ? (byte)0 : (byte)255;
                break;
            case 3:
            case 4:
                Number(bytes, at, random);
                break;
            case 5:
                bytes.RemoveRange(at, Math.Min(bytes.Count - at, 1 << random.Next(12)));
                break;
            case 6:
                var from = Place(bytes, random);
                bytes.InsertRange(at, bytes.GetRange(from, Math.Min(bytes.Count - from, 1 << random.Next(10))));
                break;
            case 7:
                var other = seeds[random.Next(seeds.Count)];
                var start = random.Next(other.Length);
                var length = Math.Min(Math.Min(other.Length - start, bytes.Count - at), 1 << random.Next(12));
                for (var i = 0; i < length; i++)
                {
                    bytes[at + i] = other[start + i];
                }
                break;
            default:
                // Moves a reference: a number near here is put elsewhere.
                var target = Place(bytes, random);
                for (var i = 0; i < 8 && at + i < bytes.Count && target + i < bytes.Count; i++)
                {
                    bytes[target + i] = bytes[at + i];
                }
                break;
        }
    }

    private static int Place(List<byte> bytes, Random random)
    {
        var at = random.Next(bytes.Count);
        if (random.Next(3) == 0)
        {
            return at;
        }
        var landmark = Landmarks[random.Next(Landmarks.Length)];
        var span = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bytes);
        var found = span[at..].IndexOf(landmark);
        found = found >= 0 ? at + found : span.IndexOf(landmark);
        return found < 0 ? at : Math.Clamp(found - 16 + random.Next(200), 0, bytes.Count - 1);
    }

    private static void Number(List<byte> bytes, int at, Random random)
    {
        long[] values =
        [
            0,
            1,
            -1,
            2,
            7,
            127,
            255,
            256,
            65535,
            65536,
            int.MaxValue,
            1L << 32,
            long.MaxValue,
            long.MinValue,
        ];
        var value = random.Next(3) switch
        {
            0 => values[random.Next(values.Length)],
            1 => bytes.Count + random.Next(-64, 64),
            _ => random.Next(bytes.Count),
        };
        Span<byte> written = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(written, value);
        var size = 1 << random.Next(4);
        for (var i = 0; i < size && at + i < bytes.Count; i++)
        {
            bytes[at + i] = written[i];
        }
    }

    private static byte[] Npz(
        CompressionLevel level,
        params ReadOnlySpan<(string Name, string Type, string Shape, int Bytes)> arrays
    )
    {
        using var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, type, shape, length) in arrays)
            {
                var header = $"{{'descr': '{type}', 'fortran_order': False, 'shape': {shape}, }}".PadRight(117) + "\n";
                using var entry = zip.CreateEntry(name + ".npy", level).Open();
                entry.Write([
                    0x93,
                    (byte)'N',
                    (byte)'U',
                    (byte)'M',
                    (byte)'P',
                    (byte)'Y',
                    1,
                    0,
                    (byte)header.Length,
                    0,
                ]);
                entry.Write(Encoding.Latin1.GetBytes(header));
                var body = new byte[length];
                for (var i = 0; i < length; i++)
                {
                    body[i] = type == "|b1" ? (byte)(i % 7 / 6) : (byte)(i % 4 * 16);
                }
                entry.Write(body);
            }
        }
        return memory.ToArray();
    }
}
