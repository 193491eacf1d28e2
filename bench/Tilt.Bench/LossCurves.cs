using Tilt.Diffusion;
using Tilt.Model;
using Tilt.Networks;
using Tilt.Toys;
using Tilt.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>W1 on the 8-Gaussian ring in fp32 and bf16 from the same draws: the evaluation losses have to agree.</summary>
internal static class LossCurves
{
    private const int EvaluationRows = 20_000;
    private const int Points = 6;

    public static void Print(string[] args)
    {
        var steps = Arguments.Count(args, "steps", 1200);
        Console.WriteLine($"evaluation loss of W1 on 8gaussians, fp32 / bf16, same draws, evaluated in fp32");
        for (var seed = 0; seed < 2; seed++)
        {
            var exact = Curve(seed, Precision.Float32, steps);
            var mixed = Curve(seed, Precision.BFloat16, steps);
            for (var i = 0; i < exact.Count; i++)
            {
                Console.WriteLine(
                    $"  seed {seed}  step {exact[i].Step, 5}   {exact[i].Loss:f4} / {mixed[i].Loss:f4}   "
                        + $"difference {mixed[i].Loss - exact[i].Loss, 8:f4}"
                );
            }
        }
    }

    private static List<(int Step, double Loss)> Curve(long seed, Precision precision, int steps)
    {
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(seed);
        var data = new EightGaussians().Sample(100_000, streams["data"]);
        var held = new EightGaussians().Sample(EvaluationRows, streams["held out"]);
        using var network = new ScoreNetwork2d(streams["weights"]);
        using var adam = new Adam(network.NamedParameters(), new() { LearningRate = 1e-4 });
        var model = new NoiseModel(network, new LinearSchedule());
        var step = TrainingSteps.ScoreStep(model, adam, data.X, streams);
        var curve = new List<(int, double)>();
        for (var i = 1; i <= steps; i++)
        {
            using (MixedPrecision.Use(precision))
            {
                step();
            }
            if (i % Math.Max(1, steps / Points) == 0)
            {
                using var _ = no_grad();
                using var inner = NewDisposeScope();
                var loss = DenoisingLoss.Draw(model, held.X, null, new Generator(12345));
                curve.Add((i, loss.ToDouble()));
            }
        }
        return curve;
    }
}
