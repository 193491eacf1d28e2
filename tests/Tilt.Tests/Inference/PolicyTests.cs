using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Inference;
using Tilt.Networks;
using Tilt.Sampling;
using static TorchSharp.torch;

namespace Tilt.Tests.Inference;

public sealed class PolicyTests
{
    private const int States = 7;

    /// <summary>Score network, guidance network, parametrization, solver: every kind at least once.</summary>
    public static TheoryData<string, string, Parametrization, string> Kinds() =>
        new()
        {
            { "residual", "conditional", Parametrization.Score, "dpm-solver++-2s" },
            { "residual", "conditional", Parametrization.Clean, "dpm-solver++-2s" },
            { "residual", "dial", Parametrization.Clean, "dpm-solver++-2s" },
            { "residual", "none", Parametrization.Clean, "dpm-solver++-2s" },
            { "mlp", "energy", Parametrization.Noise, "dpm-solver-2m" },
            { "mlp", "conditional", Parametrization.Clean, "ddim" },
            { "mlp", "dial", Parametrization.Velocity, "dpm-solver++-3m" },
        };

    [Theory, MemberData(nameof(Kinds))]
    public void Actions_equal_those_of_libtorch_to_1e_5(
        string score,
        string guidance,
        Parametrization parametrization,
        string solver
    )
    {
        using var make = new PolicyMake(score, guidance, parametrization, solver);
        var (observations, noise) = make.Draw(States);
        var expected = make.Sampled(observations, noise);
        var size = expected.Max(Math.Abs);
        // Untrained networks that stand for noise leave x̂₀ near x_t/α, which is large: there the guidance hardly shows.
        Assert.InRange(size, 0.05, parametrization == Parametrization.Clean ? 50 : 1e5);
        foreach (var lanes in Enum.GetValues<LaneWidth>().Where(lanes => lanes <= Processor.Lanes))
        {
            var policy = new Policy(make.File(), new() { Lanes = lanes });
            var found = Denoised(policy, observations, noise);
            for (var i = 0; i < found.Length; i++)
            {
                Assert.True(
                    Math.Abs(found[i] - expected[i]) <= 1e-5 * size,
                    $"{lanes}, {i}: {found[i]:r} against {expected[i]:r}"
                );
            }
        }
    }

    [Fact]
    public void Candidates_of_a_state_equal_rows_with_that_state()
    {
        using var make = new PolicyMake("residual", "conditional");
        var policy = new Policy(make.File());
        const int candidates = 5;
        var (observations, noise) = make.Draw(States, candidates);
        var repeated = Enumerable
            .Range(0, States)
            .SelectMany(i => Enumerable.Repeat(make.Row(observations, i), candidates).SelectMany(row => row))
            .ToArray();
        Assert.Equal(Denoised(policy, repeated, noise), Denoised(policy, observations, noise));
    }

    [Fact]
    public void An_action_has_the_same_bits_alone_in_a_batch_on_one_thread_and_on_two()
    {
        using var make = new PolicyMake("residual", "conditional");
        var two = new Policy(make.File(), new() { Threads = 2 });
        var one = new Policy(make.File(), new() { Threads = 1 });
        foreach (var states in new[] { 1, 2, 50, 301 })
        {
            var (observations, _) = make.Draw(states);
            var seeds = Enumerable.Range(0, states).Select(i => 1000L + i * i).ToArray();
            var batch = Acted(two, observations, seeds);
            Assert.Equal(batch, Acted(one, observations, seeds));
            foreach (var i in new[] { 0, states / 2, states - 1 })
            {
                var action = make.Row(batch, i, PolicyMake.Actions);
                Assert.Equal(action, one.Act(make.Row(observations, i), seeds[i]));
                Assert.Equal(action, two.Act(make.Row(observations, i), seeds[i]));
            }
        }
    }

    [Fact]
    public void Many_threads_may_act_with_one_policy()
    {
        using var make = new PolicyMake("residual", "conditional");
        var policy = new Policy(make.File());
        var (observations, _) = make.Draw(40);
        var alone = Enumerable.Range(0, 40).Select(i => policy.Act(make.Row(observations, i), i)).ToArray();
        var found = new float[8 * 40][];
        var threads = Enumerable
            .Range(0, 8)
            .Select(thread => new Thread(() =>
            {
                for (var i = 0; i < 40; i++)
                {
                    found[thread * 40 + i] = policy.Act(make.Row(observations, i), i);
                }
            }))
            .ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        for (var i = 0; i < found.Length; i++)
        {
            Assert.Equal(alone[i % 40], found[i]);
        }
    }

