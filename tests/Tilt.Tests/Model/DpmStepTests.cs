using CsCheck;

namespace Tilt.Tests.ModelTests;

public class DpmStepTests
{
    private static readonly Gen<(NoiseLevel S, NoiseLevel T)> Steps =
        from high in Gen.Double[-5, 4]
        from h in Gen.Double[1e-3, 3]
        let schedule = new LinearSchedule()
        select (schedule.At(schedule.TimeOf(high)), schedule.At(schedule.TimeOf(high + h)));

    [Fact]
    public void Phi_is_its_integral() =>
        (from k in Gen.Int[1, 3] from z in Gen.Double[-4, 4] select (k, z)).Sample(at =>
        {
            // phi_k(z) = integral over [0, 1] of e^((1-r)z) r^(k-1)/(k-1)!
            var factorial = at.k == 3 ? 2 : 1;
            var integral = Quadrature.Integrate(
                r => Math.Exp((1 - r) * at.z) * Math.Pow(r, at.k - 1) / factorial,
                0,
                1
            );
            return Math.Abs(Phi.Of(at.k, at.z) / integral - 1) < 1e-13;
        });

    [Fact]
    public void Phi_has_no_seam_where_the_series_ends()
    {
        foreach (var k in new[] { 1, 2, 3 })
        {
            foreach (var z in new[] { -1.0, 1.0 })
            {
                var (inside, outside) = (Phi.Of(k, z * (1 - 1e-15)), Phi.Of(k, z * (1 + 1e-15)));
                Assert.Equal(1, inside / outside, 3e-14);
            }
        }
    }

    /// <summary>The ODE step is exact for a model that is quadratic in λ: the integrals of dpm-solver.md §1.</summary>
    [Fact]
    public void An_ode_step_is_exact_for_quadratic_models() =>
        (
            from step in Steps
            from value in Gen.Double[-2, 2]
            from slope in Gen.Double[-2, 2]
            from curve in Gen.Double[-2, 2]
            from x in Gen.Double[-2, 2]
            from prediction in Gen.Enum<Prediction>()
            select (step.S, step.T, value, slope, curve, x, prediction)
        ).Sample(given =>
        {
            var (s, t) = (given.S, given.T);
            var c = DpmStep.Between(s, t, given.prediction);
            double Model(double lambda) =>
                given.value
                + given.slope * (lambda - s.Lambda)
                + given.curve * (lambda - s.Lambda) * (lambda - s.Lambda) / 2;

            var found =
                c.State * given.x
                + c.Value * given.value
                + c.Slope * c.H * given.slope
                + c.Curve * c.H * c.H * given.curve;
            var expected =
                given.prediction == Prediction.Noise
                    ? t.Alpha / s.Alpha * given.x
                        - t.Alpha * Quadrature.Integrate(l => Math.Exp(-l) * Model(l), s.Lambda, t.Lambda)
                    : t.Sigma / s.Sigma * given.x
                        + t.Sigma * Quadrature.Integrate(l => Math.Exp(l) * Model(l), s.Lambda, t.Lambda);
            return Math.Abs(found - expected) < 1e-11 * Math.Max(1, Math.Abs(expected));
        });

    /// <summary>
    /// The SDE's step for a quadratic clean estimate: x_t = (σ_t/σ_s)e^(−h)·x + 2α_t·∫ e^(−2(λ_t − λ))·x̂₀ dλ + noise. The
    /// widely copied third-order weight fails this.
    /// </summary>
    [Fact]
    public void A_stochastic_step_is_exact_for_quadratic_models() =>
        (
            from step in Steps
            from value in Gen.Double[-2, 2]
            from slope in Gen.Double[-2, 2]
            from curve in Gen.Double[-2, 2]
            select (step.S, step.T, value, slope, curve)
        ).Sample(given =>
        {
            var (s, t) = (given.S, given.T);
            var c = DpmStep.Stochastic(s, t, Prediction.Clean);
            double Model(double lambda) =>
                given.value
                + given.slope * (lambda - s.Lambda)
                + given.curve * (lambda - s.Lambda) * (lambda - s.Lambda) / 2;

            var found = c.Value * given.value + c.Slope * c.H * given.slope + c.Curve * c.H * c.H * given.curve;
            var expected =
                2 * t.Alpha * Quadrature.Integrate(l => Math.Exp(-2 * (t.Lambda - l)) * Model(l), s.Lambda, t.Lambda);
            return Math.Abs(found - expected) < 1e-11 * Math.Max(1, Math.Abs(expected));
        });

    /// <summary>When x̂₀ (or ε) is constant the step must land on the forward marginal: it is exact for one data point.</summary>
    [Fact]
    public void A_stochastic_step_keeps_the_marginal_of_a_single_point() =>
        (from step in Steps from point in Gen.Double[-2, 2] select (step.S, step.T, point)).Sample(given =>
        {
            var (s, t) = (given.S, given.T);
            var c = DpmStep.Stochastic(s, t, Prediction.Clean);
            // x_s = α_s·x₀ + σ_s·z becomes α_t·x₀ in the mean, σ_t² in variance.
            var mean = c.State * s.Alpha * given.point + c.Value * given.point;
            var variance = c.State * c.State * s.Sigma * s.Sigma + c.Noise * c.Noise;
            return Math.Abs(mean - t.Alpha * given.point) < 1e-12
                && Math.Abs(variance / (t.Sigma * t.Sigma) - 1) < 1e-12;
        });
}

/// <summary>Gauss–Legendre quadrature on 40 pieces of 5 points: exact to rounding for what the tests integrate.</summary>
internal static class Quadrature
{
    private static readonly (double Node, double Weight)[] Rule =
    [
        (0, 128.0 / 225),
        (-0.5384693101056831, 0.47862867049936647),
        (0.5384693101056831, 0.47862867049936647),
        (-0.9061798459386640, 0.23692688505618908),
        (0.9061798459386640, 0.23692688505618908),
    ];

    public static double Integrate(Func<double, double> f, double from, double to)
    {
        const int pieces = 40;
        var (sum, half) = (0.0, (to - from) / pieces / 2);
        for (var piece = 0; piece < pieces; piece++)
        {
            var middle = from + (2 * piece + 1) * half;
            foreach (var (node, weight) in Rule)
            {
                sum += weight * half * f(middle + half * node);
            }
        }
        return sum;
    }
}
