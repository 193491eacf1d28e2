using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Model;
using Tilt.Networks;
using Tilt.Toys;
using Tilt.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>W1 and W2: the two training steps of the 2-D experiments, Tilt's beside plain TorchSharp's.</summary>
internal static class TrainingSteps
{
    public const int Batch = 2048;
    private const int StepsPerRound = 5;
    private const double Beta = 3;

    public static void Compare(string workload, string[] args)
    {
        var rounds = Arguments.Count(args, "rounds", 30);
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(0);
        var data = new EightGaussians().Sample(100_000, streams["data"]);
        random.manual_seed(0);

        var (plain, own) = workload == "W1" ? Score(data, streams) : Guidance(data, streams);
        var contestants = new (string Name, Action Step)[]
        {
            ("plain TorchSharp, fp32", plain),
            ("Tilt, fp32", () => InPrecision(Precision.Float32, own)),
            ("Tilt, bf16", () => InPrecision(Precision.BFloat16, own)),
        };
        Race.Run($"{workload}: batch {Batch}", contestants, rounds, StepsPerRound);
    }

    /// <summary>One step of W1 in Tilt: everything a training loop does but logging.</summary>
    public static Action ScoreStep(NoiseModel model, Adam adam, Tensor data, RandomStreams streams) =>
        () =>
        {
            using var step = NewDisposeScope();
            var x0 = Minibatch(data, streams["minibatches"]);
            adam.ZeroGradients();
            DenoisingLoss.Draw(model, x0, null, streams["noise"]).backward();
            adam.Step();
        };

    private static Tensor Minibatch(Tensor data, Generator generator) =>
        data.index_select(0, randint(data.shape[0], [Batch], dtype: ScalarType.Int64, generator: generator));

    private static (Action Plain, Action Own) Score(LabelledPoints data, RandomStreams streams)
    {
        var network = new PlainTorch.ScoreNet();
        var torchs = optim.Adam(network.parameters(), 1e-4);
        var own = new ScoreNetwork2d(streams["weights"]);
        var adam = new Adam(own.NamedParameters(), new() { LearningRate = 1e-4 });
        var model = new NoiseModel(own, new LinearSchedule());
        return (
            () =>
            {
                using var step = NewDisposeScope();
                PlainTorch.ScoreStep(network, torchs, Minibatch(data.X, streams["minibatches"]));
            },
            ScoreStep(model, adam, data.X, streams)
        );
    }

    private static (Action Plain, Action Own) Guidance(LabelledPoints data, RandomStreams streams)
    {
        var network = new PlainTorch.GuidanceNet();
        var torchs = optim.Adam(network.parameters(), 3e-4);
        var own = new EnergyNetwork2d(streams["weights"]);
        var adam = new Adam(own.NamedParameters(), new() { LearningRate = 3e-4 });
        var schedule = new LinearSchedule();
        return (
            () =>
            {
                using var step = NewDisposeScope();
                var (x0, labels) = Pairs();
                PlainTorch.GuidanceStep(network, torchs, x0, labels, Beta);
            },
            () =>
            {
                using var step = NewDisposeScope();
                var (x0, labels) = Pairs();
                adam.ZeroGradients();
                var time = ForwardProcess.DrawTimes(1, 1e-5, schedule.End, streams["noise"]);
                var noise = ForwardProcess.DrawNoise(x0, streams["noise"]);
                var predicted = ContrastiveEnergyPrediction.Predicted(
                    own,
                    schedule,
                    x0.unsqueeze(0),
                    time,
                    noise.unsqueeze(0)
                );
                ContrastiveEnergyPrediction.Loss(-Beta * labels.unsqueeze(0), predicted).backward();
                adam.Step();
            }
        );

        (Tensor X0, Tensor Labels) Pairs()
        {
            var rows = randint(data.Count, [Batch], dtype: ScalarType.Int64, generator: streams["minibatches"]);
            return (data.X.index_select(0, rows), data.Labels.index_select(0, rows));
        }
    }

    public static void InPrecision(Precision precision, Action step)
    {
        using var products = MixedPrecision.Use(precision);
        step();
    }
}
