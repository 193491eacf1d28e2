using Tilt.Cli;
using Tilt.Cli.Reports;

namespace Tilt.Tests.Reports;

/// <summary>Figures and a report of made-up data: a ring of eight Gaussians, tilted, and a flawed copy of it.</summary>
internal static class Specimens
{
    private static readonly double[] Betas = [0, 3, 10, 20];
    private static readonly double[] Steps = [.. Enumerable.Range(1, 60).Select(i => i * 250.0)];
    private static readonly string[] Methods = ["ground truth", "CEP", "MSE", "exp-MSE", "DPS"];

    public static Figure Gallery { get; } =
        ScatterGallery.Make(
            "gallery",
            "Samples of 8gaussians",
            Methods,
            [.. Betas.Select(beta => $"β = {beta}")],
            (row, column) =>
                Ring(
                    Betas[column] / (1 + 0.7 * Math.Max(0, row - 1)),
                    1200,
                    10 * row + column,
                    1 + 0.3 * Math.Max(0, row - 1)
                )
        );

    public static Figure Maps { get; } =
        EnergyMaps.Make(
            "energies",
            "Intermediate energies, β = 10",
            [
                .. new[] { 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 1.0 }.Select(t => new EnergyMap(
                    t,
                    Energy(t, 0.4, 90),
                    Energy(t, 0, 90),
                    Density(t, 90)
                )),
            ],
            "CEP"
        );

    public static Figure Arrows { get; } =
        GuidanceArrows.Make(
            "guidance",
            "Guidance, β = 10",
            ["t = 0.1", "t = 0.4", "t = 0.8"],
            [
                [.. new[] { 0.1, 0.4, 0.8 }.Select(t => Panel("CEP", t, 0.4))],
                [.. new[] { 0.1, 0.4, 0.8 }.Select(t => Panel("exact", t, 0))],
            ]
        );

    public static Figure Curves { get; } =
        LineFigures.Make(
            "curves",
            "Training losses",
            "gradient steps",
            "loss",
            [
                new LinePanel(
                    "noise model",
                    [new("noise model", Steps, [.. Enumerable.Range(0, 3).Select(seed => Loss(seed, 1))])]
                ),
                new LinePanel(
                    "energy",
                    [
                        new("CEP", Steps, [.. Enumerable.Range(3, 3).Select(seed => Loss(seed, 4))]),
                        new("MSE", Steps, [.. Enumerable.Range(6, 3).Select(seed => Loss(seed, 2))]),
                    ]
                ),
            ],
            logY: true
        );

    public static Figure Quality { get; } =
        LineFigures.Make(
            "quality",
            "Quality against time",
            "milliseconds for 2000 samples",
            "sliced W1",
            [
                new LinePanel(
                    "",
                    [
                        .. new[] { "ddim", "dpm-solver-2m", "dpm-solver-3m" }.Select(
                            (solver, i) =>
                                new LineSeries(
                                    solver,
                                    [5, 10, 20, 50, 100],
                                    [.. new double[] { 5, 10, 20, 50, 100 }.Select(ms => 0.02 + Math.Pow(ms, -1 - i))]
                                )
                        ),
                    ]
                ),
            ],
            logX: true,
            logY: true,
            markers: true
        );

    public static Figure Bars { get; } =
        BarsWithFloor.Make(
            "metrics",
            "Distance to the truth",
            [Metric("sliced W1", 0.03), Metric("mode total variation", 0.01), Metric("energy distance", 0.002)]
        );

    public static IReadOnlyList<Figure> All { get; } = [Gallery, Maps, Arrows, Curves, Quality, Bars];

    public static IEnumerable<(string Title, PlanePoints Points)> Clouds() =>
        Betas.Select(beta => ($"β = {beta}", Ring(beta, 600, 1, 1)));

    public static Table Certificate()
    {
        var table = new Table(
            new TableColumn("metric", "metric"),
            new TableColumn("value", "value", "0.0000"),
            new TableColumn("floor", "noise floor", "0.0000"),
            new TableColumn("bound", "bound", "0.0000"),
            new TableColumn("met", "met")
        );
        table.Add("sliced W1", 0.0412, 0.0291, 0.0582, true);
        table.Add("energy distance", 0.0009, 0.0004, 0.0012, true);
        table.Add("mode total variation <script>alert(1)</script>", 0.0613, 0.0112, 0.0224, false);
        return table;
    }

