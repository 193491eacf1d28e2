using Tilt.Energy;
using Tilt.Images;
using Tilt.Images.Avatars;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Images;

public class ImageExperimentTests
{
    private static readonly ImageData Data = new() { Pool = 64, Seed = 5 };

    private static readonly ImageNetworkOptions Network = new()
    {
        Width = 8,
        Groups = 4,
        HeadChannels = 8,
        Multipliers = [1, 1],
    };

    private static readonly ImageTraining Few = new()
    {
        Steps = 6,
        Batch = 16,
        LearningRateDecay = false,
    };

    private static ImageNoiseOptions NoiseOptions =>
        new()
        {
            Data = Data,
            Network = Network,
            Training = Few,
            Precision = Precision.Float32,
        };

    private static ImageEnergyOptions EnergyOptions =>
        new()
        {
            Data = Data,
            Network = Network,
            Training = Few,
            Precision = Precision.Float32,
            Atoms = 4,
        };

    private static ImageEnergyOptions ClassOptions(ImageMethod method) =>
        EnergyOptions with
        {
            Energy = ImageEnergyKind.Class,
            Method = method,
            Attributes = ["background-hue", "lenses"],
        };

    private static void Train(TrainingState state, IReadOnlyList<Stage> stages, RunFolder? run = null) =>
        new Trainer(state, stages, null, run).Run();

    private static Dictionary<string, Tensor> Weights(TrainingState state) =>
        state.ModelTensors.ToDictionary(
            pair => pair.Name,
            pair => pair.Value.detach().clone().DetachFromDisposeScope()
        );

    private static void AssertSame(Dictionary<string, Tensor> a, Dictionary<string, Tensor> b) =>
        Assert.All(a, pair => Assert.True(pair.Value.equal(b[pair.Key]).all().item<bool>(), pair.Key));

    [Theory]
    [InlineData(ImageMethod.Cep, true)]
    [InlineData(ImageMethod.Cep, false)]
    [InlineData(ImageMethod.Mse, true)]
    [InlineData(ImageMethod.Emse, true)]
    public void Every_method_of_colour_trains_and_guides(ImageMethod method, bool unbiased)
    {
        using var scope = NewDisposeScope();
        using var pool = ImagePool.Of(Data);
        using var noise = new ImageNoiseExperiment(NoiseOptions, pool);
        using var colour = new ImageEnergyExperiment(EnergyOptions with { Method = method, Unbiased = unbiased }, pool);
        Train(noise.State, noise.Stages);
        Train(colour.State, colour.Stages);

        var guided = colour.Model.Guide(noise.Model, "cyan", 20);
        var images = noise.Model.Sample(guided, 3, new Generator(1));
        var unguided = noise.Model.Sample(noise.Model.Noise, 3, new Generator(1));
        var atZero = noise.Model.Sample(colour.Model.Guide(noise.Model, "cyan", 0), 3, new Generator(1));

        Assert.Equal([3L, 3L, 16L, 16L], images.shape);
        Assert.True(images.isfinite().all().item<bool>());
        Assert.True(atZero.equal(unguided).all().item<bool>());
        Assert.False(images.equal(unguided).all().item<bool>());
    }

    [Theory]
    [InlineData(ImageMethod.Cep)]
    [InlineData(ImageMethod.Classifier)]
    public void Classes_of_several_attributes_share_a_network(ImageMethod method)
    {
        using var scope = NewDisposeScope();
        using var pool = ImagePool.Of(Data);
        using var classes = new ImageEnergyExperiment(ClassOptions(method), pool);
        Train(classes.State, classes.Stages);

        Assert.Equal(9, classes.Model.Heads.Count);
        var level = classes.Model.Schedule.At(0.4);
        var x = pool.Images(arange(4));
        var red = classes.Model.Energy("background-hue=red")(x, level);
        Assert.Equal([4L], red.shape);
        if (method == ImageMethod.Classifier)
        {
            // −log of probabilities over the attribute's own classes, which sum to one.
            var sum = stack(
                    AvatarAttribute
                        .Lenses.Values()
                        .Select(value => (-classes.Model.Energy($"lenses={value}")(x, level)).exp())
                        .ToArray()
                )
                .sum([0]);
            Assert.True(sum.allclose(ones(4), rtol: 1e-5));
        }
        var error = Assert.Throws<TiltException>(() => classes.Model.Energy("background-hue=rad"));
        Assert.Contains("background-hue=red", error.Message);
        Assert.Throws<TiltException>(() => classes.Model.Energy("background-hue=red", 2));
    }

