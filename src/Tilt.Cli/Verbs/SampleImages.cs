using System.Globalization;
using Tilt.Cli.Reports;
using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Images;
using Tilt.Networks;
using Tilt.Sampling;
using Tilt.Toys;
using Tilt.Training;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt sample</c> of image runs: a sheet as PNG, all pictures as NPZ.</summary>
internal static class SampleImages
{
    /// <summary>Images of one sheet unless told otherwise.</summary>
    public const long UsualCount = 64;

    private const double UsualBeta = 20;
    private const int Columns = 16;
    private const int Magnify = 4;

    // More than a screen takes in.
    private const long MostOnSheet = 1024;

    /// <summary>What the command line asks for.</summary>
    /// <param name="Run">The run's folder.</param>
    internal sealed record Request(string Run)
    {
        /// <summary>Whose energy guides, as the option of points has it; for images only <c>dps</c> says something.</summary>
        public IReadOnlyList<GuidanceMethod> Methods { get; init; } = [];

        /// <summary>β; none for 20.</summary>
        public IReadOnlyList<double> Betas { get; init; } = [];

        /// <summary>The guidance scale.</summary>
        public double Scale { get; init; } = 1;

        /// <summary>Images.</summary>
        public long Count { get; init; } = UsualCount;

        /// <summary>The solver; null for the run's.</summary>
        public string? Solver { get; init; }

        /// <summary>Evaluations; null for the run's.</summary>
        public int? Evaluations { get; init; }

        /// <summary>The seed.</summary>
        public long Seed { get; init; }

        /// <summary>Hues or classes.</summary>
        public IReadOnlyList<string> Of { get; init; } = [];

        /// <summary>The noise model's run or file.</summary>
        public string? Noise { get; init; }

        /// <summary>The PNG file.</summary>
        public string? Output { get; init; }
    }

    /// <summary>Draws and writes.</summary>
    public static int Run(Terminal terminal, Request request)
    {
        if (ImageWeights.KindOf(request.Run) == ImageClassifier.Kind)
        {
            throw TiltException.Usage(
                $"{request.Run}: holds a classifier, which cannot be sampled; expected a run of images-noise or images-energy."
            );
        }
        var ofNoise = ImageWeights.KindOf(request.Run) == ImageNoiseModel.Kind;
        using var energies = ofNoise ? null : ImageEnergyModel.Load(request.Run, terminal.Remark);
        var noise = ofNoise
            ? request.Run
            : request.Noise ?? energies!.Options.Noise ?? ImagesCommandLine.Shipped(ImagesCommandLine.NoiseFile);
        if (ofNoise && request.Noise is not null)
        {
            throw TiltException.Usage(
                $"--noise {request.Noise}: {request.Run} is a noise model itself. Leave --noise away."
            );
        }
        using var model = ImageNoiseModel.Load(noise, terminal.Remark);
        var jobs = energies is null ? OfNoise(model, request) : OfEnergies(model, energies, request);
        if (jobs.Count > 1 && request.Output is not null)
        {
            throw TiltException.Usage(
                $"--out {request.Output}: found {jobs.Count} sheets for one file; expected a single --of and --beta. Leave --out away, and "
                    + "each gets a file of its own."
            );
        }
        if (request.Output == "-")
        {
            throw TiltException.Usage("--out -: images are not printed; give a file, such as sheet.png.");
        }
        foreach (var (name, guided) in jobs)
        {
            Draw(terminal, model, guided, name, request);
        }
        return 0;
    }

    private static List<(string Name, NoisePredictor Noise)> OfNoise(ImageNoiseModel model, Request request)
    {
        if (request.Methods.Count == 0)
        {
            if (request.Of.Count > 0 || request.Betas.Any(beta => beta != 0))
            {
                throw TiltException.Usage(
                    $"{request.Run}: is a noise model and guides nothing by itself; found --of or --beta. Sample a run of images-energy, or "
                        + "add --method dps."
                );
            }
            return [("unguided", model.Noise)];
        }
        if (request.Methods is not [GuidanceMethod.Dps])
        {
            throw TiltException.Usage(
                $"--method {string.Join(',', request.Methods.Select(Cep2dModel.NameOf))}: a noise model knows dps alone; the others are runs "
                    + "of their own: ./tilt train images-energy --method NAME."
            );
        }
        var hues = request.Of.Count > 0 ? request.Of : [Hues.Names[0]];
        return
        [
            .. hues.SelectMany(hue =>
                Betas(request)
                    .Select(beta =>
                    {
                        var energy = DiffusionPosteriorSampling.Energy(model.Noise, ImageEnergies.Color[hue], beta);
                        return ($"dps-{hue}-beta-{Number(beta)}", model.Noise.GuidedBy(energy, request.Scale));
                    })
            ),
        ];
    }

