using Tilt.Networks;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Networks;

public class MixedPrecisionTests
{
    // bf16 rounds to 1/256 relative; errors of up to five layers, forward and backward, add up at random.
    private const double Close = 4.0 / 256;

    private static readonly Dictionary<string, Func<Generator, Network>> Catalogue = new(StringComparer.Ordinal)
    {
        [nameof(ScoreNetwork2d)] = generator => new ScoreNetwork2d(generator),
        [nameof(EnergyNetwork2d)] = generator => new EnergyNetwork2d(generator),
        [nameof(ScoreNetwork)] = generator => new ScoreNetwork(new() { Width = 96 }, generator),
        [nameof(EnergyNetwork)] = generator => new EnergyNetwork(new() { Width = 96, Depth = 2 }, generator),
        [nameof(ResidualScoreNetwork)] = generator => new ResidualScoreNetwork(6, 17, generator),
        [nameof(ConditionalEnergyNetwork)] = generator => new ConditionalEnergyNetwork(6, 17, generator),
    };

    public static TheoryData<string> Names => [.. Catalogue.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Values_and_gradients_are_those_of_float32_up_to_bf16_rounding(string name)
    {
        using var scope = NewDisposeScope();
        using var network = Catalogue[name](new Generator(1));
        var (x, time, condition) = Inputs(network, 200);

        var exact = Evaluate(network, x, time, condition, Precision.Float32);
        var mixed = Evaluate(network, x, time, condition, Precision.BFloat16);

        var differs = false;
        foreach (var ((what, expected), (_, found)) in exact.Zip(mixed))
        {
            Assert.Equal(ScalarType.Float32, found.dtype);
            Assert.Equal(expected.shape, found.shape);
            var error = ((found - expected).norm() / expected.norm()).ToDouble();
            Assert.True(error < Close, $"{what}: {error:g3}");
            differs |= error > 0;
        }
        Assert.True(differs, "nothing was multiplied in bf16");
    }

    [Fact]
    public void Critics_multiply_in_bf16_too()
    {
        using var scope = NewDisposeScope();
        using var critic = new TwinQ(6, 17, new Generator(1));
        var action = randn([200, 6], generator: new Generator(2));
        var observation = randn([200, 17], generator: new Generator(3));

        var exact = critic.call(action, observation);
        Tensor mixed;
        using (MixedPrecision.Use(Precision.BFloat16))
        {
            mixed = critic.call(action, observation);
        }

        Assert.InRange(((mixed - exact).norm() / exact.norm()).ToDouble(), 1e-9, Close);
    }

    [Fact]
    public void Leading_dimensions_are_kept()
    {
        using var scope = NewDisposeScope();
        using var network = new ConditionalEnergyNetwork(6, 17, new Generator(1));
        using var products = MixedPrecision.Use(Precision.BFloat16);
        var x = randn([8, 5, 6], generator: new Generator(2));
        var condition = randn([8, 5, 17], generator: new Generator(3));
        var time = rand([8, 5], generator: new Generator(4));

        var whole = network.call(x, time, condition);
        var flat = network.call(x.view(40, 6), time.view(40), condition.view(40, 17));

        Assert.Equal([8, 5], whole.shape);
        Assert.True(whole.view(40).equal(flat).all().ToBoolean());
    }

    [Fact]
    public void The_scope_ends_where_it_is_disposed_and_is_one_threads_own()
    {
        Assert.False(MixedPrecision.IsActive);
        using (MixedPrecision.Use(Precision.BFloat16))
        {
            Assert.True(MixedPrecision.IsActive);
            using (MixedPrecision.Use(Precision.Float32))
            {
                Assert.False(MixedPrecision.IsActive);
            }
            Assert.True(MixedPrecision.IsActive);
            var elsewhere = true;
            var thread = new Thread(() => elsewhere = MixedPrecision.IsActive);
            thread.Start();
            thread.Join();
            Assert.False(elsewhere);
        }
        Assert.False(MixedPrecision.IsActive);
    }

    [Fact]
    public void Float64_networks_stay_float64()
    {
        using var scope = NewDisposeScope();
        using var network = new EnergyNetwork2d(new Generator(1)).to(ScalarType.Float64);
        var (x, time, _) = Inputs(network, 8);
        var expected = network.call(x.to(ScalarType.Float64), time.to(ScalarType.Float64));

        using var products = MixedPrecision.Use(Precision.BFloat16);
        var found = network.call(x.to(ScalarType.Float64), time.to(ScalarType.Float64));

        Assert.True(found.equal(expected).all().ToBoolean());
    }

    [Fact]
    public void Weights_that_are_not_trained_get_no_gradient()
    {
        using var scope = NewDisposeScope();
        using var network = new EnergyNetwork2d(new Generator(1));
        foreach (var weight in network.parameters())
        {
            weight.requires_grad = false;
        }
        var (x, time, _) = Inputs(network, 8);
        var leaf = x.detach().clone().requires_grad_();

        using (MixedPrecision.Use(Precision.BFloat16))
        {
            network.call(leaf, time).sum().backward();
        }

        Assert.NotNull(leaf.grad);
        Assert.All(network.parameters(), weight => Assert.Null(weight.grad));
    }

    [Fact]
    public void Two_evaluations_before_one_backward_add_up()
    {
        using var scope = NewDisposeScope();
        using var network = new EnergyNetwork2d(new Generator(1));
        using var products = MixedPrecision.Use(Precision.BFloat16);
        var (x, time, _) = Inputs(network, 64);
        var (y, _, _) = Inputs(network, 64, seed: 9);
        var weights = network.parameters().Cast<Tensor>().ToArray();

        var together = autograd.grad([network.call(x, time).sum() + network.call(y, time).sum()], weights);
        var first = autograd.grad([network.call(x, time).sum()], weights);
        var second = autograd.grad([network.call(y, time).sum()], weights);

        for (var i = 0; i < weights.Length; i++)
        {
            Assert.True(together[i].allclose(first[i] + second[i], rtol: 1e-4, atol: 1e-4));
        }
    }

    [Fact]
    public void Two_hundred_mixed_steps_keep_no_tensors()
    {
        using var scope = NewDisposeScope();
        using var network = new ScoreNetwork(new() { Width = 64, Depth = 3 }, new Generator(1));
        using var adam = new Adam(network.NamedParameters(), new());
        var (x, time, _) = Inputs(network, 32);
        Steps(3);
        var count = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        Steps(200);

        Assert.Equal(count, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Steps(int steps)
        {
            for (var i = 0; i < steps; i++)
            {
                using var step = NewDisposeScope();
                using var products = MixedPrecision.Use(Precision.BFloat16);
                adam.ZeroGradients();
                network.call(x, time).square().sum(-1).mean().backward();
                adam.Step();
            }
        }
    }

    [Fact]
    public void The_same_seed_trains_to_the_same_bits()
    {
        using var scope = NewDisposeScope();

        var first = Trained();
        var second = Trained();

        Assert.All(first.Zip(second), pair => Assert.True(pair.First.equal(pair.Second).all().ToBoolean()));

        static List<Tensor> Trained()
        {
            var network = new EnergyNetwork2d(new Generator(1));
            using var adam = new Adam(network.NamedParameters(), new());
            using var products = MixedPrecision.Use(Precision.BFloat16);
            var (x, time, _) = Inputs(network, 300);
            for (var i = 0; i < 5; i++)
            {
                adam.ZeroGradients();
                network.call(x, time).square().mean().backward();
                adam.Step();
            }
            return [.. network.parameters().Cast<Tensor>()];
        }
    }

    [Fact]
    public void Auto_follows_the_processors_stated_features()
    {
        Assert.SkipUnless(File.Exists("/proc/cpuinfo"), "There is no /proc/cpuinfo here to compare with.");
        var flags = File.ReadLines("/proc/cpuinfo")
            .FirstOrDefault(line => line.StartsWith("flags", StringComparison.Ordinal));
        var stated = flags?.Split(' ').Contains("avx512_bf16") ?? false;

        Assert.Equal(stated, MixedPrecision.IsNative);
        Assert.Equal(stated ? Precision.BFloat16 : Precision.Float32, Precision.Auto.Resolve());
        Assert.Equal(Precision.Float32, Precision.Float32.Resolve());
        Assert.Equal(Precision.BFloat16, Precision.BFloat16.Resolve());
    }

    [Fact]
    public void Names_are_read_and_a_mistyped_one_gets_a_suggestion()
    {
        foreach (var precision in Enum.GetValues<Precision>())
        {
            Assert.Equal(precision, MixedPrecision.Parse(precision.Name()));
        }
        Assert.Contains("'bf16'", Assert.Throws<TiltException>(() => MixedPrecision.Parse("bf61")).Message);
    }

    private static (Tensor X, Tensor Time, Tensor? Condition) Inputs(Network network, int rows, int seed = 7)
    {
        var generator = new Generator((ulong)seed);
        return (
            randn([rows, network.Dimensions], generator: generator),
            rand([rows], generator: generator),
            network.ConditionDimensions == 0 ? null : randn([rows, network.ConditionDimensions], generator: generator)
        );
    }

    /// <summary>The value, and the gradients of a weighted sum of it with respect to input and weights.</summary>
    private static List<(string, Tensor)> Evaluate(
        Network network,
        Tensor x,
        Tensor time,
        Tensor? condition,
        Precision precision
    )
    {
        network.zero_grad();
        var leaf = x.detach().clone().requires_grad_();
        Tensor value;
        using (MixedPrecision.Use(precision))
        {
            value = network.call(leaf, time, condition);
        }
        // Weights of one sign: with signs a fresh network's rows, all nearly alike, would cancel and leave only rounding.
        (value * (rand(value.shape, generator: new Generator(11)) + 0.5))
            .sum()
            .backward();
        return
        [
            ("value", value.detach()),
            ("input", leaf.grad!),
            .. network.NamedParameters().Select(pair => (pair.Name, pair.Value.grad!.clone())),
        ];
    }
}
