using System.CommandLine;
using System.Text.Json;
using Tilt.Cli.Reports;
using Tilt.Images;
using Tilt.Runs;
using Tilt.Toys;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt report RUN…</c>: one self-contained page for each run.</summary>
internal static class Report
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "report",
            "Draws the figures of a run and writes its page, report.html.",
            "./tilt report runs/8gaussians/cep2d-cep/seed-0",
            "./tilt report runs/hopper-medium-replay/qgpo/seed-*"
        );
        var runs = CommonOptions.Runs();
        verb.Add(runs);
        verb.SetAction(parsed =>
        {
            foreach (var run in parsed.GetValue(runs)!)
            {
                if (IsQgpo(run))
                {
                    terminal.Line(new QgpoReport(run).Write(terminal.Remark));
                    continue;
                }
                if (ImageWeights.KindOf(run) is not null)
                {
                    terminal.Line(CertifyImages.Report(terminal, run));
                    continue;
                }
                using var model = Cep2dModel.Load(run, terminal.Remark);
                var path = new Cep2dReport(run, model, CertificateOf(run, model, terminal)).Write(terminal.Remark);
                terminal.Line(path);
            }
            return 0;
        });
        return verb;
    }

    /// <summary>A run of QGPO has its options; the 2-D experiment has others.</summary>
    private static bool IsQgpo(string run) => RunReader.Open(run).OptionsNode().ContainsKey("criticSteps");

    private static Certificate CertificateOf(string run, Cep2dModel model, Terminal terminal)
    {
        var file = Path.Combine(run, Certify.FileName);
        if (File.Exists(file) && File.GetLastWriteTimeUtc(file) >= NewestCheckpoint(run))
        {
            try
            {
                var stored =
                    JsonSerializer.Deserialize(File.ReadAllText(file), CertificateJson.Default.Certificate)
                    ?? throw new JsonException("it is null");
                if (model.Options.Methods.All(method => stored.Methods.Contains(Cep2dModel.NameOf(method))))
                {
                    return stored;
                }
                terminal.Remark($"{file} is of some of the run's methods only: certifying again");
            }
            catch (JsonException error)
            {
                terminal.Remark($"{file} cannot be read ({error.Message}): certifying again");
            }
        }
        using var certifier = new Cep2dCertifier(model, Certify.OptionsFor(model));
        var certificate = certifier.Certify([.. model.Options.Methods], terminal.Remark);
        Certify.Save(run, certificate);
        return certificate;
    }

    private static DateTime NewestCheckpoint(string run) =>
        new DirectoryInfo(Path.Combine(run, "checkpoints"))
            .EnumerateDirectories()
            .Select(folder => folder.LastWriteTimeUtc)
            .DefaultIfEmpty(DateTime.MaxValue)
            .Max();
}