    private static List<(string Name, NoisePredictor Noise)> OfEnergies(
        ImageNoiseModel model,
        ImageEnergyModel energies,
        Request request
    )
    {
        var method = ImageOptions.NameOf(energies.Options.Method);
        if (request.Methods.Any(asked => Cep2dModel.NameOf(asked) != method))
        {
            throw TiltException.Usage(
                $"--method {string.Join(',', request.Methods.Select(Cep2dModel.NameOf))}: {request.Run} was trained by {method}. Leave --method "
                    + "away; dps guides a noise model's own run."
            );
        }
        var classes = energies.Options.Energy == ImageEnergyKind.Class;
        var heads = request.Of.Count > 0 ? request.Of : [energies.Heads[0]];
        if (classes && request.Betas.Count > 0)
        {
            throw TiltException.Usage(
                "--beta: a class is a condition and has no beta. --scale strengthens it, inexactly."
            );
        }
        return
        [
            .. heads.SelectMany(head =>
                (classes ? [1] : Betas(request)).Select(beta =>
                {
                    var name = classes
                        ? $"{method}-{head.Replace('=', '-').Replace(' ', '-')}"
                        : $"{method}-{head}-beta-{Number(beta)}";
                    return (name, energies.Guide(model, head, beta, request.Scale));
                })
            ),
        ];
    }

    private static IReadOnlyList<double> Betas(Request request) =>
        request.Betas.Count > 0 ? request.Betas : [UsualBeta];

    private static void Draw(
        Terminal terminal,
        ImageNoiseModel model,
        NoisePredictor noise,
        string name,
        Request request
    )
    {
        var sampler = model.Options.Sampler;
        sampler = sampler with { Solver = request.Solver ?? sampler.Solver };
        sampler = sampler.Spending(request.Evaluations ?? sampler.Spent);
        using var streams = new RandomStreams(request.Seed);
        using var signals = new StopSignals(CancellationToken.None);
        PictureSet pictures;
        try
        {
            using var images = model.Sample(
                noise,
                request.Count,
                streams["samples"],
                sampler,
                Precision.Float32,
                stop: signals.Asked
            );
            pictures = PictureSet.Of(images);
        }
        catch (OperationCanceledException) when (signals.ExitCode is { } exitCode)
        {
            throw new StoppedException(
                $"stopped before all {request.Count} samples were drawn; nothing is kept of them.",
                exitCode
            );
        }
        var scale = request.Scale == 1 ? "" : $"-scale-{Number(request.Scale)}";
        var file = request.Output ?? Path.Combine(request.Run, "samples", $"{name}{scale}.png");
        if (Directory.Exists(file))
        {
            throw TiltException.Usage(
                $"--out {file}: is a folder; expected a file, such as {Path.Combine(file, "sheet.png")}."
            );
        }
        Write(pictures, file);
        terminal.Line($"{file}: {pictures.Count} images, also in {Path.ChangeExtension(file, ".npz")}");
    }

    /// <summary>The sheet as PNG, and beside it all pictures as NPZ: <c>images</c>, uint8, [N, 3, H, W].</summary>
    public static void Write(PictureSet pictures, string file, int columns = Columns)
    {
        if (Path.GetDirectoryName(file) is { Length: > 0 } parent)
        {
            Directory.CreateDirectory(parent);
        }
        var shown =
            pictures.Count <= MostOnSheet
                ? pictures
                : pictures.Pick([.. Enumerable.Range(0, (int)MostOnSheet).Select(i => (long)i)]);
        var sheet = PictureSheet.Png(shown, columns, Magnify);
        DurableFile.Replace(file, stream => stream.Write(sheet));
        DurableFile.Replace(
            Path.ChangeExtension(file, ".npz"),
            stream =>
            {
                using var npz = new NpzWriter(stream);
                npz.Add("images", pictures.Pixels, pictures.Count, 3, pictures.Height, pictures.Width);
            }
        );
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
