using Tilt.Energy;
using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Networks;

public class ImageNetworkTests
{
    private static readonly NoiseSchedule Schedule = DiscreteSchedule.Linear();

    private static readonly ImageNetworkOptions Small = new()
    {
        Width = 8,
        Groups = 4,
        HeadChannels = 8,
        SkipScale = 0,
    };

    public static TheoryData<int, int> Shapes =>
        new()
        {
            { 1, 1 },
            { 2, 1 },
            { 2, 2 },
            { 4, 1 },
        };

    private static void Redraw(nn.Module network, ulong seed)
    {
        // Zero-initialised layers would hide what stands before them.
        using var _ = no_grad();
        using var generator = new Generator(seed);
        foreach (var parameter in network.parameters())
        {
            parameter.add_(0.2 * randn(parameter.shape, parameter.dtype, generator: generator));
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_unet_gives_images_and_starts_as_zero(int patch, int blocks)
    {
        using var scope = NewDisposeScope();
        using var network = new ImageUNet(3, 16, Schedule, Small with { Patch = patch, Blocks = blocks }, new(1));
        using var generator = new Generator(2);
        var x = randn([2, 3, 16, 16], generator: generator);

        var start = network.call(x, tensor(new[] { 0f, 999f }));
        Redraw(network, 3);
        var after = network.call(x, tensor(new[] { 0f, 999f }));

        Assert.Equal([2L, 3L, 16L, 16L], start.shape);
        Assert.Equal(0, start.abs().max().item<float>());
        Assert.True(after.std().item<float>() > 0.01);
        Assert.True(after.isfinite().all().item<bool>());
    }

    [Fact]
    public void Images_of_another_size_are_refused_with_both_shapes()
    {
        using var scope = NewDisposeScope();
        using var network = new ImageUNet(3, 16, Schedule, Small, new Generator(1));

        foreach (var wrong in new long[][] { [2, 3, 8, 8], [2, 1, 16, 16], [3, 16, 16], [2, 768] })
        {
            var error = Assert.Throws<TiltException>(() => network.call(zeros(wrong), zeros(1)));
            Assert.Contains($"[{string.Join(", ", wrong)}]", error.Message);
            Assert.Contains("[B, 3, 16, 16]", error.Message);
        }
    }

    [Theory]
    [InlineData("width")]
    [InlineData("groups")]
    [InlineData("headChannels")]
    [InlineData("multipliers")]
    [InlineData("patch")]
    [InlineData("blocks")]
    public void A_shape_that_cannot_be_built_is_refused_by_name(string option)
    {
        var wrong = option switch
        {
            "width" => Small with { Width = 0 },
            "groups" => Small with { Groups = 5 },
            "headChannels" => Small with { HeadChannels = 5 },
            "multipliers" => Small with { Multipliers = [1, 1, 1, 1, 1] },
            "patch" => Small with { Patch = 3 },
            _ => Small with { Blocks = 0 },
        };

        var error = Assert.Throws<TiltException>(() => new ImageUNet(3, 16, Schedule, wrong, new Generator(1)));

        Assert.Contains($"'{option}'", error.Message);
    }

    private static ImageEnergyNetwork Energies(ulong seed)
    {
        var network = new ImageEnergyNetwork(3, 8, [0.1, -0.5], [0.6, 0.5], 5, Schedule, Small, new Generator(seed));
        network.to(ScalarType.Float64);
        Redraw(network, seed + 1);
        return network;
    }

    [Fact]
    public void Energies_are_cumulant_functions_of_beta_for_any_weights()
    {
        using var scope = NewDisposeScope();
        using var network = Energies(1);
        using var generator = new Generator(5);
        var x = randn([4, 3, 8, 8], ScalarType.Float64, generator: generator);
        var time = full(1, 300.0, ScalarType.Float64);
        const double H = 1e-4;

        Tensor At(double beta) => network.call(x, time, full([1, 1], beta, ScalarType.Float64));
        var slope = (At(H) - At(-H)) / (2 * H);
        var several = network.Energies(x, time, tensor(new[] { 0.0, 3, 10 }));

        Assert.Equal([4L, 2L], At(0).shape);
        Assert.True(At(0).abs().max().item<double>() < 1e-12);
        Assert.True(slope.allclose(network.MeanEnergies(x, time), rtol: 1e-6, atol: 1e-7));
        Assert.True((At(5.5) - 2 * At(5) + At(4.5) <= 1e-12).all().item<bool>());
        foreach (var (i, beta) in new[] { (0, 0.0), (1, 3), (2, 10) })
        {
            Assert.True(several[i].allclose(At(beta), rtol: 1e-10, atol: 1e-12));
        }
    }

    [Fact]
    public void Gradients_of_energies_agree_with_finite_differences()
    {
        using var scope = NewDisposeScope();
        using var network = Energies(7);
        using var generator = new Generator(8);
        var level = Schedule.At(0.3);
        IntermediateEnergy energy = (xt, at) => network.At(xt, at, full([1, 1], 4.0, ScalarType.Float64)).select(1, 1);
        var x = randn([3, 3, 8, 8], ScalarType.Float64, generator: generator);
        var direction = randn([3, 3, 8, 8], ScalarType.Float64, generator: generator);
        const double H = 1e-5;

        var along = (energy.Gradient(x, level) * direction).sum([1, 2, 3]);
        var difference = (energy(x + H * direction, level) - energy(x - H * direction, level)) / (2 * H);

        Assert.True(along.allclose(difference, rtol: 1e-5, atol: 1e-8));
        Assert.True(along.abs().min().item<double>() > 1e-6);
    }

    [Fact]
    public void Energies_hardly_depend_on_the_image_where_only_noise_is_left()
    {
        using var scope = NewDisposeScope();
        using var network = Energies(9);
        using var generator = new Generator(10);
        var x = randn([16, 3, 8, 8], ScalarType.Float64, generator: generator);
        var beta = full([1, 1], 4.0, ScalarType.Float64);

        var clean = network.At(x, Schedule.At(0.05), beta).std([0]).mean().item<double>();
        var noise = network.At(x, Schedule.At(1), beta).std([0]).mean().item<double>();

        Assert.True(noise < 0.2 * clean, $"{noise} against {clean}");
    }

    [Fact]
    public void Bf16_computes_nearly_the_same_and_only_within_its_scope()
    {
        using var scope = NewDisposeScope();
        using var unet = new ImageUNet(3, 16, Schedule, Small, new Generator(1));
        using var classes = new ImageClassNetwork(3, 16, 4, Schedule, Small, new Generator(2));
        Redraw(unet, 3);
        Redraw(classes, 4);
        using var generator = new Generator(5);
        var x = randn([4, 3, 16, 16], generator: generator);
        var time = tensor(new[] { 10f, 200f, 500f, 900f });

        foreach (var network in new Network[] { unet, classes })
        {
            var exact = network.call(x, time);
            Tensor rounded;
            using (MixedPrecision.Use(Precision.BFloat16))
            {
                rounded = network.call(x, time);
            }

            Assert.Equal(ScalarType.Float32, rounded.dtype);
            var error = (rounded - exact).square().mean().sqrt() / exact.square().mean().sqrt();
            // bf16 has 8 bits of fraction; a dozen layers add up a few units of its last place.
            Assert.InRange(error.item<float>(), 1e-5f, 0.05f);
            Assert.True(network.call(x, time).equal(exact).all().item<bool>());
        }
    }

    [Fact]
    public void The_schedule_tells_times_that_it_understands_again()
    {
        foreach (var name in NoiseSchedules.Names)
        {
            var schedule = NoiseSchedules.Parse(name);
            foreach (var share in new[] { 0.001, 0.2, 0.5, 1 })
            {
                var time = share * schedule.End;
                Assert.Equal(time, schedule.TimeTold(schedule.NetworkTime(time)), 1e-12);
            }
        }
    }
}
