using Tilt.Diffusion;
using static TorchSharp.torch;

namespace Tilt.Tests.Diffusion;

public class PosteriorAverageTests
{
    private static readonly NoiseSchedule Schedule = new LinearSchedule();

    [Fact]
    public void Probabilities_are_those_of_Bayes_rule_over_the_source_and_the_references()
    {
        using var scope = NewDisposeScope();
        var generator = new Generator(3);
        var x0 = randn([5, 2], dtype: ScalarType.Float64, generator: generator);
        var references = randn([7, 2], dtype: ScalarType.Float64, generator: generator);
        var noise = randn([5, 2], dtype: ScalarType.Float64, generator: generator);
        var times = tensor(new[] { 0.02, 0.1, 0.3, 0.6, 0.9 });
        var levels = ForwardProcess.Levels(Schedule, times, x0);
        var xt = ForwardProcess.Noised(levels, x0, noise);

        var average = PosteriorAverage.Of(levels, xt, noise, references);

        for (var i = 0; i < 5; i++)
        {
            var level = Schedule.At(times[i].item<double>());
            var all = cat([x0[i].unsqueeze(0), references], 0);
            var log = -(xt[i] - level.Alpha * all).square().sum(1) / (2 * level.Sigma * level.Sigma);
            var expected = nn.functional.softmax(log, 0);
            var found = cat([average.Own[i], average.Others[i]], 0);
            Assert.True(found.allclose(expected, rtol: 1e-9, atol: 1e-12), $"row {i}");
        }
    }

    /// <summary>
    /// Two clean points with different targets: the exact E[g | x_t] is known. Averaged targets have that mean, whatever the number of
    /// references, and scatter less. Bounds are 5 standard errors.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(64)]
    public void Averaged_targets_have_the_mean_of_single_ones_and_less_scatter(int count)
    {
        using var scope = NewDisposeScope();
        const int Rows = 40_000;
        const double T = 0.5;
        var generator = new Generator((ulong)(11 + count));
        // x₀ = ±1 on a line, g = 1 on the right: E[g | x_t] = sigmoid(2·α·x_t/σ²).
        Tensor Signs(int n) => randint(0, 2, n, generator: generator).to(ScalarType.Float64) * 2 - 1;
        var level = Schedule.At(T);
        var (x0, noise) = (Signs(Rows).unsqueeze(1), randn([Rows, 1], dtype: ScalarType.Float64, generator: generator));
        var levels = ForwardProcess.Levels(Schedule, full(1, T, dtype: ScalarType.Float64), x0);
        levels = new(levels.Alpha.expand(Rows), levels.Sigma.expand(Rows), levels.NetworkTime.expand(Rows));
        var xt = ForwardProcess.Noised(levels, x0, noise);
        var exact = sigmoid(2 * level.Alpha * xt.squeeze(1) / (level.Sigma * level.Sigma));
        var single = (x0.squeeze(1) > 0).to(ScalarType.Float64);

        var (sum, square) = (0.0, 0.0);
        var pieces = 0;
        // Every hundred rows see references of their own, so that the errors of different pieces are independent.
        var piecewise = new List<double>();
        for (var start = 0; start < Rows; start += 100)
        {
            using var turn = NewDisposeScope();
            Tensor Piece(Tensor t) => t.narrow(0, start, 100);
            var references = Signs(count).unsqueeze(1);
            var part = new RowLevels(Piece(levels.Alpha), Piece(levels.Sigma), Piece(levels.NetworkTime));
            var averaged = PosteriorAverage
                .Of(part, Piece(xt), Piece(noise), references)
                .Numbers(Piece(single), (references.squeeze(1) > 0).to(ScalarType.Float64));
            var error = averaged - Piece(exact);
            piecewise.Add(error.mean().item<double>());
            sum += error.sum().item<double>();
            square += error.square().sum().item<double>();
            pieces++;
        }

        var mean = sum / Rows;
        var spread = Math.Sqrt(piecewise.Sum(p => (p - mean) * (p - mean)) / (pieces - 1) / pieces);
        Assert.InRange(mean, -5 * spread, 5 * spread);
        var scatterOfSingle = (single - exact).square().sum().item<double>();
        Assert.True(
            square
                < scatterOfSingle
                    * (
                        count == 1 ? 0.9
                        : count == 4 ? 0.5
                        : 0.06
                    ),
            $"{square / scatterOfSingle}"
        );
    }

    [Fact]
    public void Where_the_source_is_certain_the_target_is_its_own()
    {
        using var scope = NewDisposeScope();
        var generator = new Generator(5);
        var x0 = randn([6, 2], dtype: ScalarType.Float32, generator: generator) * 3;
        var references = randn([50, 2], dtype: ScalarType.Float32, generator: generator) * 3;
        var noise = randn([6, 2], dtype: ScalarType.Float32, generator: generator);
        var levels = ForwardProcess.Levels(Schedule, full(6, 1e-3, dtype: ScalarType.Float64), x0);
        var xt = ForwardProcess.Noised(levels, x0, noise);

        var average = PosteriorAverage.Of(levels, xt, noise, references);

        Assert.True(average.Own.allclose(ones_like(average.Own), atol: 1e-4));
        Assert.True(average.Vectors(x0, references).allclose(x0, atol: 1e-3));
    }

    [Fact]
    public void The_averaged_loss_of_the_best_model_is_below_the_plain_one_and_both_are_least_there()
    {
        using var scope = NewDisposeScope();
        var generator = new Generator(8);
        var network = new Tilt.Networks.CompactNoiseNetwork(2, Schedule, new() { DataScale = 1 }, generator);
        var model = new NoiseModel(network, Schedule, Parametrization.Noise);
        var x0 = randn([4096, 2], generator: generator);
        var references = randn([256, 2], generator: generator);
        var time = ForwardProcess.DrawTimes(4096, 1e-3, 1, generator);
        var noise = randn([4096, 2], generator: generator);
        using (no_grad())
        {
            // For N(0, I) data the preconditioning alone is the answer, so the rest of the network is silenced.
            foreach (var weight in network.parameters())
            {
                weight.zero_();
            }
        }

        var plain = DenoisingLoss.Loss(model, x0, time, noise).item<float>();
        var averaged = DenoisingLoss.AveragedLoss(model, x0, time, noise, references).item<float>();

        // What is left is the scatter of the estimate from 257 points.
        Assert.InRange(averaged, 0, 0.5f * plain);
    }
}
