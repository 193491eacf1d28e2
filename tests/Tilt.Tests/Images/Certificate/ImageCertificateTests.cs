using System.Text.Json;
using Tilt.Images;
using Tilt.Images.Avatars;
using Tilt.Images.Certificate;

namespace Tilt.Tests.Images.Certificate;

public class ImageCertificateTests
{
    private const int Samples = 400;

    private static readonly PictureReading[] Readings =
    [
        PictureReading.OfMeanHue,
        .. PictureReading.OfAvatarPixels,
        PictureReading.OfClassifier("bright left", ["no", "yes"], BrightLeft, most: 5000),
    ];

    private static readonly TiltedReference Reference = TiltedReference.Build(
        PictureLaw.Avatars(seed: 101, count: 30_000),
        PictureEnergies.Colors,
        Readings
    );

    private static readonly ImageCertifierOptions Options = new() { Samples = Samples, DistanceRepetitions = 3 };

    [Fact]
    public void Exact_draws_of_another_seed_pass_and_untilted_ones_fail()
    {
        using var certifier = new ImageCertifier(Reference, Options, Pooled, AvatarGenerator.Draw(500, 0).Pictures);
        // Each picture taken with probability exp(−20·(E − lowest)): true draws, found another way than by resampling.
        var fresh = AvatarGenerator.Draw(60_000, seed: 5).Pictures;
        var blue = Hues.Index("blue");
        var energies = ColorEnergy.Energies(fresh).Where((_, i) => i % 6 == blue).ToArray();
        var lowest = energies.Min();
        var random = new Random(1);
        var taken = Enumerable
            .Range(0, (int)fresh.Count)
            .Where(i => random.NextDouble() < Math.Exp(-20 * (energies[i] - lowest)))
            .Select(i => (long)i)
            .Take(Samples)
            .ToArray();
        Assert.Equal(Samples, taken.Length);

        var exact = certifier.Measure("exact", "blue", 20, fresh.Pick(taken));
        var none = certifier.Measure("none", "blue", 20, AvatarGenerator.Draw(Samples, 6).Pictures);

        Assert.All(exact.Marginals.Concat(exact.Distances), check => Assert.True(check.Passed, check.ToString()));
        Assert.False(none.Check("mean hue").Passed);
        Assert.False(none.Check("background hue").Passed);
        Assert.False(none.Check("Fréchet distance").Passed);
        Assert.False(none.Check("polynomial MMD").Passed);
        Assert.Equal(exact.TrueMeanEnergy, exact.MeanEnergy, 0.02);
        Assert.InRange(exact.Novelty!.Ratio, 0.9, 1.1);
        Assert.InRange(exact.EffectiveShare, 0.1, 0.3);
    }

    [Fact]
    public void Masses_and_effective_sizes_are_the_weighted_ones()
    {
        var set = AvatarGenerator.Draw(30_000, seed: 101);
        var energies = ColorEnergy.Energies(set.Pictures);
        var weights = Enumerable.Range(0, 30_000).Select(i => Math.Exp(-10 * energies[6 * i + 2])).ToArray();
        var background = set[AvatarAttribute.BackgroundHue];
        var total = weights.Sum();
        var green = weights.Where((_, i) => background[i] == 2).Sum() / total;

        Assert.Equal(green, Reference.Masses(PictureReading.OfAvatarPixels[0], "green", 10)[2], 1e-9);
        Assert.Equal(total * total / weights.Sum(w => w * w), Reference.EffectiveSize("green", 10), 1e-5);
        Assert.Equal(30_000, Reference.EffectiveSize("green", 0), 1e-6);
    }

    [Fact]
    public void The_floor_is_the_scatter_of_samples_and_of_the_reference()
    {
        using var streams = new RandomStreams(3);
        var masses = Reference.Masses(PictureReading.OfMeanHue, "red", 10);
        var size = Reference.EffectiveSize("red", 10);
        var floor = Reference.Floor(PictureReading.OfMeanHue, "red", 10, 2000, 100, streams);

        // E|normal| = √(2/π)·sd, bin by bin.
        var expected = masses.Sum(p => Math.Sqrt(2 / Math.PI * p * (1 - p) * (1 / 2000.0 + 1 / size))) / 2;
        Assert.Equal(expected, floor.Mean, 4 * floor.StandardDeviation / 10 + 0.02 * expected);
    }

