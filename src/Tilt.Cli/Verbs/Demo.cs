using System.CommandLine;
using System.Diagnostics;
using Tilt.Cli.Progress;
using Tilt.Cli.Reports;
using Tilt.Runs;
using Tilt.Toys;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt demo</c>: trains, certifies and draws the paper's figure, in minutes.</summary>
internal static class Demo
{
    // The picture in the terminal: often enough to watch, seldom enough to cost nothing.
    private const long PictureEvery = 500;
    private const int PicturePoints = 600;

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "demo",
            "Exact guidance, certified; a policy from logged data; images on request.",
            "./tilt demo",
            "./tilt demo images"
        );
        var part = new Argument<string?>("PART")
        {
            Description = "2d, rl or images [the first two, one after the other]",
            Arity = ArgumentArity.ZeroOrOne,
            CustomParser = result =>
            {
                var typed = result.Tokens.Count > 0 ? result.Tokens[0].Value : null;
                if (typed is not (null or "2d" or "rl" or "images"))
                {
                    result.AddError(Suggest.Unknown("part", typed, ["2d", "rl", "images"]).Message);
                }
                return typed;
            },
        };
        var task = CommonOptions.Task(Cep2dCommandLine.TaskNames, "8gaussians");
        var all = new Option<bool>("--all") { Description = "the paper's six data sets, one after the other" };
        var seed = CommonOptions.Seed();
        var steps = CommonOptions.Steps();
        var set = CommonOptions.Set();
        var output = CommonOptions.Out("where runs go [runs/TASK/demo/seed-N]");
        var images = new Option<bool>("--images") { Description = "the same as the part images" };
        var retrain = new Option<bool>("--retrain") { Description = "images: train the weights that ship anew" };
        verb.Add(part);
        foreach (var option in new Option[] { task, all, images, retrain, seed, steps, set, output })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var chosen = parsed.GetValue(part);
            if (chosen == "images" || parsed.GetValue(images))
            {
                DemoImages.Run(
                    terminal,
                    parsed.GetValue(retrain),
                    parsed.GetValue(seed),
                    parsed.GetValue(steps),
                    parsed.GetValue(output)
                );
                return 0;
            }
            if (parsed.GetValue(retrain))
            {
                throw TiltException.Usage("--retrain: goes with the part images; the others always train.");
            }
            if (chosen == "rl")
            {
                DemoRl.Run(terminal, parsed.GetValue(seed), parsed.GetValue(steps), parsed.GetValue(output));
                return 0;
            }
            string[] tasks = parsed.GetValue(all)
                ? [.. ToyDatasets.Paper.Select(known => known.Name)]
                : [parsed.GetValue(task)!];
            var root = parsed.GetValue(output);
            foreach (var one in tasks)
            {
                var options = TrainCep2d.Resolve(
                    "quick",
                    one,
                    [GuidanceMethod.Cep, GuidanceMethod.Mse, GuidanceMethod.Emse, GuidanceMethod.Dps],
                    null,
                    parsed.GetValue(seed),
                    parsed.GetValue(steps),
                    parsed.GetValue(set)!
                );
                var folder =
                    root is null ? Path.Combine("runs", one, "demo", $"seed-{options.Seed}")
                    : tasks.Length == 1 ? root
                    : Path.Combine(root, one);
                Run(terminal, options, folder);
            }
            if (chosen is null && !parsed.GetValue(all))
            {
                terminal.Line();
                DemoRl.Run(
                    terminal,
                    parsed.GetValue(seed),
                    parsed.GetValue(steps),
                    root is null ? null : Path.Combine(root, "rl")
                );
            }
            return 0;
        });
        return verb;
    }

    private static void Run(Terminal terminal, Cep2dOptions options, string folder)
    {
        var clock = Stopwatch.StartNew();
        TrainCep2d.Tell(terminal, options);
        using var run = RunFolder.Start(
            folder,
            options,
            Cep2dJson.Default.Cep2dOptions,
            Cep2dCommandLine.Manifest(options)
        );
        using var experiment = new Cep2d(options);
        var progress = TerminalProgress.For(terminal);
        progress.Title = options.Task;
        experiment.Train(run, new TrainerOptions(), progress, [Picture(terminal, experiment.Model)]);

        using var certifier = new Cep2dCertifier(experiment.Model, Certify.OptionsFor(experiment.Model));
        var certificate = certifier.Certify(options.Methods, terminal.Remark);
        Certify.Save(folder, certificate);
        var page = new Cep2dReport(folder, experiment.Model, certificate).Write(terminal.Remark);

        Certify.Print(terminal, certificate);
        terminal.Line();
        terminal.Line($"{page} ({clock.Elapsed.TotalSeconds:0} s)");
    }

    /// <summary>Samples as they get better, in the terminal.</summary>
    private static TrainingHook Picture(Terminal terminal, Cep2dModel model) =>
        new(
            "picture",
            PictureEvery,
            hook =>
            {
                if (!terminal.IsInteractive || terminal.Quiet)
                {
                    return;
                }
                var beta = Math.Min(10, model.Options.Dial.Max);
                var panels = new List<(string, PlanePoints)> { ("data", Points(model.Noise)) };
                if (hook.Stage == "cep")
                {
                    var guided = Energy.IntermediateEnergies.GuidedBy(
                        model.Noise,
                        model.Energy(GuidanceMethod.Cep, beta, beyondPool: true)
                    );
                    panels.Add(($"β = {beta:0.#}", Points(guided)));
                }
                hook.Progress.Show(
                    TerminalScatter.Lines(panels, terminal.ProseWidth, model.Dataset.AxisLimit, terminal.HasColor)
                );

                PlanePoints Points(Diffusion.NoisePredictor noise)
                {
                    using var scope = NewDisposeScope();
                    var sampler = model.Options.Sampler with { Evaluations = 10 };
                    var points = model.Sample(noise, PicturePoints, hook.Streams["picture"], sampler);
                    var labels = model.Dataset.EffectiveLabels(points);
                    var x = points.to(ScalarType.Float64);
                    return new(
                        x.select(1, 0).contiguous().data<double>().ToArray(),
                        x.select(1, 1).contiguous().data<double>().ToArray(),
                        labels.contiguous().data<double>().ToArray()
                    );
                }
            }
        );
}
