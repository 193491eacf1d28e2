using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Tilt.Energy;
using Tilt.Images;
using Tilt.Images.Avatars;
using Tilt.Images.Certificate;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Training;
using TorchSharp;

namespace Tilt.Cli.Reports;

/// <summary>The page of a run of images: certificate, pictures, their making along t, learning curves, provenance.</summary>
internal sealed class ImagesReport
{
    private const int Shown = 64;
    private const int PerBlock = 8;
    private const int Across = 4;
    private const int Moments = 9;
    private const long TruthSeed = 900_000_002;
    private const long TruthDraws = 50_000;
    private const int SolverPictures = 400;
    private const int SolverTruth = 2000;
    private static readonly string[] SolverNames = ["dpm-solver++-2m", "ddim", "ddpm"];
    private static readonly int[] SolverEvaluations = [5, 10, 25];
    private const string CertificateFile = "certificate.json";
    private static readonly double[] UsualBetas = [10, 20, 40];

    private readonly string _run;
    private readonly string _figures;
    private readonly ImageNoiseModel _model;
    private readonly ImageEnergyModel? _energies;
    private readonly ImageCertificate? _certificate;
    private readonly PictureSet _true;
    private readonly Func<torch.Tensor, torch.Tensor>? _features;

    /// <summary>A report of a run.</summary>
    /// <param name="run">The run's folder; figures and the page go there.</param>
    /// <param name="model">The noise model. Stays the caller's.</param>
    /// <param name="energies">The energies, where the run is of those. Stays the caller's.</param>
    /// <param name="truth">True pictures, <see cref="Shown"/> or more are good.</param>
    /// <param name="certificate">The run's certificate; null where it has none yet.</param>
    /// <param name="features">Of the frozen classifier, [B, 3, H, W] → [B, D]; null where there is none.</param>
    public ImagesReport(
        string run,
        ImageNoiseModel model,
        ImageEnergyModel? energies,
        PictureSet truth,
        ImageCertificate? certificate,
        Func<torch.Tensor, torch.Tensor>? features = null
    )
    {
        (_run, _model, _energies, _true, _certificate) = (run, model, energies, truth, certificate);
        _features = features;
        _figures = Path.Combine(run, "figures");
    }

    /// <summary>Draws everything and writes figures and page.</summary>
    /// <param name="say">Told what is being drawn.</param>
    /// <returns>The path of report.html.</returns>
    public string Write(Action<string> say)
    {
        var page = new ReportPage(
            _energies is null ? "Images: the noise model" : $"Images guided by {Kind}, {Method}",
            _certificate?.Verdict ?? $"Not certified yet: ./tilt certify {ShellText.Quoted(_run)}.",
            _certificate?.Passed
        );
        if (_certificate is not null)
        {
            Certificate(page, _certificate);
        }
        say("figures: samples");
        page.Section(ReportSections.Gallery)
            .Add(
                Saved(Unguided()),
                "The generator's own pictures and as many unguided samples. A sample should look like one more of the set, and be in none of it."
            );
        if (_energies is not null)
        {
            page.Add(
                Saved(_energies.Options.Energy == ImageEnergyKind.Class ? Classes() : Tilts()),
                _energies.Options.Energy == ImageEnergyKind.Class
                    ? "A row for each class. The same starting noise everywhere: what changes is the guidance."
                    : "A row for each energy, β rising to the right. The same starting noise everywhere: what changes is the guidance."
            );
        }
        if (_energies?.Options.Energy == ImageEnergyKind.Color)
        {
            say("figures: methods");
            page.Add(
                Saved(Methods(Math.Min(20, _energies.Options.BetaMax))),
                "True pictures of the target, reweighted draws of the generator; then this run, runs of other methods that stand beside it, and DPS, which needs no training. Each row from the same starting noise."
            );
        }
        say("figures: along t");
        page.Add(
            Saved(Evolution()),
            "A picture on its way from noise at evenly spread steps of the solver, and below it what the guided model takes it for. Values beyond black and white are cut off."
        );
        if (_energies is null && _features is not null && _model.Options.Data.Source == ImageData.Avatars)
        {
            say("figures: solvers");
            page.Section(ReportSections.Dials)
                .Add(
                    Saved(Solvers(_features)),
                    $"Fréchet distance of {SolverPictures} unguided samples from {SolverTruth} true pictures, in the features of the frozen classifier; the floor is that of as many true pictures. Milliseconds are of this machine while it drew this page."
                );
        }
        var reader = RunReader.Open(_run);
        page.Section(ReportSections.Curves)
            .Add(
                Saved(LineFigures.LearningCurves(reader.Metrics())),
                "The logged loss. That of CEP is the divergence from its labels; like the others it cannot fall below their scatter."
            );
        Provenance(page, reader);
        var path = Path.Combine(_run, "report.html");
        page.Save(path);
        return path;
    }