    [Fact]
    public void The_mean_hue_of_a_flat_picture_is_its_hue()
    {
        byte[] picture =
        [
            .. Enumerable.Repeat((byte)0, 4),
            .. Enumerable.Repeat((byte)200, 4),
            .. Enumerable.Repeat((byte)200, 4),
        ];

        Assert.Equal(0.5, MeanHue.Of(picture), 1e-12);
        Assert.Equal([12], MeanHue.Read(new(picture, 2, 2)));
        Assert.Equal(0, MeanHue.Of(new byte[12]));
    }

    [Fact]
    public void Wrong_numbers_of_samples_and_spent_references_are_refused()
    {
        using var certifier = new ImageCertifier(Reference, Options);
        var few = AvatarGenerator.Draw(60, 0).Pictures;

        Assert.Contains("60", Assert.Throws<TiltException>(() => certifier.Measure("cep", "blue", 20, few)).Message);
        var all = AvatarGenerator.Draw(Samples, 0).Pictures;
        Assert.Contains(
            "smaller beta",
            Assert.Throws<TiltException>(() => certifier.Measure("cep", "blue", 200, all)).Message
        );
        Assert.Throws<TiltException>(() => Reference.Energies.Index("bleu"));
        Assert.Throws<TiltException>(() => new ImageCertifierOptions { Samples = 3 }.Check());
        Assert.Throws<TiltException>(() =>
            TiltedReference.Build(PictureLaw.Avatars(0, 0), PictureEnergies.Colors, Readings)
        );
    }

    [Fact]
    public void A_folder_is_a_law_too_and_any_energy_tilts_it()
    {
        var pictures = AvatarGenerator.Draw(3000, 9).Pictures;
        var reference = TiltedReference.Build(
            PictureLaw.Of(pictures, "folder"),
            PictureEnergies.From("left", BrightnessEnergy.OfLeftHalf),
            [PictureReading.OfMeanHue]
        );

        Assert.True(reference.MeanEnergy("left", 10) < reference.MeanEnergy("left", 0) - 0.02);
        var drawn = reference.Draw("left", 5, 1000, seed: 2);
        Assert.InRange(drawn.Min(), 0, 100);
        Assert.Equal(pictures[drawn[3]].ToArray(), reference.DrawPictures("left", 5, 1000, 2)[3].ToArray());
    }

    [Fact]
    public void A_certificate_is_read_back_from_JSON()
    {
        using var certifier = new ImageCertifier(Reference, Options);
        var row = certifier.Measure("none", "red", 0, AvatarGenerator.Draw(Samples, 6).Pictures);
        var certificate = new ImageCertificate(
            "avatars",
            30_000,
            Samples,
            "ddim",
            25,
            [row],
            [],
            [new("cep", "background-hue=red", 1, 0.9, "pixels")],
            new Dictionary<string, double>()
        );

        var text = JsonSerializer.Serialize(certificate, ImageCertificateJson.Default.ImageCertificate);
        var read = JsonSerializer.Deserialize(text, ImageCertificateJson.Default.ImageCertificate)!;
        Assert.Equal(row.Marginals, read.Rows[0].Marginals);
        Assert.Equal((1, 1), read.MeanHue("none", 0));
        Assert.False(read.Passed);
        Assert.Contains("90.0 %", read.Verdict);

        // Rows of an earlier call stay unless they are measured again, or were measured in another way.
        var dps = row with
        {
            Method = "dps",
            Beta = 5,
        };
        Assert.Equal(["none", "dps"], (read with { Rows = [dps] }).With(read).Rows.Select(one => one.Method));
        Assert.Single(read.With(read).Rows);
        Assert.Single((read with { Samples = 7 }).With(read with { Rows = [dps] }).Rows);
    }

    private static torch.Tensor Pooled(torch.Tensor images) =>
        torch.nn.functional.avg_pool2d(images, [4, 4]).flatten(1);

    private static torch.Tensor BrightLeft(torch.Tensor images)
    {
        var left = BrightnessEnergy.OfLeftHalf(images);
        return torch.stack([0.7 - left, left - 0.7], 1);
    }
}
