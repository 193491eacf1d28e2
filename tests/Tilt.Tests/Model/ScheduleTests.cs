using CsCheck;

namespace Tilt.Tests.ModelTests;

public class ScheduleTests
{
    /// <summary>Every kind, and the least time at which its λ is finite and its inverse defined.</summary>
    private static readonly (NoiseSchedule Schedule, double Least)[] All =
    [
        (new LinearSchedule(), 1e-6),
        (new LinearSchedule(0.3, 7), 1e-6),
        (new CosineSchedule(), 1e-6),
        (DiscreteSchedule.Linear(), 1e-3),
        (DiscreteSchedule.ScaledLinear(), 1e-3),
        (DiscreteSchedule.CosineBetas(), 1.0 / 996),
        (DiscreteSchedule.CosineBetas(clip: false), 1e-3),
        (DiscreteSchedule.FromBetas([0.01, 0.1, 0.05, 0.4], clip: false), 0.25),
    ];

    private static readonly Gen<(NoiseSchedule Schedule, double Time, double Later)> Points =
        from index in Gen.Int[0, All.Length - 1]
        let entry = All[index]
        from a in Gen.Double[0, 1]
        from b in Gen.Double[0, 1]
        let span = entry.Schedule.End - entry.Least
        select (entry.Schedule, entry.Least + span * Math.Min(a, b), entry.Least + span * Math.Max(a, b));

    [Fact]
    public void Alpha_and_sigma_share_the_variance() =>
        Points.Sample(point =>
        {
            var level = point.Schedule.At(point.Time);
            return Math.Abs(level.Alpha * level.Alpha + level.Sigma * level.Sigma - 1) < 1e-14;
        });

    [Fact]
    public void The_inverse_of_lambda_returns_the_time() =>
        Points.Sample(point => Math.Abs(point.Schedule.TimeOf(point.Schedule.Lambda(point.Time)) - point.Time) < 1e-10);

    [Fact]
    public void Lambda_falls_with_time() =>
        Points.Sample(point =>
            point.Later - point.Time < 1e-8 || point.Schedule.Lambda(point.Time) > point.Schedule.Lambda(point.Later)
        );

    [Fact]
    public void A_level_repeats_what_the_schedule_says() =>
        Points.Sample(point =>
        {
            var (schedule, level) = (point.Schedule, point.Schedule.At(point.Time));
            return level.Time == point.Time
                && level.LogAlpha == schedule.LogAlpha(point.Time)
                && level.Sigma == schedule.Sigma(point.Time)
                && level.Lambda == schedule.Lambda(point.Time)
                && level.NetworkTime == schedule.NetworkTime(point.Time);
        });

    [Theory]
    [InlineData("linear")]
    [InlineData("cosine")]
    public void Continuous_schedules_keep_their_digits_near_zero(string name)
    {
        var schedule = NoiseSchedules.Parse(name);
        // log alpha is smooth through 0, so its slope there fixes it to first order: relative error O(t).
        var slope = schedule.LogAlpha(1e-7) / 1e-7;
        Assert.Equal(1, schedule.LogAlpha(1e-9) / (slope * 1e-9), 1e-4);
        foreach (var time in new[] { 1e-9, 1e-7, 1e-5, 1e-3 })
        {
            Assert.Equal(1, schedule.TimeOf(schedule.Lambda(time)) / time, 1e-11);
        }
        var clean = schedule.At(0);
        Assert.Equal((1.0, 0.0, double.PositiveInfinity), (clean.Alpha, clean.Sigma, clean.Lambda));
    }

    [Fact]
    public void A_discrete_schedule_is_never_cleaner_than_clean()
    {
        var schedule = DiscreteSchedule.Linear();
        Assert.Equal(0, schedule.LogAlpha(0));
        Assert.Equal(1, schedule.At(0).Alpha);
        Assert.Equal(0, schedule.AtIndex(0).NetworkTime, 1e-9);
        Assert.Equal(999, schedule.AtIndex(999).NetworkTime, 1e-9);
    }

