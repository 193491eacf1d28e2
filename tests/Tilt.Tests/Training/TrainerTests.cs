using Tilt.Runs;
using Tilt.Training;

namespace Tilt.Tests.Training;

public class TrainerTests
{
    [Fact]
    public void Training_again_from_the_same_seed_gives_the_same_bits()
    {
        var options = new ToyOptions();
        Assert.Equal(ToyTraining.TrainIn(null, options), ToyTraining.TrainIn(null, options));
        Assert.NotEqual(
            ToyTraining.TrainIn(null, options),
            ToyTraining.TrainIn(null, options with { Seed = options.Seed + 1 })
        );
    }

    [Fact]
    public void A_folder_changes_nothing_of_the_training()
    {
        using var temporary = new TemporaryFolder();
        Assert.Equal(
            ToyTraining.TrainIn(null, new ToyOptions()),
            ToyTraining.TrainIn(temporary.File("run"), new ToyOptions())
        );
    }

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(23)]
    [InlineData(59)]
    [InlineData(60)]
    [InlineData(61)]
    [InlineData(79)]
    public void A_run_stopped_anywhere_and_resumed_equals_an_uninterrupted_one(int stopAt)
    {
        using var temporary = new TemporaryFolder();
        var options = new ToyOptions();
        var expected = ToyTraining.TrainIn(temporary.File("whole"), options);

        using var stop = new CancellationTokenSource();
        var hook = new TrainingHook("stop", stopAt, _ => stop.Cancel());
        Assert.Throws<StoppedException>(() =>
            ToyTraining.TrainIn(temporary.File("halved"), options, stop: stop.Token, hooks: [hook])
        );
        var resumed = ToyTraining.TrainIn(temporary.File("halved"), options);

        Assert.Equal(expected, resumed);
        Assert.Equal(Curve(temporary.File("whole")), Curve(temporary.File("halved")));
        Assert.Equal("finished", RunReader.Open(temporary.File("halved")).Status()!.State);
    }

    /// <summary>What the log says apart from times and speeds, digit for digit.</summary>
    public static IReadOnlyList<string> Curve(string run) =>
        [
            .. RunReader
                .Open(run)
                .Metrics()
                .Select(line => $"{line.Step} {line.Text("stage")} {line.Number("loss"):R} {line.Number("rate"):R}"),
        ];
}
