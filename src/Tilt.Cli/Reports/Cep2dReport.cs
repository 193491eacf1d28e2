using System.Diagnostics;
using System.Globalization;
using Tilt.Energy;
using Tilt.Metrics;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Cli.Reports;

/// <summary>The page of a 2-D run: certificate, samples, energies, curves, dials, provenance; and every figure with its data.</summary>
internal sealed class Cep2dReport
{
    private const int GalleryPoints = 2000;
    private const int MapCells = 60;
    private const int ArrowCells = 15;

    private static readonly double[] GalleryBetas = [0, 3, 10, 20];
    private static readonly double[] MapTimes = [0.001, 0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 1];
    private static readonly double[] ArrowTimes = [0.05, 0.2, 0.4, 0.6];
    private static readonly double[] DialBetas = [0.5, 1, 2, 3, 5, 7, 10, 14, 20];

    private readonly string _run;
    private readonly Cep2dModel _model;
    private readonly Certificate _certificate;
    private readonly IReadOnlyList<GuidanceMethod> _methods;
    private readonly GuidanceMethod _first;

    /// <summary>A report of a certified run.</summary>
    /// <param name="run">The run's folder; figures and the page go there.</param>
    /// <param name="model">Its model. Stays the caller's.</param>
    /// <param name="certificate">Its certificate.</param>
    public Cep2dReport(string run, Cep2dModel model, Certificate certificate)
    {
        (_run, _model, _certificate) = (run, model, certificate);
        _methods = model.Options.Methods;
        _first = _methods[0];
    }

    /// <summary>Draws everything and writes figures and page.</summary>
    /// <param name="say">Told what is being drawn.</param>
    /// <returns>The path of report.html.</returns>
    public string Write(Action<string> say)
    {
        var figures = Path.Combine(_run, "figures");
        say("figures: samples");
        var gallery = Saved(Gallery());
        say("figures: energies and guidance");
        var maps = _methods
            .Where(method => method != GuidanceMethod.Dps)
            .Select(method => Saved(Maps(method)))
            .ToList();
        var arrows = Saved(Arrows());
        var curves = Saved(Curves());
        var bars = Saved(Bars());
        say("figures: solvers and the dial of beta");
        var solvers = Saved(SolverCurve());
        var dial = Saved(DialCurve());

        var page = new ReportPage(
            $"{_model.Options.Task}: exact energy-guided sampling",
            _certificate.Verdict,
            _certificate.Passed(Cep2dModel.NameOf(_first))
        );
        page.Section(ReportSections.Certificate)
            .Text(
                $"{_certificate.Points} samples of each kind by {_certificate.Solver} with {_certificate.Evaluations} evaluations, against as many "
                    + "exact draws of the target. Every cell is the measured value over its bound, max(2 floors, floor + 6 standard deviations), where "
                    + "the floor is what exact draws score against exact draws. Exact noise with exact guidance shows the error of the solver alone, "
                    + "learned noise with exact guidance adds that of the noise model, exact noise with learned guidance that of the energy."
            )
            .Add(
                CertificateTables.Metrics(_certificate),
                "Samples against the truth. Lower is better; a value above its bound fails."
            )
            .Add(
                CertificateTables.Gradients(_certificate),
                "Error of the gradient of the intermediate energy under the exact law of x at each t: relative to the exact gradient, and to the score it is added to. The first row has the bounds; one of the two has to be met."
            )
            .Add(
                bars,
                "Each method on the learned noise model. The band is the noise floor, the dash the bound that passes."
            );
        page.Section(ReportSections.Gallery)
            .Add(
                gallery,
                "Rows: exact draws, then each method. Columns: β. Equal axes, the same starting noise everywhere; colour is the label."
            );
        page.Section(ReportSections.Energies);
        foreach (var map in maps)
        {
            page.Add(
                map,
                "Learned above exact, and their difference where data are. Energies are compared up to a constant for each t."
            );
        }
        page.Add(arrows, "The guidance −∇E_t, learned and exact, over the energy it descends.");
        page.Section(ReportSections.Curves)
            .Add(
                curves,
                "Training losses. That of CEP is the divergence from the labels drawn; like the others it cannot fall below their scatter."
            );
        page.Section(ReportSections.Dials)
            .Add(
                dial,
                "One network for every β (the dial), beside the energy of one β scaled up or down, which is not exact. The noise floor is drawn too."
            )
            .Add(solvers, "Quality against time for solvers and numbers of evaluations.");
        Provenance(page);
        var path = Path.Combine(_run, "report.html");
        page.Save(path);
        return path;

        Figure Saved(Figure figure)
        {
            figure.Save(figures);
            return figure;
        }
    }

