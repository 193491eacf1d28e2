using System.Globalization;
using System.Text.Json;
using Tilt.Diffusion;
using Tilt.Sampling;
using static TorchSharp.torch;

namespace Tilt.Tests.Golden;

/// <summary>G2: every recorded run of the published solvers, on the analytic mixture.</summary>
public class SolverGoldenTests
{
    private static readonly Npz Arrays = GoldenSet.Arrays("g2_dpm_solver.npz");

    /// <summary>One entry of g2_cases.json, in our terms.</summary>
    private sealed record Case(
        string Name,
        int Evaluations,
        NoiseSchedule Schedule,
        SamplerOptions Options,
        int Order,
        bool Adaptive,
        bool Inverse,
        string? Input,
        bool Single
    );

    private static List<Case> Cases()
    {
        using var document = GoldenSet.Document("g2_cases.json");
        return [.. document.RootElement.GetProperty("cases").EnumerateArray().Select(Read)];
    }

    private static Case Read(JsonElement entry)
    {
        var cepCopy = Text("code") == "cep_copy";
        var clean = cepCopy ? entry.GetProperty("predict_x0").GetBoolean() : Text("algorithm_type") == "dpmsolver++";
        var (method, order) = (Text("method")!, (int)Number("order", 0));
        var kind = (method, order) switch
        {
            ("multistep" or "singlestep", 1) => "1",
            ("multistep", 3) => "3m-upstream",
            ("multistep", _) => $"{order}m",
            ("singlestep", _) => $"{order}s",
            ("singlestep_fixed", _) => $"{order}s-fixed",
            ("adaptive", 2) => "12",
            ("adaptive", 3) => "23",
            _ => throw new NotSupportedException($"{method} of order {order}"),
        };
        var (first, last) = (Number("t_start", 1), Number("t_end", 1e-3));
        return new(
            Text("name")!,
            (int)Number("nfe", 0),
            Text("schedule") is { } block ? ScheduleGoldenTests.Schedule(block) : new LinearSchedule(),
            new()
            {
                Solver = (clean ? "dpm-solver++-" : "dpm-solver-") + kind,
                Evaluations = (int)Number("steps", 25),
                Spacing = TimeGrid.Parse(Text("skip_type") ?? "time_uniform"),
                StartTime = Math.Max(first, last),
                EndTime = Math.Min(first, last),
                LowerOrderFinal = Flag("lower_order_final") ? LowerOrderFinal.BelowTen : LowerOrderFinal.Off,
                Flavor = Text("solver_type") == "taylor" ? DpmFlavor.Taylor : DpmFlavor.Midpoint,
                Singlestep = cepCopy ? SinglestepLayout.CepCopy : SinglestepLayout.Upstream,
                DenoiseToZero = Flag("denoise_to_zero") || Flag("denoise"),
                Thresholding =
                    Text("correcting_x0_fn") == "dynamic_thresholding"
                        ? new(
                            ThresholdingKind.Dynamic,
                            Number("thresholding_max_val", 1),
                            Number("dynamic_thresholding_ratio", 0.995)
                        )
                        : null,
                AbsoluteTolerance = Number("atol", 0.0078),
                RelativeTolerance = Number("rtol", 0.05),
            },
            order,
            method == "adaptive",
            first < last,
            Text("input"),
            Text("dtype") == "f32"
        );

        string? Text(string key) =>
            entry.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String
                ? value.GetString()
                : null;
        double Number(string key, double otherwise) =>
            entry.TryGetProperty(key, out var value) ? value.GetDouble() : otherwise;
        bool Flag(string key) => entry.TryGetProperty(key, out var value) && value.GetBoolean();
    }

    [Fact]
    public void The_mixture_predicts_the_recorded_noise()
    {
        using var scope = NewDisposeScope();
        using var mixture = new GoldenMixture();
        var schedule = new LinearSchedule();
        var (points, expected) = (Arrays["eps_x"].ToTensor(), Arrays["eps"].ToTensor());
        var times = Arrays["eps_t"].Values;
        for (var i = 0; i < times.Length; i++)
        {
            var found = mixture.Noise(points, schedule.At(times[i]));
            Assert.True((found - expected[i]).abs().max().item<double>() <= 1e-9);
        }
    }

