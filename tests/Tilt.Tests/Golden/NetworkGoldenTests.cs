using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Networks;
using Tilt.Sampling;
using static TorchSharp.torch;

namespace Tilt.Tests.Golden;

/// <summary>G4: every network's outputs and input gradients, and guided noise, against the recorded ones.</summary>
public class NetworkGoldenTests
{
    private static readonly LinearSchedule Schedule = new();

    private static readonly Dictionary<string, Func<ScalarType, Tensor>> Cases = new(StringComparer.Ordinal)
    {
        ["embed_toy_score_fourier"] = Fourier,
        ["out_toy_score"] = type => Score(GoldenNetworks.ToyScore(type), Input("toy_x", type), null),
        ["out_toy_qt"] = type => GoldenNetworks.ToyGuidance(type).call(Input("toy_x", type), Input("t", type)),
        ["out_rl_score"] = type => Score(GoldenNetworks.ActionScore(type), Input("rl_a", type), Input("rl_s", type)),
        ["out_twinq_q1"] = type => GoldenNetworks.Critic(type).Both(Input("rl_a", type), Input("rl_s", type)).First,
        ["out_twinq_q2"] = type => GoldenNetworks.Critic(type).Both(Input("rl_a", type), Input("rl_s", type)).Second,
        ["out_twinq_min"] = type => GoldenNetworks.Critic(type).call(Input("rl_a", type), Input("rl_s", type)),
        ["out_rl_qt"] = type =>
            GoldenNetworks.ActionGuidance(type).call(Input("rl_a", type), Input("t", type), Input("rl_s", type)),
        ["out_rl_qt_batched"] = type =>
            GoldenNetworks
                .ActionGuidance(type)
                .call(Input("rl_a_batched", type), Input("t_batched", type), Input("rl_s_batched", type)),
        ["out_twinq_min_batched"] = type =>
            GoldenNetworks.Critic(type).call(Input("rl_a_batched", type), Input("rl_s_batched", type)),
        ["grad_toy_qt"] = ToyGradient,
        ["grad_toy_qt_scale2.5"] = type => 2.5 * ToyGradient(type),
        ["grad_rl_qt"] = type =>
        {
            var network = GoldenNetworks.ActionGuidance(type);
            return Gradient(Input("rl_a", type), a => network.call(a, Input("t", type), Input("rl_s", type)));
        },
        ["grad_twinq_min"] = type =>
        {
            var network = GoldenNetworks.Critic(type);
            return Gradient(Input("rl_a", type), a => network.call(a, Input("rl_s", type)));
        },
        ["out_toy_guided_eps"] = type =>
        {
            var score = GoldenNetworks.ToyScore(type);
            var guidance = GoldenNetworks.ToyGuidance(type);
            return RowByRow(
                Input("toy_x", type),
                _ => (xt, level) => -score.At(xt, level),
                _ => (xt, level) => -guidance.At(xt, level),
                scale: 1
            );
        },
        ["out_rl_guided_eps_scale1.5"] = type =>
        {
            var score = GoldenNetworks.ActionScore(type);
            var guidance = GoldenNetworks.ActionGuidance(type);
            var states = Input("rl_s", type);
            return RowByRow(
                Input("rl_a", type),
                row => (xt, level) => -score.At(xt, level, states[row].unsqueeze(0)),
                row => (xt, level) => -guidance.At(xt, level, states[row].unsqueeze(0)),
                scale: 1.5
            );
        },
        ["sampler_toy_s0.0_n15"] = type => ToySamples(type, 0),
        ["sampler_toy_s0.25_n15"] = type => ToySamples(type, 0.25),
        ["sampler_rl_s0.0_n15"] = type => ActionSamples(type, 0),
        ["sampler_rl_s0.25_n15"] = type => ActionSamples(type, 0.25),
    };

