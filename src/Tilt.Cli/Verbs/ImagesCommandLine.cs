using System.CommandLine;
using System.Text.Json.Serialization.Metadata;
using Tilt.Cli.Progress;
using Tilt.Cli.Reports;
using Tilt.Images;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.Cli.Verbs;

/// <summary>What the commands on images share: where runs go, weights that ship, how a training runs.</summary>
internal static class ImagesCommandLine
{
    private static readonly string WeightsFolder = Path.Combine(AppContext.BaseDirectory, "Weights", "Images");

    /// <summary>The files of weights that ship, by what they hold.</summary>
    public static string Shipped(string name) => Path.Combine(WeightsFolder, $"{name}.safetensors");

    /// <summary>The noise model that ships.</summary>
    public const string NoiseFile = "noise";

    /// <summary>The energies of the six hues that ship.</summary>
    public const string ColorFile = "color-cep";

    /// <summary>The class energies that ship.</summary>
    public const string ClassFile = "class-cep";

    /// <summary>The frozen classifier that ships.</summary>
    public const string ClassifierFile = "classifier";

    /// <summary>The attributes that class energies are of unless told otherwise: a class of color, and one of form.</summary>
    public static IReadOnlyList<string> UsualAttributes { get; } = ["background-hue", "lenses"];

    /// <summary><c>--images</c>: a folder instead of the built-in generator.</summary>
    public static Option<string?> Images() =>
        new("--images")
        {
            HelpName = "FOLDER",
            Description = "train on the PNG and JPEG files of a folder [built-in avatars]",
            CustomParser = result =>
            {
                var path = result.Tokens[0].Value;
                if (!Directory.Exists(path))
                {
                    result.AddError(
                        $"--images '{path}': there is no such folder; expected one with PNG or JPEG files."
                    );
                }
                return path;
            },
        };

    /// <summary><c>--precision</c>: of the inner convolutions in training.</summary>
    public static Option<string?> TrainingPrecision() =>
        new("--precision")
        {
            HelpName = "NAME",
            Description = $"of training: {string.Join(", ", MixedPrecision.Names)} [auto]",
        };

    /// <summary>The precision of a run: as asked, else as the run began, else what this processor does best.</summary>
    public static Precision PrecisionOf<T>(
        string? asked,
        Precision wanted,
        string folder,
        JsonTypeInfo<T> type,
        Func<T, Precision> stored
    ) =>
        asked is not null ? MixedPrecision.Parse(asked).Resolve()
        : RunReader.Exists(folder) ? stored(RunReader.Open(folder).Options(type))
        : wanted.Resolve();

    /// <summary>A training with the steps that the command line asks for.</summary>
    public static ImageTraining WithSteps(ImageTraining training, long? steps) =>
        steps is not { } count
            ? training
            : training with
            {
                Steps = count,
                LearningRateDecay = training.LearningRateDecay && count > ImageTraining.WarmUpSteps,
            };

    /// <summary>The images of a run.</summary>
    /// <param name="terminal">Told what they are.</param>
    /// <param name="data">Which.</param>
    /// <param name="training">What they are for; null where they are looked at only.</param>
    /// <exception cref="TiltException">A folder without pictures, with some that cannot be read, or with fewer than a batch.</exception>
    public static ImagePool Open(Terminal terminal, ImageData data, ImageTraining? training = null)
    {
        var pool =
            data.Source == ImageData.Avatars
                ? ImagePool.Of(data)
                : new(PictureFolder.Read(data.Source, data.Size, most: data.Pool), data.Source);
        terminal.Remark($"{pool.Count} images of {data.Size}×{data.Size}: {pool.Name}");
        if (training is { } asked && asked.Batch > pool.Count)
        {
            var count = pool.Count;
            pool.Dispose();
            throw TiltException.Usage(
                $"option 'training.batch': found {asked.Batch}; expected at most the {count} images of {data.Source}. Add images, or "
                    + $"--set training.batch={count}."
            );
        }
        return pool;
    }

    /// <summary>Trains in a folder, to the end.</summary>
    public static TrainingResult Train<T>(
        Terminal terminal,
        string folder,
        T options,
        JsonTypeInfo<T> type,
        RunManifest manifest,
        TrainingState state,
        IReadOnlyList<Stage> stages,
        string? title = null
    )
    {
        using var run = RunFolder.Start(folder, options, type, manifest);
        var progress = TerminalProgress.For(terminal);
        progress.Title = title;
        var result = new Trainer(state, stages, new TrainerOptions(), run, progress).Run();
        terminal.Line($"{folder}: {result.Steps} steps in {TrainCep2d.Time(result.Seconds)}");
        return result;
    }

    /// <summary>Prints options and the time that a few steps let expect.</summary>
    public static int DryRun<T>(
        Terminal terminal,
        T options,
        JsonTypeInfo<T> type,
        string folder,
        TrainingState state,
        IReadOnlyList<Stage> stages
    )
    {
        const int Few = 4;
        var table = new Table(new TableColumn("option", "option"), new TableColumn("value", "value"));
        foreach (var (name, value) in OptionRecords.List(options, type))
        {
            table.Add(name, value);
        }
        table.Add("folder", folder);
        table.Print(terminal);
        terminal.Line();
        var seconds = 0.0;
        foreach (var stage in stages)
        {
            new Trainer(state, [stage with { Name = "warm-up", Steps = 1 }]).Run();
            var start = TimeProvider.System.GetTimestamp();
            new Trainer(state, [stage with { Steps = Few }]).Run();
            seconds += TimeProvider.System.GetElapsedTime(start).TotalSeconds / Few * stage.Steps;
        }
        terminal.Line($"estimated time on this machine: {TrainCep2d.Time(seconds)}");
        return 0;
    }
}
