using Tilt.Images;
using Tilt.Networks;
using Tilt.Runs;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt train images-noise</c>: a noise model of images.</summary>
internal static class TrainImagesNoise
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "images-noise",
            "Trains a noise model of small images: built-in avatars, or a folder of yours.",
            "./tilt train images-noise",
            "./tilt train images-noise --images photos --set data.size=32"
        );
        var preset = CommonOptions.Preset(ImageOptions.Presets, "quick");
        var images = ImagesCommandLine.Images();
        var seed = CommonOptions.Seed();
        var steps = CommonOptions.Steps();
        var set = CommonOptions.Set();
        var precision = ImagesCommandLine.TrainingPrecision();
        var output = CommonOptions.Out("the run's folder [runs/images/noise/seed-N]");
        var dryRun = CommonOptions.DryRun();
        foreach (
            var option in new System.CommandLine.Option[]
            {
                preset,
                images,
                seed,
                steps,
                set,
                precision,
                output,
                dryRun,
            }
        )
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var options = Resolve(
                parsed.GetValue(preset)!,
                parsed.GetValue(images),
                parsed.GetValue(seed),
                parsed.GetValue(steps),
                parsed.GetValue(set)!
            );
            var folder = parsed.GetValue(output) ?? Folder(options);
            var type = ImagesJson.Default.ImageNoiseOptions;
            options = options with
            {
                Precision = ImagesCommandLine.PrecisionOf(
                    parsed.GetValue(precision),
                    options.Precision,
                    folder,
                    type,
                    stored => stored.Precision
                ),
            };
            return Run(terminal, options, folder, parsed.GetValue(dryRun));
        });
        return verb;
    }

    /// <summary>The options that a command line asks for.</summary>
    public static ImageNoiseOptions Resolve(
        string preset,
        string? images,
        long seed,
        long? steps,
        IReadOnlyDictionary<string, string> set
    )
    {
        var options = ImageNoiseOptions.For(preset) with { Seed = seed };
        options = options with
        {
            Data = images is null ? options.Data : options.Data with { Source = Path.GetFullPath(images) },
            Training = ImagesCommandLine.WithSteps(options.Training, steps),
        };
        options = OptionRecords.Apply(
            options,
            set.Select(pair => $"{pair.Key}={pair.Value}"),
            ImagesJson.Default.ImageNoiseOptions
        );
        options.Check();
        return options;
    }

    /// <summary>Where a run goes when the user names no folder.</summary>
    public static string Folder(ImageNoiseOptions options)
    {
        var name = options.Preset == "quick" ? "noise" : $"noise-{options.Preset}";
        var what =
            options.Data.Source == ImageData.Avatars ? "images" : $"images-{Path.GetFileName(options.Data.Source)}";
        return Path.Combine("runs", what, name, $"seed-{options.Seed}");
    }

    /// <summary>Trains, or tells what it would do.</summary>
    public static int Run(Terminal terminal, ImageNoiseOptions options, string folder, bool dryRun = false)
    {
        using var pool = ImagesCommandLine.Open(terminal, options.Data, options.Training);
        using var experiment = new ImageNoiseExperiment(options, pool);
        var type = ImagesJson.Default.ImageNoiseOptions;
        if (dryRun)
        {
            return ImagesCommandLine.DryRun(terminal, options, type, folder, experiment.State, experiment.Stages);
        }
        ImagesCommandLine.Train(
            terminal,
            folder,
            options,
            type,
            RunManifest.Collect(options.Seed, options.Precision.Name(), [pool.Source]),
            experiment.State,
            experiment.Stages,
            "noise model"
        );
        terminal.Remark($"next: ./tilt sample {ShellText.Quoted(folder)}");
        return 0;
    }
}
