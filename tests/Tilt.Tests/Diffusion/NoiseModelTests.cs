using Tilt.Diffusion;
using Tilt.Tests.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Diffusion;

public class NoiseModelTests
{
    private static readonly LinearSchedule Schedule = new();

    [Theory]
    [InlineData(Parametrization.Score)]
    [InlineData(Parametrization.Noise)]
    [InlineData(Parametrization.Clean)]
    [InlineData(Parametrization.Velocity)]
    public void A_perfect_network_of_any_parametrization_gives_the_noise(Parametrization parametrization)
    {
        using var scope = NewDisposeScope();
        var (x0, noise) = Draws(8);
        var network = new FunctionNetwork(2, 0, (xt, time, _) => Ideal(parametrization, xt, time, x0));
        var model = new NoiseModel(network, Schedule, parametrization);

        foreach (var t in new[] { 0.001, 0.02, 0.3, 0.8, 1 })
        {
            var level = Schedule.At(t);
            var xt = level.Alpha * x0 + level.Sigma * noise;
            // Forming ε from x_t − α·x₀ magnifies rounding by 1/σ, at most 100 here.
            Assert.True(model.Noise(xt, level).allclose(noise, rtol: 0, atol: 1e-12));
        }
    }

    [Theory]
    [InlineData(Parametrization.Score)]
    [InlineData(Parametrization.Noise)]
    [InlineData(Parametrization.Clean)]
    [InlineData(Parametrization.Velocity)]
    public void A_perfect_network_has_no_loss(Parametrization parametrization)
    {
        using var scope = NewDisposeScope();
        var (x0, noise) = Draws(8);
        var time = ForwardProcess.DrawTimes(8, 1e-3, 1, new Generator(4));
        var network = new FunctionNetwork(2, 0, (xt, t, _) => Ideal(parametrization, xt, t, x0));
        var model = new NoiseModel(network, Schedule, parametrization);

        Assert.True(DenoisingLoss.Loss(model, x0, time, noise).item<double>() < 1e-24);
    }

    [Fact]
    public void The_loss_sums_over_coordinates_and_averages_over_rows()
    {
        using var scope = NewDisposeScope();
        var (x0, noise) = Draws(8);
        var time = ForwardProcess.DrawTimes(8, 1e-3, 1, new Generator(4));
        var silent = new NoiseModel(new FunctionNetwork(2, 0, (xt, _, _) => zeros_like(xt)), Schedule);

        var loss = DenoisingLoss.Loss(silent, x0, time, noise).item<double>();

        Assert.Equal(noise.square().sum().item<double>() / 8, loss, 12);
    }

    [Fact]
    public void Rows_are_noised_by_the_schedules_own_coefficients_down_to_small_times()
    {
        using var scope = NewDisposeScope();
        double[] times = [1e-5, 1e-3, 0.1, 1];

        var levels = ForwardProcess.Levels(Schedule, tensor(times), zeros(1));

        for (var i = 0; i < times.Length; i++)
        {
            // float32 keeps 24 bits of what was computed in float64.
            Assert.Equal(Schedule.Sigma(times[i]), levels.Sigma[i].item<float>(), 1e-7 * Schedule.Sigma(times[i]));
            Assert.Equal(Schedule.Alpha(times[i]), levels.Alpha[i].item<float>(), 1e-7);
        }
    }

    [Fact]
    public void Conditions_reach_the_network()
    {
        using var scope = NewDisposeScope();
        var network = new FunctionNetwork(2, 3, (xt, _, condition) => xt + condition!.sum(-1, keepdim: true));
        var model = new NoiseModel(network, Schedule, Parametrization.Noise);
        var (x, _) = Draws(4);
        var observations = randn([4, 3], dtype: ScalarType.Float64, generator: new Generator(1));

        var noise = model.Given(observations)(x, Schedule.At(0.4));

        Assert.True(noise.allclose(x + observations.sum(-1, keepdim: true)));
    }

    [Fact]
    public void A_sampler_of_another_schedule_is_refused()
    {
        using var scope = NewDisposeScope();
        var model = new NoiseModel(new FunctionNetwork(2, 0, (xt, _, _) => xt), Schedule);
        var (x, _) = Draws(4);

        var refused = Assert.Throws<TiltException>(() => model.Noise(x, new LinearSchedule(0.1, 10).At(0.4)));
        model.Noise(x, new LinearSchedule().At(0.4)).Dispose();

        Assert.Contains("'linear'", refused.Message);
        Assert.Contains("own schedule", refused.Message);
    }

    [Theory]
    [InlineData(1e-4)]
    [InlineData(1.01)]
    [InlineData(double.NaN)]
    public void A_sampler_that_leaves_the_trained_range_is_refused(double time)
    {
        using var scope = NewDisposeScope();
        var model = new NoiseModel(new FunctionNetwork(2, 0, (xt, _, _) => xt), Schedule);
        var (x, _) = Draws(4);

        var refused = Assert.Throws<TiltException>(() => model.Noise(x, Schedule.At(time)));

        Assert.Contains("trained on [0.001, 1]", refused.Message);
    }

    [Fact]
    public void The_record_comes_back_from_its_text_and_differs_where_the_model_does()
    {
        var network = new FunctionNetwork(2, 0, (xt, _, _) => xt);
        var record = new NoiseModel(network, Schedule).Record;

        var read = DiffusionRecord.FromJson(record.ToJson(), "model.safetensors");

        record.RequireSame(read, "model.safetensors");
        Differs(new NoiseModel(network, Schedule, Parametrization.Velocity), "parametrization");
        Differs(new NoiseModel(network, new LinearSchedule(0.1, 19)), "log alpha");
        Differs(new NoiseModel(network, Schedule, firstTime: 1e-2), "first time");
        Differs(new NoiseModel(new FunctionNetwork(3, 0, (xt, _, _) => xt), Schedule), "dimensions");

        void Differs(NoiseModel model, string field)
        {
            var refused = Assert.Throws<TiltException>(() => model.Record.RequireSame(read, "model.safetensors"));
            Assert.Contains(field, refused.Message);
            Assert.StartsWith("model.safetensors", refused.Message);
        }
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("not json")]
    [InlineData("{\"schedule\": \"linear\", \"flavour\": 3}")]
    public void Text_that_is_no_record_is_refused(string text)
    {
        var refused = Assert.Throws<TiltException>(() => DiffusionRecord.FromJson(text, "model.safetensors"));

        Assert.StartsWith("model.safetensors", refused.Message);
    }

    private static (Tensor X0, Tensor Noise) Draws(int rows)
    {
        var generator = new Generator(9);
        return (
            randn([rows, 2], dtype: ScalarType.Float64, generator: generator),
            randn([rows, 2], dtype: ScalarType.Float64, generator: generator)
        );
    }

    /// <summary>What a network that knows x₀ gives out.</summary>
    private static Tensor Ideal(Parametrization parametrization, Tensor xt, Tensor time, Tensor x0)
    {
        var levels = ForwardProcess.Levels(Schedule, time, xt);
        var alpha = levels.Alpha.unsqueeze(-1);
        var sigma = levels.Sigma.unsqueeze(-1);
        var noise = (xt - alpha * x0) / sigma;
        return parametrization switch
        {
            Parametrization.Score => -noise,
            Parametrization.Noise => noise,
            Parametrization.Clean => x0,
            _ => alpha * noise - sigma * x0,
        };
    }
}
