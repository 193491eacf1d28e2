using System.Diagnostics;
using System.Globalization;
using Tilt.Energy;
using Tilt.Metrics;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Cli.Reports;

/// <summary>The figures of a 2-D run.</summary>
/// <param name="run">The run's folder, for what was logged.</param>
/// <param name="model">Its model. Stays the caller's.</param>
/// <param name="certificate">Its certificate.</param>
internal sealed class Cep2dFigures(string run, Cep2dModel model, Certificate certificate)
{
    private const int GalleryPoints = 2000;
    private const int MapCells = 60;
    private const int ArrowCells = 15;

    private static readonly double[] GalleryBetas = [0, 3, 10, 20];
    private static readonly double[] MapTimes = [0.001, 0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 1];
    private static readonly double[] ArrowTimes = [0.05, 0.2, 0.4, 0.6];
    private static readonly double[] DialBetas = [0.5, 1, 2, 3, 5, 7, 10, 14, 20];

    private readonly string _run = run;
    private readonly Cep2dModel _model = model;
    private readonly Certificate _certificate = certificate;
    private readonly IReadOnlyList<GuidanceMethod> _methods = model.Options.Methods;
    private readonly GuidanceMethod _first = model.Options.Methods[0];

    /// <summary>Samples of every method and β beside exact draws.</summary>
    public Figure Gallery()
    {
        var truth = Drawn("ground truth");
        var rows = new List<string> { "ground truth" };
        rows.AddRange(_methods.Select(Shown));
        var columns = GalleryBetas.Select(beta => $"β = {beta}{Marked(beta)}").ToList();
        // Drawn once, though it is painted as PNG, as SVG and for the page, and listed as CSV.
        var panels = new PlanePoints?[rows.Count, columns.Count];
        for (var row = 0; row < rows.Count; row++)
        {
            for (var column = 0; column < columns.Count; column++)
            {
                panels[row, column] =
                    row == 0 ? truth(GalleryBetas[column]) : Samples(_methods[row - 1], GalleryBetas[column]);
            }
        }
        return ScatterGallery.Make(
            "gallery",
            $"{_model.Options.Task}: samples of each method",
            rows,
            columns,
            (row, column) => panels[row, column],
            _model.Dataset.AxisLimit,
            absent: $"β up to {_model.Options.Dial.Max.ToString("0.#", CultureInfo.InvariantCulture)} was trained"
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

    /// <summary>The learned energy of a method above the exact one.</summary>
    public Figure Maps(GuidanceMethod method)
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
            $"{Shown(method)}: the intermediate energy at β = {Number(beta)}{Marked(beta)}, learned and exact",
            maps,
            Shown(method)
        );
    }

    /// <summary>The guidance of the first method and the exact one as arrows.</summary>
    public Figure Arrows()
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
            $"The guidance at β = {Number(beta)}{Marked(beta)}",
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

    /// <summary>What was logged in training.</summary>
    public Figure Curves() => LineFigures.LearningCurves(RunReader.Open(_run).Metrics());

    /// <summary>Every metric of every method beside its noise floor.</summary>
    public Figure Bars()
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
                        Shown(Enum.Parse<GuidanceMethod>(row.Guidance, ignoreCase: true)),
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
        var marked = rows.Where(row => row.Mark is not null)
            .Select(row => $"β = {Number(row.Beta)} {row.Mark}")
            .Distinct();
        var title = string.Join(", ", marked.Prepend("Distance to the truth"));
        return BarsWithFloor.Make("metrics", title, panels);
    }

    /// <summary>Quality against time for solvers and evaluations.</summary>
    public Figure SolverCurve()
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
                var named = _model.Options.Sampler with { Solver = solver };
                var sampler = named.Spending(evaluations[i]);
                var clock = Stopwatch.StartNew();
                var points = _model.Sample(_first, beta, GalleryPoints, own["solvers"], sampler, beyondPool: true);
                times[i] = clock.Elapsed.TotalMilliseconds / GalleryPoints * 1000;
                quality[i] = Distance(points, truth);
            }
            series.Add(new LineSeries(solver, times, quality));
        }
        var span = series.SelectMany(one => one.X).ToList();
        series.Add(new LineSeries("noise floor", [span.Min(), span.Max()], [floor, floor]));
        return LineFigures.Make(
            "solvers",
            $"Solvers at β = {Number(beta)}{Marked(beta)}: quality against time",
            "milliseconds per 1000 samples",
            "sliced W1",
            [new LinePanel($"{Shown(_first)}, {string.Join(", ", evaluations)} evaluations", series)],
            logX: true,
            logY: true,
            markers: true
        );
    }

    /// <summary>Quality along β: the dial, and one energy scaled up or down.</summary>
    public Figure DialCurve()
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
            dial[i] = Distance(_model.Sample(_first, betas[i], GalleryPoints, own["dial"], beyondPool: true), truth);
            using var same = new RandomStreams(_model.Options.Seed);
            scaled[i] = Distance(
                _model.Sample(_first, anchor, GalleryPoints, same["dial"], scale: betas[i] / anchor, beyondPool: true),
                truth
            );
        }
        return LineFigures.Make(
            "dial",
            betas.FirstOrDefault(Limited) is > 0 and var first
                ? $"β as a dial (from {Number(first)} on {EnergyDial.PoolMark})"
                : "β as a dial",
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

    private bool InRange(double beta) =>
        beta >= _model.Options.Dial.Min * (1 - 1e-9) && beta <= _model.Options.Dial.Max;

    private bool Limited(double beta) => beta > 0 && _model.Options.Dial.IsLimitedByPool(beta);

    private string Marked(double beta) => Limited(beta) ? $" ({EnergyDial.PoolMark})" : "";

    /// <summary>NaN, which figures leave out, where samples diverged.</summary>
    private static double Distance(Tensor points, Tensor truth)
    {
        using var finite = points.isfinite().all();
        return finite.item<bool>() ? SlicedWasserstein.Distance(points, truth) : double.NaN;
    }

    private static string Shown(GuidanceMethod method) => MethodTitles.Of(Cep2dModel.NameOf(method));

    private static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);
}