    [Fact]
    public void Every_recorded_run_is_reproduced()
    {
        using var scope = NewDisposeScope();
        using var mixture = new GoldenMixture();
        using var single = new GoldenMixture(ScalarType.Float32);
        var start = Arrays["x_T"].ToTensor();
        var (doubles, singles) = (0, 0);
        var failures = new List<string>();
        foreach (var run in Cases())
        {
            using var each = NewDisposeScope();
            // A float run is compared with the double one: that says how good it is, not how alike two roundings are.
            var expected = Arrays[run.Single ? run.Name.Replace("__f32", "__f64") : run.Name].ToTensor();
            var x = (run.Input is { } input ? Arrays[input].ToTensor() : start)[..(int)expected.shape[0]];
            var (calls, accepted) = (0, 0);
            var noise = (run.Single ? single : mixture).Counted(() => calls++);
            if (run.Single)
            {
                x = x.to_type(ScalarType.Float32);
            }
            StateHook count = (step, _, _) =>
            {
                accepted = step;
                return null;
            };
            var found = run.Inverse
                ? Sampler.Invert(noise, x, run.Schedule, run.Options, count)
                : Sampler.Sample(noise, x, run.Schedule, run.Options, count, null);

            // The published adaptive solver evaluates again after a rejection; what it counts is order × attempts.
            var counted = run.Adaptive ? run.Order * (calls - accepted) / (run.Order - 1) : calls;
            if (counted != run.Evaluations)
            {
                failures.Add($"{run.Name}: {counted} evaluations, recorded {run.Evaluations}");
            }
            var (error, most) = Differences(found, expected, run);
            if (!(error <= most))
            {
                failures.Add($"{run.Name}: off by {error:E2}, allowed {most:E0}");
            }
            _ = run.Single ? singles++ : doubles++;
        }
        Console.WriteLine(
            $"G2: {doubles + singles} recorded runs compared, {doubles} in float64 and {singles} in float32."
        );
        Assert.True(failures.Count == 0, string.Join('\n', failures));
        Assert.Equal(Cases().Count, doubles + singles);
    }

    /// <summary>The largest difference and what is allowed.</summary>
    private static (double Error, double Allowed) Differences(Tensor found, Tensor expected, Case run)
    {
        var difference = (found.to_type(ScalarType.Float64) - expected).abs();
        if (run.Single)
        {
            // Published float32 runs are off by up to 1e-3, and 1e-4 at the 99 % quantile.
            var tail = difference.flatten().quantile(tensor(0.99, dtype: ScalarType.Float64)).item<double>();
            return tail <= 1e-4 ? (difference.max().item<double>(), 2e-3) : (tail, 1e-4);
        }
        // Few-step runs may diverge to |x| ~ 20; their rounding grows alike.
        var relative = (difference / expected.abs().clamp_min(1)).max().item<double>();
        return (relative, run.Adaptive ? 1e-6 : 1e-9);
    }

