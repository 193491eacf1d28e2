using Tilt.Energy;
using Tilt.Images;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Samples;

/// <summary>Images guided by an energy of one's own: here, a dark left half.</summary>
public static class GuideImagesByYourOwn
{
    /// <summary>Trains the energy on the pool of a noise model, then draws from p₀ ∝ q₀·exp(−β·E).</summary>
    /// <param name="model">A trained noise model.</param>
    /// <param name="beta">β.</param>
    /// <param name="training">Steps, batch, rate.</param>
    /// <param name="count">Images to draw.</param>
    public static Tensor Run(ImageNoiseModel model, double beta, ImageTraining training, long count)
    {
        #region readme
        EnergyFunction dark = images => images[.., .., .., ..8].mean([1, 2, 3]); // E(x₀), low is good: [B, 3, 16, 16] → [B]

        using var pool = ImagePool.Of(model.Options.Data);
        var options = new ImageEnergyOptions
        {
            Energy = ImageEnergyKind.Custom,
            Data = model.Options.Data,
            Training = training,
        };
        using var energy = new ImageEnergyExperiment(options, pool, ImageEnergies.Custom("dark left", dark));
        new Trainer(energy.State, energy.Stages).Run();
        energy.Model.UseAverages();

        using var generator = new Generator(0);
        return model.Sample(energy.Model.Guide(model, "dark left", beta), count, generator);
        #endregion
    }
}