    public static ReportPage Page() =>
        new ReportPage(
            "8gaussians: exact energy-guided sampling",
            "CEP stays within the noise floor of the truth at β = 3, 10 and 20; MSE and DPS do not at β = 10.",
            true
        )
            .Section(ReportSections.Certificate)
            .Text("Each number is compared with what true samples score against true samples.")
            .Add(Certificate(), "5000 samples, 25 evaluations of the networks each, seed 0.")
            .Add(Bars, "Bars on a logarithmic axis; lower is better.")
            .Section(ReportSections.Gallery)
            .Add(Gallery, "2000 samples a panel, all from the same starting noise.")
            .Section(ReportSections.Energies)
            .Add(Maps, "Learned above exact, both in the same colours.")
            .Add(Arrows, "Where guidance pushes.")
            .Section(ReportSections.Curves)
            .Add(Curves, "Thin lines are seeds.")
            .Section(ReportSections.Dials)
            .Add(Quality, "Each mark is one solver with one number of steps.")
            .Section(ReportSections.Provenance)
            .Code("./tilt demo 2d --task 8gaussians --seed 0");

    private static double[] Loss(int seed, double scale)
    {
        var random = new Random(seed);
        return [.. Steps.Select(step => scale * (0.2 + Math.Exp(-step / 2000)) * (1 + 0.1 * random.NextDouble()))];
    }

    private static MetricPanel Metric(string name, double floor) =>
        new(
            name,
            [
                .. new double[] { 3, 10, 20 }.SelectMany(beta =>
                    Methods[1..]
                        .Select(
                            (method, m) =>
                                new MetricValue(
                                    $"β = {beta}",
                                    method,
                                    [
                                        .. Enumerable
                                            .Range(0, 3)
                                            .Select(seed =>
                                                floor * (1.1 + 0.1 * seed) * Math.Pow(2, m * (1 + beta / 10))
                                            ),
                                    ]
                                )
                        )
                ),
            ],
            [.. new double[] { 3, 10, 20 }.Select(beta => new MetricFloor($"β = {beta}", floor, floor / 10, 2 * floor))]
        );

    private static (double X, double Y) Centre(int mode)
    {
        var angle = Math.PI / 2 + mode * Math.PI / 4;
        return (2.83 * Math.Cos(angle), 2.83 * Math.Sin(angle));
    }

    private static PlanePoints Ring(double beta, int count, int seed, double spread)
    {
        var random = new Random(seed);
        var weights = Enumerable.Range(0, 8).Select(k => Math.Exp(beta * k / 7)).ToArray();
        var (x, y, labels) = (new double[count], new double[count], new double[count]);
        for (var i = 0; i < count; i++)
        {
            var draw = random.NextDouble() * weights.Sum();
            var mode = 0;
            while (mode < 7 && (draw -= weights[mode]) > 0)
            {
                mode++;
            }
            var radius = 0.35 * spread * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            var angle = 2 * Math.PI * random.NextDouble();
            (x[i], y[i], labels[i]) = (
                Centre(mode).X + radius * Math.Cos(angle),
                Centre(mode).Y + radius * Math.Sin(angle),
                mode / 7.0
            );
        }
        return new(x, y, labels);
    }

    private static double LogSum(double x, double y, double t, double beta)
    {
        var alpha = Math.Exp(-2 * t * t);
        var variance = 0.125 * alpha * alpha + 1 - alpha * alpha;
        var terms = Enumerable
            .Range(0, 8)
            .Select(k =>
                beta * k / 7
                - (Math.Pow(x - alpha * Centre(k).X, 2) + Math.Pow(y - alpha * Centre(k).Y, 2)) / (2 * variance)
            )
            .ToArray();
        var top = terms.Max();
        return top + Math.Log(terms.Sum(term => Math.Exp(term - top)));
    }

    private static PlaneField Field(int count, Func<double, double, double> value)
    {
        var at = PlaneField.Coordinates(4.5, count);
        var values = new double[count, count];
        for (var row = 0; row < count; row++)
        {
            for (var column = 0; column < count; column++)
            {
                values[row, column] = value(at[column], at[row]);
            }
        }
        return new(4.5, values);
    }

    private static PlaneField Energy(double t, double flaw, int count) =>
        Field(
            count,
            (x, y) => LogSum(x, y, t, 0) - LogSum(x, y, t, 10) + flaw * (3 + Math.Sin(2 * x) * Math.Cos(2 * y))
        );

    private static PlaneField Density(double t, int count) => Field(count, (x, y) => Math.Exp(LogSum(x, y, t, 0)));

    private static ArrowPanel Panel(string title, double t, double flaw)
    {
        double E(double x, double y) =>
            LogSum(x, y, t, 0) - LogSum(x, y, t, 10) + flaw * Math.Sin(2 * x) * Math.Cos(2 * y);
        const double h = 1e-4;
        return new(
            title,
            Energy(t, flaw, 60),
            Field(19, (x, y) => -(E(x + h, y) - E(x - h, y)) / (2 * h)),
            Field(19, (x, y) => -(E(x, y + h) - E(x, y - h)) / (2 * h))
        );
    }
}
