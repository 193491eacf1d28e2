using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Model;
using Tilt.Networks;
using Tilt.Sampling;
using Tilt.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.Samples;

/// <summary>The example of the README: points in, an energy in, points of the tilted law out.</summary>
public static class TiltYourOwnData
{
    /// <summary>Trains both models on the data, then samples from p₀ ∝ q₀·exp(−β·E).</summary>
    /// <param name="data">Draws from q₀, [N, 2].</param>
    /// <param name="energy">E(x₀), low is good, [B, 2] → [B].</param>
    /// <param name="beta">β.</param>
    /// <param name="steps">Gradient steps of each model.</param>
    public static Tensor Run(Tensor data, EnergyFunction energy, double beta, int steps)
    {
        #region readme
        var streams = new RandomStreams(seed: 0);
        var schedule = new LinearSchedule();
        var score = new ScoreNetwork(new() { Width = 64, TimeScale = 1 }, streams["noise-model"]);
        var guide = new EnergyNetwork(new() { Width = 64, TimeScale = 1 }, streams["energy-network"]);
        var model = new NoiseModel(score, schedule);
        using var adam = new Adam(
            [.. score.NamedParameters(), .. guide.NamedParameters()],
            new() { LearningRate = 3e-3 }
        );
        for (var step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            var x0 = data[randint(data.shape[0], [512], generator: streams["minibatches"])];
            var (sets, labels) = (x0.view(8, 64, 2), beta * energy(x0).view(8, 64)); // each set has one t
            var denoising = DenoisingLoss.Draw(model, x0, null, streams["noise"]); // ε_θ learns the data
            var contrast = ContrastiveEnergyPrediction.Draw(guide, schedule, sets, labels, streams["contrast"]); // f_φ → E_t
            (denoising + contrast).backward();
            adam.Step();
            adam.ZeroGradients();
        }
        var xT = Sampler.Normal([4000, 2], ScalarType.Float32, null, streams["sampling"]);
        return Sampler.Sample(model.Noise.GuidedBy((xt, level) => guide.At(xt, level)), xT, schedule, new(), null);
        #endregion
    }
}
