using CsCheck;

namespace Tilt.Tests.ModelTests;

public class TimeGridTests
{
    [Fact]
    public void A_grid_falls_from_start_to_end_exactly() =>
        (
            from spacing in Gen.Enum<TimeSpacing>()
            from intervals in Gen.Int[1, 60]
            from end in Gen.Double[1e-5, 0.4]
            from start in Gen.Double[0.5, 1]
            select (spacing, intervals, start, end)
        ).Sample(grid =>
        {
            var times = TimeGrid.Times(new LinearSchedule(), grid.spacing, grid.intervals, grid.start, grid.end);
            return times.Length == grid.intervals + 1
                && times[0] == grid.start
                && times[^1] == grid.end
                && times.Zip(times.Skip(1)).All(pair => pair.First > pair.Second);
        });

    [Fact]
    public void The_logSNR_grid_is_equal_in_lambda()
    {
        var levels = TimeGrid.Levels(new CosineSchedule(), TimeSpacing.LogSnr, 17, 0.9946, 1e-3);
        var step = (levels[^1].Lambda - levels[0].Lambda) / 17;
        for (var i = 0; i < 17; i++)
        {
            Assert.Equal(step, levels[i + 1].Lambda - levels[i].Lambda, 1e-11);
        }
    }

    [Fact]
    public void Singlestep_orders_spend_what_is_given() =>
        (
            from layout in Gen.Enum<SinglestepLayout>()
            from order in Gen.Int[1, 3]
            from evaluations in Gen.Int[order, 100]
            select (layout, order, evaluations)
        ).Sample(given =>
        {
            var orders = SinglestepGrid.Orders(given.evaluations, given.order, given.layout);
            var spent =
                given.layout == SinglestepLayout.Fixed
                    ? given.evaluations / given.order * given.order
                    : given.evaluations;
            return orders.Sum() == spent && orders.All(order => order >= 1 && order <= given.order);
        });

    [Fact]
    public void Strides_join_and_inner_points_lie_between() =>
        (
            from layout in Gen.Enum<SinglestepLayout>()
            from spacing in Gen.Enum<TimeSpacing>()
            from order in Gen.Int[1, 3]
            from evaluations in Gen.Int[order, 40]
            select (layout, spacing, order, evaluations)
        ).Sample(given =>
        {
            var strides = SinglestepGrid.Strides(
                new LinearSchedule(),
                given.spacing,
                given.evaluations,
                given.order,
                given.layout,
                1,
                1e-3
            );
            var all = strides.SelectMany(stride => stride.Skip(1)).Prepend(strides[0][0]).ToArray();
            return strides.Zip(strides.Skip(1)).All(pair => pair.First[^1] == pair.Second[0])
                && all[0].Time == 1
                && all[^1].Time == 1e-3
                && all.Zip(all.Skip(1)).All(pair => pair.First.Lambda < pair.Second.Lambda);
        });

    [Theory]
    [InlineData("logsnr", TimeSpacing.LogSnr)]
    [InlineData("time_uniform", TimeSpacing.Uniform)]
    [InlineData("quadratic", TimeSpacing.Quadratic)]
    public void Spacings_have_names(string name, TimeSpacing spacing)
    {
        Assert.Equal(spacing, TimeGrid.Parse(name));
        Assert.Equal(spacing, TimeGrid.Parse(TimeGrid.NameOf(spacing)));
    }

    [Fact]
    public void An_unknown_spacing_is_refused_with_a_suggestion() =>
        Assert.Contains(
            "Did you mean 'uniform'?",
            Assert.Throws<TiltException>(() => TimeGrid.Parse("unifrom")).Message
        );

    [Theory]
    [InlineData(LowerOrderFinal.Off, 8, new[] { 1, 2, 3, 3, 3, 3, 3, 3 })]
    [InlineData(LowerOrderFinal.BelowTen, 8, new[] { 1, 2, 3, 3, 3, 3, 2, 1 })]
    [InlineData(LowerOrderFinal.BelowTen, 3, new[] { 1, 2, 1 })]
    [InlineData(LowerOrderFinal.BelowTen, 11, new[] { 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3 })]
    [InlineData(LowerOrderFinal.BelowFifteen, 11, new[] { 1, 2, 3, 3, 3, 3, 3, 3, 3, 2, 1 })]
    public void The_last_multistep_orders_fall_when_asked(LowerOrderFinal final, int steps, int[] expected) =>
        Assert.Equal(expected, Enumerable.Range(1, steps).Select(step => MultistepOrder.Of(step, steps, 3, final)));
}
