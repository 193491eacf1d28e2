using System.Runtime.InteropServices;
using Tilt.Inference;
using Tilt.Networks;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>A copy of a critic's pair, packed for the float32 kernels: values of many actions, no gradient.</summary>
/// <remarks>
/// Most of the work of critic and labels is the target pair on B·K rows. libtorch's products with separate passes for bias and ReLU
/// take half as long again as these kernels, whose bits do not depend on the number of threads either.
/// </remarks>
internal sealed class PackedCritic
{
    private readonly PackedMlp _first;
    private readonly PackedMlp _second;

    /// <summary>A packed copy.</summary>
    /// <param name="critic">The pair, float32, on the CPU.</param>
    /// <param name="lanes">The vectors to use; null for the processor's widest.</param>
    public PackedCritic(TwinQ critic, LaneWidth? lanes)
    {
        var weights = critic.NamedParameters();
        (_first, _second) = (Packed("q1."), Packed("q2."));

        PackedMlp Packed(string prefix)
        {
            var own = weights.Where(weight => weight.Name.StartsWith(prefix, StringComparison.Ordinal)).ToList();
            var layers = new List<LinearWeights>();
            for (var i = 0; i < own.Count; i += 2)
            {
                layers.Add(new(Numbers(own[i].Value), Numbers(own[i + 1].Value)));
            }
            return new(layers, Inference.Activation.Relu, lanes: lanes);
        }

        static float[] Numbers(Tensor weight) => MemoryMarshal.Cast<byte, float>(weight.bytes).ToArray();
    }

    /// <summary>min(Q₁, Q₂), [B, K].</summary>
    /// <param name="actions">[B, K, A].</param>
    /// <param name="observations">[B, S].</param>
    public Tensor Values(Tensor actions, Tensor observations)
    {
        Expect.Shape(actions, observations.shape[0], -1, -1);
        using var scope = NewDisposeScope();
        using var constant = no_grad();

        var states = observations.unsqueeze(1).expand(-1, actions.shape[1], -1);
        var rows = cat([actions, states], -1).contiguous();
        var (first, second) = (empty(actions.shape[..2]), empty(actions.shape[..2]));
        Evaluate(_first, first);
        Evaluate(_second, second);
        return minimum(first, second).MoveToOuterDisposeScope();

        void Evaluate(PackedMlp network, Tensor into) =>
            network.Evaluate(
                MemoryMarshal.Cast<byte, float>(rows.bytes),
                MemoryMarshal.Cast<byte, float>(into.bytes),
                get_num_threads()
            );
    }
}