    [Fact]
    public void Seeds_decide_and_different_seeds_differ()
    {
        using var make = new PolicyMake("mlp", "none");
        var policy = new Policy(make.File());
        var observation = make.Row(make.Draw(1).Observations, 0);
        Assert.Equal(policy.Act(observation, 3), policy.Act(observation, 3));
        Assert.NotEqual(policy.Act(observation, 3), policy.Act(observation, 4));

        var support = new float[16 * PolicyMake.Actions];
        policy.Sample(observation, 16, 5, support);
        Assert.Equal(
            16,
            support.Chunk(PolicyMake.Actions).Select(action => string.Join(" ", action)).Distinct().Count()
        );
    }

    [Fact]
    public void Starting_noise_is_standard_normal()
    {
        var values = new float[6];
        var all = new List<double>();
        for (var seed = 0; seed < 200; seed++)
        {
            for (var index = 0; index < 100; index++)
            {
                Normals.Fill(seed, index, values);
                all.AddRange(values.Select(v => (double)v));
            }
        }
        // 120 000 numbers: five standard errors of the first four moments.
        var root = Math.Sqrt(all.Count);
        Assert.Equal(0, all.Average(), 5 / root);
        Assert.Equal(1, all.Average(v => v * v), 5 * Math.Sqrt(2) / root);
        Assert.Equal(0, all.Average(v => v * v * v), 5 * Math.Sqrt(15) / root);
        Assert.Equal(3, all.Average(v => v * v * v * v), 5 * Math.Sqrt(96) / root);
        Assert.Equal(0, all.Zip(all.Skip(1), (a, b) => a * b).Average(), 5 / root);
        Assert.Equal(0, all.Zip(all.Skip(6), (a, b) => a * b).Average(), 5 / root);
    }

    [Fact]
    public void Scale_beta_solver_and_behavior_are_those_of_libtorch()
    {
        using var make = new PolicyMake("residual", "dial");
        var policy = new Policy(make.File());
        var (observations, noise) = make.Draw(States);
        Check(policy.Behavior(), make with { Scale = 0 });
        Check(policy.Guided(2.5), make with { Scale = 2.5 });
        Check(policy.AtBeta(7), make with { Beta = 7 });
        Check(policy.AtBeta(7).Guided(0.5), make with { Beta = 7, Scale = 0.5 });
        var other = make with { Solver = "dpm-solver++-2m", Evaluations = 10 };
        Check(policy.SolvedBy(other.File().Record.Solver), other);
        Assert.NotEqual(Denoised(policy, observations, noise), Denoised(policy.Behavior(), observations, noise));

        void Check(Policy set, PolicyMake same)
        {
            var expected = same.Sampled(observations, noise);
            var size = expected.Max(Math.Abs);
            Assert.All(
                expected.Zip(Denoised(set, observations, noise)),
                pair => Assert.Equal(pair.First, pair.Second, 1e-5 * size)
            );
        }
    }