    private string Kind => _energies!.Options.Energy.ToString().ToLowerInvariant();

    private string Method => ImageOptions.NameOf(_energies!.Options.Method);

    private void Certificate(ReportPage page, ImageCertificate certificate)
    {
        page.Section(ReportSections.Certificate);
        if (certificate.Rows.Count > 0)
        {
            page.Text(
                    $"{certificate.Samples} samples of each kind by {certificate.Solver} with {certificate.Evaluations} evaluations. The truth is known: "
                        + $"{certificate.Draws} true pictures ({certificate.Reference}), reweighted by exp(−β·E), are the target. ESS is how many of them that "
                        + "leaves, in effect. A noise floor is what as many true pictures score."
                )
                .Add(
                    ImageCertificateTables.MeanHue(certificate),
                    "Circular mean hue of the pictures, 24 bins: total variation from the target. Twice the floor is the most that passes."
                )
                .Add(
                    ImageCertificateTables.Ratios(certificate),
                    "Every number over its noise floor: about 1 for true pictures, ✗ above 2. Marginals are total variations; distances are in the features of the frozen classifier, Tilt's own, and mean nothing outside of Tilt. Nearest picture: median distance to the training pictures in grey levels, of samples / of true pictures that no training saw."
                );
        }
        if (certificate.Rows.Any(row => row.Beta > 0 && row.Scale == 1))
        {
            page.Add(
                Saved(Bars(certificate)),
                "This run, and runs of other methods beside it that are certified with as many samples. The band is the noise floor, the dash twice the floor."
            );
        }
        if (certificate.Oracle.Count > 0)
        {
            page.Add(
                ImageCertificateTables.Oracle(certificate),
                "Relative errors against the exact posterior of the training pictures, of those noisy pictures whose tilted posterior rests on 50 of them or more: the noise model's, the guidance's, and the guidance's beside the score it is added to."
            );
        }
        if (certificate.Classes.Count > 0)
        {
            page.Add(
                ImageCertificateTables.Classes(certificate),
                $"The share of {certificate.Samples} samples that is of its class, by guidance scale; 1 is the exact one."
            );
        }
        if (certificate.Classifiers.Count > 0)
        {
            var table = new Table(new TableColumn("attribute", "attribute"), new TableColumn("accuracy", "accuracy"));
            foreach (var (name, accuracy) in certificate.Classifiers)
            {
                table.Add(name, $"{100 * accuracy:0.0} %");
            }
            page.Add(
                table,
                "What the frozen classifier tells right of held-out true pictures: no judgement by it is better than this."
            );
        }
    }

    private Figure Unguided() =>
        PictureGrid.Make(
            "unguided",
            "True pictures and unguided samples",
            $"{Shown} true pictures beside {Shown} samples.",
            [""],
            ["true", "samples"],
            (_, column) => column == 0 ? First(_true, Shown) : Draw(_model.Noise, Shown),
            across: 8,
            zoom: 3
        );

