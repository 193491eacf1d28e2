using System.Globalization;
using Tilt.Inference;
using Tilt.Networks;
using Tilt.Sampling;
using static TorchSharp.torch;

namespace Tilt.Tests.Golden;

/// <summary>The published sampler's actions, from the kernels that act without libtorch.</summary>
public sealed class ActingGoldenTests
{
    [Fact]
    public void Saved_policies_sample_the_published_actions()
    {
        using var scope = NewDisposeScope();
        using var score = GoldenNetworks.ActionScore(ScalarType.Float32);
        using var guidance = GoldenNetworks.ActionGuidance(ScalarType.Float32);
        var schedule = new LinearSchedule();
        var tensors = PolicyTensors.Of(score, guidance);
        foreach (var last in new[] { "guidance.qt.8.weight", "guidance.qt.8.bias" })
        {
            // The recorded network says that high is good; an energy says that low is.
            for (var i = 0; i < tensors[last].Values.Length; i++)
            {
                tensors[last].Values[i] *= -1;
            }
        }
        var record = new PolicyRecord
        {
            ObservationDimensions = GoldenNetworks.States,
            ActionDimensions = GoldenNetworks.Actions,
            Schedule = NoiseSchedules.Describe(schedule),
            Parametrization = Parametrization.Score,
            FirstTime = 1e-3,
            ScoreNetwork = PolicyNetwork.ResidualScore,
            Guidance = new() { Network = PolicyNetwork.ConditionalEnergy, Beta = 1 },
            Solver = PolicySolver.Of("dpm-solver++-2s", Sampler.Plan(schedule, SamplerOptions.CepRl)),
            ActionLow = [.. Enumerable.Repeat(-1.0, GoldenNetworks.Actions)],
            ActionHigh = [.. Enumerable.Repeat(1.0, GoldenNetworks.Actions)],
            ClipActions = false,
        };
        var policy = new Policy(new(record, tensors));
        var arrays = GoldenSet.Arrays("g4_io.npz");
        var noise = arrays["sampler_rl_x_T"].ToTensor(ScalarType.Float32);
        var states = arrays["rl_s"].ToTensor(ScalarType.Float32).narrow(0, 0, noise.shape[0]);
        var cases = arrays
            .Names.Where(name => name.StartsWith("sampler_rl_s", StringComparison.Ordinal) && name.Contains("_f64"))
            .ToList();
        Assert.NotEmpty(cases);
        foreach (var name in cases)
        {
            var scale = double.Parse(
                name["sampler_rl_s".Length..name.IndexOf("_n15", StringComparison.Ordinal)],
                CultureInfo.InvariantCulture
            );
            var expected = arrays[name].ToTensor(ScalarType.Float64).reshape(-1).data<double>().ToArray();
            var found = new float[expected.Length];
            policy
                .Guided(scale)
                .Denoise(states.contiguous().data<float>().ToArray(), noise.data<float>().ToArray(), found);
            var size = expected.Max(Math.Abs);
            Assert.All(expected.Zip(found), pair => Assert.Equal(pair.First, pair.Second, 1e-4 * size));
        }
    }
}
