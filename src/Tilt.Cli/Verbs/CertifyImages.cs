using System.Text.Json;
using Tilt.Cli.Reports;
using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Images;
using Tilt.Images.Avatars;
using Tilt.Images.Certificate;
using Tilt.Toys;
using Tilt.Training;
using TorchSharp;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt certify</c> of image runs: samples against fresh draws of the generator, reweighted.</summary>
internal static class CertifyImages
{
    private static readonly double[] UsualBetas = [10, 20, 40];
    private static readonly double[] OracleTimes = [0.5, 0.55, 0.6, 0.7, 0.8];
    private const int OraclePictures = 10_000;
    private const int OracleNoisy = 128;
    private const long JudgedPictures = 5000;
    private const double OracleBeta = 20;

    /// <summary>The seed of the reference's draws; a run that trained on it takes the next.</summary>
    private const long ReferenceSeed = 900_000_001;

    /// <summary>What the command line asks for.</summary>
    /// <param name="Run">The run's folder.</param>
    internal sealed record Request(string Run)
    {
        /// <summary>Whose energy guides; for images only <c>dps</c> says something, of a noise model.</summary>
        public IReadOnlyList<GuidanceMethod> Methods { get; init; } = [];

        /// <summary>β; none for 10, 20 and 40.</summary>
        public IReadOnlyList<double> Betas { get; init; } = [];

        /// <summary>Hues or classes; none for all.</summary>
        public IReadOnlyList<string> Of { get; init; } = [];

        /// <summary>Guidance scales.</summary>
        public IReadOnlyList<double> Scales { get; init; } = [1];

        /// <summary>Samples of each row.</summary>
        public long Count { get; init; } = 2000;

        /// <summary>Draws of the reference.</summary>
        public long Draws { get; init; } = 1_000_000;

        /// <summary>Pairs of true draws behind the floors of distances.</summary>
        public int Repetitions { get; init; } = 5;

        /// <summary>The noise model's run or file.</summary>
        public string? Noise { get; init; }

        /// <summary>Whether the certificate is printed as JSON.</summary>
        public bool Json { get; init; }
    }

    private sealed record Job(string Method, string Energy, double Beta, double Scale, NoisePredictor Noise);

    /// <summary>Measures, prints and saves. 3 where something that decides is not met.</summary>
    public static int Run(Terminal terminal, Request request)
    {
        var kind = ImageWeights.KindOf(request.Run);
        if (kind == ImageClassifier.Kind)
        {
            throw TiltException.Usage(
                $"{request.Run}: holds a classifier, which has no samples; expected a run of images-noise or images-energy."
            );
        }
        using var energies = kind == ImageNoiseModel.Kind ? null : ImageEnergyModel.Load(request.Run, terminal.Remark);
        using var model = ImageNoiseModel.Load(NoiseOf(request, energies), terminal.Remark);
        using var pool = ImagesCommandLine.Open(terminal, model.Options.Data);
        using var judge = JudgeOf(terminal, model.Options.Data);
        using var signals = new StopSignals(CancellationToken.None);
        try
        {
            var certificate =
                energies?.Options.Energy == ImageEnergyKind.Class
                    ? Classes(terminal, request, model, energies, judge, signals)
                    : Tilts(terminal, request, model, energies, pool, judge, signals);
            // Shown before it is saved: a disk that refuses should not cost the answer.
            if (request.Json)
            {
                terminal.Line(JsonSerializer.Serialize(certificate, ImageCertificateJson.Default.ImageCertificate));
            }
            else
            {
                Print(terminal, certificate);
            }
            Save(request.Run, certificate);
            return certificate.Passed ? 0 : 3;
        }
        catch (OperationCanceledException) when (signals.ExitCode is { } exitCode)
        {
            throw new StoppedException(
                "stopped before all samples were measured; no certificate is written.",
                exitCode
            );
        }
    }

