using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Networks;

public class NetworkTests
{
    private const int Actions = 3;
    private const int States = 5;

    private static readonly ScoreNetworkOptions Score = new()
    {
        Dimensions = Actions,
        ConditionDimensions = States,
        Width = 24,
        Depth = 3,
    };

    private static readonly EnergyNetworkOptions Energy = new()
    {
        Dimensions = Actions,
        ConditionDimensions = States,
        Width = 24,
        Depth = 3,
    };

    private static readonly Dictionary<string, Func<Generator, Network>> Catalogue = new(StringComparer.Ordinal)
    {
        [nameof(ScoreNetwork2d)] = generator => new ScoreNetwork2d(generator),
        [nameof(EnergyNetwork2d)] = generator => new EnergyNetwork2d(generator),
        [nameof(ResidualScoreNetwork)] = generator => new ResidualScoreNetwork(Actions, States, generator),
        [nameof(ConditionalEnergyNetwork)] = generator => new ConditionalEnergyNetwork(Actions, States, generator),
        [nameof(ScoreNetwork)] = generator => new ScoreNetwork(Score, generator),
        [nameof(EnergyNetwork)] = generator => new EnergyNetwork(Energy, generator),
        ["EnergyNetwork with a dial"] = generator => new EnergyNetwork(Energy with { MaximumBeta = 10 }, generator),
    };

