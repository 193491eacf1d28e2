using System.Text.Json.Nodes;
using Tilt.Images;
using Tilt.Images.Avatars;
using Tilt.Networks;
using Tilt.Runs;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt train images-classifier</c>: the frozen classifier of clean images that judges samples.</summary>
internal static class TrainImagesClassifier
{
    private const long HeldOut = 10_000;

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "images-classifier",
            "Trains the classifier of clean images that judges samples; prints its accuracy on images it has not seen.",
            "./tilt train images-classifier",
            "./tilt train images-classifier --seed 1 --set noise=0"
        );
        var seed = CommonOptions.Seed();
        var steps = CommonOptions.Steps();
        var set = CommonOptions.Set();
        var precision = ImagesCommandLine.TrainingPrecision();
        var output = CommonOptions.Out("the run's folder [runs/images/classifier/seed-N]");
        var json = CommonOptions.Json();
        var dryRun = CommonOptions.DryRun();
        foreach (var option in new System.CommandLine.Option[] { seed, steps, set, precision, output, json, dryRun })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var options = new ImageClassifierOptions { Seed = parsed.GetValue(seed) };
            options = options with { Training = ImagesCommandLine.WithSteps(options.Training, parsed.GetValue(steps)) };
            options = OptionRecords.Apply(
                options,
                parsed.GetValue(set)!.Select(pair => $"{pair.Key}={pair.Value}"),
                ImagesJson.Default.ImageClassifierOptions
            );
            options.Check();
            var folder = parsed.GetValue(output) ?? Folder(options);
            options = options with
            {
                Precision = ImagesCommandLine.PrecisionOf(
                    parsed.GetValue(precision),
                    options.Precision,
                    folder,
                    ImagesJson.Default.ImageClassifierOptions,
                    stored => stored.Precision
                ),
            };
            return Run(terminal, options, folder, parsed.GetValue(dryRun), parsed.GetValue(json));
        });
        return verb;
    }

    /// <summary>Where a run goes when the user names no folder.</summary>
    public static string Folder(ImageClassifierOptions options) =>
        Path.Combine("runs", "images", "classifier", $"seed-{options.Seed}");

    /// <summary>Trains and tells the accuracy, or tells what it would do.</summary>
    public static int Run(
        Terminal terminal,
        ImageClassifierOptions options,
        string folder,
        bool dryRun = false,
        bool json = false
    )
    {
        using var pool = ImagesCommandLine.Open(terminal, options.Data, options.Training);
        using var experiment = new ImageClassifierExperiment(options, pool);
        var type = ImagesJson.Default.ImageClassifierOptions;
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
            "classifier"
        );
        experiment.Model.UseAverages();
        using var unseen = ImagePool.HeldOut(options.Data, HeldOut);
        var accuracy = experiment.Model.Accuracy(unseen);
        var table = new Table(
            new TableColumn("attribute", "attribute"),
            new TableColumn("classes", "classes"),
            new TableColumn("accuracy", "held-out accuracy", "0.0000")
        );
        using (var run = RunFolder.Attach(folder))
        {
            foreach (var (attribute, share) in accuracy)
            {
                table.Add(attribute.Name(), attribute.Values().Count, share);
            }
            run.Evaluations.Append(
                options.Training.Steps,
                accuracy.Select(pair => new KeyValuePair<string, JsonNode?>(pair.Key.Name(), pair.Value))
            );
        }
        if (json)
        {
            table.WriteJson(terminal.Output);
        }
        else
        {
            table.Print(terminal);
        }
        return 0;
    }
}
