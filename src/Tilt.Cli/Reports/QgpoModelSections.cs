using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Tilt.Inference;
using Tilt.OfflineRl.Algorithms;
using Tilt.Runs;
using static TorchSharp.torch;

namespace Tilt.Cli.Reports;

/// <summary>The sections of a QGPO page that look at the networks, not at episodes: no environment is needed for them.</summary>
internal static class QgpoModelSections
{
    private const int Bins = 40;
    private const int Candidates = 16;
    private const int LatencyCalls = 200;

    /// <summary>The run's diagnostics: how sharp labels are, how high values, how strong guidance is at each level.</summary>
    /// <param name="page">To which.</param>
    /// <param name="run">The run's folder.</param>
    /// <param name="saved">Saves a figure and gives it back.</param>
    public static void Values(ReportPage page, string run, Func<Figure, Figure> saved)
    {
        page.Section("Values and energies");
        var file = Path.Combine(run, QgpoRun.DiagnosticsName);
        if (!File.Exists(file))
        {
            page.Text("The training is not over yet.");
            return;
        }
        var found = JsonSerializer.Deserialize(File.ReadAllText(file), QgpoDiagnosticsJson.Default.QgpoDiagnostics)!;
        var table = new Table(
            new TableColumn("what", "what"),
            new TableColumn("value", "value", "0.###"),
            new TableColumn("meaning", "how to read it")
        );
        table.Add(
            "label ESS",
            found.LabelEss,
            $"of {found.SupportActions} support actions share a label's weight; below 2 guidance picks single actions, above {found.SupportActions - 2} it hardly differs from the behavior"
        );
        table.Add("mean Q of the data", found.MeanQ, "after reward tuning");
        table.Add(
            "largest Q of the data",
            found.MaxQ,
            $"no value can exceed {found.ValueBound.ToString("0.###", CultureInfo.InvariantCulture)} = R_max/(1 − γ)"
        );
        table.Add(
            "support outside the box",
            found.OutsideShare,
            $"share of support actions with a component out of range before clipping; {found.EdgeShare:P0} of the data's own actions lie at its edge"
        );
        page.Add(table, $"Diagnostics over {found.States} states of the data.");
        foreach (var warning in found.Warnings)
        {
            page.Text($"Look at this: {warning}");
        }
        var times = found.Norms.OrderBy(norm => norm.Time).ToList();
        page.Add(
            saved(
                LineFigures.Make(
                    "norms",
                    "Guidance against score by noise level",
                    "t",
                    "root mean square",
                    [
                        new LinePanel(
                            "norms",
                            [
                                new LineSeries(
                                    "σ·score",
                                    [.. times.Select(norm => norm.Time)],
                                    [.. times.Select(norm => norm.Score)]
                                ),
                                new LineSeries(
                                    "σ·guidance",
                                    [.. times.Select(norm => norm.Time)],
                                    [.. times.Select(norm => norm.Guidance)]
                                ),
                            ]
                        ),
                    ],
                    markers: true
                )
            ),
            "Where guidance is of the score's size it decides; where it is far larger, samples leave what the behavior model knows."
        );
    }

    /// <summary>What data, behavior model and policy do in the same states, and what the critic thinks of it.</summary>
    /// <param name="page">To which.</param>
    /// <param name="run">The run's folder.</param>
    /// <param name="saved">Saves a figure and gives it back.</param>
    public static void Actions(ReportPage page, string run, Func<Figure, Figure> saved)
    {
        page.Section("Actions");
        var file = Path.Combine(run, "samples", QgpoRun.StatesName);
        var weights = Path.Combine(run, PolicyFile.DefaultName);
        if (!File.Exists(file) || !File.Exists(weights))
        {
            page.Text("The training is not over yet.");
            return;
        }
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var tensors = TensorFile.ReadAll(file);
        var (observations, actions) = (tensors["observations"], tensors["actions"]);
        var policy = Policy.Load(weights);
        var (states, size) = ((int)observations.shape[0], policy.ActionDimensions);
        var s = observations.contiguous().data<float>().ToArray();
        var guided = Acted(policy);
        var cloned = Acted(policy.Behavior());
        var support = new float[states * Candidates * size];
        policy.Behavior().Sample(s, Candidates, 7, support);

        using var model = QgpoModel.Load(run);
        double MeanQ(Tensor chosen) => model.Value(observations, chosen).mean().item<float>();
        var set = tensor(support, [states, Candidates, size]);
        var table = new Table(
            new TableColumn("who", "who"),
            new TableColumn("q", "mean Q", "0.###"),
            new TableColumn("distance", "distance to support", "0.###")
        );
        table.Add("data", MeanQ(actions), Nearest(actions, set));
        table.Add("behavior model", MeanQ(cloned), Nearest(cloned, set));
        table.Add("policy", MeanQ(guided), Nearest(guided, set));
        page.Add(
            table,
            $"The critic's estimate in {states} states of the data, and how far actions lie from the nearest of {Candidates} draws of the behavior model in "
                + "the same state: a policy much farther than the data's own actions has left what the data cover. The estimate is the critic's own "
                + "opinion, not a measurement."
        );
        var histograms = new List<Histogram>();
        for (var i = 0; i < size; i++)
        {
            foreach (var (name, chosen) in new[] { ("data", actions), ("behavior", cloned), ("policy", guided) })
            {
                histograms.Add(Histogram.Of($"a{i}, {name}", Column(chosen, i), Bins));
            }
        }
        page.Add(
            saved(HistogramGrid.Make("actions", "Actions of data, behavior model and policy", histograms, 3, -1, 1)),
            "Each component of actions in the same states; lines mark −1 and 1."
        );

        Tensor Acted(Policy who)
        {
            var chosen = new float[states * size];
            who.Act(s, [.. Enumerable.Range(0, states).Select(i => (long)i)], chosen);
            return tensor(chosen, [states, size]);
        }

        static double Nearest(Tensor chosen, Tensor support) =>
            (support - chosen.unsqueeze(1)).square().sum(-1).sqrt().amin([1]).mean().item<float>();

        static double[] Column(Tensor chosen, int i) =>
            Array.ConvertAll(chosen.select(1, i).contiguous().data<float>().ToArray(), x => (double)x);
    }

    /// <summary>How large the policy is and how long an action takes.</summary>
    /// <param name="page">To which.</param>
    /// <param name="run">The run's folder.</param>
    public static void Deployment(ReportPage page, string run)
    {
        var file = Path.Combine(run, PolicyFile.DefaultName);
        if (!File.Exists(file))
        {
            return;
        }
        var policy = Policy.Load(file);
        var observation = new float[policy.ObservationDimensions];
        var times = new List<double>();
        for (var i = 0; i < LatencyCalls; i++)
        {
            var clock = Stopwatch.StartNew();
            policy.Act(observation, i);
            times.Add(clock.Elapsed.TotalMilliseconds);
        }
        times.Sort();
        var table = new Table(new TableColumn("what", "what"), new TableColumn("value", "value"));
        table.Add("file", $"{PolicyFile.DefaultName}, {new FileInfo(file).Length / 1024.0 / 1024.0:0.0} MiB");
        table.Add(
            "one action",
            $"median {times[LatencyCalls / 2]:0.00} ms, 99 % within {times[(int)(LatencyCalls * 0.99)]:0.00} ms"
        );
        page.Section(ReportSections.Deployment)
            .Add(table, "Acting without libtorch, one state at a time, on this machine as busy as it was.");
    }
}
