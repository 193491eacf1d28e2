using Tilt.Diffusion;
using static TorchSharp.torch;

namespace Tilt.Tests.Golden;

/// <summary>The Gaussian mixture of G2 and its exact noise prediction ε = −σ_t·∇log q_t.</summary>
public sealed class GoldenMixture : IDisposable
{
    private readonly Tensor _means; // [8, 2]
    private readonly Tensor _variances; // [8]
    private readonly Tensor _logWeights; // [8]

    public GoldenMixture(ScalarType type = ScalarType.Float64)
    {
        var arrays = GoldenSet.Arrays("g2_dpm_solver.npz");
        using var scope = NewDisposeScope();
        _means = arrays["mix_mu"].ToTensor(type).DetachFromDisposeScope();
        _variances = arrays["mix_var"].ToTensor(type).DetachFromDisposeScope();
        _logWeights = arrays["mix_w"].ToTensor(type).log().DetachFromDisposeScope();
    }

    public NoisePredictor Noise =>
        (xt, level) =>
        {
            using var scope = NewDisposeScope();
            var spread = level.Alpha * level.Alpha * _variances + level.Sigma * level.Sigma; // V_k
            var offset = xt.unsqueeze(1) - level.Alpha * _means; // [B, 8, 2]
            var logs = _logWeights - spread.log() - offset.square().sum(-1) / (2 * spread);
            var share = nn.functional.softmax(logs, dim: -1) / spread;
            return (level.Sigma * (share.unsqueeze(-1) * offset).sum(1)).MoveToOuterDisposeScope();
        };

    /// <summary>The mixture's noise prediction, counting its calls.</summary>
    public NoisePredictor Counted(Action count) =>
        (xt, level) =>
        {
            count();
            return Noise(xt, level);
        };

    public void Dispose()
    {
        _means.Dispose();
        _variances.Dispose();
        _logWeights.Dispose();
    }
}
