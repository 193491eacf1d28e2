using Tilt.Images.Certificate;

namespace Tilt.Cli.Reports;

/// <summary>An image certificate as tables, for terminals and pages.</summary>
internal static class ImageCertificateTables
{
    /// <summary>Total variation of every marginal and the distances, each over its noise floor; a row for each method, energy and β.</summary>
    public static Table Ratios(ImageCertificate certificate)
    {
        var names = certificate
            .Rows.SelectMany(row => row.Marginals.Concat(row.Distances))
            .Select(check => check.Name)
            .Distinct()
            .ToList();
        var table = new Table([
            new TableColumn("method", "method"),
            new TableColumn("energy", "energy"),
            new TableColumn("beta", "β"),
            new TableColumn("effective_share", "ESS, %"),
            .. names.Select(name => new TableColumn(name.Replace(' ', '_'), name)),
            new TableColumn("nearest", "nearest picture"),
        ]);
        foreach (var row in certificate.Rows)
        {
            table.Add([
                row.Method,
                row.Beta == 0 ? "–" : row.Energy,
                row.Beta,
                $"{100 * row.EffectiveShare:0.0}",
                .. names.Select(name =>
                    row.Marginals.Concat(row.Distances).FirstOrDefault(check => check.Name == name) is { } check
                        ? $"{check.Ratio:0.0}{(check.Passed ? "" : " ✗")}"
                        : null
                ),
                row.Novelty is { } novelty ? $"{novelty.Median:0.0} / {novelty.HeldOutMedian:0.0}" : null,
            ]);
        }
        return table;
    }

    /// <summary>The mean-hue histogram in full: total variation, floor with its spread, and energies reached.</summary>
    public static Table MeanHue(ImageCertificate certificate)
    {
        var table = new Table([
            new TableColumn("method", "method"),
            new TableColumn("energy", "energy"),
            new TableColumn("beta", "β"),
            new TableColumn("total_variation", "total variation"),
            new TableColumn("floor", "noise floor"),
            new TableColumn("ratio", "floors"),
            new TableColumn("mean_energy", "mean E"),
            new TableColumn("true_mean_energy", "true mean E"),
            new TableColumn("verdict", "verdict"),
        ]);
        foreach (var row in certificate.Rows)
        {
            var check = row.Check(PictureReading.OfMeanHue.Name);
            table.Add([
                row.Method,
                row.Beta == 0 ? "–" : row.Energy,
                row.Beta,
                $"{check.Value:0.0000}",
                $"{check.Floor.Mean:0.0000} ± {check.Floor.StandardDeviation:0.0000}",
                $"{check.Ratio:0.00}",
                $"{row.MeanEnergy:0.0000}",
                $"{row.TrueMeanEnergy:0.0000}",
                check.Passed ? "pass" : "FAIL",
            ]);
        }
        return table;
    }

    /// <summary>Errors of noise and guidance against the posterior of the training set, at the times where that still speaks.</summary>
    public static Table Oracle(ImageCertificate certificate)
    {
        var table = new Table([
            new TableColumn("energy", "energy"),
            new TableColumn("beta", "β"),
            new TableColumn("time", "t"),
            new TableColumn("counted", "counted"),
            new TableColumn("noise_error", "error of noise"),
            new TableColumn("guidance_error", "error of guidance"),
            new TableColumn("share_of_score", "of the score"),
        ]);
        foreach (var row in certificate.Oracle)
        {
            table.Add([
                row.Energy,
                row.Beta,
                row.Time,
                $"{row.Counted} of {row.Asked}",
                Number(row.NoiseError),
                Number(row.GuidanceError),
                Number(row.ShareOfScore),
            ]);
        }
        return table;

        static string? Number(double value) => double.IsNaN(value) ? null : $"{value:0.000}";
    }

    /// <summary>Class-wise accuracy: a row for each class, a column for each guidance scale.</summary>
    public static Table Classes(ImageCertificate certificate)
    {
        var scales = certificate.Classes.Select(row => row.Scale).Distinct().Order().ToList();
        var table = new Table([
            new TableColumn("method", "method"),
            new TableColumn("class", "class"),
            .. scales.Select(scale => new TableColumn($"scale_{scale}", $"s = {scale}")),
            new TableColumn("judge", "told by"),
        ]);
        foreach (var group in certificate.Classes.GroupBy(row => (row.Method, row.Class, row.Judge)))
        {
            table.Add([
                group.Key.Method,
                group.Key.Class,
                .. scales.Select(scale =>
                    group.FirstOrDefault(row => row.Scale == scale) is { } row ? $"{100 * row.Accuracy:0.0} %" : null
                ),
                group.Key.Judge,
            ]);
        }
        return table;
    }
}
