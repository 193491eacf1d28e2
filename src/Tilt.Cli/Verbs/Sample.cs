using System.CommandLine;
using System.Globalization;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Toys;
using TorchSharp;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt sample RUN</c>: draws points from a trained run.</summary>
internal static class Sample
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "sample",
            "Draws samples of a trained run for a β, a solver and a guidance scale, as CSV.",
            "./tilt sample runs/8gaussians/cep2d-cep/seed-0 --beta 3",
            "./tilt sample runs/8gaussians/cep2d-cep/seed-0 --beta 0,5 -n 500 --solver ddim"
        );
        var run = CommonOptions.Run();
        var method = Cep2dCommandLine.Methods("whose energy guides [the run's first]");
        var betas = CommonOptions.Betas(3);
        var scale = new Option<double>("--scale")
        {
            HelpName = "S",
            Description = "guidance scale, exact at 1 only [1]",
            DefaultValueFactory = _ => 1,
        };
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
            Description = "the CSV file [RUN/samples/…]; - prints it",
        };
        verb.Add(run);
        foreach (var option in new Option[] { method, betas, scale, count, solver, evaluations, seed, beyond, output })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var folder = parsed.GetValue(run)!;
            using var model = Cep2dModel.Load(folder, terminal.Remark);
            var guide = parsed.GetValue(method) is { Length: > 0 } named ? named[0] : model.Options.Methods[0];
            var sampler = model.Options.Sampler with
            {
                Solver = parsed.GetValue(solver)!,
                Evaluations = parsed.GetValue(evaluations),
            };
            foreach (var beta in parsed.GetValue(betas)!)
            {
                using var streams = new RandomStreams(parsed.GetValue(seed));
                using var points = model.Sample(
                    guide,
                    beta,
                    parsed.GetValue(count),
                    streams["samples"],
                    sampler,
                    parsed.GetValue(scale),
                    parsed.GetValue(beyond)
                );
                var mark = beta > 0 && guide != GuidanceMethod.Dps ? model.Options.Dial.Mark(beta) : null;
                Write(terminal, folder, parsed.GetValue(output), guide, beta, parsed.GetValue(scale), points, mark);
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
        torch.Tensor points,
        string? mark
    )
    {
        if (output == "-")
        {
            WriteCsv(terminal.Output, points, mark);
            return;
        }
        var name =
            $"{Cep2dModel.NameOf(method)}-beta-{Number(beta)}{(scale == 1 ? "" : $"-scale-{Number(scale)}")}.csv";
        var file = output ?? Path.Combine(run, "samples", name);
        if (Path.GetDirectoryName(file) is { Length: > 0 } parent)
        {
            Directory.CreateDirectory(parent);
        }
        DurableFile.Replace(
            file,
            stream =>
            {
                using var writer = new StreamWriter(stream, bufferSize: 1 << 16, leaveOpen: true);
                WriteCsv(writer, points, mark);
            }
        );
        terminal.Line($"{file}: {points.shape[0]} points{(mark is null ? "" : $", {mark}")}");
    }

    /// <summary>Writes the points part by part: any number of them fits.</summary>
    private static void WriteCsv(TextWriter writer, torch.Tensor points, string? mark)
    {
        const long PartPoints = 1 << 16;
        if (mark is not null)
        {
            writer.Write($"# {mark}\n");
        }
        writer.Write("x,y\n");
        for (long start = 0; start < points.shape[0]; start += PartPoints)
        {
            using var part = points.narrow(0, start, Math.Min(PartPoints, points.shape[0] - start)).contiguous();
            var values = part.data<float>().ToArray();
            for (var i = 0; i < values.Length; i += 2)
            {
                writer.Write($"{Number(values[i])},{Number(values[i + 1])}\n");
            }
        }
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private static string Number(float value) => value.ToString("R", CultureInfo.InvariantCulture);
}