    [Theory]
    [InlineData("conditional")]
    [InlineData("dial")]
    public void Guidance_is_the_gradient_by_central_differences_in_double(string guidance)
    {
        // One step, and a scale so large that the guidance is all that moves the result: y = y₀ + s·c·∇E.
        const double scale = 1e4;
        using var make = new PolicyMake("mlp", guidance, Parametrization.Noise, "ddim") { Evaluations = 1 };
        var policy = new Policy(make.File());
        var (observations, noise) = make.Draw(States);
        var free = Denoised(policy.Behavior(), observations, noise);
        var guided = Denoised(policy.Guided(scale), observations, noise);
        var step = make.File().Record.Solver.Plan(new LinearSchedule()).Steps[0];
        var factor = scale * step.Weights[0] * step.Level.Sigma;
        var expected = make.EnergyGradient(observations, noise, step.Level);
        var size = expected.Max(Math.Abs);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], (guided[i] - free[i]) / factor, 1e-5 * size);
        }
    }

    [Fact]
    public void Widths_need_not_fit_vectors()
    {
        using var make = new PolicyMake("odd", "odd");
        var (observations, noise) = make.Draw(States);
        var expected = make.Sampled(observations, noise);
        var size = expected.Max(Math.Abs);
        foreach (var lanes in Enum.GetValues<LaneWidth>().Where(lanes => lanes <= Processor.Lanes))
        {
            var found = Denoised(new Policy(make.File(), new() { Lanes = lanes }), observations, noise);
            Assert.All(expected.Zip(found), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * size));
        }
    }

    [Fact]
    public void Weights_stored_as_bfloat16_move_actions_a_little()
    {
        using var make = new PolicyMake("residual", "conditional");
        var (observations, noise) = make.Draw(50);
        var exact = Denoised(new Policy(make.File()), observations, noise);
        var stored = Denoised(new Policy(make.File(), new() { Storage = WeightStorage.BFloat16 }), observations, noise);
        var shift = Math.Sqrt(exact.Zip(stored, (a, b) => (a - b) * (a - b)).Average());
        var spread = Math.Sqrt(exact.Average(a => a * a));
        Assert.InRange(shift / spread, 1e-7, 1e-2);
    }

    [Fact]
    public void Actions_are_clipped_to_their_bounds_where_the_file_says_so()
    {
        using var make = new PolicyMake("residual", "none");
        var (observations, noise) = make.Draw(20);
        var free = Denoised(new Policy(make.File()), observations, noise);
        var record = make.File().Record with
        {
            ClipActions = true,
            ActionLow = [.. Enumerable.Repeat(-0.1, PolicyMake.Actions)],
            ActionHigh = [.. Enumerable.Repeat(0.2, PolicyMake.Actions)],
        };
        var clipped = Denoised(new Policy(make.File() with { Record = record }), observations, noise);
        Assert.Equal(free.Select(a => Math.Clamp(a, -0.1f, 0.2f)), clipped);
    }

    [Fact]
    public void Wrong_requests_say_what_was_expected()
    {
        using var make = new PolicyMake("mlp", "none");
        var policy = new Policy(make.File());
        Assert.Contains("takes 11", Throws(() => policy.Act(new float[10], 1)).Message);
        Assert.Contains("no guidance", Throws(() => policy.Guided(2)).Message);
        Assert.Contains("no guidance", Throws(() => policy.AtBeta(2)).Message);
        Assert.Contains("candidates", Throws(() => policy.Sample(new float[11], 0, 1, [])).Message);
        using var conditional = new PolicyMake("mlp", "conditional");
        Assert.Contains("no beta dial", Throws(() => new Policy(conditional.File()).AtBeta(2)).Message);
        Assert.Contains("finite", Throws(() => new Policy(conditional.File()).Guided(double.NaN)).Message);
        using var dial = new PolicyMake("mlp", "dial");
        Assert.Contains("[0, 10]", Throws(() => new Policy(dial.File()).AtBeta(11)).Message);
        Assert.Contains("threads", Throws(() => new Policy(make.File(), new() { Threads = 0 })).Message);

        static TiltException Throws(Action act) => Assert.Throws<TiltException>(act);
    }

    private static float[] Denoised(Policy policy, float[] observations, float[] noise)
    {
        var actions = new float[noise.Length];
        policy.Denoise(observations, noise, actions);
        return actions;
    }

    private static float[] Acted(Policy policy, float[] observations, long[] seeds)
    {
        var actions = new float[seeds.Length * PolicyMake.Actions];
        policy.Act(observations, seeds, actions);
        return actions;
    }
}

/// <summary>Networks with drawn weights, as a policy and as libtorch samples them.</summary>
internal sealed record PolicyMake : IDisposable
{
    public const int Actions = 3;
    public const int Observations = 11;
    private const double LargestBeta = 10;

    public double Beta { get; init; } = 3;

    public double Scale { get; init; } = 1;

    public string Solver { get; init; }

    public int Evaluations { get; init; } = 15;

    private readonly Network _score;
    private readonly Network? _guidance;
    private readonly NoiseModel _model;
    private readonly PolicyNetwork _scoreKind;
    private readonly PolicyNetwork _guidanceKind;
    private readonly double[] _mean;
    private readonly double[] _deviation;

    public PolicyMake(
        string score,
        string guidance,
        Parametrization parametrization = Parametrization.Clean,
        string solver = "dpm-solver++-2s"
    )
    {
        using var generator = new Generator(7);
        Solver = solver;
        _score =
            score == "residual"
                ? new ResidualScoreNetwork(Actions, Observations, generator)
                : new ScoreNetwork(
                    new()
                    {
                        Dimensions = Actions,
                        ConditionDimensions = Observations,
                        Width = score == "odd" ? 37 : 96,
                        Depth = 3,
                    },
                    generator
                );
        _guidance = guidance switch
        {
            "none" => null,
            "conditional" => new ConditionalEnergyNetwork(Actions, Observations, generator),
            _ => new EnergyNetwork(
                new()
                {
                    Dimensions = Actions,
                    ConditionDimensions = Observations,
                    Width = guidance == "odd" ? 41 : 64,
                    Depth = guidance == "odd" ? 1 : 3,
                    MaximumBeta = guidance == "dial" ? LargestBeta : null,
                },
                generator
            ),
        };
        using (no_grad())
        {
            // Fresh networks give nearly nothing; trained ones give numbers of order one.
            foreach (var parameter in _score.parameters().Concat(_guidance?.parameters() ?? []))
            {
                parameter.mul_(1.5);
            }
        }
        _model = new(_score, new LinearSchedule(), parametrization);
        _scoreKind = score == "residual" ? PolicyNetwork.ResidualScore : PolicyNetwork.Score;
        _guidanceKind = guidance == "conditional" ? PolicyNetwork.ConditionalEnergy : PolicyNetwork.Energy;
        var random = new Random(3);
        _mean = [.. Enumerable.Range(0, Observations).Select(_ => random.NextDouble())];
        _deviation = [.. Enumerable.Range(0, Observations).Select(_ => 0.5 + random.NextDouble())];
    }