    private Figure Tilts()
    {
        var betas = UsualBetas.Where(beta => beta <= _energies!.Options.BetaMax).ToArray();
        var heads = _energies!.Heads;
        return PictureGrid.Make(
            "tilts",
            "Samples by energy and β",
            $"Rows: {string.Join(", ", heads)}. Columns: unguided, then β of {string.Join(", ", betas)}. Colours turn toward the row's with β.",
            heads,
            ["β = 0", .. betas.Select(beta => $"β = {beta.ToString(CultureInfo.InvariantCulture)}")],
            (row, column) =>
                Draw(column == 0 ? _model.Noise : _energies.Guide(_model, heads[row], betas[column - 1]), PerBlock),
            Across
        );
    }

    private Figure Classes()
    {
        var heads = _energies!.Heads;
        return PictureGrid.Make(
            "classes",
            "Samples by class",
            $"Rows: {string.Join(", ", heads)}.",
            heads,
            [""],
            (row, _) => Draw(_energies.Guide(_model, heads[row]), 2 * PerBlock),
            2 * PerBlock
        );
    }

    /// <summary>Rows in pairs: x_t on its way, and below it what the guided model takes it for.</summary>
    private Figure Evolution()
    {
        IReadOnlyList<string> heads = _energies is null ? ["unguided"] : [.. _energies.Heads.Take(Hues.Count)];
        var beta = _energies is { Options.Energy: not ImageEnergyKind.Class } dial
            ? Math.Min(20, dial.Options.BetaMax)
            : 1;
        var times = new List<string>();
        var rows = new List<(string Title, IReadOnlyList<PictureSet> Frames)>();
        foreach (var head in heads)
        {
            using var scope = torch.NewDisposeScope();
            using var inference = torch.no_grad();
            var noise = _energies is null ? _model.Noise : _energies.Guide(_model, head, beta);
            var seen = new List<(NoiseLevel Level, torch.Tensor X)>();
            Draw(
                noise,
                1,
                (_, level, x) =>
                {
                    seen.Add((level, x.clone().MoveToOtherDisposeScope(scope)));
                    return null;
                }
            );
            var kept = FrameStrip.Spread(seen.Count, Moments).Select(i => seen[i]).ToList();
            if (times.Count == 0)
            {
                times.AddRange(
                    kept.Select(frame => string.Create(CultureInfo.InvariantCulture, $"t = {frame.Level.Time:0.00}"))
                );
            }
            rows.Add(($"{head}, x", [.. kept.Select(frame => PictureSet.Of(frame.X))]));
            rows.Add(
                (
                    "estimate of x₀",
                    [
                        .. kept.Select(frame =>
                            PictureSet.Of(
                                (frame.X - frame.Level.Sigma * noise(frame.X, frame.Level)) / frame.Level.Alpha
                            )
                        ),
                    ]
                )
            );
        }
        return PictureGrid.Make(
            "along-t",
            "From noise to picture",
            $"Each pair of rows begins as noise and ends as a picture: {string.Join(", ", heads)}. Below, the model's estimate of the clean picture at each time.",
            [.. rows.Select(row => row.Title)],
            times,
            (row, column) => rows[row].Frames[column],
            across: 1,
            zoom: 4
        );
    }

    /// <summary>Runs of the same hues by other methods that stand beside this one: RUNS/color-METHOD/seed-N.</summary>
    private List<(string Method, string Run)> Neighbours()
    {
        var run = Path.GetFullPath(_run).TrimEnd(Path.DirectorySeparatorChar);
        var (seed, group) = (Path.GetFileName(run), Path.GetDirectoryName(Path.GetDirectoryName(run)));
        if (_energies?.Options.Energy != ImageEnergyKind.Color || group is null || !Directory.Exists(group))
        {
            return [];
        }
        return
        [
            .. Directory
                .EnumerateDirectories(group, "color-*")
                .Order(StringComparer.Ordinal)
                .Select(folder => (Path.GetFileName(folder)["color-".Length..], Path.Combine(folder, seed)))
                .Where(pair => pair.Item2 != run && ImageWeights.KindOf(pair.Item2) == ImageEnergyModel.Kind),
        ];
    }