    private Figure Gallery()
    {
        var truth = Drawn("ground truth");
        var rows = new List<string> { "ground truth" };
        rows.AddRange(_methods.Select(Shown));
        var columns = GalleryBetas
            .Select(beta => $"β = {beta}{(Limited(beta) ? " (limited by the pool)" : "")}")
            .ToList();
        return ScatterGallery.Make(
            "gallery",
            $"{_model.Options.Task}: samples of each method",
            rows,
            columns,
            (row, column) => row == 0 ? truth(GalleryBetas[column]) : Samples(_methods[row - 1], GalleryBetas[column]),
            _model.Dataset.AxisLimit
        );

        Func<double, PlanePoints> Drawn(string stream) =>
            beta =>
            {
                using var scope = NewDisposeScope();
                using var streams = new RandomStreams(_model.Options.Seed);
                var drawn = _model.Dataset.SampleTilted(beta, GalleryPoints, streams[$"{stream}/{beta}"]);
                return Plane(drawn.X, drawn.Labels);
            };
    }

    private PlanePoints? Samples(GuidanceMethod method, double beta)
    {
        if (method != GuidanceMethod.Dps && beta > 0 && !InRange(beta))
        {
            return null;
        }
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(_model.Options.Seed);
        var points = _model.Sample(method, beta, GalleryPoints, streams["gallery"], beyondPool: true);
        return Plane(points, _model.Dataset.EffectiveLabels(points));
    }

    private static PlanePoints Plane(Tensor points, Tensor labels)
    {
        var x = points.to(ScalarType.Float64).cpu();
        return new(
            x.select(1, 0).contiguous().data<double>().ToArray(),
            x.select(1, 1).contiguous().data<double>().ToArray(),
            labels.to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray()
        );
    }

    /// <summary>β of maps and arrows: 10, or the end of the dial where that comes before.</summary>
    private double MapBeta => InRange(10) ? 10 : _model.Options.Dial.Max;

    private Figure Maps(GuidanceMethod method)
    {
        var beta = MapBeta;
        using var exact = _model.Dataset.Exact(beta);
        var energy = _model.Energy(method, beta, beyondPool: true);
        var maps = MapTimes
            .Select(time =>
            {
                var level = _model.Schedule.At(time);
                return new EnergyMap(
                    time,
                    Field(MapCells, x => energy(x.to(ScalarType.Float32).to(_model.Device), level)),
                    Field(MapCells, x => exact.Energy(x, level)),
                    Field(MapCells, x => exact.Data.LogDensity(x, level).exp())
                );
            })
            .ToList();
        var name = Cep2dModel.NameOf(method);
        return EnergyMaps.Make(
            $"energy-{name}",
            $"{Shown(method)}: the intermediate energy at β = {Number(beta)}, learned and exact",
            maps,
            Shown(method)
        );
    }

    private Figure Arrows()
    {
        var beta = MapBeta;
        using var exact = _model.Dataset.Exact(beta);
        var energy = _model.Energy(_first, beta, beyondPool: true);
        IntermediateEnergy[] both =
        [
            (x, level) => energy(x.to(ScalarType.Float32).to(_model.Device), level),
            exact.Energy,
        ];
        string[] names = [Shown(_first), "exact"];
        var rows = both.Select(
                (one, row) =>
                    (IReadOnlyList<ArrowPanel>)
                        [
                            .. ArrowTimes.Select(time =>
                            {
                                var level = _model.Schedule.At(time);
                                Tensor Force(Tensor x, long axis) => -one.Gradient(x, level).select(1, axis);
                                return new ArrowPanel(
                                    names[row],
                                    Field(MapCells, x => one(x, level)),
                                    Field(ArrowCells, x => Force(x, 0)),
                                    Field(ArrowCells, x => Force(x, 1))
                                );
                            }),
                        ]
            )
            .ToList();
        return GuidanceArrows.Make(
            "guidance",
            $"The guidance at β = {Number(beta)}",
            [.. ArrowTimes.Select(time => $"t = {Number(time)}")],
            rows
        );
    }

