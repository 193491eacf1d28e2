using Tilt.Model;
using Tilt.OfflineRl.Data;
using ElementType = Tilt.Model.ElementType;

namespace Tilt.Bench;

/// <summary>Reads a hundred thousand mutated data files; the tests do a few hundred of each kind.</summary>
internal static class FuzzData
{
    /// <summary>[count [seed [hdf5 | csv | npz | safetensors]]]: by default 100 000 mutants of all kinds together, seed 1.</summary>
    /// <returns>0 where every mutant was read or refused within bounds, else 3.</returns>
    public static int Run(string[] args)
    {
        var count = Arguments.Count(args, "mutants", 100_000);
        var seed = Arguments.Count([.. args.Skip(1)], "the seed", 1);
        string[] kinds = ["hdf5", "csv", "npz", "safetensors"];
        if (args.Length > 2)
        {
            kinds = kinds.Contains(args[2]) ? [args[2]] : throw Suggest.Unknown("kind", args[2], kinds);
        }
        var failures = 0;
        foreach (var kind in kinds)
        {
            var seeds = kind switch
            {
                "hdf5" => Hdf5Seeds(),
                "csv" => DataFuzzer.TableSeeds(),
                "safetensors" => WeightSeeds(),
                _ => DataFuzzer.NpzSeeds(),
            };
            var outcome = DataFuzzer.Run(kind, seeds, count / kinds.Length, seed);
            Console.WriteLine(
                $"{kind}: {outcome.Read} read, {outcome.Refused} refused, {outcome.Failures.Count} failures; "
                    + $"slowest {outcome.SlowestSeconds:0.000} s, most memory {outcome.MostAllocation:0.0} times the file's length"
            );
            foreach (var failure in outcome.Failures.Take(20))
            {
                Console.WriteLine($"  {failure}");
            }
            failures += outcome.Failures.Count;
        }
        return failures == 0 ? 0 : 3;
    }

    /// <summary>A file of two arrays and metadata, and one of a single number.</summary>
    private static List<byte[]> WeightSeeds() =>
        [
            SafetensorsWriter.ToBytes(
                [
                    (new("layer.weight", ElementType.F32, [4, 3]), new byte[48]),
                    (new("layer.bias", ElementType.F64, [3]), new byte[24]),
                ],
                new Dictionary<string, string> { ["format"] = "test" }
            ),
            SafetensorsWriter.ToBytes([(new("one", ElementType.BF16, []), new byte[2])]),
        ];

    /// <summary>The golden files of the checkout where they are found, and one of our own.</summary>
    private static List<byte[]> Hdf5Seeds()
    {
        var file = Path.GetTempFileName();
        try
        {
            new D4rlFile()
                .Add("observations", [.. Enumerable.Range(0, 300).Select(i => i * 0.5f)], 3)
                .Add("actions", new float[200], 2)
                .Add("rewards", new float[100])
                .Add("terminals", new bool[100])
                .Add("metadata/algorithm", "SAC")
                .Describe("made_by", "the fuzzer")
                .Write(file);
            var seeds = DataFuzzer.Seeds([file]);
            for (var folder = new DirectoryInfo("."); folder is not null; folder = folder.Parent)
            {
                var golden = Path.Combine(folder.FullName, "tests/Tilt.Tests/Golden/Data/g9_d4rl");
                if (Directory.Exists(golden))
                {
                    seeds.AddRange(DataFuzzer.Seeds(Directory.EnumerateFiles(golden, "*.hdf5")));
                    break;
                }
            }
            return seeds;
        }
        finally
        {
            File.Delete(file);
        }
    }
}
