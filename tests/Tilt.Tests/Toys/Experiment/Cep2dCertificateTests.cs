using System.Text.Json;
using Tilt.Cli.Reports;
using Tilt.Energy;
using Tilt.Metrics;
using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Tests.Toys.Experiment;

/// <summary>The certificate has to pass what is exact and fail what is not; here both are known in closed form.</summary>
public class Cep2dCertificateTests
{
    private static readonly CertificateOptions Options = new()
    {
        Betas = [10],
        Points = 2000,
        GradientPoints = 500,
        Repetitions = 4,
    };

    private static Cep2dModel Untrained(string task)
    {
        using var streams = new RandomStreams(0);
        var options = Cep2dOptions.For("quick", task);
        // Enough evaluations that the solver's own error is out of sight.
        return new(options with { Sampler = options.Sampler with { Evaluations = 49 } }, (0, 1), streams);
    }

    [Theory]
    [InlineData("8gaussians")]
    [InlineData("rings")]
    [InlineData("moons")]
    [InlineData("2spirals")]
    [InlineData("checkerboard")]
    public void Exact_guidance_passes_and_what_the_mean_squared_error_learns_fails(string task)
    {
        using var scope = NewDisposeScope();
        using var model = Untrained(task);
        using var certifier = new Cep2dCertifier(model, Options);
        var exact = certifier.ExactAt(10);
        IntermediateEnergy mean = (xt, level) => -10 * exact.PosteriorMeanLabel(xt, level);

        var right = certifier.Measure(Sampled(exact.Energy), 10);
        var wrong = certifier.Measure(Sampled(mean), 10);

        // The checkerboard's labels jump at its edges, and true samples never cross them: a solver leaves one in a thousand across.
        var judged = right.Where(check => task != "checkerboard" || check.Name != "mean label error");
        Assert.All(judged, check => Assert.True(check.Passed, $"{check.Name}: {check.Value} > {check.Floor.Bound}"));
        Assert.All(right, check => Assert.InRange(check.Value, 0, 0.1));
        Assert.Contains(wrong, check => !check.Passed);
        Assert.All(certifier.Gradients(exact.Energy, 10), check => Assert.InRange(check.RelativeError, 0, 1e-4));
        Assert.Contains(certifier.Gradients(mean, 10), check => !check.Passed);

        Tensor Sampled(IntermediateEnergy energy) =>
            model.Sample(exact.Data.Noise.GuidedBy(energy), Options.Points, new Generator(9));
    }

    [Fact]
    public void Swissroll_passes_with_exact_guidance_too()
    {
        using var scope = NewDisposeScope();
        using var model = Untrained("swissroll");
        using var certifier = new Cep2dCertifier(model, Options);
        var exact = certifier.ExactAt(10);

        var checks = certifier.Measure(model.Sample(exact.Target.Noise, Options.Points, new Generator(9)), 10);

        Assert.All(checks, check => Assert.True(check.Passed, $"{check.Name}: {check.Value} > {check.Floor.Bound}"));
    }

    [Fact]
    public void An_untrained_run_is_not_certified_and_the_parts_that_are_exact_still_are()
    {
        using var scope = NewDisposeScope();
        using var model = Untrained("8gaussians");
        using var certifier = new Cep2dCertifier(model, Options with { Betas = [3] });

        var certificate = certifier.Certify([GuidanceMethod.Cep, GuidanceMethod.Dps]);

        Assert.False(certificate.AllPassed);
        Assert.False(certificate.Passed("cep"));
        Assert.Contains("not exact", certificate.Verdict);
        Assert.True(certificate.Rows.Single(row => row is { Noise: "exact", Guidance: "exact" }).Passed);
        Assert.False(certificate.Rows.Single(row => row is { Noise: "learned", Guidance: "cep" }).Passed);
        // One row per question: noise alone, both exact, exact guidance, each method, exact noise under each learned energy.
        Assert.Equal(6, certificate.Rows.Count);
    }

    [Fact]
    public void A_mark_is_said_and_does_not_decide()
    {
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(0);
        // So few points that nothing can be represented.
        var options = Cep2dOptions.For("quick", "8gaussians") with
        {
            Beta = 3,
            Pool = 1024,
            EnergySteps = 0,
            NoiseSteps = 0,
        };
        using var model = new Cep2dModel(options, (0, 1), streams);
        using var certifier = new Cep2dCertifier(model, Options with { Betas = [3], Points = 200, Repetitions = 3 });

        var certificate = certifier.Certify([GuidanceMethod.Cep]);
        var row = certificate.Rows.Single(row => row is { Noise: "learned", Guidance: "cep" });

        Assert.Equal("limited by the pool", row.Mark);
        // Nothing else was tested, and what was not tested is not certified.
        Assert.False(certificate.AllPassed);
        Assert.Contains("cannot be certified", certificate.Verdict);
        Assert.Contains("β = 3 is limited by the pool", certificate.Verdict);
    }