    /// <summary>The certificate in a run's folder.</summary>
    /// <exception cref="TiltException">There is none, or it cannot be read.</exception>
    public static ImageCertificate Read(string run)
    {
        var file = Path.Combine(run, Certify.FileName);
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(file), ImageCertificateJson.Default.ImageCertificate)
                ?? throw new JsonException("it is null");
        }
        catch (Exception error) when (error is IOException or JsonException or UnauthorizedAccessException)
        {
            throw new TiltException(
                $"{file}: cannot be read as a certificate of images: {error.Message} Run ./tilt certify {ShellText.Quoted(run)} first."
            );
        }
    }

    /// <summary>Writes the page of a run; a certificate is shown where there is one.</summary>
    /// <returns>The path of report.html.</returns>
    public static string Report(Terminal terminal, string run)
    {
        if (ImageWeights.KindOf(run) == ImageClassifier.Kind)
        {
            throw TiltException.Usage(
                $"{run}: holds a classifier, of which there is nothing to show; its accuracy is in its log."
            );
        }
        if (!Directory.Exists(run))
        {
            throw TiltException.Usage($"{run}: is a file of weights; a report needs the folder of a run.");
        }
        var ofNoise = ImageWeights.KindOf(run) == ImageNoiseModel.Kind;
        using var energies = ofNoise ? null : ImageEnergyModel.Load(run, terminal.Remark);
        using var model = ImageNoiseModel.Load(NoiseOf(new(run), energies), terminal.Remark);
        using var pool = ImagesCommandLine.Open(terminal, model.Options.Data);
        var certificate = File.Exists(Path.Combine(run, Certify.FileName)) ? Read(run) : null;
        using var judge = JudgeOf(terminal, model.Options.Data);
        return new ImagesReport(
            run,
            model,
            energies,
            pool.Pictures,
            certificate,
            judge is null ? null : judge.Features
        ).Write(terminal.Remark);
    }

    /// <summary>Writes the certificate; rows that an earlier call measured of the same checkpoint in the same way, and this one did not, stay.</summary>
    private static void Save(string run, ImageCertificate certificate)
    {
        if (!Directory.Exists(run))
        {
            return;
        }
        var file = Path.Combine(run, Certify.FileName);
        if (File.Exists(file) && File.GetLastWriteTimeUtc(file) >= NewestCheckpoint(run) && Earlier(run) is { } earlier)
        {
            certificate = certificate.With(earlier);
        }
        DurableFile.Replace(
            file,
            JsonSerializer.Serialize(certificate, ImageCertificateJson.Default.ImageCertificate) + "\n"
        );
    }

    private static ImageCertificate? Earlier(string run)
    {
        try
        {
            return Read(run);
        }
        catch (TiltException)
        {
            return null; // It is replaced.
        }
    }

    private static DateTime NewestCheckpoint(string run) =>
        new DirectoryInfo(Path.Combine(run, "checkpoints"))
            .EnumerateDirectories()
            .Select(folder => folder.LastWriteTimeUtc)
            .DefaultIfEmpty(DateTime.MaxValue)
            .Max();

    /// <summary>Prints the verdict and the tables.</summary>
    private static void Print(Terminal terminal, ImageCertificate certificate)
    {
        terminal.Wrapped(certificate.Verdict);
        terminal.Line();
        foreach (var (name, accuracy) in certificate.Classifiers)
        {
            terminal.Remark($"the classifier tells {name} of {100 * accuracy:0.0} % of held-out pictures");
        }
        if (certificate.Rows.Count > 0)
        {
            terminal.Wrapped(
                $"{certificate.Samples} samples by {certificate.Solver}, {certificate.Evaluations} evaluations, against {certificate.Draws} true "
                    + "pictures, reweighted. Mean hues: total variation of 24 bins, beside the noise floor of as many true pictures."
            );
            ImageCertificateTables.MeanHue(certificate).Print(terminal);
            terminal.Line();
            terminal.Wrapped(
                "Every number over its noise floor: about 1 for true pictures, ✗ above 2. Nearest picture: median distance to the training "
                    + "pictures in grey levels, of samples / of held-out true pictures."
            );
            ImageCertificateTables.Ratios(certificate).Print(terminal);
        }
        if (certificate.Oracle.Count > 0)
        {
            terminal.Line();
            terminal.Wrapped(
                "Relative errors against the exact posterior of the training pictures, where it rests on 50 of them or more."
            );
            ImageCertificateTables.Oracle(certificate).Print(terminal);
        }
        if (certificate.Classes.Count > 0)
        {
            terminal.Wrapped($"{certificate.Samples} samples of each class: the share that is of it.");
            ImageCertificateTables.Classes(certificate).Print(terminal);
        }
    }

    private static string NoiseOf(Request request, ImageEnergyModel? energies)
    {
        if (energies is null)
        {
            return request.Noise is null
                ? request.Run
                : throw TiltException.Usage(
                    $"--noise {request.Noise}: {request.Run} is a noise model itself. Leave --noise away."
                );
        }
        return request.Noise ?? energies.Options.Noise ?? ImagesCommandLine.Shipped(ImagesCommandLine.NoiseFile);
    }

    private static ImageClassifier? JudgeOf(Terminal terminal, ImageData data)
    {
        var file = ImagesCommandLine.Shipped(ImagesCommandLine.ClassifierFile);
        if (data.Source != ImageData.Avatars)
        {
            terminal.Remark("pictures of a folder: no classifier knows them, so only hues and novelty are measured");
            return null;
        }
        if (File.Exists(file))
        {
            return ImageClassifier.Load(file);
        }
        terminal.Remark($"{file} is not there: only what pixels tell is measured");
        return null;
    }

    private static Dictionary<string, double> Accuracies(ImageClassifier? judge, ImageData data)
    {
        if (judge is null)
        {
            return [];
        }
        using var heldOut = ImagePool.HeldOut(data, JudgedPictures);
        return judge.Accuracy(heldOut).ToDictionary(pair => pair.Key.Name(), pair => pair.Value);
    }

    private static ImageCertificate Tilts(
        Terminal terminal,
        Request request,
        ImageNoiseModel model,
        ImageEnergyModel? energies,
        ImagePool pool,
        ImageClassifier? judge,
        StopSignals signals
    )
    {
        if (energies?.Options.Energy == ImageEnergyKind.Custom)
        {
            throw TiltException.Usage(
                $"{request.Run}: has energies of its own, which only the program that trained it can compute. Certify it there: "
                    + $"{nameof(ImageCertifier)} takes any energy."
            );
        }
        var jobs = Jobs(request, model, energies);
        var data = model.Options.Data;
        var avatars = data.Source == ImageData.Avatars;
        var law = avatars
            ? PictureLaw.Avatars(data.Seed == ReferenceSeed ? ReferenceSeed + 1 : ReferenceSeed, request.Draws)
            : PictureLaw.Of(pool.Pictures, pool.Name);
        List<PictureReading> readings = [PictureReading.OfMeanHue];
        if (avatars)
        {
            readings.AddRange(PictureReading.OfAvatarPixels);
        }
        if (judge is not null)
        {
            readings.AddRange(
                judge
                    .Attributes.Where(attribute => !AvatarPixels.Readable.Contains(attribute))
                    .Select(attribute =>
                        PictureReading.OfClassifier(
                            attribute.Name(),
                            attribute.Values(),
                            images => judge.Probabilities(images, attribute),
                            most: 100_000
                        )
                    )
            );
        }
        terminal.Remark($"reference: {law.Count} true pictures");
        var reference = TiltedReference.Build(
            law,
            PictureEnergies.Colors,
            readings,
            _ => signals.Asked.ThrowIfCancellationRequested()
        );
        using var certifier = new ImageCertifier(
            reference,
            new() { Samples = request.Count, DistanceRepetitions = request.Repetitions },
            judge is null ? null : judge.Features,
            pool.Pictures
        );
        using var streams = new RandomStreams(new ImageCertifierOptions().Seed);
        var rows = new List<ImageCertificateRow>();
        foreach (var job in jobs)
        {
            terminal.Remark(
                job.Beta == 0
                    ? $"{request.Count} unguided samples"
                    : $"{request.Count} samples of {job.Method}: {job.Energy}, beta {job.Beta:0.###}, "
                        + $"{100 * reference.EffectiveSize(job.Energy, job.Beta) / law.Count:0.0} % of the reference is effective"
            );
            var samples = Draw(model, job.Noise, request.Count, streams, $"samples/{job.Beta}", signals);
            rows.Add(certifier.Measure(job.Method, job.Energy, job.Beta, samples, job.Scale));
        }
        return new(
            law.Name,
            law.Count,
            request.Count,
            model.Options.Sampler.Solver,
            model.Options.Sampler.Evaluations,
            rows,
            energies is null ? [] : Oracle(terminal, model, energies, pool, jobs),
            [],
            Accuracies(judge, data)
        );
    }

    private static List<Job> Jobs(Request request, ImageNoiseModel model, ImageEnergyModel? energies)
    {
        var betas = request.Betas.Count > 0 ? request.Betas : UsualBetas;
        if (energies is null && request.Methods.Count == 0)
        {
            if (request.Of.Count > 0 || request.Betas.Any(beta => beta != 0))
            {
                throw TiltException.Usage(
                    $"{request.Run}: is a noise model and guides nothing by itself; found --of or --beta. Certify a run of images-energy, or add "
                        + "--method dps."
                );
            }
            return [new("none", Hues.Names[0], 0, 1, model.Noise)];
        }
        var method = energies is null
            ? Cep2dModel.NameOf(GuidanceMethod.Dps)
            : ImageOptions.NameOf(energies.Options.Method);
        foreach (var other in request.Methods.Select(Cep2dModel.NameOf).Where(asked => asked != method))
        {
            var what = energies is null ? "is a noise model, which knows dps alone" : $"was trained by {method}";
            throw TiltException.Usage($"--method {other}: {request.Run} {what}. The others are runs of their own.");
        }
        var hues = request.Of.Count > 0 ? request.Of : Hues.Names;
        return
        [
            .. hues.SelectMany(hue =>
                betas
                    .Where(beta => beta > 0)
                    .SelectMany(beta =>
                        request.Scales.Select(scale => new Job(
                            method,
                            Hues.Names[Hues.Index(hue)],
                            beta,
                            scale,
                            energies is null
                                ? model.Noise.GuidedBy(
                                    DiffusionPosteriorSampling.Energy(model.Noise, ColorEnergy.Of(hue), beta),
                                    scale
                                )
                                : energies.Guide(model, Hues.Names[Hues.Index(hue)], beta, scale)
                        ))
                    )
            ),
        ];
    }

    private static IReadOnlyList<OracleRow> Oracle(
        Terminal terminal,
        ImageNoiseModel model,
        ImageEnergyModel energies,
        ImagePool pool,
        IReadOnlyList<Job> jobs
    )
    {
        var hues = jobs.Where(job => job.Beta == OracleBeta).Select(job => job.Energy).Distinct().ToList();
        if (hues.Count == 0)
        {
            return [];
        }
        terminal.Remark("the exact posterior of the training pictures");
        var some = pool.Pictures.Pick([
            .. Enumerable.Range(0, (int)Math.Min(pool.Count, OraclePictures)).Select(i => (long)i),
        ]);
        var all = ColorEnergy.Energies(some);
        using var streams = new RandomStreams(new ImageCertifierOptions().Seed);
        return
        [
            .. hues.SelectMany(hue =>
                OracleComparison.Compare(
                    some,
                    [.. all.Where((_, i) => i % Hues.Count == Hues.Index(hue))],
                    hue,
                    OracleBeta,
                    model.Noise,
                    energies.Energy(hue, OracleBeta),
                    model.Schedule,
                    [.. OracleTimes.Select(time => time * model.Schedule.End)],
                    OracleNoisy,
                    streams
                )
            ),
        ];
    }

    private static ImageCertificate Classes(
        Terminal terminal,
        Request request,
        ImageNoiseModel model,
        ImageEnergyModel energies,
        ImageClassifier? judge,
        StopSignals signals
    )
    {
        if (request.Betas.Count > 0)
        {
            throw TiltException.Usage(
                "--beta: a class is a condition and has no beta. Leave it away; --scale takes several numbers."
            );
        }
        var method = ImageOptions.NameOf(energies.Options.Method);
        var heads = request.Of.Count > 0 ? request.Of : energies.Heads;
        var rows = new List<ClassRow>();
        using var streams = new RandomStreams(new ImageCertifierOptions().Seed);
        foreach (var head in heads)
        {
            var parts = head.Split('=');
            var attribute = AvatarAttributes.Parse(parts[0]);
            var value = attribute.Values().ToList().IndexOf(parts[^1]);
            var readable = AvatarPixels.Readable.Contains(attribute);
            if (!readable && judge?.Attributes.Contains(attribute) != true)
            {
                terminal.Remark($"{head}: neither pixels nor the classifier tell it, so it is left out");
                continue;
            }
            foreach (var scale in request.Scales)
            {
                terminal.Remark($"{request.Count} samples of {head}, scale {scale:0.###}");
                var noise = energies.Guide(model, head, scale: scale);
                var samples = Draw(model, noise, request.Count, streams, "samples/classes", signals);
                var reading = readable
                    ? PictureReading.OfAvatarPixels.First(known => known.Name == attribute.Name())
                    : PictureReading.OfClassifier(
                        attribute.Name(),
                        attribute.Values(),
                        images => judge!.Probabilities(images, attribute)
                    );
                rows.Add(new(method, head, scale, reading.Shares(samples)[value], readable ? "pixels" : "classifier"));
            }
        }
        return new(
            "avatars",
            0,
            request.Count,
            model.Options.Sampler.Solver,
            model.Options.Sampler.Evaluations,
            [],
            [],
            rows,
            Accuracies(judge, model.Options.Data)
        );
    }

    /// <summary>Samples of a name always start from the same noise, whatever guides them.</summary>
    private static PictureSet Draw(
        ImageNoiseModel model,
        NoisePredictor noise,
        long count,
        RandomStreams streams,
        string name,
        StopSignals signals
    )
    {
        using var generator = new torch.Generator((ulong)streams.SeedOf(name));
        using var images = model.Sample(noise, count, generator, stop: signals.Asked);
        return PictureSet.Of(images);
    }
}
