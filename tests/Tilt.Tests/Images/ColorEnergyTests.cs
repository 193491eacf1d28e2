using Tilt.Images;

namespace Tilt.Tests.Images;

public class ColorEnergyTests
{
    /// <summary>Colours with their hue and saturation, worked out by hand.</summary>
    public static TheoryData<double, double, double, double, double> Colors() =>
        new()
        {
            { 1, 0, 0, 0, 1 },
            { 1, 1, 0, 1.0 / 6, 1 },
            { 0, 1, 0, 1.0 / 3, 1 },
            { 0, 1, 1, 0.5, 1 },
            { 0, 0, 1, 2.0 / 3, 1 },
            { 1, 0, 1, 5.0 / 6, 1 },
            { 0.5, 0.25, 0.75, 0.75, 2.0 / 3 },
            { 0.9, 0.85, 0.8, 1.0 / 12, 1.0 / 9 },
            { 1, 0, 0.1, 5.9 / 6, 1 },
            { 0.5, 0.5, 0.5, 0, 0 },
            { 0, 0, 0, 0, 0 },
            { 1, 1, 1, 0, 0 },
        };

    [Theory]
    [MemberData(nameof(Colors))]
    public void Hue_and_saturation_are_those_of_the_definition(
        double r,
        double g,
        double b,
        double hue,
        double saturation
    )
    {
        using var scope = torch.NewDisposeScope();
        var (h, s) = ColorEnergy.HueAndSaturation(Flat(r, g, b));

        // δ = 1e-7 beside ranges of 0.1 and more.
        Assert.Equal(hue, h[0, 0, 0].item<double>(), 1e-6);
        Assert.Equal(saturation, s[0, 0, 0].item<double>(), 1e-5);
    }

    [Fact]
    public void Distances_to_the_six_hues_go_round_the_circle()
    {
        using var scope = torch.NewDisposeScope();
        var energies = ColorEnergy.Energies(Flat(0.5, 0.25, 0.75)).data<double>().ToArray();

        double[] expected = [0.25, 5.0 / 12, 5.0 / 12, 0.25, 1.0 / 12, 1.0 / 12];
        Assert.All(expected.Zip(energies), pair => Assert.Equal(pair.First, pair.Second, 1e-6));
    }

    [Fact]
    public void Grey_is_punished_in_proportion_to_what_it_lacks()
    {
        using var scope = torch.NewDisposeScope();
        var grey = ColorEnergy.Of("red")(Flat(0.5, 0.5, 0.5)).item<double>();
        var pale = ColorEnergy.Of("red")(Flat(1, 0.95, 0.95)).item<double>();

        Assert.Equal(0.3, grey, 1e-9);
        Assert.Equal(0.15, pale, 1e-5);
    }

    [Fact]
    public void One_hue_is_a_column_of_all()
    {
        using var scope = torch.NewDisposeScope();
        var images = Random(4);
        var all = ColorEnergy.Energies(images);

        for (var hue = 0; hue < Hues.Count; hue++)
        {
            Assert.True(all.select(1, hue).allclose(ColorEnergy.Of(hue)(images), 0, 0));
        }
        Assert.Contains("green", Assert.Throws<TiltException>(() => ColorEnergy.Of("gren")).Message);
    }

    [Fact]
    public void Energies_of_bytes_are_those_of_images()
    {
        using var scope = torch.NewDisposeScope();
        var bytes = new byte[20 * 48];
        new Random(2).NextBytes(bytes);
        bytes.AsSpan(0, 48).Fill(90); // grey
        bytes.AsSpan(48, 48).Clear(); // black
        var pictures = new PictureSet(bytes, 4, 4);

        var expected = ColorEnergy.Energies(pictures.Images().to(torch.ScalarType.Float64)).data<double>().ToArray();
        // float32 pixels have 1e-7 of a level of grey, and hues divide by ranges of 1/255 and more.
        Assert.All(expected.Zip(ColorEnergy.Energies(pictures)), pair => Assert.Equal(pair.First, pair.Second, 1e-4));
    }

    [Fact]
    public void Gradients_are_those_of_central_differences()
    {
        using var scope = torch.NewDisposeScope();
        using var generator = new torch.Generator(5);
        var images = Random(3);
        var direction = torch.randn([3, 3, 4, 4], generator: generator, dtype: torch.ScalarType.Float64);
        using var leaf = images.clone().requires_grad_();
        var gradient = torch.autograd.grad([ColorEnergy.Of(4)(leaf).sum()], [leaf])[0];
        const double step = 1e-7;

        var along = (gradient * direction).sum().item<double>();
        var difference =
            (ColorEnergy.Of(4)(images + step * direction) - ColorEnergy.Of(4)(images - step * direction))
                .sum()
                .item<double>() / (2 * step);
        // Rounding of E (1e-16) over the step, and the curvature at ranges near 0.01.
        Assert.Equal(difference, along, 1e-5 * Math.Max(1, Math.Abs(along)));
    }

    [Fact]
    public void Gradients_are_finite_at_greys_black_and_beyond_the_range()
    {
        using var scope = torch.NewDisposeScope();
        var images = torch.cat([
            Flat(0.5, 0.5, 0.5),
            Flat(0, 0, 0),
            Flat(1, 1, 1),
            Flat(-0.2, -0.3, -0.1),
            Flat(1.4, 0.2, -0.6),
        ]);
        using var leaf = images.clone().requires_grad_();

        var gradient = torch.autograd.grad([ColorEnergy.Energies(leaf).sum()], [leaf])[0];
        Assert.True(gradient.isfinite().all().item<bool>());
        Assert.True(ColorEnergy.Energies(images).isfinite().all().item<bool>());
    }

    [Fact]
    public void The_brightness_of_the_left_half_is_a_mean()
    {
        using var scope = torch.NewDisposeScope();
        var images = torch.cat([Flat(1, 1, 1), Flat(0, 0, 0)], 3);

        Assert.Equal(1, BrightnessEnergy.OfLeftHalf(images).item<double>(), 1e-12);
        Assert.Equal(0, BrightnessEnergy.OfLeftHalf(images.flip(3)).item<double>(), 1e-12);
    }

    private static torch.Tensor Flat(double r, double g, double b) =>
        (torch.tensor(new[] { r, g, b }, torch.ScalarType.Float64) * 2 - 1).reshape(1, 3, 1, 1).expand(1, 3, 4, 4);

    private static torch.Tensor Random(long n)
    {
        using var generator = new torch.Generator(11);
        return torch.rand([n, 3, 4, 4], generator: generator, dtype: torch.ScalarType.Float64) * 2 - 1;
    }
}
