using Tilt.Energy;
using Tilt.Energy.Oracles;
using Tilt.Images;
using Tilt.Images.Avatars;
using Tilt.Images.Certificate;

namespace Tilt.Tests.Images.Certificate;

public class OracleComparisonTests
{
    [Fact]
    public void The_posterior_itself_has_no_error_and_a_wrong_one_has()
    {
        using var scope = torch.NewDisposeScope();
        var training = AvatarGenerator.Draw(2000, 3).Pictures;
        var energies = ColorEnergy.Energies(training).Where((_, i) => i % 6 == 4).ToArray();
        using var posterior = new EmpiricalPosterior(
            training.Images().flatten(1),
            torch.tensor(energies, torch.ScalarType.Float32)
        );
        torch.Tensor Noise(torch.Tensor xt, NoiseLevel level) =>
            posterior.Noise(xt.flatten(1), level).reshape(xt.shape);
        IntermediateEnergy On(IntermediateEnergy energy) => (xt, level) => energy(xt.flatten(1), level);
        IReadOnlyList<OracleRow> Compare(IntermediateEnergy energy)
        {
            using var streams = new RandomStreams(8);
            return OracleComparison.Compare(
                training,
                energies,
                "blue",
                20,
                Noise,
                energy,
                new LinearSchedule(),
                [0.01, 0.9],
                64,
                streams
            );
        }

        var exact = Compare(On(posterior.Exact(20)));
        var mse = Compare(On(posterior.Mse(20)));

        Assert.Equal(0, exact[0].Counted);
        Assert.True(double.IsNaN(exact[0].GuidanceError));
        Assert.InRange(exact[1].Counted, 1, 64);
        // float32 sums in other blocks.
        Assert.Equal(0, exact[1].NoiseError, 1e-3);
        Assert.Equal(0, exact[1].GuidanceError, 1e-3);
        Assert.True(mse[1].GuidanceError > 0.01, $"{mse[1].GuidanceError}");
        Assert.True(mse[1].ShareOfScore < mse[1].GuidanceError);
    }
}
