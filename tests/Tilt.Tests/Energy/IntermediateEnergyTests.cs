using Tilt.Diffusion;
using Tilt.Energy;
using static TorchSharp.torch;

namespace Tilt.Tests.Energy;

public class IntermediateEnergyTests
{
    [Fact]
    public void Gradient_of_a_quadratic_is_its_slope_and_leaves_the_input_alone()
    {
        using var scope = NewDisposeScope();
        var level = new LinearSchedule().At(0.3);
        var x = tensor(
            new double[,]
            {
                { 1, -2 },
                { 0.5, 3 },
            }
        );
        IntermediateEnergy energy = (xt, _) => 0.5 * (xt * xt).sum(-1);

        var gradient = energy.Gradient(x, level);

        Assert.True(gradient.allclose(x));
        Assert.False(x.requires_grad);
    }

    [Fact]
    public void Guidance_adds_sigma_times_the_gradient_to_the_noise()
    {
        using var scope = NewDisposeScope();
        var level = new LinearSchedule().At(0.3);
        var x = tensor(
            new double[,]
            {
                { 1, -2 },
            }
        );
        NoisePredictor noise = (xt, _) => xt * 0.25;
        IntermediateEnergy energy = (xt, _) => 0.5 * (xt * xt).sum(-1);

        var guided = noise.GuidedBy(energy, 2)(x, level);

        Assert.True(guided.allclose(x * (0.25 + 2 * level.Sigma)));
        Assert.Same(noise, noise.GuidedBy(energy, 0));
    }
}