    public double? MaximumBeta => (_guidance as EnergyNetwork)?.MaximumBeta;

    private SamplerOptions Sampling => SamplerOptions.CepRl with { Solver = Solver, Evaluations = Evaluations };

    public PolicyFile File() =>
        new(
            new()
            {
                ObservationDimensions = Observations,
                ActionDimensions = Actions,
                Schedule = NoiseSchedules.Describe(_model.Schedule),
                Parametrization = _model.Parametrization,
                FirstTime = _model.FirstTime,
                ScoreNetwork = _scoreKind,
                Guidance = _guidance is null
                    ? null
                    : new()
                    {
                        Network = _guidanceKind,
                        Beta = Beta,
                        MaximumBeta = MaximumBeta,
                        Scale = Scale,
                    },
                Solver = PolicySolver.Of(Solver, Sampler.Plan(_model.Schedule, Sampling)),
                ObservationMean = _mean,
                ObservationDeviation = _deviation,
                ActionLow = [.. Enumerable.Repeat(-1.0, Actions)],
                ActionHigh = [.. Enumerable.Repeat(1.0, Actions)],
                ClipActions = false,
            },
            PolicyTensors.Of(_score, _guidance)
        );

    public (float[] Observations, float[] Noise) Draw(int states, int candidates = 1)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(11);
        return (
            randn([states, Observations], generator: generator).data<float>().ToArray(),
            randn([states * candidates, Actions], generator: generator).data<float>().ToArray()
        );
    }

    public float[] Row(float[] rows, int i, int width = Observations) => rows[(i * width)..((i + 1) * width)];

    /// <summary>What the library's own networks and solver make of it, in float32.</summary>
    public float[] Sampled(float[] observations, float[] noise)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var states = tensor(observations).reshape(-1, Observations);
        states = (states - tensor(_mean).to(ScalarType.Float32)) / tensor(_deviation).to(ScalarType.Float32);
        var predictor = _model.Given(states);
        if (_guidance is not null && Scale != 0)
        {
            var condition = _guidance is EnergyNetwork { MaximumBeta: not null }
                ? EnergyNetwork.Dial(full([states.shape[0]], Beta), states)
                : states;
            IntermediateEnergy energy = (xt, level) => _guidance.At(xt, level, condition);
            predictor = predictor.GuidedBy(energy, Scale);
        }
        return Sampler
            .Sample(predictor, tensor(noise).reshape(-1, Actions), _model.Schedule, Sampling, generator)
            .data<float>()
            .ToArray();
    }

    /// <summary>∇E_t(x) in float64, by central differences of the library's own network.</summary>
    public double[] EnergyGradient(float[] observations, float[] x, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        using var recording = no_grad();
        var states = tensor(observations).to(ScalarType.Float64).reshape(-1, Observations);
        states = (states - tensor(_mean)) / tensor(_deviation);
        var network = _guidance!;
        network.to(ScalarType.Float64);
        var condition = network is EnergyNetwork { MaximumBeta: not null }
            ? EnergyNetwork.Dial(full([states.shape[0]], Beta, dtype: ScalarType.Float64), states)
            : states;
        var at = tensor(x).to(ScalarType.Float64).reshape(-1, Actions);
        const double h = 1e-5;
        var columns = Enumerable
            .Range(0, Actions)
            .Select(i =>
            {
                var moved = zeros([1, Actions], dtype: ScalarType.Float64);
                moved[0, i] = h;
                return (network.At(at + moved, level, condition) - network.At(at - moved, level, condition)) / (2 * h);
            });
        var gradient = stack([.. columns], 1).reshape(-1).data<double>().ToArray();
        network.to(ScalarType.Float32);
        return gradient;
    }

    public void Dispose()
    {
        _score.Dispose();
        _guidance?.Dispose();
    }
}
