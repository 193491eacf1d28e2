using Tilt.Cli.Verbs;
using Tilt.Images;
using Tilt.Images.Avatars;

namespace Tilt.Tests.Cli;

/// <summary>The real commands on images for a few steps.</summary>
public class ImageVerbTests : IDisposable
{
    private static readonly string[] Few =
    [
        "--steps",
        "3",
        "--set",
        "training.batch=8",
        "--set",
        "network.width=8",
        "--set",
        "network.groups=4",
        "--set",
        "network.headChannels=8",
        "--quiet",
    ];

    private readonly TemporaryFolder _folder = new();

    private string Noise => _folder.File("noise");

    private string Color => _folder.File("color");

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private static CommandLine.Result Succeed(params string[] args)
    {
        var result = CommandLine.Run(args);
        Assert.True(result.ExitCode == 0, result.Error);
        return result;
    }

    private static CommandLine.Result Refuse(params string[] args)
    {
        var result = CommandLine.Run(args);
        Assert.True(result.ExitCode == 2, $"{result.ExitCode}: {result.Error}");
        return result;
    }

    [Fact]
    public void Training_and_sampling_work_in_a_row()
    {
        string[] pool = ["--set", "data.pool=64"];
        Succeed(["train", "images-noise", "--out", Noise, .. Few, .. pool]);
        Succeed(["train", "images-noise", "--out", Noise, .. Few, .. pool]); // finished: nothing to do
        Succeed(["train", "images-energy", "--noise", Noise, "--out", Color, .. Few]);
        var classes = _folder.File("class");
        Succeed(["train", "images-energy", "--energy", "class", "--noise", Noise, "--out", classes, .. Few]);
        string[] few = ["-n", "3", "--evaluations", "3", "--quiet"];

        Succeed(["sample", Noise, .. few]);
        Succeed(["sample", Noise, "--method", "dps", "--of", "blue", "--beta", "5", .. few]);
        Succeed(["sample", Color, "--of", "cyan,red", "--beta", "0,20", "--solver", "ddim", .. few]);
        Succeed(["sample", classes, "--of", "background-hue=red,lenses=none", .. few]);

        foreach (
            var file in new[]
            {
                Path.Combine(Noise, "samples", "unguided"),
                Path.Combine(Noise, "samples", "dps-blue-beta-5"),
                Path.Combine(Color, "samples", "cep-cyan-beta-0"),
                Path.Combine(Color, "samples", "cep-red-beta-20"),
                Path.Combine(classes, "samples", "cep-background-hue-red"),
            }
        )
        {
            Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(file + ".png")[..4]);
            Assert.Equal([(byte)'P', (byte)'K'], File.ReadAllBytes(file + ".npz")[..2]);
        }
        Assert.Equal(ImageNoiseModel.Kind, ImageWeights.KindOf(Noise));
        Assert.Equal(ImageEnergyModel.Kind, ImageWeights.KindOf(Color));

        // What does not belong together is said so.
        Assert.Contains(
            "expected energies of images",
            Refuse("sample", classes, "--noise", Color, "-n", "1").Error.Replace("a noise model", "energies")
        );
        Assert.Contains("dps", Refuse("sample", Noise, "--beta", "20").Error);
        Assert.Contains("cep", Refuse("sample", Color, "--method", "mse").Error);
        Assert.Contains("cyan", Refuse("sample", Color, "--of", "cian", "--noise", Noise).Error);
        Assert.Contains("no beta", Refuse("sample", classes, "--beta", "3").Error);
    }

    [Fact]
    public void The_weights_that_ship_are_small_and_fit_each_other()
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        string[] names =
        [
            ImagesCommandLine.NoiseFile,
            ImagesCommandLine.ColorFile,
            ImagesCommandLine.ClassFile,
            ImagesCommandLine.ClassifierFile,
        ];
        Assert.True(names.Sum(name => new FileInfo(ImagesCommandLine.Shipped(name)).Length) <= 4_000_000);

        using var noise = ImageNoiseModel.Load(ImagesCommandLine.Shipped(names[0]));
        using var colors = ImageEnergyModel.Load(ImagesCommandLine.Shipped(names[1]));
        using var classes = ImageEnergyModel.Load(ImagesCommandLine.Shipped(names[2]));
        using var judge = ImageClassifier.Load(ImagesCommandLine.Shipped(names[3]));
        using var generator = new TorchSharp.torch.Generator(1);
        var few = noise.Options.Sampler.Spending(4);

        var cyan = noise.Sample(colors.Guide(noise, "cyan", 20), 4, generator, few);
        var red = noise.Sample(classes.Guide(noise, "background-hue=red"), 4, generator, few);

        var energy = ColorEnergy.Energies(TorchSharp.torch.cat([cyan, red], 0)).select(1, Hues.Index("cyan"));
        Assert.True(energy.narrow(0, 0, 4).mean().item<float>() < energy.narrow(0, 4, 4).mean().item<float>());
        Assert.Equal([4L], judge.Classify(red, AvatarAttribute.BackgroundHue).shape);
    }

    [Fact]
    public void The_classifier_prints_its_accuracy_on_unseen_images()
    {
        var run = _folder.File("classifier");

        var result = Succeed([
            "train",
            "images-classifier",
            "--out",
            run,
            .. Few,
            "--set",
            "data.pool=64",
            "--set",
            "attributes=mood",
        ]);

        Assert.Contains("held-out accuracy", result.Output);
        Assert.Contains("mood", result.Output);
        Assert.Contains("cannot be sampled", Refuse("sample", run).Error);
    }

    [Theory]
    [InlineData("images-energy --method classifier", "'method'")]
    [InlineData("images-energy --energy class --method mse", "'method'")]
    [InlineData("images-energy --energy klass", "class")]
    [InlineData("images-energy --attribute mood", "--energy class")]
    [InlineData("images-energy --energy class --attribute moot", "mood")]
    [InlineData("images-noise --images /nowhere", "no such folder")]
    [InlineData("images-noise --set training.bach=3", "training.batch")]
    [InlineData("images-noise --set data.size=32", "'data.size'")]
    public void What_cannot_be_trained_is_refused_with_a_remedy(string line, string expected)
    {
        Assert.Contains(expected, Refuse(["train", .. line.Split(' '), "--out", _folder.File("none")]).Error);
    }
}
