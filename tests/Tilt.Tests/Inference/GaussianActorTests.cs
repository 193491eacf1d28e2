using Tilt.Environments;
using Tilt.Inference;

namespace Tilt.Tests.Inference;

public class GaussianActorTests
{
    [Fact]
    public void Actions_are_tanh_of_mean_and_noise()
    {
        var actor = Drawn(5, 70, 3);
        var random = new RandomStream(2, "inputs");
        var observations = Numbers(random, 4 * 5);
        var noise = Numbers(random, 4 * 3);
        var (actions, densities) = (new float[4 * 3], new float[4]);
        actor.Act(observations, noise, actions, densities);
        for (var row = 0; row < 4; row++)
        {
            var outputs = Naive(actor, observations.AsSpan(row * 5, 5));
            var density = 0.0;
            for (var i = 0; i < 3; i++)
            {
                var (logDeviation, epsilon) = (Math.Clamp(outputs[3 + i], -20, 2), (double)noise[row * 3 + i]);
                var u = outputs[i] + Math.Exp(logDeviation) * epsilon;
                Assert.Equal(Math.Tanh(u), actions[row * 3 + i], 1e-5);
                density +=
                    -0.5 * epsilon * epsilon
                    - logDeviation
                    - 0.5 * Math.Log(2 * Math.PI)
                    - Math.Log(1 - Math.Tanh(u) * Math.Tanh(u));
            }
            Assert.Equal(density, densities[row], 1e-3);

            var single = new float[3];
            actor.ActOne(observations.AsSpan(row * 5, 5), noise.AsSpan(row * 3, 3), single);
            for (var i = 0; i < 3; i++)
            {
                Assert.Equal(actions[row * 3 + i], single[i], 1e-5);
            }
            var alone = new float[3];
            actor.Act(observations.AsSpan(row * 5, 5), noise.AsSpan(row * 3, 3), alone);
            Assert.Equal(actions[(row * 3)..(row * 3 + 3)], alone);
        }
        actor.Act(observations, [], actions);
        Assert.Equal(Math.Tanh(Naive(actor, observations.AsSpan(0, 5))[0]), actions[0], 1e-5);
    }

    [Theory]
    [InlineData(ElementType.F32, 0)]
    [InlineData(ElementType.F16, 1e-3)]
    public void A_saved_actor_is_the_same_actor(ElementType type, float tolerance)
    {
        var actor = Drawn(5, 40, 2);
        var again = GaussianActor.Parse(
            actor.ToBytes(type, new Dictionary<string, string> { ["task"] = "hopper" }),
            "x"
        );
        Assert.Equal("hopper", again.Metadata["task"]);
        Assert.Equal((5, 2), (again.Observations, again.Actions));
        foreach (var (a, b) in actor.Layers.Zip(again.Layers))
        {
            Assert.All(a.Weight.Zip(b.Weight), pair => Assert.Equal(pair.First, pair.Second, tolerance));
            Assert.All(a.Bias.Zip(b.Bias), pair => Assert.Equal(pair.First, pair.Second, tolerance));
        }
    }

    [Fact]
    public void Files_that_are_no_actors_or_do_not_fit_are_refused_by_name()
    {
        SafetensorsEntry Entry(string name, params long[] shape) => new(name, ElementType.F32, shape);
        byte[] File(bool format, params SafetensorsEntry[] entries) =>
            SafetensorsWriter.ToBytes(
                entries.Select(entry => (entry, new byte[entry.Bytes])),
                format ? new Dictionary<string, string> { ["format"] = GaussianActor.Format } : null
            );
        void Refused(byte[] bytes, string about) =>
            Assert.Contains(
                about,
                Assert.Throws<TiltException>(() => GaussianActor.Parse(bytes, "p.safetensors")).Message,
                StringComparison.Ordinal
            );

        Refused(File(false, Entry("fc0.weight", 4, 3)), "no actor's file");
        Refused(File(true, Entry("fc0.weight", 4, 3)), "fc0.bias");
        Refused(File(true, Entry("fc0.weight", 4, 3), Entry("fc0.bias", 5)), "'fc0'");
        SafetensorsEntry[] body = [Entry("fc0.weight", 4, 3), Entry("fc0.bias", 4)];
        Refused(
            File(
                true,
                [
                    .. body,
                    Entry("last_fc.weight", 2, 5),
                    Entry("last_fc.bias", 2),
                    Entry("last_fc_log_std.weight", 2, 4),
                    Entry("last_fc_log_std.bias", 2),
                ]
            ),
            "last_fc"
        );
        Refused(
            File(
                true,
                [
                    .. body,
                    Entry("last_fc.weight", 2, 4),
                    Entry("last_fc.bias", 2),
                    Entry("last_fc_log_std.weight", 1, 4),
                    Entry("last_fc_log_std.bias", 1),
                ]
            ),
            "expected as many"
        );
        Refused([1, 2, 3], "p.safetensors");
    }

    private static GaussianActor Drawn(int observations, int width, int actions)
    {
        var random = new RandomStream(1, "weights");
        LinearWeights Layer(int inputs, int outputs) =>
            new([.. Numbers(random, inputs * outputs).Select(w => w / MathF.Sqrt(inputs))], Numbers(random, outputs));
        return new([Layer(observations, width), Layer(width, width), Layer(width, 2 * actions)]);
    }

    private static float[] Numbers(RandomStream random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)random.Normal())];

    private static double[] Naive(GaussianActor actor, ReadOnlySpan<float> observation)
    {
        var x = Array.ConvertAll(observation.ToArray(), value => (double)value);
        for (var i = 0; i < actor.Layers.Count; i++)
        {
            var layer = actor.Layers[i];
            var y = new double[layer.Outputs];
            for (var row = 0; row < y.Length; row++)
            {
                y[row] = layer.Bias[row];
                for (var k = 0; k < x.Length; k++)
                {
                    y[row] += layer.Weight[row * x.Length + k] * x[k];
                }
                y[row] = i + 1 < actor.Layers.Count ? Math.Max(y[row], 0) : y[row];
            }
            x = y;
        }
        return x;
    }
}
