using System.Diagnostics;
using System.Runtime.Intrinsics;
using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Inference;
using Tilt.Model;
using Tilt.Networks;
using Tilt.Sampling;
using TorchSharp;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>W5 and W6: support actions and guided actions, Tilt's beside plain TorchSharp's.</summary>
internal static class Acting
{
    private const int StateDimensions = 17;
    private const int ActionDimensions = 6;
    private const int Candidates = 16;

    /// <summary>W5: 256 states × 16 candidates, unguided, 15 evaluations.</summary>
    public static int Support(string[] args)
    {
        const int states = 256;
        var rounds = Arguments.Count(args, "rounds", 5);
        using var scope = NewDisposeScope();
        using var made = new Made();
        var observations = randn([states, StateDimensions]);
        var repeated = observations.repeat_interleave(Candidates, 0);
        var noise = randn([states * Candidates, ActionDimensions]);
        var own = new Policy(made.File(), new() { Threads = get_num_threads() });
        var behavior = own.Behavior();
        var (o, n, a) = (Floats(observations), Floats(noise), new float[states * Candidates * ActionDimensions]);
        var sampler = new NoiseModel(made.Score, new LinearSchedule(), Parametrization.Clean);
        using var candidates = new CandidateNoise(sampler, Candidates, Precision.BFloat16);
        var prepared = candidates.Given(observations);
        Tensor Prepared() => Sampler.Sample(prepared, noise, sampler.Schedule, SamplerOptions.CepRl, null);
        Tensor Library(Precision precision)
        {
            using var products = MixedPrecision.Use(precision);
            return Sampler.Sample(sampler.Given(repeated), noise, sampler.Schedule, SamplerOptions.CepRl, null);
        }

        Compare(
            $"W5: {states} states x {Candidates}, {StateDimensions} and {ActionDimensions} coordinates",
            rounds,
            1,
            ("plain TorchSharp, fp32", () => made.Plain.Sample(repeated, noise, 0).Dispose()),
            ("Tilt on libtorch, fp32", () => Library(Precision.Float32).Dispose()),
            ("Tilt on libtorch, bf16", () => Library(Precision.BFloat16).Dispose()),
            ("candidates in bf16", () => Prepared().Dispose()),
            ("own kernels, fp32", () => behavior.Denoise(o, n, a))
        );
        using var exact = Library(Precision.Float32);
        using var rounded = Prepared();
        Console.WriteLine(
            $"  samples in bf16 against float32, same noise: root mean square shift {Size(rounded - exact):g3} of a spread of "
                + $"{Size(exact - exact.mean([0])):g3}; largest {(rounded - exact).abs().max().item<float>():g3}; shift of means "
                + $"{(rounded.mean([0]) - exact.mean([0])).abs().max().item<float>():g2}, of deviations "
                + $"{(rounded.std(0) - exact.std(0)).abs().max().item<float>():g2}"
        );
        return 0;
    }

    /// <summary>W6: guided actions, 15 evaluations.</summary>
    public static int Guided(string[] args)
    {
        var rounds = Arguments.Count(args, "rounds", 40);
        foreach (var states in new[] { 1, 50 })
        {
            using var scope = NewDisposeScope();
            using var made = new Made();
            var observations = randn([states, StateDimensions]);
            var noise = randn([states, ActionDimensions]);
            var exact = new Policy(made.File(), new() { Threads = 2 });
            var alone = new Policy(made.File(), new() { Threads = 1 });
            var stored = new Policy(made.File(), new() { Threads = 2, Storage = WeightStorage.BFloat16 });
            var (o, n, a) = (Floats(observations), Floats(noise), new float[states * ActionDimensions]);
            var model = new NoiseModel(made.Score, new LinearSchedule(), Parametrization.Clean);
            IntermediateEnergy energy = (xt, level) => made.Guidance.At(xt, level, observations);
            var library = model.Given(observations).GuidedBy(energy, 1);
            Compare(
                $"W6: {states} state{(states == 1 ? "" : "s")}",
                rounds,
                states == 1 ? 10 : 3,
                ("plain TorchSharp, fp32", () => made.Plain.Sample(observations, noise, 1).Dispose()),
                (
                    "Tilt on libtorch, fp32",
                    () => Sampler.Sample(library, noise, model.Schedule, SamplerOptions.CepRl, null).Dispose()
                ),
                ("own kernels, fp32", () => exact.Denoise(o, n, a)),
                ("the same on one thread", () => alone.Denoise(o, n, a)),
                ("own kernels, bf16-stored", () => stored.Denoise(o, n, a))
            );
            exact.Denoise(o, n, a);
            var b = new float[a.Length];
            stored.Denoise(o, n, b);
            Console.WriteLine(
                $"  largest shift of an action by bf16-stored weights: {a.Zip(b, (p, q) => Math.Abs(p - q)).Max():g3}, of actions up to "
                    + $"{a.Max(Math.Abs):g3}"
            );
        }
        return 0;
    }

    /// <summary>Writes a policy of W6's networks with drawn weights, to try deployments with.</summary>
    public static int Save(string[] args)
    {
        if (args is not [var path])
        {
            throw TiltException.Usage("expected the file to write: Tilt.Bench policy FILE.");
        }
        using var made = new Made();
        made.File().Write(path);
        return 0;
    }