    public static TheoryData<string> Names => [.. Catalogue.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Input_gradients_agree_with_central_differences(string name)
    {
        using var scope = NewDisposeScope();
        var (network, x, time, condition) = Prepare(name, 4);
        var leaf = x.detach().clone().requires_grad_();

        var gradient = autograd.grad([network.call(leaf, time, condition).sum()], [leaf])[0];

        // Central differences in double: the error is h²·f‴/6 + ε/h, both below 1e-7 for values of order one.
        const double h = 1e-5;
        for (var d = 0; d < network.Dimensions; d++)
        {
            var shift = zeros_like(x);
            shift[TensorIndex.Colon, d] = h;
            var up = network.call(x + shift, time, condition).reshape(4, -1).sum(-1);
            var down = network.call(x - shift, time, condition).reshape(4, -1).sum(-1);
            var error = ((up - down) / (2 * h) - gradient[TensorIndex.Colon, d]).abs().max().item<double>();
            Assert.True(error < 1e-7, $"coordinate {d}: {error:g3}");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Weight_gradients_agree_with_central_differences(string name)
    {
        using var scope = NewDisposeScope();
        var (network, x, time, condition) = Prepare(name, 4);

        network.call(x, time, condition).sum().backward();

        const double h = 1e-5;
        foreach (var (weightName, weight) in network.NamedParameters())
        {
            using var _ = no_grad();
            var flat = weight.view(-1);
            var at = flat.numel() / 2;
            var saved = flat[at].item<double>();
            flat[at] = saved + h;
            var up = network.call(x, time, condition).sum().item<double>();
            flat[at] = saved - h;
            var down = network.call(x, time, condition).sum().item<double>();
            flat[at] = saved;
            var error = Math.Abs((up - down) / (2 * h) - weight.grad!.view(-1)[at].item<double>());
            Assert.True(error < 1e-7, $"{weightName}: {error:g3}");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void One_time_for_all_is_the_same_as_that_time_on_every_row(string name)
    {
        using var scope = NewDisposeScope();
        var (network, x, _, condition) = Prepare(name, 6);

        var shared = network.call(x, tensor(new[] { 0.3 }), condition);
        var repeated = network.call(x, full([6], 0.3, dtype: ScalarType.Float64), condition);

        Assert.Equal(repeated.shape, shared.shape);
        Assert.True(shared.allclose(repeated, rtol: 1e-12, atol: 1e-12));
        Assert.True(
            network.At(x, new LinearSchedule().At(0.3), condition).allclose(repeated, rtol: 1e-12, atol: 1e-12)
        );
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void One_condition_for_all_is_the_same_as_that_condition_on_every_row(string name)
    {
        using var scope = NewDisposeScope();
        var (network, x, time, condition) = Prepare(name, 6);
        if (condition is null)
        {
            Assert.Equal(0, network.ConditionDimensions);
            return;
        }

        var shared = network.call(x, time, condition[..1]);
        var repeated = network.call(x, time, condition[..1].expand(6, -1));

        Assert.True(shared.allclose(repeated, rtol: 1e-12, atol: 1e-12));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Evaluation_keeps_no_tensors_and_alters_no_input(string name)
    {
        using var scope = NewDisposeScope();
        var (network, x, time, condition) = Prepare(name, 6);
        var before = x.clone();
        network.call(x, time, condition).Dispose();
        var count = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        for (var i = 0; i < 20; i++)
        {
            using var value = network.call(x, time, condition);
        }

        Assert.Equal(count, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.True(before.equal(x).all().item<bool>());
    }

    [Fact]
    public void Widths_that_do_not_fit_are_refused()
    {
        using var scope = NewDisposeScope();
        var network = new ConditionalEnergyNetwork(Actions, States, new Generator(1));
        var time = tensor(new[] { 0.5f });

        var wide = Assert.Throws<TiltException>(() => network.call(zeros(2, Actions + 1), time, zeros(2, States)));
        var lacking = Assert.Throws<TiltException>(() => network.call(zeros(2, Actions), time));

        Assert.Contains("4 coordinates", wide.Message);
        Assert.Contains("0 coordinates", lacking.Message);
    }

    [Fact]
    public void Weights_that_do_not_fit_are_refused_before_any_is_overwritten()
    {
        using var scope = NewDisposeScope();
        var network = new EnergyNetwork2d(new Generator(1));
        var before = network.NamedTensors().Select(pair => pair.Value.clone()).ToList();
        var weights = network.NamedTensors().ToDictionary(pair => pair.Name, pair => zeros_like(pair.Value));

        var lacking = new Dictionary<string, Tensor>(weights);
        lacking.Remove("qt.8.bias");
        lacking["qt.9.bias"] = zeros(1);
        var misshapen = new Dictionary<string, Tensor>(weights) { ["qt.8.weight"] = zeros(1, 3) };
        var missing = Assert.Throws<TiltException>(() => network.Load(lacking, "weights.safetensors"));
        var shape = Assert.Throws<TiltException>(() => network.Load(misshapen, "weights.safetensors"));

        Assert.Contains("weights.safetensors", missing.Message);
        Assert.Contains("qt.8.bias", missing.Message);
        Assert.Contains("qt.9.bias", missing.Message);
        Assert.Contains("[1, 3]", shape.Message);
        Assert.All(
            network.NamedTensors().Zip(before),
            pair => Assert.True(pair.First.Value.equal(pair.Second).all().item<bool>())
        );
        network.Load(weights);
        Assert.All(network.NamedTensors(), pair => Assert.Equal(0, pair.Value.abs().max().item<float>()));
    }

    private static (Network Network, Tensor X, Tensor Time, Tensor? Condition) Prepare(string name, int rows)
    {
        var network = Catalogue[name](new Generator(2)).to(ScalarType.Float64);
        var generator = new Generator(7);
        var x = randn([rows, network.Dimensions], dtype: ScalarType.Float64, generator: generator);
        var time = rand([rows], dtype: ScalarType.Float64, generator: generator);
        var condition =
            network.ConditionDimensions == 0
                ? null
                : rand([rows, network.ConditionDimensions], dtype: ScalarType.Float64, generator: generator);
        return (network, x, time, condition);
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    public void What_the_rows_of_a_group_share_gives_the_values_and_gradients_that_repeating_it_gives(
        Precision precision
    )
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        using var network = new ConditionalEnergyNetwork(3, 5, generator);
        var (x, t, s) = (
            randn([7, 6, 3], generator: generator),
            rand([7], generator: generator),
            randn([7, 5], generator: generator)
        );
        var weights = randn([7, 6], generator: generator);
        var (grouped, groupedGradients) = Evaluate(x, t.unsqueeze(1), s.unsqueeze(1));
        var (repeated, repeatedGradients) = Evaluate(
            x.flatten(0, 1),
            t.repeat_interleave(6),
            s.repeat_interleave(6, 0)
        );

        // In bf16 a last bit of the first layer, summed in another order, may round the other way.
        Close(grouped.flatten(), repeated, precision == Precision.Float32 ? 1e-5 : 2e-3);
        foreach (var (one, other) in groupedGradients.Zip(repeatedGradients))
        {
            Close(one, other, precision == Precision.Float32 ? 1e-5 : 1e-2);
        }

        (Tensor Value, List<Tensor> Gradients) Evaluate(Tensor actions, Tensor time, Tensor condition)
        {
            using var products = MixedPrecision.Use(precision);
            var value = network.call(actions, time, condition);
            (value * weights.view(value.shape)).sum().backward();
            var gradients = network.parameters().Select(parameter => parameter.grad!.clone()).ToList();
            network.zero_grad();
            return (value.detach(), gradients);
        }

        static void Close(Tensor one, Tensor other, double tolerance) =>
            Assert.True(
                (one - other).abs().max().item<float>() <= tolerance * other.abs().max().item<float>() + 1e-7,
                $"off by {(one - other).abs().max().item<float>()} of {other.abs().max().item<float>()}"
            );
    }
}
