using System.CommandLine;
using Tilt.Images;
using Tilt.Images.Avatars;
using Tilt.Networks;
using Tilt.Runs;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt train images-energy</c>: intermediate energies of images.</summary>
internal static class TrainImagesEnergy
{
    private static readonly string[] Kinds = ["color", "class"];

    /// <summary>Gradient steps of classes in the preset <c>quick</c>.</summary>
    private const long ClassSteps = 2000;
    private static readonly string[] Methods = ["cep", "mse", "emse", "classifier"];

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "images-energy",
            "Trains energies that guide images: of six hues for every β, or of classes.",
            "./tilt train images-energy --energy color --method mse",
            "./tilt train images-energy --energy class --attribute background-hue,mood"
        );
        var energy = CommonOptions.Name("--energy", "energy", "what guides", Kinds, "color");
        var method = CommonOptions.Name("--method", "method", "how it is learned", Methods, "cep");
        var attributes = new Option<string[]?>("--attribute")
        {
            HelpName = "NAME,…",
            Description = $"for classes: which [{string.Join(',', ImagesCommandLine.UsualAttributes)}]",
            CustomParser = result => [.. result.Tokens[0].Value.Split(',', StringSplitOptions.RemoveEmptyEntries)],
        };
        var noise = new Option<string?>("--noise")
        {
            HelpName = "RUN",
            Description = "the noise model to sample with; gives images and schedule [the one that ships]",
        };
        var preset = CommonOptions.Preset(ImageOptions.Presets, "quick");
        var seed = CommonOptions.Seed();
        var steps = CommonOptions.Steps();
        var set = CommonOptions.Set();
        var precision = ImagesCommandLine.TrainingPrecision();
        var output = CommonOptions.Out("the run's folder [runs/images/ENERGY-METHOD/seed-N]");
        var dryRun = CommonOptions.DryRun();
        foreach (
            var option in new Option[]
            {
                energy,
                method,
                attributes,
                noise,
                preset,
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
                Enum.Parse<ImageEnergyKind>(parsed.GetValue(energy)!, ignoreCase: true),
                Enum.Parse<ImageMethod>(parsed.GetValue(method)!, ignoreCase: true),
                parsed.GetValue(attributes) is { Length: > 0 } named ? named : null,
                parsed.GetValue(noise),
                parsed.GetValue(seed),
                parsed.GetValue(steps),
                parsed.GetValue(set)!
            );
            var folder = parsed.GetValue(output) ?? Folder(options);
            options = options with
            {
                Precision = ImagesCommandLine.PrecisionOf(
                    parsed.GetValue(precision),
                    options.Precision,
                    folder,
                    ImagesJson.Default.ImageEnergyOptions,
                    stored => stored.Precision
                ),
            };
            return Run(terminal, options, folder, parsed.GetValue(dryRun));
        });
        return verb;
    }

    /// <summary>The options that a command line asks for.</summary>
    public static ImageEnergyOptions Resolve(
        string preset,
        ImageEnergyKind energy,
        ImageMethod method,
        IReadOnlyList<string>? attributes,
        string? noise,
        long seed,
        long? steps,
        IReadOnlyDictionary<string, string> set
    )
    {
        var options = ImageEnergyOptions.For(preset) with { Energy = energy, Method = method, Seed = seed };
        if (energy == ImageEnergyKind.Class)
        {
            // Two attributes are told apart sooner than six hues at every β are learned.
            options = options with
            {
                Attributes = attributes ?? ImagesCommandLine.UsualAttributes,
                Training = options.Preset == "quick" ? options.Training with { Steps = ClassSteps } : options.Training,
            };
        }
        else if (attributes is not null)
        {
            throw TiltException.Usage(
                "--attribute: only classes have attributes; add --energy class, or leave it away."
            );
        }
        if (noise is not null)
        {
            // Energies live on the images and the schedule of the noise model that they are to guide.
            using var model = ImageNoiseModel.Load(noise);
            options = options with
            {
                Noise = Path.GetFullPath(noise),
                Data = model.Options.Data,
                Schedule = model.Options.Schedule,
            };
        }
        options = options with { Training = ImagesCommandLine.WithSteps(options.Training, steps) };
        options = OptionRecords.Apply(
            options,
            set.Select(pair => $"{pair.Key}={pair.Value}"),
            ImagesJson.Default.ImageEnergyOptions
        );
        options.Check();
        return options;
    }

    /// <summary>Where a run goes when the user names no folder.</summary>
    public static string Folder(ImageEnergyOptions options)
    {
        var name = $"{options.Energy.ToString().ToLowerInvariant()}-{ImageOptions.NameOf(options.Method)}";
        if (
            options.Energy == ImageEnergyKind.Class
            && !options.Attributes.SequenceEqual(ImagesCommandLine.UsualAttributes)
        )
        {
            name += "-" + string.Join('-', options.Attributes);
        }
        if (options.Preset != "quick")
        {
            name += $"-{options.Preset}";
        }
        var what =
            options.Data.Source == ImageData.Avatars ? "images" : $"images-{Path.GetFileName(options.Data.Source)}";
        return Path.Combine("runs", what, name, $"seed-{options.Seed}");
    }

    /// <summary>Trains, or tells what it would do.</summary>
    public static int Run(Terminal terminal, ImageEnergyOptions options, string folder, bool dryRun = false)
    {
        using var pool = ImagesCommandLine.Open(terminal, options.Data, options.Training);
        using var experiment = new ImageEnergyExperiment(options, pool);
        var type = ImagesJson.Default.ImageEnergyOptions;
        if (dryRun)
        {
            return ImagesCommandLine.DryRun(terminal, options, type, folder, experiment.State, experiment.Stages);
        }
        if (options.Energy == ImageEnergyKind.Color)
        {
            TellShares(terminal, experiment);
        }
        ImagesCommandLine.Train(
            terminal,
            folder,
            options,
            type,
            RunManifest.Collect(options.Seed, options.Precision.Name(), [pool.Source]),
            experiment.State,
            experiment.Stages,
            $"{options.Energy.ToString().ToLowerInvariant()}, {ImageOptions.NameOf(options.Method)}"
        );
        var head = experiment.Model.Heads[0];
        var beta = options.Energy == ImageEnergyKind.Color ? " --beta 20" : "";
        terminal.Remark($"next: ./tilt sample {ShellText.Quoted(folder)} --of {head}{beta}");
        return 0;
    }

    /// <summary>How much of the pool the targets rest on: where little is left, the data cannot represent them.</summary>
    private static void TellShares(Terminal terminal, ImageEnergyExperiment experiment)
    {
        foreach (var beta in new[] { 10.0, 20, 40 })
        {
            var shares = Hues.Names.Select(hue => $"{hue} {100 * experiment.EffectiveShare(hue, beta):0.#}");
            terminal.Remark($"effective share of the images at beta {beta}, in percent: {string.Join(", ", shares)}");
        }
    }
}
