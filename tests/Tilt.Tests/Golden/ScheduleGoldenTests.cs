namespace Tilt.Tests.Golden;

/// <summary>G1: schedules against the recorded ones.</summary>
public class ScheduleGoldenTests
{
    private static readonly Npz Arrays = GoldenSet.Arrays("g1_schedule.npz");

    public static TheoryData<string> Blocks =>
        [.. Arrays.Names.Where(name => name.EndsWith("__inv_in", StringComparison.Ordinal)).Select(name => name[..^8])];

    internal static NoiseSchedule Schedule(string block, bool clip = true)
    {
        if (block.StartsWith("linear", StringComparison.Ordinal))
        {
            var rates = Arrays[$"{block}__beta0_beta1"].Values;
            return new LinearSchedule(rates[0], rates[1]);
        }
        return block == "cosine"
            ? new CosineSchedule(Arrays["cosine__s"].Scalar)
            : DiscreteSchedule.FromBetas(Arrays[$"{block}__betas"].Values, clip);
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void Levels_agree_with_the_recorded_ones(string block)
    {
        var schedule = Schedule(block);
        var times = Arrays[$"{block}__t"].Values;
        // 1e-9: the recorded doubles are themselves off by up to 3e-11 where 1 - exp(2 log alpha) cancels.
        Near(1e-9, "log_alpha", schedule.LogAlpha);
        Near(1e-9, "alpha", schedule.Alpha);
        Near(1e-9, "sigma", schedule.Sigma);
        Near(1e-9, "lambda", schedule.Lambda);

        void Near(double tolerance, string array, Func<double, double> value)
        {
            var expected = Arrays[$"{block}__{array}"].Values;
            for (var i = 0; i < times.Length; i++)
            {
                if (double.IsNaN(expected[i]))
                {
                    continue; // extrapolated far below 1/N
                }
                Assert.True(
                    Math.Abs(value(times[i]) - expected[i]) <= tolerance,
                    $"{block} {array} at t = {times[i]:R}: {value(times[i]):R}, recorded {expected[i]:R}"
                );
            }
        }
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void The_inverse_of_lambda_agrees_and_returns(string block)
    {
        var schedule = Schedule(block);
        var (lambdas, expected) = (Arrays[$"{block}__inv_in"].Values, Arrays[$"{block}__inv_out"].Values);
        for (var i = 0; i < lambdas.Length; i++)
        {
            Assert.Equal(expected[i], schedule.TimeOf(lambdas[i]), 1e-9);
        }
        var (times, back) = (Arrays[$"{block}__t"].Values, Arrays[$"{block}__roundtrip_t"].Values);
        for (var i = 0; i < times.Length; i++)
        {
            if (!double.IsNaN(back[i]))
            {
                Assert.Equal(back[i], schedule.TimeOf(schedule.Lambda(times[i])), 1e-9);
            }
        }
    }

    [Theory]
    [InlineData("linear_0.1_20")]
    [InlineData("linear_b")]
    public void Sigma_and_lambda_of_the_linear_schedule_keep_their_digits(string block)
    {
        var schedule = Schedule(block);
        var times = Arrays[$"{block}__t"].Values;
        for (var i = 0; i < times.Length; i++)
        {
            var (sigma, lambda) = (
                Arrays[$"{block}__exact_sigma"].Values[i],
                Arrays[$"{block}__exact_lambda"].Values[i]
            );
            Assert.Equal(1, schedule.Sigma(times[i]) / sigma, 1e-13);
            // Relative; absolute where lambda passes zero.
            Assert.Equal(0, (schedule.Lambda(times[i]) - lambda) / Math.Max(1, Math.Abs(lambda)), 1e-13);
        }
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void Discrete_schedules_equal_their_array_at_the_knots(string block)
    {
        if (!block.StartsWith("discrete", StringComparison.Ordinal))
        {
            return;
        }
        var schedule = Assert.IsType<DiscreteSchedule>(Schedule(block));
        var unclipped = Assert.IsType<DiscreteSchedule>(Schedule(block, clip: false));
        var (times, values) = (Arrays[$"{block}__t_array"].Values, Arrays[$"{block}__log_alpha_array"].Values);

        Assert.Equal(times.Length, schedule.Count);
        Assert.Equal((int)Arrays[$"{block}__total_N"].Scalar, schedule.Count);
        Assert.Equal((int)Arrays[$"{block}__cepcopy_total_N"].Scalar, unclipped.Count);
        for (var n = 0; n < times.Length; n++)
        {
            Assert.Equal(values[n], schedule.LogAlphas[n], 1e-12);
            Assert.Equal(schedule.LogAlphas[n], schedule.LogAlpha(times[n]));
            Assert.Equal(n, schedule.NetworkTime(times[n]) * schedule.Count / 1000, 1e-9);
        }
    }

    [Theory]
    [InlineData("discrete_ddpm1000", "discrete-linear")]
    [InlineData("discrete_sd1000", "discrete-scaled-linear")]
    [InlineData("discrete_iddpm_cos1000", "discrete-cosine")]
    public void Schedules_by_name_have_the_recorded_betas(string block, string name)
    {
        var schedule = Assert.IsType<DiscreteSchedule>(NoiseSchedules.Parse(name));
        var expected = Assert.IsType<DiscreteSchedule>(Schedule(block));
        Assert.Equal(expected.Count, schedule.Count);
        for (var n = 0; n < schedule.Count; n++)
        {
            Assert.Equal(expected.LogAlphas[n], schedule.LogAlphas[n], 1e-10);
        }
    }
}
