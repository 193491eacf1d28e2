using Tilt.Runs;
using Tilt.Toys;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Toys.Experiment;

public class Cep2dTests
{
    /// <summary>A run of a few steps: enough to move weights, not to learn.</summary>
    private static Cep2dOptions Small(string task = "8gaussians") =>
        Cep2dOptions.For("quick", task) with
        {
            Methods = [GuidanceMethod.Cep, GuidanceMethod.Mse, GuidanceMethod.Emse],
            NoiseSteps = 30,
            EnergySteps = 20,
            NoiseBatch = 64,
            EnergyBatch = 64,
            References = 16,
            LearningRateDecay = false,
            // Enough to represent the β that the tests ask for.
            Pool = 20_000,
        };

    private static Dictionary<string, Tensor> Weights(Cep2d experiment) =>
        experiment.State.ModelTensors.ToDictionary(
            pair => pair.Name,
            pair => pair.Value.detach().clone().DetachFromDisposeScope()
        );

    [Theory]
    [InlineData("8gaussians")]
    [InlineData("rings")]
    [InlineData("moons")]
    [InlineData("swissroll")]
    [InlineData("2spirals")]
    [InlineData("checkerboard")]
    [InlineData("pinwheel")]
    public void Every_labelled_set_trains_and_samples(string task)
    {
        using var scope = NewDisposeScope();
        using var experiment = new Cep2d(Small(task));

        var result = experiment.Train();

        Assert.Equal(30 + 3 * 20, result.Steps);
        foreach (var method in Enum.GetValues<GuidanceMethod>())
        {
            using var points = experiment.Model.Sample(method, 2, 32, new Generator(1));
            Assert.Equal([32L, 2L], points.shape);
            Assert.True(points.isfinite().all().item<bool>());
        }
    }

    [Fact]
    public void The_paper_preset_trains_its_own_networks_for_one_beta()
    {
        using var scope = NewDisposeScope();
        var options = Cep2dOptions.For("paper", "moons") with
        {
            Methods = [GuidanceMethod.Cep, GuidanceMethod.Mse, GuidanceMethod.Emse],
            Pool = 4096,
            NoiseSteps = 2,
            EnergySteps = 3,
        };
        using var experiment = new Cep2d(options);

        experiment.Train();

        Assert.NotEqual(Tilt.Networks.Precision.Auto, options.Precision);
        using var points = experiment.Model.Sample(GuidanceMethod.Cep, 3, 16, new Generator(1));
        Assert.True(points.isfinite().all().item<bool>());
        var error = Assert.Throws<TiltException>(() => experiment.Model.Energy(GuidanceMethod.Cep, 10));
        Assert.Contains("beta", error.Message);
    }

    [Fact]
    public void The_same_seed_gives_the_same_bits_and_another_seed_does_not()
    {
        using var scope = NewDisposeScope();
        using var first = new Cep2d(Small());
        using var second = new Cep2d(Small());
        using var other = new Cep2d(Small() with { Seed = 1 });
        first.Train();
        second.Train();
        other.Train();

        var (a, b, c) = (Weights(first), Weights(second), Weights(other));

        Assert.All(a, pair => Assert.True(pair.Value.equal(b[pair.Key]).all().item<bool>(), pair.Key));
        Assert.Contains(a, pair => !pair.Value.equal(c[pair.Key]).all().item<bool>());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(300)]
    public void A_run_stopped_anywhere_goes_on_to_the_same_bits(long pool)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        var options = Small("2spirals") with { Pool = pool };
        using var whole = new Cep2d(options);
        whole.Train();
        var expected = Weights(whole);

        var path = Path.Combine(folder.Path, "run");
        // In the middle of the noise model, of an energy, and between two stages.
        foreach (var stopAt in new[] { 17L, 41L, 50L })
        {
            using var run = Start(path, options);
            using var part = new Cep2d(options);
            using var stop = new CancellationTokenSource();
            var hook = new TrainingHook("stop", 1, at => StopAt(at.Step));
            Assert.Throws<StoppedException>(() => part.Train(run, hooks: [hook], stop: stop.Token));

            void StopAt(long step)
            {
                if (step == stopAt)
                {
                    stop.Cancel();
                }
            }
        }
        using var last = Start(path, options);
        using var resumed = new Cep2d(options);
        resumed.Train(last);

