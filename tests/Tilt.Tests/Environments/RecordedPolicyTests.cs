using System.Text.Json;
using Tilt.Environments;
using Tilt.Tests.Golden;

namespace Tilt.Tests.Environments;

/// <summary>Policies that others trained on these robots earn what they are known to earn.</summary>
public class RecordedPolicyTests
{
    // INDEX.json has returns of the mean action over 3 to 5 episodes, measured with the same library by another program and the exact
    // inertias; only policies that walk all 1000 steps are looked at, because a fall makes returns scatter.
    [Theory]
    [InlineData("berkeley-expert_Hopper-v2", "Hopper-v4")]
    [InlineData("berkeley-expert_HalfCheetah-v2", "HalfCheetah-v4")]
    [InlineData("berkeley-expert_Walker2d-v2", "Walker2d-v4")]
    [InlineData("sb3-trpo_Hopper-v3", "Hopper-v4")]
    [InlineData("sb3-tqc_HalfCheetah-v3", "HalfCheetah-v4")]
    [InlineData("sb3-sac_HalfCheetah-v3", "HalfCheetah-v4")]
    [InlineData("berkeley-expert_Ant-v2", "ant")]
    [InlineData("sb3-trpo_Ant-v3", "ant")]
    public void Recorded_policies_earn_their_recorded_returns(string file, string task)
    {
        Physics.Needed();
        using var index = JsonDocument.Parse(File.ReadAllText(SharedFolder.Needed("data", "policies", "INDEX.json")));
        var entry = index.RootElement.GetProperty(file + ".npz");
        var expected = MeasuredReturn(entry);
        var policy = new RecordedPolicy(Npz.Read(SharedFolder.Needed("data", "policies", file + ".npz")), entry);
        using var environment = Tasks.Find(task).Create();
        var (random, returns) = (new RandomStream(0, "episodes"), new double[3]);
        for (var episode = 0; episode < returns.Length; episode++)
        {
            environment.Reset(random);
            for (var ended = false; !ended; )
            {
                var step = environment.Step(policy.Act(environment.Observation));
                returns[episode] += step.Reward;
                ended = step.Ended;
            }
            Assert.Equal(1000, environment.Steps);
        }
        Assert.Equal(expected, returns.Average(), 0.05 * expected);
    }

    /// <summary>The mean return of the mean action, with the contact forces of D4RL's ant, which are 0.</summary>
    private static double MeasuredReturn(JsonElement entry)
    {
        var measured = entry.GetProperty("measured_libmujoco_2.2.2");
        var kind = measured.TryGetProperty("det", out var mean)
            ? mean
            : measured.GetProperty("deterministic, Ant cfrc=0");
        return kind.GetProperty("mean_return").GetDouble();
    }

    /// <summary>An actor of two hidden layers; its mean action.</summary>
    private sealed class RecordedPolicy(Npz arrays, JsonElement entry)
    {
        private readonly bool _relu = entry.GetProperty("activation").GetString() == "relu";
        private readonly string _output = entry.GetProperty("output").GetString()!;

        public double[] Act(ReadOnlySpan<double> observation)
        {
            var x = observation.ToArray();
            if (arrays.Has("obs_mean"))
            {
                var (mean, deviation) = (arrays["obs_mean"].Values, arrays["obs_std"].Values);
                var clip = arrays.Has("obs_clip") ? arrays["obs_clip"].Scalar : double.PositiveInfinity;
                x = [.. x.Select((value, i) => Math.Clamp((value - mean[i]) / deviation[i], -clip, clip))];
            }
            for (var layer = 0; layer < 2; layer++)
            {
                x =
                [
                    .. Linear($"W{layer}", $"b{layer}", x)
                        .Select(value => _relu ? Math.Max(value, 0) : Math.Tanh(value)),
                ];
            }
            x = Linear("W_mu", "b_mu", x);
            return _output == "tanh" ? [.. x.Select(Math.Tanh)]
                : _output.StartsWith("clip", StringComparison.Ordinal)
                    ? [.. x.Select(value => Math.Clamp(value, -1, 1))]
                : x;
        }

        private double[] Linear(string weight, string bias, double[] x)
        {
            var (w, b) = (arrays[weight], arrays.Has(bias) ? arrays[bias].Values : null);
            var y = new double[w.Rows];
            for (var i = 0; i < y.Length; i++)
            {
                var sum = b?[i] ?? 0;
                for (var j = 0; j < x.Length; j++)
                {
                    sum += w.Values[i * x.Length + j] * x[j];
                }
                y[i] = sum;
            }
            return y;
        }
    }
}
