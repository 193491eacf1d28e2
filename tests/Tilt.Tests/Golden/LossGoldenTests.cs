using System.Globalization;
using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Networks;
using Tilt.OfflineRl.Algorithms;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Golden;

/// <summary>G5: the losses of the authors' code and their gradients, with all draws given, in float64 and float32.</summary>
/// <remarks>The recorded networks and labels have the code's sign (high is good); it turns where they meet the losses.</remarks>
public class LossGoldenTests
{
    private static readonly LinearSchedule Schedule = new();

    // The last bias shifts all outputs alike: a softmax over samples does not see it, and its gradient is rounding noise.
    private const string FreeBias = "qt.8.bias";

    // The published code forms the discount in float32.
    private static readonly double Discount = 0.99f;

    private static Npz Set => GoldenSet.Arrays("g5_losses.npz");

    public static TheoryData<string, ScalarType> Cases
    {
        get
        {
            var data = new TheoryData<string, ScalarType>();
            foreach (var name in LossCases.Keys)
            {
                data.Add(name, ScalarType.Float64);
                data.Add(name, ScalarType.Float32);
            }
            return data;
        }
    }

    /// <summary>Each case: the loss, and the module whose gradients are recorded.</summary>
    private static readonly Dictionary<string, Func<ScalarType, (Tensor Loss, nn.Module Module)>> LossCases = new(
        StringComparer.Ordinal
    )
    {
        ["toy_CEP_alpha3"] = type => ToyCep(3, type),
        ["toy_CEP_alpha10"] = type => ToyCep(10, type),
        ["toy_mse_alpha3"] = type =>
        {
            var network = GoldenNetworks.ToyGuidance(type);
            return (MseEnergyPrediction.Loss(-3 * ToyLabels(0, type), ToyPredicted(network, type)), network);
        },
        ["toy_emse_alpha3"] = type =>
        {
            var network = GoldenNetworks.ToyGuidance(type);
            var predicted = ToyPredicted(network, type);
            var loss = ExpMseEnergyPrediction.Loss(-3 * ToyLabels(0, type), predicted, -3.0, ExpMseBounds.Plane);
            return (loss, network);
        },
        ["toy_dsm"] = type =>
        {
            var network = GoldenNetworks.ToyScore(type);
            var model = new NoiseModel(network, Schedule);
            var (x0, noise) = (Draw("toy_a", type)[0], Draw("toy_z", type)[0]);
            return (DenoisingLoss.Loss(model, x0, Times("toy_u", 1e-3, type), noise), network);
        },
        ["rl_CEP_alpha3"] = type => ActionCep(3, type),
        ["rl_CEP_alpha10"] = type => ActionCep(10, type),
        ["rl_mse_alpha3"] = type =>
        {
            var network = GoldenNetworks.ActionGuidance(type);
            return (MseEnergyPrediction.Loss(-3 * DataValues(type), ActionPredicted(network, type)), network);
        },
        ["rl_emse_alpha3"] = type =>
        {
            var network = GoldenNetworks.ActionGuidance(type);
            var (energies, predicted) = (-3 * DataValues(type), ActionPredicted(network, type));
            var best = (-3 * SupportValues("rl_s", "rl_fake_a", type)).amin([1]);
            return (ExpMseEnergyPrediction.Loss(energies, predicted, best, ExpMseBounds.Actions), network);
        },
        ["rl_q0_qalpha3"] = type => CriticLoss(3, type),
        ["rl_q0_qalpha1"] = type => CriticLoss(1, type),
        ["rl_dsm"] = type =>
        {
            var network = GoldenNetworks.ActionScore(type);
            var model = new NoiseModel(network, Schedule);
            var (x0, noise) = (Draw("rl_a", type), Draw("rl_z", type));
            return (DenoisingLoss.Loss(model, x0, Times("rl_u", 1e-3, type), noise, Draw("rl_s", type)), network);
        },
    };

