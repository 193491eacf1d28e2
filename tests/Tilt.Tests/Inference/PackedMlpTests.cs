using System.Diagnostics;
using Tilt.Inference;
using Tilt.Networks;
using static TorchSharp.torch;
using Activation = Tilt.Inference.Activation;
using TrainedActivation = Tilt.Networks.Activation;

namespace Tilt.Tests.Inference;

public sealed class PackedMlpTests
{
    [Fact]
    public void Evaluation_is_libtorchs_to_1e_5()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        foreach (
            var (own, theirs) in new[]
            {
                (Activation.Silu, TrainedActivation.Silu),
                (Activation.Relu, TrainedActivation.Relu),
            }
        )
        {
            using var network = new Mlp([17, 256, 256, 12], theirs, generator);
            var packed = Pack(network, own);
            var x = randn([251, 17], generator: generator);
            var expected = network.call(x).data<float>().ToArray();
            var found = new float[251 * 12];
            foreach (var threads in new[] { 1, 2 })
            {
                packed.Evaluate(x.data<float>().ToArray(), found, threads);
                var largest = expected.Max(Math.Abs);
                Assert.All(expected.Zip(found), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * largest));
            }
        }
    }

    [Fact]
    public void Threads_may_share_one_and_get_the_bits_of_one_thread()
    {
        using var generator = new Generator(2);
        using var network = new Mlp([5, 64, 64, 3], TrainedActivation.Silu, generator);
        var packed = Pack(network, Activation.Silu);
        var inputs = Enumerable
            .Range(0, 64)
            .Select(i => new Random(i))
            .Select(r => Draw(r, 5 * (1 + r.Next(200))))
            .ToArray();
        var alone = inputs.Select(Evaluate).ToArray();
        var together = inputs.AsParallel().AsOrdered().WithDegreeOfParallelism(4).Select(Evaluate).ToArray();
        Assert.Equal(alone, together);

        float[] Evaluate(float[] x)
        {
            var y = new float[x.Length / 5 * 3];
            packed.Evaluate(x, y);
            return y;
        }
    }

    [Fact]
    public void Batches_of_another_width_and_layers_that_do_not_fit_are_refused()
    {
        var one = new LinearWeights(new float[6], new float[2]);
        var packed = new PackedMlp([one], Activation.Relu);
        Assert.Contains(
            "no batch",
            Assert.Throws<ArgumentException>(() => packed.Evaluate(new float[4], new float[2])).Message
        );
        Assert.Contains(
            "Layer 1",
            Assert.Throws<ArgumentException>(() => new PackedMlp([one, one], Activation.Relu)).Message
        );
    }

    internal static PackedMlp Pack(Mlp network, Activation activation)
    {
        var named = network.NamedTensors().ToDictionary(pair => pair.Name, pair => pair.Value);
        var layers = named
            .Keys.Where(name => name.EndsWith("weight", StringComparison.Ordinal))
            .Select(name => new LinearWeights(
                named[name].data<float>().ToArray(),
                named[name.Replace("weight", "bias")].data<float>().ToArray()
            ));
        return new([.. layers], activation);
    }

    private static float[] Draw(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(2 * random.NextDouble() - 1))];
}