        Assert.All(
            Weights(resumed),
            pair => Assert.True(pair.Value.equal(expected[pair.Key]).all().item<bool>(), pair.Key)
        );
    }

    [Fact]
    public void A_loaded_run_samples_what_the_trained_one_did()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        var options = Small();
        var path = Path.Combine(folder.Path, "run");
        Tensor expected;
        using (var run = Start(path, options))
        using (var experiment = new Cep2d(options))
        {
            experiment.Train(run);
            expected = experiment.Model.Sample(GuidanceMethod.Cep, 4, 50, new Generator(3));
        }

        using var model = Cep2dModel.Load(path);
        using var points = model.Sample(GuidanceMethod.Cep, 4, 50, new Generator(3));

        Assert.True(points.equal(expected).all().item<bool>());
    }

    [Fact]
    public void Beta_zero_needs_no_energy_and_zero_samples_are_no_error()
    {
        using var scope = NewDisposeScope();
        using var experiment = new Cep2d(Small() with { NoiseSteps = 1, EnergySteps = 1 });
        experiment.Train();

        using var none = experiment.Model.Sample(GuidanceMethod.Cep, 3, 0, new Generator(1));
        using var plain = experiment.Model.Sample(GuidanceMethod.Cep, 0, 8, new Generator(1));
        using var other = experiment.Model.Sample(GuidanceMethod.Mse, 0, 8, new Generator(1));

        Assert.Equal([0L, 2L], none.shape);
        Assert.True(plain.equal(other).all().item<bool>());
        Assert.Throws<TiltException>(() => experiment.Model.Sample(GuidanceMethod.Cep, 3, -1, new Generator(1)));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(20.5)]
    public void Beta_outside_the_dial_is_refused(double beta)
    {
        using var scope = NewDisposeScope();
        using var experiment = new Cep2d(Small());

        var error = Assert.Throws<TiltException>(() => experiment.Model.Energy(GuidanceMethod.Cep, beta));

        Assert.Equal(2, error.ExitCode);
        Assert.Contains("beta", error.Message);
    }

    [Fact]
    public void The_dial_ends_where_the_data_end()
    {
        var swissroll = Cep2dOptions.For("quick", "swissroll");
        var gaussians = Cep2dOptions.For("quick", "8gaussians");

        Assert.InRange(swissroll.BetaMax, 10, 20 - 1e-9);
        Assert.True(
            ToyDatasets.Find("swissroll").EffectiveFraction(swissroll.BetaMax) * swissroll.TrainingPoints >= 1000
        );
        Assert.Equal(20, gaussians.BetaMax);
        Assert.Equal("limited by the pool", (swissroll with { Beta = 20 }).Dial.Mark(20));
    }

    [Fact]
    public void Memory_stays_flat_over_the_steps()
    {
        using var experiment = new Cep2d(
            Small() with
            {
                NoiseSteps = 400,
                EnergySteps = 0,
                Methods = [GuidanceMethod.Cep],
            }
        );
        var counts = new List<long>();
        var hook = new TrainingHook("count", 50, _ => counts.Add(DisposeScopeManager.Statistics.ThreadTotalLiveCount));

        experiment.Train(hooks: [hook]);

        Assert.True(counts[^1] - counts[1] <= 2, string.Join(", ", counts));
    }

    [Theory]
    [InlineData("contrastSets=7", "contrastSets")]
    [InlineData("pool=10", "pool")]
    [InlineData("noiseBatch=0", "noiseBatch")]
    [InlineData("averageDecay=1", "averageDecay")]
    [InlineData("labels=SelfNormalized", "references")]
    [InlineData("oneTimePerSet=true", "weighLevels")]
    [InlineData("noiseNetwork.width=0", "noiseNetwork.width")]
    [InlineData("networks=Paper", "beta")]
    [InlineData("sampler.solver=dim", "ddim")]
    [InlineData("energySteps=50", "steps")]
    public void A_wrong_option_is_named(string assignment, string named)
    {
        var options = Cep2dOptions.For("quick", "moons");

        var error = Assert.Throws<TiltException>(() =>
            OptionRecords.Apply(options, [assignment], Cep2dJson.Default.Cep2dOptions).Check()
        );

        Assert.Equal(2, error.ExitCode);
        Assert.Contains(named, error.Message);
    }

    [Fact]
    public void Unknown_names_get_a_suggestion()
    {
        Assert.Contains("swissroll", Assert.Throws<TiltException>(() => Cep2dOptions.For("quick", "swisroll")).Message);
        Assert.Contains("paper", Assert.Throws<TiltException>(() => Cep2dOptions.For("papr", "moons")).Message);
        var error = Assert.Throws<TiltException>(() =>
            OptionRecords.Apply(new Cep2dOptions(), ["noiseStep=3"], Cep2dJson.Default.Cep2dOptions)
        );
        Assert.Contains("noiseSteps", error.Message);
    }

    private static RunFolder Start(string path, Cep2dOptions options) =>
        RunFolder.Start(path, options, Cep2dJson.Default.Cep2dOptions, RunManifest.Collect(options.Seed));
}
