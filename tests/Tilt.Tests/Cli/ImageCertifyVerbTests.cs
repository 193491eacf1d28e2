using System.Text.Json;
using Tilt.Cli.Verbs;
using Tilt.Images.Avatars;
using Tilt.Images.Certificate;

namespace Tilt.Tests.Cli;

/// <summary>Certificates, pages and folders of images by the real commands, on networks that hardly learned.</summary>
public class ImageCertifyVerbTests : IDisposable
{
    private static readonly string[] Few =
    [
        "--steps",
        "2",
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

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private static CommandLine.Result Run(int exitCode, params string[] args)
    {
        var result = CommandLine.Run(args);
        Assert.True(result.ExitCode == exitCode, $"{result.ExitCode}: {result.Output}{result.Error}");
        return result;
    }

    [Fact]
    public void Runs_are_certified_and_get_their_pages()
    {
        var (noise, color, classes) = (_folder.File("noise"), _folder.File("color-cep/seed-0"), _folder.File("class"));
        string[] small = ["--set", "data.pool=64", "--set", "sampler.evaluations=2"];
        Run(0, ["train", "images-noise", "--out", noise, .. Few, .. small]);
        Run(0, ["train", "images-energy", "--noise", noise, "--out", color, .. Few]);
        Run(0, ["train", "images-energy", "--energy", "class", "--noise", noise, "--out", classes, .. Few]);
        string[] few = ["-n", "50", "--draws", "2000", "--quiet"];

        // Networks that hardly learned cannot pass.
        var unguided = Run(3, ["certify", noise, .. few]);
        Assert.Contains("not within twice the noise floor", unguided.Output);
        Run(3, ["certify", noise, "--method", "dps", "--of", "blue", "--beta", "20", .. few]);
        Assert.Equal(["none", "dps"], CertifyImages.Read(noise).Rows.Select(row => row.Method));
        Run(3, ["certify", color, "--of", "red", "--beta", "5,20", .. few]);
        Run(3, ["certify", color, "--of", "blue", "--beta", "5,20", .. few]);
        var judged = Run(3, ["certify", classes, "--of", "background-hue=red", "--scale", "0,1", .. few]);
        Assert.Contains("s = 1", judged.Output);

        var certificate = CertifyImages.Read(color);
        Assert.Equal(4, certificate.Rows.Count);
        Assert.Equal(["red", "blue"], certificate.Oracle.Select(row => row.Energy).Distinct());
        Assert.NotNull(certificate.Rows[0].Novelty);

        // Runs of other methods beside it are shown with it.
        var mse = _folder.File("color-mse/seed-0");
        Run(0, ["train", "images-energy", "--noise", noise, "--method", "mse", "--out", mse, .. Few]);
        Run(3, ["certify", mse, "--of", "blue,red", "--beta", "5,20", .. few]);
        foreach (var run in new[] { color, classes })
        {
            Run(0, "report", run, "--quiet");
            Assert.Contains("✗ Not met.", File.ReadAllText(Path.Combine(run, "report.html")));
            Assert.Contains("From noise to picture", File.ReadAllText(Path.Combine(run, "figures", "along-t.svg")));
        }
        Assert.Contains(",MSE,", File.ReadAllText(Path.Combine(color, "figures", "mean-hue.csv")));
        Assert.Contains(",DPS,", File.ReadAllText(Path.Combine(color, "figures", "mean-hue.csv")));
        Assert.Contains(",MSE,", File.ReadAllText(Path.Combine(color, "figures", "methods.csv")));
        Assert.True(File.Exists(Path.Combine(color, "figures", "tilts.png")));

        // What does not belong together is said so.
        Assert.Contains("dps", Run(2, ["certify", noise, "--beta", "5", .. few]).Error);
        Assert.Contains("was trained by cep", Run(2, ["certify", color, "--method", "mse", .. few]).Error);
        Assert.Contains("no beta", Run(2, ["certify", classes, "--beta", "5", .. few]).Error);
        Assert.Contains("cyan", Run(2, ["certify", color, "--of", "cian", .. few]).Error);
        Assert.Contains(
            "fewer than the 50 samples",
            Run(1, ["certify", color, "--beta", "50", "-n", "50", "--draws", "500"]).Error
        );
        File.WriteAllText(Path.Combine(color, "certificate.json"), "{");
        Assert.Contains("./tilt certify", Run(1, "report", color, "--quiet").Error);
    }

    [Fact]
    public void A_folder_of_pictures_is_trained_on_and_reweighted()
    {
        var pictures = Directory.CreateDirectory(_folder.File("pictures")).FullName;
        var set = AvatarGenerator.Draw(80, 3).Pictures;
        for (var i = 0; i < set.Count; i++)
        {
            var grid = Tilt.Cli.Reports.PictureSheet.Png(set.Pick([i]), 1, 2);
            File.WriteAllBytes(Path.Combine(pictures, $"{i:000}.png"), grid);
        }
        var noise = _folder.File("noise");
        string[] train = ["train", "images-noise", "--images", pictures, "--set", "sampler.evaluations=2", .. Few];
        var other = _folder.File("other");
        Assert.Contains("training.batch", Run(2, [.. train, "--out", other, "--set", "training.batch=81"]).Error);

        Run(0, [.. train, "--out", noise]);
        // So few true pictures have a wide floor: networks that hardly learned may be within it.
        Assert.InRange(CommandLine.Run("certify", noise, "-n", "50", "--quiet").ExitCode, 0, 3);
        var certificate = CertifyImages.Read(noise);
        Assert.Equal(80, certificate.Draws);
        Assert.Equal(["mean hue"], certificate.Rows[0].Marginals.Select(check => check.Name));
        Assert.True(certificate.Rows[0].Novelty!.HeldOutLowest > 0);
        Run(0, "report", noise, "--quiet");

        File.WriteAllText(Path.Combine(pictures, "040.png"), "torn");
        Assert.Contains("040.png", Run(1, [.. train, "--out", other]).Error);
    }
}