    public static TheoryData<string, string> Recorded()
    {
        var data = new TheoryData<string, string>();
        foreach (var name in Cases.Keys)
        {
            data.Add(name, "f64");
            data.Add(name, "f32");
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Recorded))]
    public void Networks_give_the_recorded_values(string name, string precision)
    {
        using var scope = NewDisposeScope();
        var type = precision == "f64" ? ScalarType.Float64 : ScalarType.Float32;
        // A float implementation is compared with the double recording too: it is the truth, the float one only its shadow.
        var expected = GoldenSet.Arrays("g4_io.npz")[$"{name}_f64"].ToTensor();
        if (expected.shape[^1] == 1)
        {
            // One number per row is [B] here and [B, 1] there.
            expected = expected.squeeze(-1);
        }

        var found = Cases[name](type).to(ScalarType.Float64);

        Assert.Equal(expected.shape, found.shape);
        var error = (found - expected).abs();
        var bound = Bound(name, expected, type);
        Assert.True((error <= bound).all().item<bool>(), $"{name}: off by up to {error.max().item<double>():g3}");
    }

    [Fact]
    public void Every_recorded_array_has_a_case()
    {
        var names = GoldenSet
            .Arrays("g4_io.npz")
            .Names.Where(name => name.EndsWith("_f64", StringComparison.Ordinal))
            .Select(name => name[..^4]);

        Assert.Equal(names.Order(StringComparer.Ordinal), Cases.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Networks_have_the_recorded_numbers_of_weights()
    {
        using var scope = NewDisposeScope();
        var counts = GoldenSet.Document("g4_info.json").RootElement.GetProperty("param_counts");
        var networks = new Dictionary<string, nn.Module>
        {
            ["toy_score"] = GoldenNetworks.ToyScore(ScalarType.Float32),
            ["toy_qt"] = GoldenNetworks.ToyGuidance(ScalarType.Float32),
            ["rl_score"] = GoldenNetworks.ActionScore(ScalarType.Float32),
            ["twinq"] = GoldenNetworks.Critic(ScalarType.Float32),
            ["rl_qt"] = GoldenNetworks.ActionGuidance(ScalarType.Float32),
        };

        foreach (var (name, network) in networks)
        {
            // The recording counts the fixed frequencies among the weights.
            var found = network.NamedTensors().Sum(pair => pair.Value.numel());
            Assert.Equal(counts.GetProperty(name).GetInt64(), found);
        }
    }

    /// <summary>The recording's stated tolerances: absolute for values of order one, relative for scores.</summary>
    private static Tensor Bound(string name, Tensor expected, ScalarType type)
    {
        var largest = expected.abs().amax([-1], keepdim: true);
        if (name.StartsWith("sampler_", StringComparison.Ordinal))
        {
            // Random networks drive samples to the size of a thousand.
            return (type == ScalarType.Float64 ? 1e-8 : 1e-4) * largest.clamp_min(1);
        }
        var isScore = name is "out_toy_score" or "out_rl_score";
        if (type == ScalarType.Float64)
        {
            return isScore ? 1e-10 * largest : full_like(expected, 1e-10);
        }
        if (!isScore)
        {
            return full_like(expected, 1e-4);
        }
        var early = Input("t", ScalarType.Float64) < 0.01;
        var relative = where(early, tensor(2e-3), tensor(1e-4)).unsqueeze(-1);
        return relative * largest;
    }

    private static Tensor Input(string name, ScalarType type) => GoldenSet.Arrays("g4_io.npz")[name].ToTensor(type);

    private static Tensor Fourier(ScalarType type)
    {
        var features = new FourierFeatures(new Generator(1), 16, 30);
        var recorded = GoldenSet.Arrays("g4_params_toy_score.npz")["embed.0.W"].ToTensor(ScalarType.Float32);
        features.Load(new Dictionary<string, Tensor> { ["W"] = recorded });
        return features.to(type).call(Input("t", type));
    }

    private static Tensor Score(Network network, Tensor x, Tensor? condition)
    {
        var times = GoldenSet.Arrays("g4_io.npz")["t"].Values;
        var sigma = tensor(times.Select(Schedule.Sigma).ToArray()).to(x.dtype).unsqueeze(-1);
        return network.call(x, Input("t", x.dtype), condition) / sigma;
    }

    private static Tensor ToyGradient(ScalarType type)
    {
        var network = GoldenNetworks.ToyGuidance(type);
        return Gradient(Input("toy_x", type), x => network.call(x, Input("t", type)));
    }

    private static Tensor Gradient(Tensor at, Func<Tensor, Tensor> function)
    {
        var leaf = at.detach().clone().requires_grad_();
        return autograd.grad([function(leaf).sum()], [leaf])[0];
    }

    private static Tensor ToySamples(ScalarType type, double scale)
    {
        var model = new NoiseModel(GoldenNetworks.ToyScore(type), Schedule);
        var guidance = GoldenNetworks.ToyGuidance(type);
        var noise = model.Noise.GuidedBy((xt, level) => -guidance.At(xt, level), scale);
        var options = SamplerOptions.Cep2d with { Evaluations = 15 };
        return Sampler.Sample(noise, Input("sampler_toy_x_T", type), Schedule, options, null);
    }

    private static Tensor ActionSamples(ScalarType type, double scale)
    {
        var model = new NoiseModel(GoldenNetworks.ActionScore(type), Schedule);
        var guidance = GoldenNetworks.ActionGuidance(type);
        var states = Input("rl_s", type);
        var noise = model.Given(states).GuidedBy((xt, level) => -guidance.At(xt, level, states), scale);
        return Sampler.Sample(noise, Input("sampler_rl_x_T", type), Schedule, SamplerOptions.CepRl, null);
    }

    /// <summary>Every row has its own t in the recording, whereas a sampler gives one level to all.</summary>
    private static Tensor RowByRow(
        Tensor x,
        Func<int, NoisePredictor> noise,
        Func<int, IntermediateEnergy> energy,
        double scale
    )
    {
        var times = GoldenSet.Arrays("g4_io.npz")["t"].Values;
        var rows = new List<Tensor>();
        for (var i = 0; i < times.Length; i++)
        {
            var guided = noise(i).GuidedBy(energy(i), scale);
            rows.Add(guided(x[i].unsqueeze(0), Schedule.At(times[i])));
        }
        return cat(rows).detach();
    }
}
