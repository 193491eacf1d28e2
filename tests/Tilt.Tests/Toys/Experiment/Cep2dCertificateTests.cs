using Tilt.Energy;
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

        var row = certifier
            .Certify([GuidanceMethod.Cep])
            .Rows.Single(row => row is { Noise: "learned", Guidance: "cep" });

        Assert.Equal("limited by the pool", row.Mark);
    }
}
