using Tilt.Toys;

namespace Tilt.Cli.Reports;

/// <summary>A certificate as tables, for terminals and pages.</summary>
internal static class CertificateTables
{
    /// <summary>One row for each way of sampling, every metric beside its bound; above those of one β its noise floor with its spread.</summary>
    public static Table Metrics(Certificate certificate)
    {
        var table = new Table([
            new TableColumn("noise", "noise"),
            new TableColumn("guidance", "guidance"),
            new TableColumn("beta", "β"),
            .. Certificate.MetricNames.Select(name => new TableColumn(name.Replace(' ', '_'), name)),
            new TableColumn("verdict", "verdict"),
        ]);
        double? beta = null;
        foreach (var row in certificate.Rows)
        {
            if (beta != row.Beta)
            {
                beta = row.Beta;
                table.Add([
                    "(true samples)",
                    "floor",
                    row.Beta,
                    .. row.Metrics.Select(metric =>
                        $"{metric.Floor.Mean:0.0000} ± {metric.Floor.StandardDeviation:0.0000}"
                    ),
                    null,
                ]);
            }
            table.Add([
                row.Noise,
                row.Guidance,
                row.Beta,
                .. row.Metrics.Select(metric => $"{metric.Value:0.0000} / {metric.Floor.Bound:0.0000}"),
                row.Mark ?? (row.Passed ? "pass" : "FAIL"),
            ]);
        }
        return table;
    }

    /// <summary>One row for each learned energy: the error of its gradient at each t, and the bounds in the first row.</summary>
    public static Table Gradients(Certificate certificate)
    {
        var bounds = CertificateOptions.GradientBounds;
        var table = new Table([
            new TableColumn("guidance", "guidance"),
            new TableColumn("beta", "β"),
            .. bounds.Select(check => new TableColumn($"t_{check.Time}", $"t = {check.Time}")),
            new TableColumn("verdict", "verdict"),
        ]);
        table.Add([
            "bound",
            null,
            .. bounds.Select(check => $"{check.Bound:0.00} or {CertificateOptions.ScoreBound:0.00}"),
            null,
        ]);
        foreach (var row in certificate.Rows.Where(row => row.Gradients.Count > 0))
        {
            table.Add([
                row.Guidance,
                row.Beta,
                .. row.Gradients.Select(check => $"{check.RelativeError:0.000}, {check.ShareOfScore:0.000}"),
                row.Mark ?? (row.Gradients.All(check => check.Passed) ? "pass" : "FAIL"),
            ]);
        }
        return table;
    }
}
