using CsCheck;
using Tilt.Cli.Progress;
using Tilt.Training;

namespace Tilt.Tests.Cli.Progress;

public class ProgressTests
{
    private static readonly TrainingReport Halfway = new()
    {
        Stage = "behavior",
        StageNumber = 1,
        StageCount = 2,
        Step = 4600,
        Steps = 10_000,
        TotalStep = 4600,
        TotalSteps = 20_000,
        StepsPerSecond = 812.4,
        TimeLeft = TimeSpan.FromSeconds(200.4),
        Metrics = new SortedDictionary<string, double> { ["gradientNorm"] = 1.25, ["loss"] = 0.53217 },
    };

    [Fact]
    public void A_wide_terminal_shows_everything()
    {
        Assert.Equal(
            "behavior 1/2  █████████████░░░░░░░░░░░░░░░░░  46 %  4600/10000  812 steps/s  3 min 21 s left  "
                + "gradientNorm 1.25  loss 0.5322",
            ProgressLine.Live(Halfway, 140)
        );
    }

    [Fact]
    public void Forty_columns_show_stage_percent_rate_and_time_left()
    {
        var line = ProgressLine.Live(Halfway, 40);

        Assert.True(line.Length <= 40, line);
        Assert.Equal("behavior 1/2  46 %  3 min 21 s left", line);
        Assert.Equal(
            "guide  46 %  812/s  3 min 21 s left",
            ProgressLine.Live(Halfway with { Stage = "guide", StageCount = 1 }, 40)
        );
    }

    [Fact]
    public void No_line_is_wider_than_its_terminal()
    {
        Gen.Select(
                Gen.Int[1, 200],
                Gen.String[Gen.Char['a', 'z'], 1, 30],
                Gen.Long[0, 1_000_000],
                Gen.Double[1e-9, 1e9],
                Gen.Bool
            )
            .Sample(
                (width, stage, step, rate, titled) =>
                {
                    var report = Halfway with { Stage = stage, Step = step, Steps = 1_000_000, StepsPerSecond = rate };
                    return ProgressLine.Live(report, width, titled ? "cep, β = 3" : null).Length <= width;
                },
                iter: 2000
            );
    }

    [Theory]
    [InlineData(0.2, "1 s")]
    [InlineData(59, "59 s")]
    [InlineData(61, "1 min 01 s")]
    [InlineData(7500, "2 h 05 min")]
    [InlineData(280_000, "3 d 5 h")]
    public void Durations_are_said_in_two_units(double seconds, string said)
    {
        Assert.Equal(said, ProgressLine.Duration(TimeSpan.FromSeconds(seconds)));
    }

    [Fact]
    public void A_file_gets_one_plain_line_per_interval_and_no_control_sequences()
    {
        var time = new ManualTime();
        using var writer = new StringWriter();
        var progress = new LineProgress(writer, time, TimeSpan.FromSeconds(10));
        for (var step = 0L; step <= 100; step++)
        {
            progress.Update(Halfway with { Step = step, Steps = 100, StageCount = 1 });
            progress.Show(["a picture"]);
            time.Advance(TimeSpan.FromSeconds(0.31));
        }
        progress.Say("a remark");
        progress.End(Halfway with { Step = 100, Steps = 100, StageCount = 1 });

        var lines = writer.ToString().TrimEnd().Split('\n');
        Assert.DoesNotContain('\e', writer.ToString());
        Assert.DoesNotContain('\r', writer.ToString());
        // 31 seconds hold three intervals of ten; then the remark and the last line.
        Assert.Equal(5, lines.Length);
        Assert.StartsWith("behavior: step 33 of 100 (33 %), 812 steps/s, 3 min 21 s left, gradientNorm 1.25", lines[0]);
        Assert.Equal("behavior: step 100 of 100 (100 %), 812 steps/s, gradientNorm 1.25, loss 0.5322", lines[4]);
    }

    [Fact]
    public void A_terminal_ends_with_the_remarks_the_picture_and_one_line()
    {
        using var writer = new StringWriter();
        var progress = new LiveProgress(writer, () => 40) { Title = "cep" };
        progress.Update(Halfway with { Step = 1000 });
        progress.Show(["first picture, longer than the next", new string('x', 100)]);
        progress.Update(Halfway with { Step = 2000 });
        progress.Say("a remark");
        progress.Show(["second picture"]);
        progress.Update(Halfway);
        progress.End(Halfway);

        Assert.Equal(
            ["a remark", "second picture", "cep  behavior 1/2  46 %  812/s", ""],
            Screen(writer.ToString(), 40)
        );
    }

    [Fact]
    public void Quiet_says_nothing()
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var progress = TerminalProgress.For(new Tilt.Cli.Terminal(output, error) { Quiet = true });
        progress.Say("a remark");
        progress.Update(Halfway);
        progress.End(Halfway);

        Assert.Equal("", output.ToString() + error);
    }

    /// <summary>What stands on a terminal after the control sequences that the live progress uses.</summary>
    private static List<string> Screen(string text, int width)
    {
        var lines = new List<string> { "" };
        var (row, column) = (0, 0);
        for (var i = 0; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '\r':
                    column = 0;
                    break;
                case '\n':
                    (row, column) = (row + 1, 0);
                    while (lines.Count <= row)
                    {
                        lines.Add("");
                    }
                    break;
                case '\e':
                    var end = text.IndexOfAny(['A', 'J'], i);
                    if (text[end] == 'A')
                    {
                        row -= int.Parse(text.AsSpan(i + 2, end - i - 2));
                    }
                    else
                    {
                        lines[row] = lines[row][..column];
                        lines.RemoveRange(row + 1, lines.Count - row - 1);
                    }
                    i = end;
                    break;
                default:
                    Assert.True(column < width, "a line wrapped");
                    lines[row] = lines[row].PadRight(column)[..column] + text[i];
                    column++;
                    break;
            }
        }
        return lines;
    }

    private sealed class ManualTime : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public void Advance(TimeSpan by) => _now += by.Ticks;
    }
}