    [Fact]
    public void An_energy_of_the_callers_goes_the_same_way()
    {
        using var scope = NewDisposeScope();
        using var pool = ImagePool.Of(Data);
        var energies = ImageEnergies.Custom("dark left", BrightnessEnergy.OfLeftHalf);
        using var custom = new ImageEnergyExperiment(
            EnergyOptions with
            {
                Energy = ImageEnergyKind.Custom,
            },
            pool,
            energies
        );
        Train(custom.State, custom.Stages);

        Assert.Equal(["dark left"], custom.Model.Heads);
        Assert.Equal(
            [2L],
            custom.Model.Energy("dark left", 5)(pool.Images(arange(2)), custom.Model.Schedule.At(0.5)).shape
        );
        var broken = ImageEnergies.Custom("log", images => images.mean([1, 2, 3]).log());
        var error = Assert.Throws<TiltException>(() =>
            new ImageEnergyExperiment(EnergyOptions with { Energy = ImageEnergyKind.Custom }, pool, broken)
        );
        Assert.Contains("'log'", error.Message);
    }

    [Fact]
    public void Runs_resume_to_the_same_bits_and_load_again()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var pool = ImagePool.Of(Data);
        var options = EnergyOptions;
        using var whole = new ImageEnergyExperiment(options, pool);
        Train(whole.State, whole.Stages);
        var path = folder.File("run");
        foreach (var stopAt in new long?[] { 2, 5, null })
        {
            using var part = new ImageEnergyExperiment(options, pool);
            using var stop = new CancellationTokenSource();
            using var run = RunFolder.Start(
                path,
                options,
                ImagesJson.Default.ImageEnergyOptions,
                RunManifest.Collect(options.Seed)
            );
            var hook = new TrainingHook(
                "stop",
                1,
                at =>
                {
                    if (at.Step == stopAt)
                    {
                        stop.Cancel();
                    }
                }
            );
            var trainer = new Trainer(part.State, part.Stages, null, run, null, [hook]);
            if (stopAt is null)
            {
                trainer.Run(stop.Token);
                AssertSame(Weights(whole.State), Weights(part.State));
            }
            else
            {
                Assert.Throws<StoppedException>(() => trainer.Run(stop.Token));
            }
        }

