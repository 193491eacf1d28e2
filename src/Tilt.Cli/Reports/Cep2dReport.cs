using System.Globalization;
using Tilt.Runs;
using Tilt.Toys;

namespace Tilt.Cli.Reports;

/// <summary>The page of a 2-D run: certificate, samples, energies, curves, dials, provenance; and every figure with its data.</summary>
internal sealed class Cep2dReport
{
    private readonly string _run;
    private readonly Cep2dModel _model;
    private readonly Certificate _certificate;
    private readonly IReadOnlyList<GuidanceMethod> _methods;
    private readonly GuidanceMethod _first;

    /// <summary>A report of a certified run.</summary>
    /// <param name="run">The run's folder; figures and the page go there.</param>
    /// <param name="model">Its model. Stays the caller's.</param>
    /// <param name="certificate">Its certificate.</param>
    public Cep2dReport(string run, Cep2dModel model, Certificate certificate)
    {
        (_run, _model, _certificate) = (run, model, certificate);
        _methods = model.Options.Methods;
        _first = _methods[0];
    }

    /// <summary>Draws everything and writes figures and page.</summary>
    /// <param name="say">Told what is being drawn.</param>
    /// <returns>The path of report.html.</returns>
    public string Write(Action<string> say)
    {
        var figures = Path.Combine(_run, "figures");
        var drawn = new Cep2dFigures(_run, _model, _certificate);
        say("figures: samples");
        var gallery = Saved(drawn.Gallery());
        say("figures: energies and guidance");
        var maps = _methods
            .Where(method => method != GuidanceMethod.Dps)
            .Select(method => Saved(drawn.Maps(method)))
            .ToList();
        var arrows = Saved(drawn.Arrows());
        var curves = Saved(drawn.Curves());
        var bars = Saved(drawn.Bars());
        say("figures: solvers and the dial of beta");
        var solvers = Saved(drawn.SolverCurve());
        var dial = Saved(drawn.DialCurve());

        var page = new ReportPage(
            $"{_model.Options.Task}: exact energy-guided sampling",
            _certificate.Verdict,
            _certificate.Passed(Cep2dModel.NameOf(_first))
        );
        page.Section(ReportSections.Certificate)
            .Text(
                $"{_certificate.Points} samples of each kind by {_certificate.Solver} with {_certificate.Evaluations} evaluations, against as many "
                    + "exact draws of the target. Every cell is the measured value / the bound that it may reach, max(2 floors, floor + 6 standard "
                    + "deviations), where the floor, shown with its standard deviation, is what exact draws score against exact draws. Exact noise with exact guidance shows the error of the solver alone, "
                    + "learned noise with exact guidance adds that of the noise model, exact noise with learned guidance that of the energy."
            )
            .Add(
                CertificateTables.Metrics(_certificate),
                "Samples against the truth. Lower is better; a value above its bound fails."
            )
            .Add(
                CertificateTables.Gradients(_certificate),
                "Error of the gradient of the intermediate energy under the exact law of x at each t: relative to the exact gradient, and to the score it is added to. The first row has the bounds; one of the two has to be met."
            )
            .Add(
                bars,
                "Each method on the learned noise model. The band is the noise floor, the dash the bound that passes."
            );
        page.Section(ReportSections.Gallery)
            .Add(
                gallery,
                "Rows: exact draws, then each method. Columns: β. Equal axes, the same starting noise everywhere; colour is the label."
            );
        page.Section(ReportSections.Energies);
        foreach (var map in maps)
        {
            page.Add(
                map,
                "Learned above exact, and their difference where data are. Energies are compared up to a constant for each t."
            );
        }
        page.Add(arrows, "The guidance −∇E_t, learned and exact, over the energy it descends.");
        page.Section(ReportSections.Curves)
            .Add(
                curves,
                "Training losses. That of CEP is the divergence from the labels drawn; like the others it cannot fall below their scatter."
            );
        page.Section(ReportSections.Dials)
            .Add(
                dial,
                "One network for every β (the dial), beside the energy of one β scaled up or down, which is not exact. The noise floor is drawn too."
            )
            .Add(solvers, "Quality against time for solvers and numbers of evaluations.");
        Provenance(page);
        var path = Path.Combine(_run, "report.html");
        page.Save(path);
        return path;

        Figure Saved(Figure figure)
        {
            figure.Save(figures);
            return figure;
        }
    }

    private void Provenance(ReportPage page)
    {
        var (options, manifest) = (_model.Options, RunReader.Open(_run).Manifest);
        var departures = ProvenanceSection.Departures(
            options,
            Cep2dOptions.For(options.Preset, options.Task),
            Cep2dJson.Default.Cep2dOptions
        );
        ProvenanceSection.Add(
            page,
            manifest,
            $"{_model.Dataset.Name}: {_model.Dataset.Description}",
            options.Seed,
            options.Preset,
            departures,
            manifest.Precision,
            Commands(departures)
        );
    }

    private string Commands(IEnumerable<(string Name, string Value)> departures)
    {
        var options = _model.Options;
        var train =
            $"./tilt train cep2d --task {options.Task} --method {string.Join(',', _methods.Select(Cep2dModel.NameOf))} --preset {options.Preset} --seed {options.Seed}";
        if (options.Beta is { } beta)
        {
            train += $" --beta {beta.ToString(CultureInfo.InvariantCulture)}";
        }
        train += ProvenanceSection.Settings(departures, "methods", "beta");
        var folder = ShellText.Quoted(_run);
        return $"{train} --out {folder}\n./tilt certify {folder}\n./tilt report {folder}";
    }
}