    [Fact]
    public void States_between_are_reproduced()
    {
        using var scope = NewDisposeScope();
        using var mixture = new GoldenMixture();
        const string suffix = "__intermediates";
        var names = Arrays.Names.Where(name => name.EndsWith(suffix, StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(names);
        foreach (var name in names)
        {
            var run = Cases().Single(entry => entry.Name == name[..^suffix.Length]);
            var expected = Arrays[name].ToTensor(); // [steps, 16, 2], with or without the start
            var states = new List<Tensor>();
            var x = Arrays["x_T"].ToTensor()[..(int)expected.shape[1]];
            Sampler.Sample(
                mixture.Noise,
                x,
                run.Schedule,
                run.Options,
                (_, _, state) =>
                {
                    states.Add(state.clone().DetachFromDisposeScope());
                    return null;
                },
                null
            );
            var found = stack(states)[(int)(states.Count - expected.shape[0])..];
            Assert.True((found - expected).abs().max().item<double>() <= 1e-9, name);
            states.ForEach(state => state.Dispose());
        }
    }

    [Fact]
    public void Time_grids_are_the_recorded_ones()
    {
        var schedule = new LinearSchedule();
        var (plain, single) = (Named("grid__"), Named("grid_single__"));
        Assert.NotEmpty(plain);
        Assert.NotEmpty(single);
        foreach (var name in plain)
        {
            var parts = name.Split("__"); // grid, spacing, nN
            var found = TimeGrid.Times(schedule, TimeGrid.Parse(parts[1]), Tail(parts[2]), 1, 1e-3);
            Near(Arrays[name].Values, found, name);
        }
        foreach (var name in single)
        {
            var parts = name.Split("__"); // grid_single, spacing, oK, nN
            var strides = SinglestepGrid.Strides(
                schedule,
                TimeGrid.Parse(parts[1]),
                Tail(parts[3]),
                Tail(parts[2]),
                SinglestepLayout.Upstream,
                1,
                1e-3
            );
            double[] found = [strides[0][0].Time, .. strides.Select(stride => stride[^1].Time)];
            Near(Arrays[name].Values, found, name);
        }

        static List<string> Named(string prefix) =>
            [.. Arrays.Names.Where(name => name.StartsWith(prefix, StringComparison.Ordinal))];

        static int Tail(string part) => int.Parse(part.AsSpan(1), CultureInfo.InvariantCulture);

        static void Near(double[] expected, double[] found, string name)
        {
            Assert.Equal(expected.Length, found.Length);
            for (var i = 0; i < expected.Length; i++)
            {
                Assert.True(Math.Abs(expected[i] - found[i]) <= 1e-12, $"{name}[{i}]: {found[i]:R}");
            }
        }
    }

    [Fact]
    public void Singlestep_orders_are_the_recorded_ones()
    {
        using var document = GoldenSet.Document("g2_cases.json");
        foreach (var entry in document.RootElement.GetProperty("singlestep_orders").EnumerateObject())
        {
            var parts = entry.Name.Split("__"); // code, oK, nN
            var layout = parts[0] == "cep_copy" ? SinglestepLayout.CepCopy : SinglestepLayout.Upstream;
            var found = SinglestepGrid.Orders(
                int.Parse(parts[2].AsSpan(1), CultureInfo.InvariantCulture),
                int.Parse(parts[1].AsSpan(1), CultureInfo.InvariantCulture),
                layout
            );
            Assert.Equal(entry.Value.EnumerateArray().Select(order => order.GetInt32()), found);
        }
    }

    [Fact]
    public void Two_m_on_the_logSNR_grid_nears_the_reference_solution_with_fifty_evaluations()
    {
        using var scope = NewDisposeScope();
        using var mixture = new GoldenMixture();
        var reference = Arrays["reference_ode_solution"].ToTensor();
        var x = Arrays["x_T"].ToTensor()[..(int)reference.shape[0]];
        var options = new SamplerOptions { Solver = "dpm-solver++-2m", Evaluations = 50 };

        var found = Sampler.Sample(mixture.Noise, x, new LinearSchedule(), options, null);

        using var document = GoldenSet.Document("g2_cases.json");
        var published = document
            .RootElement.GetProperty("info")
            .GetProperty("rms_error_to_reference")
            .GetProperty("pp__multistep__o2__n50__logSNR__lof1")
            .GetDouble();
        var error = (found - reference).square().mean().sqrt().item<double>();
        // The recorded error is over all samples; a subset may fare somewhat worse.
        Assert.True(error <= 1.5 * published, $"root-mean-square error {error:G4}, published solver {published:G4}");
    }

    [Fact]
    public void The_set_names_every_case()
    {
        using var document = GoldenSet.Document("g2_cases.json");
        var info = document.RootElement.GetProperty("info").GetProperty("rms_error_to_reference");
        var names = Cases().ConvertAll(entry => entry.Name);
        Assert.All(names, name => Assert.True(Arrays.Has(name), name));
        Assert.Equal(names.Count, names.Distinct(StringComparer.Ordinal).Count());
        // The table of errors names the runs on the linear schedule independently of the list of cases.
        Assert.All(info.EnumerateObject().Select(entry => entry.Name), name => Assert.Contains(name, names));
    }
}
