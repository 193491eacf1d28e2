using System.Diagnostics;
using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>Times several ways to do the same, in turns, so that what else the machine does hits all alike.</summary>
internal static class Race
{
    /// <summary>Prints minimum, median and processor time of each, beside the ratio to the first.</summary>
    public static void Run(
        string title,
        IReadOnlyList<(string Name, Action Step)> contestants,
        int rounds,
        int stepsPerRound
    )
    {
        Console.WriteLine(
            $"{title}, {get_num_threads()} threads, bf16 {(MixedPrecision.IsNative ? "native" : "emulated")}, "
                + $"{rounds} interleaved rounds of {stepsPerRound} steps, ms per step"
        );
        var wall = contestants.Select(_ => new List<double>()).ToArray();
        var cpu = contestants.Select(_ => new List<double>()).ToArray();
        for (var round = -1; round < rounds; round++)
        {
            for (var i = 0; i < contestants.Count; i++)
            {
                var used = Environment.CpuUsage.TotalTime;
                for (var step = 0; step < stepsPerRound; step++)
                {
                    var clock = Stopwatch.StartNew();
                    contestants[i].Step();
                    if (round >= 0)
                    {
                        wall[i].Add(clock.Elapsed.TotalMilliseconds);
                    }
                }
                if (round >= 0)
                {
                    cpu[i].Add((Environment.CpuUsage.TotalTime - used).TotalMilliseconds / stepsPerRound);
                }
            }
        }
        for (var i = 0; i < contestants.Count; i++)
        {
            Console.WriteLine(
                $"  {contestants[i].Name, -24} minimum {Ratio(wall, i, Enumerable.Min)}   median {Ratio(wall, i, Median)}   "
                    + $"processor time, median {Ratio(cpu, i, Median)}"
            );
        }
    }

    private static string Ratio(List<double>[] times, int which, Func<IEnumerable<double>, double> of) =>
        $"{of(times[which]), 7:f2} ({of(times[0]) / of(times[which]):f2}x)";

    private static double Median(IEnumerable<double> values) => values.Order().ElementAt(values.Count() / 2);
}
