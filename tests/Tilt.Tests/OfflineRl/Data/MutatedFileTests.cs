using Tilt.Bench;
using Tilt.OfflineRl.Data;

namespace Tilt.Tests.OfflineRl.Data;

/// <summary>Mutated files are read or refused, quickly and in little memory; a bench command does a hundred thousand.</summary>
public class MutatedFileTests
{
    private const int Mutants = 700;

    [Theory]
    [InlineData("hdf5", 1)]
    [InlineData("csv", 2)]
    [InlineData("npz", 3)]
    public void A_mutated_file_is_read_or_refused_within_bounds(string kind, int seed)
    {
        var seeds = kind switch
        {
            "hdf5" => DataFuzzer.Seeds(
                Directory.EnumerateFiles(Path.GetDirectoryName(D4rlGolden.PathOf("x"))!, "*.hdf5")
            ),
            "csv" => DataFuzzer.TableSeeds(),
            _ => DataFuzzer.NpzSeeds(),
        };
        var outcome = DataFuzzer.Run(kind, seeds, Mutants, seed);

        Assert.True(outcome.Failures.Count == 0, string.Join('\n', outcome.Failures));
        Assert.Equal(Mutants, outcome.Read + outcome.Refused);
        // The mutations reach both outcomes, or they would prove little.
        Assert.InRange(outcome.Read, 1, Mutants - 1);
        Assert.InRange(outcome.SlowestSeconds, 0, 5);
    }
}