    [Fact]
    public void Clipping_drops_the_tail_and_stretches_the_times()
    {
        var (clipped, whole) = (DiscreteSchedule.CosineBetas(), DiscreteSchedule.CosineBetas(clip: false));
        Assert.True(whole.Lambda(1) < DiscreteSchedule.ClipBelow);
        Assert.True(clipped.Lambda(1) >= DiscreteSchedule.ClipBelow);
        Assert.True(clipped.Count < whole.Count);
        Assert.Equal(whole.LogAlphas[clipped.Count - 1], clipped.LogAlpha(1));
    }

    [Theory]
    [InlineData(new double[] { 0.1 }, "at least 2")]
    [InlineData(new double[] { 0.1, 1.0 }, "Beta 1")]
    [InlineData(new double[] { 0.1, double.NaN, 0.2 }, "Beta 1")]
    [InlineData(new double[] { 0, 0.1 }, "Beta 0")]
    public void Bad_betas_are_refused(double[] betas, string fragment) =>
        Assert.Contains(fragment, Assert.Throws<TiltException>(() => DiscreteSchedule.FromBetas(betas)).Message);

    [Fact]
    public void Rising_log_alphas_are_refused() =>
        Assert.Contains(
            "index 1",
            Assert.Throws<TiltException>(() => DiscreteSchedule.FromLogAlphas([-0.2, -0.1])).Message
        );

    [Fact]
    public void A_schedule_comes_back_from_its_record()
    {
        foreach (var (schedule, _) in All)
        {
            var again = NoiseSchedules.Parse(NoiseSchedules.ToJson(schedule));
            Assert.Equal(schedule.GetType(), again.GetType());
            Assert.True(NoiseSchedules.Same(schedule, again));
            for (var i = 1; i <= 20; i++)
            {
                var time = schedule.End * i / 20;
                Assert.Equal(schedule.At(time), again.At(time));
            }
        }
        Assert.False(NoiseSchedules.Same(new LinearSchedule(), new LinearSchedule(0.1, 19)));
        Assert.False(NoiseSchedules.Same(DiscreteSchedule.Linear(), DiscreteSchedule.Linear(clip: false)));
        Assert.All(NoiseSchedules.Names, name => Assert.Equal(name, NoiseSchedules.Parse(name).Name));
    }

    [Theory]
    [InlineData("liner", "Did you mean 'linear'?")]
    [InlineData("{\"name\":\"linear\",\"parameters\":{\"firstrate\":0.1}}", "Did you mean 'firstRate'?")]
    [InlineData("{\"name\":\"linear\",\"parameters\":{\"firstRate\":-1}}", "The schedule 'linear'")]
    [InlineData("{\"name\":\"linear\"}", "lacks its name or parameters")]
    [InlineData("{\"name\":\"linear\",\"parameters\":{}", "not valid JSON")]
    [InlineData("{\"name\":\"linear\",\"parameters\":{},\"rate\":1}", "not valid JSON")]
    [InlineData("{\"name\":\"discrete\",\"parameters\":{}}", "needs logAlphas")]
    [InlineData("{\"name\":\"linear\",\"parameters\":{},\"logAlphas\":[-1,-2]}", "takes no logAlphas")]
    [InlineData("{\"name\":\"discrete-linear\",\"parameters\":{\"steps\":2.5}}", "whole number")]
    [InlineData("{\"name\":\"discrete-linear\",\"parameters\":{\"clip\":2}}", "clip is 2")]
    [InlineData("{\"name\":\"discrete-linear\",\"parameters\":{\"lastBeta\":2}}", "lastBeta 2")]
    [InlineData("{\"name\":\"discrete-cosine\",\"parameters\":{\"offset\":0}}", "offset 0")]
    public void A_bad_record_is_refused_and_says_why(string text, string fragment) =>
        Assert.Contains(fragment, Assert.Throws<TiltException>(() => NoiseSchedules.Parse(text)).Message);
}