        whole.Model.UseAverages();
        using var loaded = ImageEnergyModel.Load(path);
        var (x, level) = (pool.Images(arange(4)), loaded.Schedule.At(0.3));
        Assert.Equal(whole.Model.Heads, loaded.Heads);
        Assert.True(
            loaded.Energy("blue", 7)(x, level).equal(whole.Model.Energy("blue", 7)(x, level)).all().item<bool>()
        );
    }

    [Fact]
    public void Weights_of_one_file_give_nearly_the_same_and_refuse_to_be_taken_for_others()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var pool = ImagePool.Of(Data);
        using var noise = new ImageNoiseExperiment(NoiseOptions, pool);
        using var classes = new ImageEnergyExperiment(ClassOptions(ImageMethod.Cep), pool);
        Train(noise.State, noise.Stages);
        Train(classes.State, classes.Stages);
        var (noiseFile, classFile) = (folder.File("noise.safetensors"), folder.File("class.safetensors"));
        noise.Model.Save(noiseFile);
        classes.Model.Save(classFile);

        using var loaded = ImageNoiseModel.Load(noiseFile);
        var a = loaded.Sample(loaded.Noise, 2, new Generator(1));
        var b = noise.Model.Sample(noise.Model.Noise, 2, new Generator(1));
        Assert.True((a - b).abs().mean().item<float>() < 0.02);
        using var again = ImageEnergyModel.Load(classFile);
        Assert.Equal(classes.Model.Heads, again.Heads);

        Assert.Equal(ImageNoiseModel.Kind, ImageWeights.KindOf(noiseFile));
        Assert.Contains("noise model", Assert.Throws<TiltException>(() => ImageEnergyModel.Load(noiseFile)).Message);
        Assert.Contains("energies", Assert.Throws<TiltException>(() => ImageNoiseModel.Load(classFile)).Message);
        Assert.Contains("classifier", Assert.Throws<TiltException>(() => ImageClassifier.Load(noiseFile)).Message);
        File.WriteAllText(noiseFile, "not weights");
        Assert.Contains(
            "noise.safetensors",
            Assert.Throws<TiltException>(() => ImageNoiseModel.Load(noiseFile)).Message
        );
    }

    [Fact]
    public void The_classifier_learns_what_shows_and_tells_its_features()
    {
        using var scope = NewDisposeScope();
        var options = new ImageClassifierOptions
        {
            Data = Data with { Pool = 2000 },
            Attributes = ["background-hue"],
            Network = Network,
            Training = Few with { Steps = 60, Batch = 64, LearningRate = 1e-2, AverageDecay = 0.9 },
            Precision = Precision.Float32,
        };
        using var pool = ImagePool.Of(options.Data);
        using var experiment = new ImageClassifierExperiment(options, pool);
        Train(experiment.State, experiment.Stages);
        experiment.Model.UseAverages();

        using var unseen = ImagePool.HeldOut(options.Data, 500);
        var accuracy = experiment.Model.Accuracy(unseen)[AvatarAttribute.BackgroundHue];

        Assert.True(accuracy > 0.8, $"{accuracy}");
        var images = unseen.Images(arange(5));
        Assert.Equal([5L, experiment.Model.FeatureWidth], experiment.Model.Features(images).shape);
        Assert.Equal([5L], experiment.Model.Classify(images, AvatarAttribute.BackgroundHue).shape);
        Assert.Throws<TiltException>(() => experiment.Model.Classify(images, AvatarAttribute.Hat));
    }

    [Fact]
    public void A_noise_model_on_another_schedule_is_refused()
    {
        using var scope = NewDisposeScope();
        using var pool = ImagePool.Of(Data);
        using var noise = new ImageNoiseExperiment(NoiseOptions with { Schedule = "linear" }, pool);
        using var colour = new ImageEnergyExperiment(EnergyOptions, pool);
        Train(noise.State, noise.Stages);

        var images = noise.Model.Sample(noise.Model.Noise, 2, new Generator(1));
        var error = Assert.Throws<TiltException>(() => colour.Model.Guide(noise.Model, "red", 5));

        Assert.True(images.isfinite().all().item<bool>());
        Assert.Contains("discrete-linear", error.Message);
        Assert.Contains("linear", error.Message);
    }

    [Fact]
    public void One_image_is_no_pool()
    {
        var one = AvatarGenerator.Draw(1, 0).Pictures;

        Assert.Contains("at least 2", Assert.Throws<TiltException>(() => new ImagePool(one, "photos")).Message);
    }

    [Fact]
    public void What_is_held_out_was_never_in_the_pool()
    {
        using var pool = ImagePool.Of(Data);
        using var unseen = ImagePool.HeldOut(Data, 64);
        var seen = Enumerable.Range(0, 64).Select(i => Convert.ToHexString(pool.Pictures[i])).ToHashSet();

        Assert.DoesNotContain(
            Enumerable.Range(0, 64).Select(i => Convert.ToHexString(unseen.Pictures[i])),
            seen.Contains
        );
    }

    public static TheoryData<string> WrongOptions =>
        ["training.batch", "method", "attributes", "betaMax", "betas", "data.pool", "training.steps", "data.size"];

    [Theory]
    [MemberData(nameof(WrongOptions))]
    public void Options_that_make_no_sense_are_named(string option)
    {
        var wrong = option switch
        {
            "training.batch" => EnergyOptions with { Training = Few with { Batch = 65 } },
            "method" => EnergyOptions with { Method = ImageMethod.Dps },
            "attributes" => EnergyOptions with { Energy = ImageEnergyKind.Class },
            "betaMax" => EnergyOptions with { BetaMax = 0 },
            "betas" => EnergyOptions with { Betas = 0 },
            "data.pool" => EnergyOptions with { Data = Data with { Pool = 1 } },
            "training.steps" => EnergyOptions with { Training = Few with { LearningRateDecay = true } },
            _ => EnergyOptions with { Data = Data with { Size = 32 } },
        };

        Assert.Contains($"'{option}'", Assert.Throws<TiltException>(wrong.Check).Message);
    }

    [Theory]
    [InlineData("ddpm")]
    [InlineData("ddim")]
    [InlineData("dpm-solver++-2m")]
    [InlineData("dpm-solver++-2s")]
    [InlineData("sde-dpm-solver++-2m")]
    public void Solvers_take_images_as_they_take_points(string solver)
    {
        using var scope = NewDisposeScope();
        var schedule = NoiseSchedules.Parse("discrete-linear");
        var options = new SamplerOptions
        {
            Solver = solver,
            Evaluations = 10,
            Spacing = TimeSpacing.Uniform,
        };
        var xT = Sampler.Normal([3, 2, 4, 4], ScalarType.Float64, null, new Generator(1));
        // The exact noise of N(0.3, 0.25): each coordinate for itself, whatever the shape.
        Tilt.Diffusion.NoisePredictor noise = (x, t) =>
            t.Sigma * (x - 0.3 * t.Alpha) / (0.25 * t.Alpha * t.Alpha + t.Sigma * t.Sigma);

        var images = Sampler.Sample(noise, xT, schedule, options, new Generator(2));
        var points = Sampler.Sample(noise, xT.flatten(1), schedule, options, new Generator(2));

        Assert.Equal([3L, 2L, 4L, 4L], images.shape);
        Assert.True(images.flatten(1).allclose(points, rtol: 1e-12, atol: 1e-12));
    }

    [Fact]
    public void Learned_energies_of_a_small_set_agree_with_the_exact_ones()
    {
        using var scope = NewDisposeScope();
        // Sixty-four pictures of 4 × 4, two colours each: the posterior is a finite sum.
        var random = new Random(1);
        var pixels = new byte[64 * 48];
        for (var i = 0; i < 64; i++)
        {
            for (var channel = 0; channel < 3; channel++)
            {
                var (top, bottom) = ((byte)random.Next(256), (byte)random.Next(256));
                Array.Fill(pixels, top, 48 * i + 16 * channel, 8);
                Array.Fill(pixels, bottom, 48 * i + 16 * channel + 8, 8);
            }
        }
        using var pool = new ImagePool(new(pixels, 4, 4), "patches");
        EnergyFunction red = images => images.select(1, 0).mean([1, 2]);
        var options = EnergyOptions with
        {
            Energy = ImageEnergyKind.Custom,
            Data = new() { Source = "patches", Size = 4 },
            Network = Network with { Multipliers = [2], Width = 8 },
            Training = Few with { Steps = 250, Batch = 64, LearningRate = 1e-2, AverageDecay = 0.95 },
            Atoms = 8,
            BetaMax = 6,
        };
        using var training = new ImageEnergyExperiment(options, pool, ImageEnergies.Custom("red", red));
        Train(training.State, training.Stages);
        training.Model.UseAverages();

        var x0 = pool.Images(arange(64));
        using var oracle = new Tilt.Energy.Oracles.EmpiricalPosterior(
            x0.flatten(1).to(ScalarType.Float64),
            red(x0).to(ScalarType.Float64)
        );
        using var generator = new Generator(2);
        var level = training.Model.Schedule.At(0.6);
        var xt = level.Alpha * x0 + level.Sigma * randn(x0.shape, generator: generator);
        var exact = oracle.Exact(4)(xt.flatten(1).to(ScalarType.Float64), level);
        var learned = training.Model.Energy("red", 4)(xt, level).to(ScalarType.Float64);

        var (a, b) = (exact - exact.mean(), learned - learned.mean());
        var correlation = ((a * b).sum() / (a.norm() * b.norm())).item<double>();
        Assert.True(correlation > 0.9, $"{correlation}");
    }

    [Fact]
    public void A_small_pool_fills_any_batch()
    {
        using var scope = NewDisposeScope();
        using var pool = new ImagePool(AvatarGenerator.Draw(3, 0).Pictures, "three");
        using var streams = new Tilt.RandomStreams(0);

        var places = pool.Places("x", 0, 8, streams);

        Assert.Equal(8, places.shape[0]);
        var drawn = places.data<long>().ToArray();
        Assert.All([0L, 1, 2], place => Assert.True(drawn.Count(found => found == place) >= 2));
    }
}