    private static CertificateRow RowOf(double beta, double value, string? mark = null) =>
        new(
            "learned",
            "cep",
            beta,
            mark,
            [new MetricCheck("sliced W1", value, new NoiseFloor(1, 0.1, 10, 100))],
            [new GradientCheck(0.4, 0.1, 0.2, 0.2)]
        );

    [Theory]
    [InlineData(1.9, null, true, "is certified exact within the noise floor.")]
    [InlineData(2.1, null, false, "is not exact.")]
    [InlineData(double.NaN, null, false, "is not exact.")]
    [InlineData(1.9, 20.0, true, "is certified exact within the noise floor (β = 20 is limited by the pool).")]
    public void A_verdict_says_what_decided_and_what_was_limited(
        double value,
        double? limited,
        bool passed,
        string expected
    )
    {
        List<CertificateRow> rows = [RowOf(3, value)];
        if (limited is { } beta)
        {
            rows.Add(RowOf(beta, 99, "limited by the pool"));
        }
        var certificate = new Certificate("rings", "ddim", 25, 100, rows, ["cep"]);

        Assert.Equal(passed, certificate.AllPassed);
        Assert.Equal($"CEP {expected}", certificate.Verdict);
    }

    [Fact]
    public void The_table_shows_the_noise_floor_with_its_spread_above_the_rows_of_each_beta()
    {
        var certificate = new Certificate(
            "rings",
            "ddim",
            25,
            100,
            [RowOf(3, 1.5), RowOf(3, 2.5), RowOf(10, 1.5, "limited by the pool")],
            ["cep"]
        );
        // Tables have a column for every metric and every time.
        var whole = certificate with
        {
            Rows =
            [
                .. certificate.Rows.Select(row =>
                    row with
                    {
                        Metrics = [.. Certificate.MetricNames.Select(name => row.Metrics[0] with { Name = name })],
                        Gradients =
                        [
                            .. CertificateOptions.GradientBounds.Select(check => new GradientCheck(
                                check.Time,
                                0.1,
                                0.2,
                                check.Bound
                            )),
                        ],
                    }
                ),
            ],
        };

        var table = CertificateTables.Metrics(whole);

        Assert.Equal(5, table.Rows.Count);
        Assert.Equal(["floor", "cep", "cep", "floor", "cep"], table.Rows.Select(row => (string)row[1]!));
        Assert.Equal("1.0000 ± 0.1000", table.Text(0, 3));
        Assert.Equal("1.5000 / 2.0000", table.Text(1, 3));
        Assert.Equal(
            ["", "pass", "FAIL", "", "limited by the pool"],
            Enumerable.Range(0, 5).Select(r => table.Text(r, 8))
        );
        Assert.Equal("limited by the pool", CertificateTables.Gradients(whole).Text(3, 8));
    }

    [Fact]
    public void A_method_without_a_row_is_not_certified() =>
        Assert.False(new Certificate("rings", "ddim", 25, 100, [], ["cep"]).AllPassed);

    [Fact]
    public void The_bound_of_a_metric_is_the_greater_of_two_floors_and_six_deviations()
    {
        Assert.Equal(2, new NoiseFloor(1, 0.1, 10, 100).Bound);
        Assert.Equal(4, new NoiseFloor(1, 0.5, 10, 100).Bound);
    }

    [Fact]
    public void Samples_that_are_not_finite_fail_every_metric_and_can_be_written_down()
    {
        using var scope = NewDisposeScope();
        using var model = Untrained("moons");
        using var certifier = new Cep2dCertifier(model, Options with { Points = 100, Repetitions = 3 });
        var samples = zeros(100, 2);
        samples[7, 1] = float.NaN;

        var checks = certifier.Measure(samples, 10);

        Assert.Equal(Certificate.MetricNames, checks.Select(check => check.Name));
        Assert.All(checks, check => Assert.False(check.Passed));
        var row = new CertificateRow("learned", "dps", 10, null, checks, [new(0.4, double.NaN, double.NaN, 0.2)]);
        var certificate = new Certificate("moons", "ddim", 25, 100, [row], ["dps"]);
        var read = JsonSerializer.Deserialize(
            JsonSerializer.Serialize(certificate, CertificateJson.Default.Certificate),
            CertificateJson.Default.Certificate
        )!;
        Assert.False(read.AllPassed);
        Assert.Equal(double.PositiveInfinity, read.Rows[0].Metrics[0].Value);
    }

    [Theory]
    [InlineData(0.0, 2000)]
    [InlineData(double.NaN, 2000)]
    [InlineData(double.PositiveInfinity, 2000)]
    [InlineData(-3.0, 2000)]
    [InlineData(3.0, 99)]
    [InlineData(3.0, 100_000_000)]
    public void A_certificate_of_nothing_or_of_too_much_is_refused(double beta, long points)
    {
        using var model = Untrained("moons");
        var options = Options with { Betas = [beta], Points = points };

        Assert.Equal(2, Assert.Throws<TiltException>(() => new Cep2dCertifier(model, options)).ExitCode);
    }
}