    /// <summary>True pictures of the target, then each method, all at one β and from the same noise.</summary>
    private Figure Methods(double beta)
    {
        var law =
            _energies!.Options.Data.Source == ImageData.Avatars
                ? PictureLaw.Avatars(TruthSeed, TruthDraws)
                : PictureLaw.Of(_true, "folder");
        var reference = TiltedReference.Build(law, PictureEnergies.Colors, []);
        var others = Neighbours();
        var models = others.Select(other => ImageEnergyModel.Load(other.Run)).ToList();
        try
        {
            string[] columns =
            [
                "true",
                MethodTitles.Of(Method),
                .. others.Select(other => MethodTitles.Of(other.Method)),
                MethodTitles.Of("dps"),
            ];
            return PictureGrid.Make(
                "methods",
                string.Create(CultureInfo.InvariantCulture, $"Methods side by side, β = {beta}"),
                $"Rows: {string.Join(", ", Hues.Names)}. Columns: {string.Join(", ", columns)}.",
                Hues.Names,
                columns,
                (row, column) =>
                    column == 0
                        ? reference.DrawPictures(Hues.Names[row], beta, PerBlock, TruthSeed)
                        : Draw(Guided(row, column), PerBlock),
                Across
            );

            Diffusion.NoisePredictor Guided(int row, int column) =>
                column == 1 ? _energies.Guide(_model, Hues.Names[row], beta)
                : column <= models.Count + 1 ? models[column - 2].Guide(_model, Hues.Names[row], beta)
                : _model.Noise.GuidedBy(DiffusionPosteriorSampling.Energy(_model.Noise, ColorEnergy.Of(row), beta));
        }
        finally
        {
            models.ForEach(model => model.Dispose());
        }
    }

    /// <summary>Total variation of mean hues, this run's and its neighbours', a panel for each β.</summary>
    private Figure Bars(ImageCertificate certificate)
    {
        var others = Neighbours()
            .Select(other => other.Run)
            // DPS is certified on the noise model's run.
            .Append(_energies?.Options.Noise ?? _run)
            .Select(run => Path.Combine(run, CertificateFile))
            .Where(file => file != Path.Combine(_run, CertificateFile) && File.Exists(file))
            .Select(file =>
                JsonSerializer.Deserialize(File.ReadAllText(file), ImageCertificateJson.Default.ImageCertificate)!
            )
            .Where(other => other.Samples == certificate.Samples);
        var rows = certificate
            .Rows.Concat(others.SelectMany(other => other.Rows))
            .Where(row => row.Beta > 0 && row.Scale == 1)
            .ToList();
        var panels = rows.GroupBy(row => row.Beta)
            .OrderBy(group => group.Key)
            .Select(group => new MetricPanel(
                string.Create(CultureInfo.InvariantCulture, $"mean hue, β = {group.Key}"),
                [
                    .. group.Select(row => new MetricValue(
                        row.Energy,
                        MethodTitles.Of(row.Method),
                        [row.Check(PictureReading.OfMeanHue.Name).Value]
                    )),
                ],
                [
                    .. group
                        .GroupBy(row => row.Energy)
                        .Select(same => same.First().Check(PictureReading.OfMeanHue.Name).Floor)
                        .Zip(
                            group.Select(row => row.Energy).Distinct(),
                            (floor, energy) =>
                                new MetricFloor(
                                    energy,
                                    floor.Mean,
                                    floor.StandardDeviation,
                                    ImageCheck.MostFloors * floor.Mean
                                )
                        ),
                ]
            ))
            .ToList();
        return BarsWithFloor.Make("mean-hue", "Total variation of mean hues", panels);
    }