    [Fact]
    public void Every_recorded_case_is_tested_and_every_array_named()
    {
        using var info = GoldenSet.Document("g5_info.json");
        var recorded = info
            .RootElement.EnumerateObject()
            .Select(entry => entry.Name)
            .Where(name =>
                name.StartsWith("toy_", StringComparison.Ordinal) || name.StartsWith("rl_", StringComparison.Ordinal)
            )
            .ToArray();
        Assert.Equal(
            recorded.Select(name => name[..^4]).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal),
            LossCases.Keys.Append("toy_adam5").Order(StringComparer.Ordinal)
        );
        foreach (var name in recorded)
        {
            Assert.True(
                Set.Has(name + (name.StartsWith("toy_adam5", StringComparison.Ordinal) ? "__losses" : "__loss")),
                name
            );
        }
        foreach (var name in LossCases.Keys)
        {
            var (_, module) = Fresh(name, ScalarType.Float64);
            foreach (var (weight, _) in module.NamedParameters())
            {
                Assert.True(Set.Has($"{name}_f64__gradstat__{weight}"), $"{name}: {weight}");
                Assert.True(Find($"{name}_f64__grad", weight) is not null, $"{name}: {weight}");
            }
        }
        foreach (var (weight, _) in GoldenNetworks.ToyGuidance(ScalarType.Float64).NamedTensors())
        {
            foreach (var type in new[] { "f64", "f32" })
            {
                Assert.True(Set.Has($"toy_adam5_{type}__paramstat__{weight}"), weight);
                Assert.True(Find($"toy_adam5_{type}__param", weight) is not null, weight);
            }
        }
        foreach (var (weight, _) in GoldenNetworks.Critic(ScalarType.Float64).NamedTensors())
        {
            foreach (var field in new[] { "param_after_adam1", "target_after_tau0.005" })
            {
                Assert.True(Set.Has($"rl_q0_qalpha3_f64__{field}stat__{weight}"), weight);
                Assert.True(Find($"rl_q0_qalpha3_f64__{field}", weight) is not null, weight);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loss_and_gradients_agree(string name, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var isDouble = type == ScalarType.Float64;
        var (loss, module) = Fresh(name, type);
        using var _ = module;
        loss.backward();

        // A float loss, too, is compared with the double one: that says how good it is.
        var expected = Set[$"{name}_f64__loss"].Scalar;
        Assert.Equal(
            expected,
            loss.to(ScalarType.Float64).item<double>(),
            (isDouble ? 1e-10 : 1e-5) * Math.Abs(expected)
        );
        foreach (var (weight, value) in module.NamedParameters())
        {
            if (weight == FreeBias && name.Contains("CEP", StringComparison.Ordinal))
            {
                continue;
            }
            CompareWith($"{name}_f64__grad", weight, value.grad!, isDouble);
        }
    }

    [Theory]
    [InlineData("rl_CEP_alpha3", 3.0)]
    [InlineData("rl_CEP_alpha10", 10.0)]
    public void Labels_of_support_actions_agree(string name, double alpha)
    {
        using var scope = NewDisposeScope();
        var energies = -alpha * SupportValues("rl_s", "rl_fake_a", ScalarType.Float64);
        var labels = nn.functional.softmax(-energies, -1);
        Close.Absolute(Used(name).reshape(labels.shape), labels, 1e-10, name);
    }

    [Fact]
    public void Regression_targets_of_actions_agree()
    {
        using var scope = NewDisposeScope();
        var energies = -3 * DataValues(ScalarType.Float64);
        Close.Relative(Used("rl_mse_alpha3").flatten(), -energies, 1e-10, "mse");
        var best = (-3 * SupportValues("rl_s", "rl_fake_a", ScalarType.Float64)).amin([1]);
        // The exponents, which the bounds leave as they are in the recorded set.
        var expected = Used("rl_emse_alpha3").flatten().clamp(-100, 4.5);
        Close.Relative(expected, (best - energies).clamp(-100, 4.5), 1e-10, "emse");
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float32)]
    public void Five_adam_steps_agree(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var isDouble = type == ScalarType.Float64;
        using var network = GoldenNetworks.ToyGuidance(type);
        using var adam = new Adam(network.NamedParameters(), new AdamOptions { LearningRate = 3e-4 });
        var losses = Set["toy_adam5_f64__losses"].Values;
        for (var step = 0; step < 5; step++)
        {
            using var inner = NewDisposeScope();
            adam.ZeroGradients();
            var loss = ToyCepLoss(network, 3, step, type);
            loss.backward();
            adam.Step();
            var found = loss.to(ScalarType.Float64).item<double>();
            Assert.Equal(losses[step], found, (isDouble ? 1e-10 : 1e-5) * losses[step]);
        }
        foreach (var (weight, value) in network.NamedTensors().Where(pair => pair.Name != FreeBias))
        {
            CompareWeights("toy_adam5_f64__param", weight, value, isDouble ? 1e-9 : 2e-5);
        }
    }

    [Theory]
    [InlineData("rl_q0_qalpha3", 3.0)]
    [InlineData("rl_q0_qalpha1", 1.0)]
    public void Temporal_difference_targets_agree(string name, double beta)
    {
        using var scope = NewDisposeScope();
        Close.Absolute(
            Set[$"{name}_f64__td_target"].ToTensor().squeeze(-1),
            CriticTarget(beta, ScalarType.Float64),
            1e-9,
            name
        );
        Close.Relative(
            Set[$"{name}_f64__td_target"].ToTensor().squeeze(-1),
            CriticTarget(beta, ScalarType.Float32).to(ScalarType.Float64),
            1e-5,
            name
        );
    }

    [Fact]
    public void A_critic_step_and_its_target_update_agree()
    {
        using var scope = NewDisposeScope();
        const string name = "rl_q0_qalpha3";
        var (loss, critic) = CriticLoss(3, ScalarType.Float64);
        using var _ = critic;
        using var target = Target(ScalarType.Float64);
        using var adam = new Adam(critic.NamedParameters(), new AdamOptions { LearningRate = 3e-4 });
        adam.ZeroGradients();
        loss.backward();
        adam.Step();
        var targets = target.NamedTensors().ToDictionary(pair => pair.Name, pair => pair.Value);
        foreach (var (weight, value) in critic.NamedTensors())
        {
            CompareWeights($"{name}_f64__param_after_adam1", weight, value, 1e-9);
            using var inference = no_grad();
            var moved = 0.005 * value + 0.995 * targets[weight];
            CompareWeights($"{name}_f64__target_after_tau0.005", weight, moved, 1e-9);
        }
    }

    private static (Tensor Loss, nn.Module Module) Fresh(string name, ScalarType type) => LossCases[name](type);

    private static (Tensor, nn.Module) ToyCep(double alpha, ScalarType type)
    {
        var network = GoldenNetworks.ToyGuidance(type);
        return (ToyCepLoss(network, alpha, 0, type), network);
    }

    /// <summary>One t for the whole batch: a single contrast set.</summary>
    private static Tensor ToyCepLoss(Network network, double alpha, int index, ScalarType type)
    {
        var x0 = Draw("toy_a", type)[index].unsqueeze(0);
        var noise = Draw("toy_z", type)[index].unsqueeze(0);
        var time = Times("toy_u1", 1e-5, type)[index];
        var guidance = ContrastiveEnergyPrediction.Predicted(network, Schedule, x0, time, noise);
        var energies = -alpha * ToyLabels(index, type).unsqueeze(0);
        return ContrastiveEnergyPrediction.Loss(energies, -guidance);
    }

    /// <summary>A t for each sample.</summary>
    private static Tensor ToyPredicted(Network network, ScalarType type)
    {
        var levels = ForwardProcess.Levels(Schedule, Times("toy_u", 1e-5, type), Draw("toy_a", type));
        var xt = ForwardProcess.Noised(levels, Draw("toy_a", type)[0], Draw("toy_z", type)[0]);
        return -network.call(xt, levels.NetworkTime);
    }

    private static Tensor ToyLabels(int index, ScalarType type) => Draw("toy_e", type)[index].squeeze(-1);

    /// <summary>One t for each state, shared by its support actions.</summary>
    private static (Tensor, nn.Module) ActionCep(double alpha, ScalarType type)
    {
        var network = GoldenNetworks.ActionGuidance(type);
        var guidance = ContrastiveEnergyPrediction.Predicted(
            network,
            Schedule,
            Draw("rl_fake_a", type),
            Times("rl_u", 1e-3, type),
            Draw("rl_z_fake", type),
            Draw("rl_s", type)
        );
        var energies = -alpha * SupportValues("rl_s", "rl_fake_a", type);
        return (ContrastiveEnergyPrediction.Loss(energies, -guidance), network);
    }

    private static Tensor ActionPredicted(Network network, ScalarType type)
    {
        var actions = Draw("rl_a", type);
        var levels = ForwardProcess.Levels(Schedule, Times("rl_u", 1e-3, type), actions);
        var at = ForwardProcess.Noised(levels, actions, Draw("rl_z", type));
        return -network.call(at, levels.NetworkTime, Draw("rl_s", type));
    }

    private static (Tensor, nn.Module) CriticLoss(double beta, ScalarType type)
    {
        var critic = GoldenNetworks.Critic(type);
        var target = CriticTarget(beta, type);
        var (first, second) = critic.Both(Draw("rl_a", type), Draw("rl_s", type));
        return (0.5 * ((first - target).square().mean() + (second - target).square().mean()), critic);
    }

    private static Tensor CriticTarget(double beta, ScalarType type)
    {
        var next = InSupportSoftmax.Value(SupportValues("rl_s_", "rl_fake_a_", type), beta);
        var (reward, terminated) = (Draw("rl_r", type).squeeze(-1), Draw("rl_d", type).squeeze(-1));
        return InSupportSoftmax.Target(reward, terminated, next, Discount);
    }

    /// <summary>min Q of the target network at the data's actions, [B].</summary>
    private static Tensor DataValues(ScalarType type)
    {
        using var target = Target(type);
        using var inference = no_grad();
        return target.call(Draw("rl_a", type), Draw("rl_s", type));
    }

    /// <summary>min Q of the target network at each state's support actions, [B, K].</summary>
    private static Tensor SupportValues(string states, string actions, ScalarType type)
    {
        using var target = Target(type);
        using var inference = no_grad();
        var support = Draw(actions, type);
        var repeated = Draw(states, type).repeat_interleave(support.shape[1], dim: 0);
        return target.call(support.flatten(0, 1), repeated).reshape(support.shape[0], support.shape[1]);
    }

    /// <summary>The target network: every weight of the critic times 0.75.</summary>
    private static TwinQ Target(ScalarType type)
    {
        var target = GoldenNetworks.Critic(type);
        using var inference = no_grad();
        foreach (var (_, value) in target.NamedTensors())
        {
            value.mul_(0.75);
        }
        return target;
    }

    /// <summary>t in [first, 1] from the recorded uniform numbers.</summary>
    /// <remarks>
    /// Formed in the run's own number type, as in the recorded runs: frequencies of up to 90 cycles make the networks feel the
    /// last digit of a float t (1e-5 of a loss).
    /// </remarks>
    private static Tensor Times(string name, double first, ScalarType type) =>
        Set[name].ToTensor(type) * (1 - first) + first;

    private static Tensor Draw(string name, ScalarType type) => Set[name].ToTensor(type);

    private static Tensor Used(string name) => Set[$"{name}_f64__debug_used"].ToTensor();

    /// <summary>What is recorded of a tensor, whole or its beginning, as one row of numbers.</summary>
    private static Tensor? Find(string stem, string weight)
    {
        var match = Set.Names.FirstOrDefault(name =>
            name.EndsWith("__" + weight, StringComparison.Ordinal)
            && name.StartsWith(stem, StringComparison.Ordinal)
            && name[stem.Length..^(weight.Length + 2)] is var kind
            && (kind.Length == 0 || kind.StartsWith("rows", StringComparison.Ordinal))
        );
        return match is null ? null : Set[match].ToTensor().flatten();
    }

    /// <summary>As many numbers from the start of a tensor as are recorded, in float64.</summary>
    private static Tensor Beginning(Tensor value, Tensor recorded) =>
        value.detach().to(ScalarType.Float64).flatten()[..(int)recorded.numel()];

    /// <summary>Sums over all weights and what is recorded of them one by one, each weight to the given error.</summary>
    private static void CompareWeights(string stem, string weight, Tensor found, double each)
    {
        using var inference = no_grad();
        var value = found.to(ScalarType.Float64);
        var stat = Set[$"{stem}stat__{weight}"].Values;
        Assert.Equal(stat[0], value.norm().item<double>(), each * Math.Sqrt(value.numel()));
        Assert.Equal(stat[1], value.sum().item<double>(), each * value.numel());
        Assert.Equal(stat[2], value.abs().sum().item<double>(), each * value.numel());
        var recorded = Find(stem, weight)!;
        Close.Absolute(recorded, Beginning(value, recorded), each, $"{stem} {weight}");
    }

    /// <summary>Norm, sum and sum of sizes of the whole tensor; then what is recorded of it, to a share of the norm.</summary>
    private static void CompareWith(string stem, string weight, Tensor found, bool isDouble)
    {
        using var inference = no_grad();
        var value = found.to(ScalarType.Float64);
        var stat = Set[$"{stem}stat__{weight}"].Values;
        var norm = stat[0];
        var (tight, loose) = isDouble ? (1e-9, 1e-9) : (1e-4, 1e-3);
        Assert.Equal(norm, value.norm().item<double>(), tight * norm);
        Assert.Equal(stat[1], value.sum().item<double>(), loose * stat[2]);
        Assert.Equal(stat[2], value.abs().sum().item<double>(), loose * stat[2]);
        var recorded = Find(stem, weight)!;
        Close.Absolute(recorded, Beginning(value, recorded), loose * norm, $"{stem} {weight}");
    }
}
