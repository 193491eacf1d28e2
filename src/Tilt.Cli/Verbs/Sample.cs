using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Tilt.Cli.Progress;
using Tilt.Images;
using Tilt.Sampling;
using Tilt.Toys;
using Tilt.Training;
using TorchSharp;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt sample RUN</c>: draws points from a trained run.</summary>
internal static class Sample
{
    private static readonly TimeSpan SayEvery = TimeSpan.FromSeconds(10);

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "sample",
            "Draws samples of a run: points as CSV, images as PNG and NPZ.",
            "./tilt sample runs/8gaussians/cep2d-cep/seed-0 --beta 0,5 -n 500 --solver ddim",
            "./tilt sample runs/images/color-cep/seed-0 --of cyan --beta 20"
        );
        var run = CommonOptions.Run();
        var method = Cep2dCommandLine.Methods("whose energy guides [the run's first]");
        var betas = CommonOptions.Betas(3);
        var scale = CommonOptions.Scale();
        var count = CommonOptions.Count(2000);
        var solver = CommonOptions.Solver([.. Solvers.All.Select(known => known.Name)], "dpm-solver-2m");
        var evaluations = CommonOptions.Evaluations(25);
        var seed = CommonOptions.Seed();
        var beyond = new Option<bool>("--beyond-pool")
        {
            Description = "allow β that the training data cannot represent; outputs say so",
        };
        var output = new Option<string?>("--out", "-o")
        {
            HelpName = "FILE",
            Description = "the CSV or PNG file [RUN/samples/…]; - prints points",
        };
        var of = new Option<string[]>("--of")
        {
            HelpName = "NAME,…",
            Description = "images: which hues or classes, such as cyan or background-hue=red [the first; all]",
            DefaultValueFactory = _ => [],
            CustomParser = result => [.. result.Tokens[0].Value.Split(',', StringSplitOptions.RemoveEmptyEntries)],
        };
        var noise = new Option<string?>("--noise")
        {
            HelpName = "RUN",
            Description = "images: the noise model of a run or file [the run's, else the one that ships]",
        };
        verb.Add(run);
        foreach (
            var option in new Option[]
            {
                method,
                betas,
                scale,
                count,
                solver,
                evaluations,
                seed,
                beyond,
                of,
                noise,
                output,
            }
        )
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var folder = parsed.GetValue(run)!;
            if (ImageWeights.KindOf(folder) is not null)
            {
                // What is not typed is the run's own, which for images is another default.
                T? Typed<T>(Option<T> option)
                    where T : struct =>
                    parsed.GetResult(option) is { Implicit: false } ? parsed.GetValue(option) : null;
                var request = new SampleImages.Request(folder)
                {
                    Methods = parsed.GetValue(method) ?? [],
                    Betas = parsed.GetResult(betas) is { Implicit: false } ? parsed.GetValue(betas)! : [],
                    Scale = parsed.GetValue(scale),
                    Count = Typed(count) ?? SampleImages.UsualCount,
                    Solver = parsed.GetResult(solver) is { Implicit: false } ? parsed.GetValue(solver) : null,
                    Evaluations = Typed(evaluations),
                    Seed = parsed.GetValue(seed),
                    Of = parsed.GetValue(of)!,
                    Noise = parsed.GetValue(noise),
                    Output = parsed.GetValue(output),
                };
                return SampleImages.Run(terminal, request);
            }
            using var model = Cep2dModel.Load(folder, terminal.Remark);
            var guide = parsed.GetValue(method) is { Length: > 0 } several ? several[0] : model.Options.Methods[0];
            var named = model.Options.Sampler with { Solver = parsed.GetValue(solver)! };
            var sampler = named.Spending(parsed.GetValue(evaluations));
            var asked = parsed.GetValue(betas)!;
            if (asked.Length > 1 && parsed.GetValue(output) is { } one)
            {
                throw TiltException.Usage(
                    $"--out {one}: found {asked.Length} values of --beta for one file; expected a single one. Leave --out away, and "
                        + "each gets a file of its own."
                );
            }
            foreach (var beta in asked)
            {
                using var streams = new RandomStreams(parsed.GetValue(seed));
                using var signals = new StopSignals(CancellationToken.None);
                var total = parsed.GetValue(count);
                var parts = model.SampleParts(
                    guide,
                    beta,
                    total,
                    streams["samples"],
                    sampler,
                    parsed.GetValue(scale),
                    parsed.GetValue(beyond),
                    signals.Asked
                );
                var mark = beta > 0 && guide != GuidanceMethod.Dps ? model.Options.Dial.Mark(beta) : null;
                var watched = Watched(terminal, beta, parts, total);
                try
                {
                    Write(
                        terminal,
                        folder,
                        parsed.GetValue(output),
                        guide,
                        beta,
                        parsed.GetValue(scale),
                        watched,
                        total,
                        mark
                    );
                }
                catch (OperationCanceledException) when (signals.ExitCode is { } exitCode)
                {
                    throw new StoppedException(
                        $"stopped before all {total} samples were drawn; nothing is kept of them.",
                        exitCode
                    );
                }
            }
            return 0;
        });
        return verb;
    }

    private static void Write(
        Terminal terminal,
        string run,
        string? output,
        GuidanceMethod method,
        double beta,
        double scale,
        IEnumerable<torch.Tensor> parts,
        long total,
        string? mark
    )
    {
        if (output == "-")
        {
            Print(terminal, parts, mark);
            return;
        }
        var name =
            $"{Cep2dModel.NameOf(method)}-beta-{Number(beta)}{(scale == 1 ? "" : $"-scale-{Number(scale)}")}.csv";
        var file = output ?? Path.Combine(run, "samples", name);
        if (Directory.Exists(file))
        {
            throw TiltException.Usage(
                $"--out {file}: is a folder; expected a file, such as {Path.Combine(file, name)}."
            );
        }
        if (Path.GetDirectoryName(file) is { Length: > 0 } parent)
        {
            MakeFolder(parent);
        }
        DurableFile.Replace(
            file,
            stream =>
            {
                using var writer = new StreamWriter(stream, bufferSize: 1 << 16, leaveOpen: true);
                WriteCsv(writer, parts, mark);
            }
        );
        terminal.Line($"{file}: {total} points{(mark is null ? "" : $", {mark}")}");
    }

    private static void Print(Terminal terminal, IEnumerable<torch.Tensor> parts, string? mark)
    {
        var writer = terminal.Piped();
        try
        {
            WriteCsv(writer, parts, mark);
            writer.Flush();
        }
        catch (IOException error) when (Terminal.ReaderHasGone(error))
        {
            // As with `| head`: all that was wanted has been read.
        }
    }

    private static void MakeFolder(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Refused(folder, error);
        }
    }

    /// <summary>The parts as they are drawn: refuses what is not finite, says now and then how far it is.</summary>
    private static IEnumerable<torch.Tensor> Watched(
        Terminal terminal,
        double beta,
        IEnumerable<torch.Tensor> parts,
        long total
    )
    {
        long drawn = 0;
        var clock = Stopwatch.StartNew();
        var said = TimeSpan.Zero;
        foreach (var part in parts)
        {
            using var finite = part.isfinite().all(1);
            var broken = part.shape[0] - finite.sum().item<long>();
            if (broken > 0)
            {
                throw new TiltException(
                    $"beta {Number(beta)}: {broken} of {part.shape[0]} samples are NaN or infinite: the sampler diverged. Use more "
                        + "--evaluations, a --scale nearer to 1, or a method whose energy is bounded."
                );
            }
            yield return part;
            drawn += part.shape[0];
            part.Dispose();
            if (clock.Elapsed - said >= SayEvery && drawn < total)
            {
                said = clock.Elapsed;
                var left = TimeSpan.FromSeconds(clock.Elapsed.TotalSeconds / drawn * (total - drawn));
                terminal.Remark($"{drawn} of {total} samples, {ProgressLine.Duration(left)} left");
            }
        }
    }

    /// <summary>Writes the points part by part: any number of them fits.</summary>
    private static void WriteCsv(TextWriter writer, IEnumerable<torch.Tensor> parts, string? mark)
    {
        if (mark is not null)
        {
            writer.Write($"# {mark}\n");
        }
        writer.Write("x,y\n");
        foreach (var part in parts)
        {
            using var rows = part.contiguous();
            var values = rows.data<float>().ToArray();
            for (var i = 0; i < values.Length; i += 2)
            {
                writer.Write($"{Number(values[i])},{Number(values[i + 1])}\n");
            }
        }
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private static string Number(float value) => value.ToString("R", CultureInfo.InvariantCulture);
}
