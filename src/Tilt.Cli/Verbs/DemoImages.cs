using System.Diagnostics;
using Tilt.Cli.Reports;
using Tilt.Images;
using Tilt.Networks;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt demo images</c>: draws with the weights that ship, or trains them anew first.</summary>
internal static class DemoImages
{
    private const int PerBlock = 8;
    private const long Unguided = 64;
    private const int Ancestral = 100;
    private static readonly double[] Betas = [10, 20, 40];

    /// <summary>Draws three sheets: unguided, six hues × β, classes.</summary>
    /// <param name="terminal">Where to tell.</param>
    /// <param name="retrain">Whether to train the weights anew, into the folder.</param>
    /// <param name="seed">The seed of the samples, and of the trainings.</param>
    /// <param name="steps">Gradient steps of each training instead of the preset's; null for those.</param>
    /// <param name="output">The folder; null for <c>runs/images/demo</c>.</param>
    public static void Run(Terminal terminal, bool retrain, long seed, long? steps, string? output)
    {
        var clock = Stopwatch.StartNew();
        var folder = output ?? Path.Combine("runs", "images", "demo");
        Func<string, string> weights = ImagesCommandLine.Shipped;
        if (retrain)
        {
            weights = name => Path.Combine(folder, "weights", $"{name}.safetensors");
            Retrain(terminal, folder, weights, seed, steps);
        }
        else if (steps is not null)
        {
            throw TiltException.Usage("--steps: nothing is trained; add --retrain, or leave it away.");
        }
        using var noise = ImageNoiseModel.Load(weights(ImagesCommandLine.NoiseFile));
        using var colors = ImageEnergyModel.Load(weights(ImagesCommandLine.ColorFile));
        using var classes = ImageEnergyModel.Load(weights(ImagesCommandLine.ClassFile));

        using var scope = TorchSharp.torch.NewDisposeScope();
        // Fresh noise at every step lets later steps mend what earlier ones got wrong; four times the evaluations are worth it for one sheet.
        Sheet(
            "unguided",
            $"{Unguided} images of the model itself, ancestral sampling",
            [(noise.Noise, Unguided)],
            16,
            (noise.Options.Sampler with { Solver = "ddpm" }).Spending(Ancestral)
        );
        Sheet(
            "colors",
            $"a row for each of {string.Join(", ", Hues.Names)}; from left to right β = {string.Join(", ", Betas)}, {PerBlock} images each",
            [.. Hues.Names.SelectMany(hue => Betas.Select(beta => (colors.Guide(noise, hue, beta), (long)PerBlock)))],
            Betas.Length * PerBlock
        );
        Sheet(
            "classes",
            $"a row for each of {string.Join(", ", classes.Heads)}",
            [.. classes.Heads.Select(head => (classes.Guide(noise, head), 2L * PerBlock))],
            2 * PerBlock
        );
        terminal.Line($"{clock.Elapsed.TotalSeconds:0} s");

        void Sheet(
            string name,
            string what,
            (Diffusion.NoisePredictor Noise, long Count)[] parts,
            int columns,
            Sampling.SamplerOptions? sampler = null
        )
        {
            using var streams = new RandomStreams(seed);
            // The same starting noise in each part: what changes is the guidance.
            var drawn = parts.Select(part =>
            {
                using var generator = new TorchSharp.torch.Generator((ulong)streams.SeedOf("demo"));
                return noise.Sample(part.Noise, part.Count, generator, sampler, Precision.Auto);
            });
            var file = Path.Combine(folder, $"{name}.png");
            SampleImages.Write(PictureSet.Of(TorchSharp.torch.cat([.. drawn], 0)), file, columns);
            terminal.Line($"{file}: {what}");
        }
    }

    private static void Retrain(Terminal terminal, string folder, Func<string, string> weights, long seed, long? steps)
    {
        Directory.CreateDirectory(Path.Combine(folder, "weights"));
        var set = new Dictionary<string, string>();
        var noiseRun = Path.Combine(folder, "noise");
        var options = TrainImagesNoise.Resolve("quick", null, seed, steps, set);
        TrainImagesNoise.Run(terminal, options with { Precision = options.Precision.Resolve() }, noiseRun);
        using (var model = ImageNoiseModel.Load(noiseRun))
        {
            model.Save(weights(ImagesCommandLine.NoiseFile));
        }
        foreach (
            var (file, kind) in new[]
            {
                (ImagesCommandLine.ColorFile, ImageEnergyKind.Color),
                (ImagesCommandLine.ClassFile, ImageEnergyKind.Class),
            }
        )
        {
            var energy = TrainImagesEnergy.Resolve("quick", kind, ImageMethod.Cep, null, null, seed, steps, set);
            var run = Path.Combine(folder, file);
            TrainImagesEnergy.Run(terminal, energy with { Precision = energy.Precision.Resolve() }, run);
            using var model = ImageEnergyModel.Load(run);
            model.Save(weights(file));
        }
        var classifier = new ImageClassifierOptions { Seed = seed };
        classifier = classifier with
        {
            Precision = classifier.Precision.Resolve(),
            Training = ImagesCommandLine.WithSteps(classifier.Training, steps),
        };
        var judged = Path.Combine(folder, ImagesCommandLine.ClassifierFile);
        TrainImagesClassifier.Run(terminal, classifier, judged);
        using var judge = ImageClassifier.Load(judged);
        judge.Save(weights(ImagesCommandLine.ClassifierFile));
    }
}