    private static void Compare(string title, int rounds, int each, params (string Name, Action Run)[] contestants)
    {
        Console.WriteLine(
            $"{title}; {get_num_threads()} threads, {Processor.Lanes} lanes, peak {Peak(1):f0} GFLOP/s on one thread and {Peak(2):f0} on two; "
                + $"{rounds} interleaved rounds, ms"
        );
        var times = contestants.Select(_ => new List<double>()).ToArray();
        for (var round = -2; round < rounds; round++)
        {
            for (var i = 0; i < contestants.Length; i++)
            {
                for (var run = 0; run < each; run++)
                {
                    var clock = Stopwatch.StartNew();
                    contestants[i].Run();
                    if (round >= 0)
                    {
                        times[i].Add(clock.Elapsed.TotalMilliseconds);
                    }
                }
            }
        }
        for (var i = 0; i < contestants.Length; i++)
        {
            Console.WriteLine(
                $"  {contestants[i].Name, -28} minimum {times[i].Min(), 8:f3} ({times[0].Min() / times[i].Min():f2}x)   "
                    + $"median {Median(times[i]), 8:f3} ({Median(times[0]) / Median(times[i]):f2}x)"
            );
        }
    }

    /// <summary>Billions of float32 operations a second that the processor does where nothing but arithmetic limits it.</summary>
    private static double Peak(int threads)
    {
        const int turns = 400_000;
        var best = 0.0;
        for (var round = 0; round < 5; round++)
        {
            var clock = Stopwatch.StartNew();
            var all = Enumerable.Range(0, threads).Select(_ => new Thread(() => Multiplications(turns))).ToList();
            all.ForEach(thread => thread.Start());
            all.ForEach(thread => thread.Join());
            best = Math.Max(best, 2.0 * 16 * 12 * turns * threads / clock.Elapsed.TotalSeconds / 1e9);
        }
        return best;
    }

    private static float Multiplications(int turns)
    {
        var x = Vector512.Create(0.999f);
        var (a, b, c, d, e, f) = (x, x, x, x, x, x);
        var (g, h, i, j, k, l) = (x, x, x, x, x, x);
        for (var turn = 0; turn < turns; turn++)
        {
            a = Vector512.FusedMultiplyAdd(a, x, x);
            b = Vector512.FusedMultiplyAdd(b, x, x);
            c = Vector512.FusedMultiplyAdd(c, x, x);
            d = Vector512.FusedMultiplyAdd(d, x, x);
            e = Vector512.FusedMultiplyAdd(e, x, x);
            f = Vector512.FusedMultiplyAdd(f, x, x);
            g = Vector512.FusedMultiplyAdd(g, x, x);
            h = Vector512.FusedMultiplyAdd(h, x, x);
            i = Vector512.FusedMultiplyAdd(i, x, x);
            j = Vector512.FusedMultiplyAdd(j, x, x);
            k = Vector512.FusedMultiplyAdd(k, x, x);
            l = Vector512.FusedMultiplyAdd(l, x, x);
        }
        return Vector512.Sum(a + b + c + d + e + f + (g + h + i + j + k + l));
    }

    private static float Size(Tensor tensor) => tensor.square().mean().sqrt().item<float>();

    private static float[] Floats(Tensor tensor) => tensor.data<float>().ToArray();

    private static double Median(IEnumerable<double> values) => values.Order().ElementAt(values.Count() / 2);

    /// <summary>The paper's networks with drawn weights, as Tilt's modules, as a saved policy and in plain TorchSharp.</summary>
    private sealed class Made : IDisposable
    {
        public Made()
        {
            using var generator = new Generator(1);
            random.manual_seed(0);
            Score = new(ActionDimensions, StateDimensions, generator);
            Guidance = new(ActionDimensions, StateDimensions, generator);
            Plain = new(StateDimensions, ActionDimensions);
        }

        public ResidualScoreNetwork Score { get; }

        public ConditionalEnergyNetwork Guidance { get; }

        public PlainTorchPolicy Plain { get; }

        public PolicyFile File()
        {
            var schedule = new LinearSchedule();
            return new(
                new()
                {
                    ObservationDimensions = StateDimensions,
                    ActionDimensions = ActionDimensions,
                    Schedule = NoiseSchedules.Describe(schedule),
                    // Drawn weights that stood for noise would leave x_t/α, which is huge and says nothing about rounding.
                    Parametrization = Parametrization.Clean,
                    ClipActions = false,
                    FirstTime = 1e-3,
                    ScoreNetwork = PolicyNetwork.ResidualScore,
                    Guidance = new() { Network = PolicyNetwork.ConditionalEnergy, Beta = 3 },
                    Solver = PolicySolver.Of(SamplerOptions.CepRl.Solver, Sampler.Plan(schedule, SamplerOptions.CepRl)),
                    ActionLow = [.. Enumerable.Repeat(-1.0, ActionDimensions)],
                    ActionHigh = [.. Enumerable.Repeat(1.0, ActionDimensions)],
                },
                PolicyTensors.Of(Score, Guidance)
            );
        }

        public void Dispose()
        {
            Score.Dispose();
            Guidance.Dispose();
            Plain.Dispose();
        }
    }
}
