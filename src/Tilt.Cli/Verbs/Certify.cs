using System.CommandLine;
using System.Text.Json;
using Tilt.Cli.Reports;
using Tilt.Images;
using Tilt.Runs;
using Tilt.Toys;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt certify RUN</c>: the exactness certificate.</summary>
internal static class Certify
{
    /// <summary>The file in a run's folder that holds its certificate.</summary>
    public const string FileName = "certificate.json";

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "certify",
            "Measures a run against the exact answer and noise floor; exit code 3 where it fails.",
            "./tilt certify runs/swissroll/cep2d-all/seed-0 --method cep,dps --beta 3",
            "./tilt certify runs/images/color-cep/seed-0 --of cyan --beta 20"
        );
        var run = CommonOptions.Run();
        var methods = Cep2dCommandLine.Methods("which methods [those of the run]");
        var betas = CommonOptions.Betas();
        var count = CommonOptions.Count(5000);
        var repetitions = new Option<int>("--repetitions")
        {
            HelpName = "N",
            Description = "pairs of true draws behind each noise floor [10]",
            DefaultValueFactory = _ => 10,
        };
        var of = new Option<string[]>("--of")
        {
            HelpName = "NAME,…",
            Description = "images: which hues or classes [all]",
            DefaultValueFactory = _ => [],
            CustomParser = result => [.. result.Tokens[0].Value.Split(',', StringSplitOptions.RemoveEmptyEntries)],
        };
        var noise = new Option<string?>("--noise")
        {
            HelpName = "RUN",
            Description = "images: the noise model of a run or file [the run's, else the one that ships]",
        };
        var scales = CommonOptions.Scales(1);
        scales.Description = "images: guidance scales [1]";
        var draws = new Option<long>("--draws")
        {
            HelpName = "N",
            Description = "images: true pictures that are reweighted [1000000]",
            DefaultValueFactory = _ => 1_000_000,
        };
        var json = CommonOptions.Json();
        verb.Add(run);
        foreach (var option in new Option[] { methods, betas, count, repetitions, of, noise, scales, draws, json })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var folder = parsed.GetValue(run)!;
            if (ImageWeights.KindOf(folder) is not null)
            {
                // What is not typed has another default for images.
                T? Typed<T>(Option<T> option)
                    where T : struct =>
                    parsed.GetResult(option) is { Implicit: false } ? parsed.GetValue(option) : null;
                var request = new CertifyImages.Request(folder);
                request = request with
                {
                    Methods = parsed.GetValue(methods) ?? [],
                    Betas = parsed.GetValue(betas) ?? [],
                    Of = parsed.GetValue(of)!,
                    Scales = parsed.GetValue(scales) is { Length: > 0 } several ? several : [1],
                    Count = Typed(count) ?? request.Count,
                    Draws = parsed.GetValue(draws),
                    Repetitions = Typed(repetitions) ?? request.Repetitions,
                    Noise = parsed.GetValue(noise),
                    Json = parsed.GetValue(json),
                };
                return CertifyImages.Run(terminal, request);
            }
            foreach (var option in new Option[] { of, noise, scales, draws })
            {
                if (parsed.GetResult(option) is { Implicit: false })
                {
                    throw TiltException.Usage(
                        $"{option.Name}: is for runs of images, and {folder} is none. Leave it away."
                    );
                }
            }
            using var model = Cep2dModel.Load(folder, terminal.Remark);
            var chosen = parsed.GetValue(methods) is { Length: > 0 } named ? named : [.. model.Options.Methods];
            var usual = OptionsFor(model);
            var asked = parsed.GetValue(betas) is { Length: > 0 } given ? given : usual.Betas;
            var options = usual with
            {
                Betas = asked,
                Points = parsed.GetValue(count),
                Repetitions = parsed.GetValue(repetitions),
            };
            options.Check();
            foreach (var method in chosen.Where(method => method != GuidanceMethod.Dps))
            {
                _ = model.EnergyNetwork(method);
            }
            foreach (var beta in asked)
            {
                model.Options.Dial.Require(beta, beyondPool: true);
            }
            using var certifier = new Cep2dCertifier(model, options);
            var certificate = certifier.Certify(chosen, terminal.Remark);
            // Shown before it is saved: a disk that refuses should not cost the answer.
            if (parsed.GetValue(json))
            {
                terminal.Line(JsonSerializer.Serialize(certificate, CertificateJson.Default.Certificate));
            }
            else
            {
                Print(terminal, certificate);
            }
            Save(folder, certificate);
            return certificate.AllPassed ? 0 : 3;
        });
        return verb;
    }

    /// <summary>What is certified of a run when nothing else is asked: β = 3, 10 and 20, as far as its energies go.</summary>
    public static CertificateOptions OptionsFor(Cep2dModel model)
    {
        if (model.Options.Beta is { } only)
        {
            return new() { Betas = [only] };
        }
        var reached = new double[] { 3, 10, 20 }
            .Where(beta => beta <= model.Options.BetaMax)
            .ToArray();
        return new() { Betas = reached.Length > 0 ? reached : [model.Options.BetaMax] };
    }

    /// <summary>Writes the certificate into the run's folder.</summary>
    public static void Save(string folder, Certificate certificate) =>
        DurableFile.Replace(
            Path.Combine(folder, FileName),
            JsonSerializer.Serialize(certificate, CertificateJson.Default.Certificate) + "\n"
        );

    /// <summary>Prints the verdict and the two tables.</summary>
    public static void Print(Terminal terminal, Certificate certificate)
    {
        terminal.Wrapped(certificate.Verdict);
        terminal.Line();
        terminal.Wrapped(
            $"{certificate.Task}: {certificate.Points} samples by {certificate.Solver}, {certificate.Evaluations} evaluations. "
                + "Each number / the bound that it may reach, max(2 floors, floor + 6 standard deviations); the floor, with its "
                + "standard deviation, is what true samples score against true samples."
        );
        CertificateTables.Metrics(certificate).Print(terminal);
        terminal.Line();
        terminal.Wrapped(
            "Error of the learned gradient of E_t under p_t, by t: relative to the exact gradient, and relative to the score it is "
                + "added to. One of the two has to be within its bound."
        );
        CertificateTables.Gradients(certificate).Print(terminal);
    }
}