    /// <summary>Solvers and numbers of evaluations: quality against milliseconds.</summary>
    private Figure Solvers(Func<torch.Tensor, torch.Tensor> features)
    {
        using var truth = FeatureDistances.Of(AvatarGenerator.Draw(SolverTruth, TruthSeed).Pictures, features);
        using var again = FeatureDistances.Of(
            AvatarGenerator.Draw(SolverPictures, TruthSeed, SolverTruth).Pictures,
            features
        );
        var floor = FeatureDistances.Frechet(again, truth);
        var series = new List<LineSeries>();
        foreach (var solver in SolverNames)
        {
            var times = new double[SolverEvaluations.Length];
            var quality = new double[SolverEvaluations.Length];
            for (var i = 0; i < SolverEvaluations.Length; i++)
            {
                using var streams = new RandomStreams(0);
                var named = _model.Options.Sampler with { Solver = solver };
                var clock = Stopwatch.StartNew();
                using var images = _model.Sample(
                    _model.Noise,
                    SolverPictures,
                    streams["report/solvers"],
                    named.Spending(SolverEvaluations[i])
                );
                times[i] = clock.Elapsed.TotalMilliseconds / SolverPictures;
                using var found = FeatureDistances.Of(PictureSet.Of(images), features);
                quality[i] = FeatureDistances.Frechet(found, truth);
            }
            var order = Enumerable.Range(0, times.Length).OrderBy(i => times[i]).ToList();
            series.Add(new(solver, [.. order.Select(i => times[i])], [.. order.Select(i => quality[i])]));
        }
        var span = series.SelectMany(one => one.X).ToList();
        series.Add(new("noise floor", [span.Min(), span.Max()], [floor, floor]));
        return LineFigures.Make(
            "solvers",
            "Solvers: quality against time",
            "milliseconds per picture",
            "Fréchet distance",
            [new LinePanel($"unguided, {string.Join(", ", SolverEvaluations)} evaluations", series)],
            logX: true,
            logY: true,
            markers: true
        );
    }

    private PictureSet Draw(Diffusion.NoisePredictor noise, long count, Sampling.StateHook? hook = null)
    {
        // One stream for all: the same starting noise, whatever guides.
        using var streams = new RandomStreams(0);
        using var images = _model.Sample(noise, count, streams["report"], precision: Precision.Float32, hook: hook);
        return PictureSet.Of(images);
    }

    private void Provenance(ReportPage page, RunReader reader)
    {
        var folder = ShellText.Quoted(_run);
        if (_energies is null)
        {
            var options = _model.Options;
            var departures = ProvenanceSection.Departures(
                options,
                ImageNoiseOptions.For(options.Preset),
                ImagesJson.Default.ImageNoiseOptions
            );
            Add(
                options.Data,
                options.Seed,
                options.Preset,
                departures,
                $"./tilt train images-noise --preset {options.Preset} --seed {options.Seed}{ProvenanceSection.Settings(departures)}"
            );
        }
        else
        {
            var options = _energies.Options;
            var departures = ProvenanceSection.Departures(
                options,
                ImageEnergyOptions.For(options.Preset),
                ImagesJson.Default.ImageEnergyOptions
            );
            Add(
                options.Data,
                options.Seed,
                options.Preset,
                departures,
                $"./tilt train images-energy --energy {Kind} --method {Method} --preset {options.Preset} --seed {options.Seed}"
                    + (options.Noise is { } noise ? $" --noise {ShellText.Quoted(noise)}" : "")
                    + ProvenanceSection.Settings(departures, "energy", "method", "noise", "attributes")
            );
        }

        void Add(
            ImageData data,
            long seed,
            string preset,
            IReadOnlyList<(string Name, string Value)> departures,
            string train
        ) =>
            ProvenanceSection.Add(
                page,
                reader.Manifest,
                $"{data.Source}, {data.Pool} pictures of {data.Size}×{data.Size}",
                seed,
                preset,
                departures,
                reader.Manifest.Precision,
                $"{train} --out {folder}\n./tilt certify {folder}\n./tilt report {folder}"
            );
    }

    private Figure Saved(Figure figure)
    {
        figure.Save(_figures);
        return figure;
    }

    private static PictureSet First(PictureSet pictures, int count) =>
        pictures.Pick([.. Enumerable.Range(0, (int)Math.Min(pictures.Count, count)).Select(i => (long)i)]);
}