    /// <summary>A function of the plane on a square grid.</summary>
    private PlaneField Field(int cells, Func<Tensor, Tensor> function)
    {
        using var scope = NewDisposeScope();
        using var inference = no_grad();
        var reach = _model.Dataset.AxisLimit;
        var axis = linspace(-reach, reach, cells, dtype: ScalarType.Float64);
        var x = axis.unsqueeze(0).expand(cells, cells).reshape(-1);
        var y = axis.unsqueeze(1).expand(cells, cells).reshape(-1);
        var values = function(stack([x, y], 1))
            .detach()
            .to(ScalarType.Float64)
            .cpu()
            .contiguous()
            .data<double>()
            .ToArray();
        var grid = new double[cells, cells];
        Buffer.BlockCopy(values, 0, grid, 0, values.Length * sizeof(double));
        return new(reach, grid);
    }

    private Figure Curves()
    {
        var metrics = RunReader.Open(_run).Metrics();
        var stages = metrics.Select(line => line.Text("stage")).OfType<string>().Distinct();
        var panels = stages
            .Select(stage =>
            {
                var lines = metrics
                    .Where(line => line.Text("stage") == stage && line.Number("loss") is not null)
                    .ToList();
                var first = lines.Count > 0 ? lines[0].Step : 0;
                return new LinePanel(
                    stage,
                    [
                        new LineSeries(
                            "loss",
                            [.. lines.Select(line => (double)(line.Step - first))],
                            [.. lines.Select(line => line.Number("loss")!.Value)]
                        ),
                    ]
                );
            })
            .ToList();
        return LineFigures.Make("curves", "Learning curves", "gradient steps", "loss", panels);
    }

    private Figure Bars()
    {
        var rows = _certificate
            .Rows.Where(row => row.Noise == "learned" && row.Guidance is not ("none" or "exact"))
            .ToList();
        var panels = Certificate
            .MetricNames.Select(name => new MetricPanel(
                name,
                [
                    .. rows.Select(row => new MetricValue(
                        $"β = {Number(row.Beta)}",
                        row.Guidance.ToUpperInvariant(),
                        [row.Metric(name).Value]
                    )),
                ],
                [
                    .. rows.DistinctBy(row => row.Beta)
                        .Select(row =>
                        {
                            var floor = row.Metric(name).Floor;
                            return new MetricFloor(
                                $"β = {Number(row.Beta)}",
                                floor.Mean,
                                floor.StandardDeviation,
                                floor.Bound
                            );
                        }),
                ]
            ))
            .ToList();
        return BarsWithFloor.Make("metrics", "Distance to the truth", panels);
    }

    private Figure SolverCurve()
    {
        var beta = MapBeta;
        string[] solvers = ["dpm-solver-2m", "dpm-solver++-2m", "ddim"];
        int[] evaluations = [5, 8, 12, 16, 25, 50];
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(_model.Options.Seed);
        var truth = _model.Dataset.SampleTilted(beta, GalleryPoints, streams["solvers/truth"]).X;
        var again = _model.Dataset.SampleTilted(beta, GalleryPoints, streams["solvers/floor"]).X;
        var floor = SlicedWasserstein.Distance(again, truth);
        var series = new List<LineSeries>();
        foreach (var solver in solvers)
        {
            var times = new double[evaluations.Length];
            var quality = new double[evaluations.Length];
            for (var i = 0; i < evaluations.Length; i++)
            {
                using var turn = NewDisposeScope();
                using var own = new RandomStreams(_model.Options.Seed);
                var sampler = _model.Options.Sampler with { Solver = solver, Evaluations = evaluations[i] };
                var clock = Stopwatch.StartNew();
                var points = _model.Sample(_first, beta, GalleryPoints, own["solvers"], sampler, beyondPool: true);
                times[i] = clock.Elapsed.TotalMilliseconds / GalleryPoints * 1000;
                quality[i] = SlicedWasserstein.Distance(points, truth);
            }
            series.Add(new LineSeries(solver, times, quality));
        }
        var span = series.SelectMany(one => one.X).ToList();
        series.Add(new LineSeries("noise floor", [span.Min(), span.Max()], [floor, floor]));
        return LineFigures.Make(
            "solvers",
            $"Solvers at β = {Number(beta)}: quality against time",
            "milliseconds per 1000 samples",
            "sliced W1",
            [new LinePanel($"{Shown(_first)}, {string.Join(", ", evaluations)} evaluations", series)],
            logX: true,
            logY: true,
            markers: true
        );
    }

