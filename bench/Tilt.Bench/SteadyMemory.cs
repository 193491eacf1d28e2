using Tilt.Diffusion;
using Tilt.Model;
using Tilt.Networks;
using Tilt.Toys;
using Tilt.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>Whether long training holds on to memory: resident size and live tensors over many W1 steps.</summary>
internal static class SteadyMemory
{
    private const int Points = 10;
    private const double AllowedGrowthMiB = 16;

    public static int Check(string[] args)
    {
        var steps = Arguments.Count(args, "steps", 10_000);
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(0);
        using var products = MixedPrecision.Use(Precision.Auto);
        var data = new EightGaussians().Sample(100_000, streams["data"]);
        using var network = new ScoreNetwork2d(streams["weights"]);
        using var adam = new Adam(network.NamedParameters(), new() { LearningRate = 1e-4 });
        using var average = new ExponentialMovingAverage(network);
        var model = new NoiseModel(network, new LinearSchedule());
        var step = TrainingSteps.ScoreStep(model, adam, data.X, streams);

        Console.WriteLine($"{steps} W1 steps with averaged weights, {Precision.Auto.Resolve().Name()}");
        var (firstMiB, firstTensors) = (0.0, 0L);
        var (lastMiB, lastTensors) = (0.0, 0L);
        for (var i = 1; i <= steps; i++)
        {
            step();
            average.Update();
            if (i % Math.Max(1, steps / Points) == 0)
            {
                (lastMiB, lastTensors) = (ResidentMiB(), Tensor.TotalCount);
                if (firstTensors == 0)
                {
                    (firstMiB, firstTensors) = (lastMiB, lastTensors);
                }
                Console.WriteLine($"  step {i, 6}   resident {lastMiB, 7:f1} MiB   tensors {lastTensors}");
            }
        }
        var steady = lastTensors == firstTensors && lastMiB - firstMiB <= AllowedGrowthMiB;
        Console.WriteLine(steady ? "flat" : "NOT FLAT");
        return steady ? 0 : 3;
    }

    private static double ResidentMiB()
    {
        const double kibPerMiB = 1024;
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) / kibPerMiB;
    }
}