    private Figure DialCurve()
    {
        var betas = DialBetas.Where(InRange).ToArray();
        if (betas.Length == 0)
        {
            betas = [_model.Options.Dial.Max];
        }
        var anchor = InRange(3) ? 3 : betas[0];
        var dial = new double[betas.Length];
        var scaled = new double[betas.Length];
        var floors = new double[betas.Length];
        for (var i = 0; i < betas.Length; i++)
        {
            using var scope = NewDisposeScope();
            using var streams = new RandomStreams(_model.Options.Seed);
            var truth = _model.Dataset.SampleTilted(betas[i], GalleryPoints, streams["dial/truth"]).X;
            var again = _model.Dataset.SampleTilted(betas[i], GalleryPoints, streams["dial/floor"]).X;
            floors[i] = SlicedWasserstein.Distance(again, truth);
            using var own = new RandomStreams(_model.Options.Seed);
            dial[i] = SlicedWasserstein.Distance(
                _model.Sample(_first, betas[i], GalleryPoints, own["dial"], beyondPool: true),
                truth
            );
            using var same = new RandomStreams(_model.Options.Seed);
            scaled[i] = SlicedWasserstein.Distance(
                _model.Sample(_first, anchor, GalleryPoints, same["dial"], scale: betas[i] / anchor, beyondPool: true),
                truth
            );
        }
        return LineFigures.Make(
            "dial",
            "β as a dial",
            "β",
            "sliced W1",
            [
                new LinePanel(
                    Shown(_first),
                    [
                        new LineSeries("β at scale 1", betas, dial),
                        new LineSeries($"β = {Number(anchor)}, scaled to β", betas, scaled),
                        new LineSeries("noise floor", betas, floors),
                    ]
                ),
            ],
            logX: true,
            logY: true,
            markers: true
        );
    }

    private void Provenance(ReportPage page)
    {
        var reader = RunReader.Open(_run);
        var manifest = reader.Manifest;
        var table = new Table(new TableColumn("what", "what"), new TableColumn("value", "value"));
        table.Add("data", $"{_model.Dataset.Name}: {_model.Dataset.Description}");
        table.Add("seed", $"{_model.Options.Seed}");
        table.Add("preset", _model.Options.Preset);
        foreach (var (option, value) in Departures())
        {
            table.Add($"option {option}", value);
        }
        foreach (var (name, version) in manifest.Versions)
        {
            table.Add(name, version);
        }
        table.Add("commit", manifest.Commit ?? "unknown");
        table.Add(
            "processor",
            manifest.Cpu is { } cpu ? $"{cpu.Model}, {manifest.Threads} threads" : $"{manifest.Threads} threads"
        );
        table.Add("precision", manifest.Precision);
        page.Section(ReportSections.Provenance)
            .Add(table, "Options are listed where they differ from the preset's.")
            .Text("The numbers of this page come from these commands:")
            .Code(Commands());
    }

    private string Commands()
    {
        var options = _model.Options;
        var train =
            $"./tilt train cep2d --task {options.Task} --method {string.Join(',', _methods.Select(Cep2dModel.NameOf))} --preset {options.Preset} --seed {options.Seed}";
        if (options.Beta is { } beta)
        {
            train += $" --beta {Number(beta)}";
        }
        train = Departures()
            .Where(option => option.Name is not ("task" or "methods" or "preset" or "seed" or "beta"))
            .Aggregate(train, (line, option) => $"{line} --set {option.Name}={option.Value.Trim('"')}");
        return $"{train} --out {_run}\n./tilt certify {_run}\n./tilt report {_run}";
    }

    private IEnumerable<(string Name, string Value)> Departures()
    {
        var json = Cep2dJson.Default.Cep2dOptions;
        var preset = OptionRecords
            .List(Cep2dOptions.For(_model.Options.Preset, _model.Options.Task), json)
            .ToDictionary(option => option.Name, option => option.Value, StringComparer.Ordinal);
        return OptionRecords
            .List(_model.Options, json)
            .Where(option => option.Name is not ("task" or "seed" or "preset"))
            .Where(option => preset.GetValueOrDefault(option.Name) != option.Value);
    }

    private bool InRange(double beta) =>
        beta >= _model.Options.Dial.Min * (1 - 1e-9) && beta <= _model.Options.Dial.Max;

    private bool Limited(double beta) => beta > 0 && _model.Options.Dial.IsLimitedByPool(beta);

    private static string Shown(GuidanceMethod method) =>
        method switch
        {
            GuidanceMethod.Emse => "exp-MSE",
            _ => method.ToString().ToUpperInvariant(),
        };

    private static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);
}
