using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Tilt.Inference;

namespace Tilt.OfflineRl.Behavior;

/// <summary>Actions a = tanh(u), u = μ + σ·ε, with their log-density and its derivatives, for a batch at a time.</summary>
/// <remarks>
/// log π(a) = Σᵢ log N(uᵢ; μᵢ, σᵢ²) − log(1 − tanh²uᵢ) (Haarnoja et al. 2018, appendix C). The correction is written
/// 2(log 2 − u − softplus(−2u)), equal in exact arithmetic and finite for every u. With ε held fixed,
/// ∂log π/∂u = 2a, and ∂log π/∂log σ = −1 besides what goes through u.
/// </remarks>
internal sealed class TanhGaussian
{
    private const float HalfLogTwoPi = 0.918938533204672742f;
    private const float LogTwo = 0.693147180559945309f;

    private readonly int _batch;
    private readonly int _actions;

    // A component after the other, padded to whole vectors; rows of the head hold μ and log σ side by side.
    private readonly float[] _mean;
    private readonly float[] _logDeviation;
    private readonly float[] _noise;
    private readonly float[] _action;
    private readonly float[] _terms;

    /// <summary>Room for batches of one size.</summary>
    /// <param name="batch">B.</param>
    /// <param name="actions">A.</param>
    public TanhGaussian(int batch, int actions)
    {
        (_batch, _actions) = (batch, actions);
        var padded = (batch * actions + 15) / 16 * 16;
        (_mean, _logDeviation, _noise) = (new float[padded], new float[padded], new float[padded]);
        (_action, _terms) = (new float[padded], new float[padded]);
    }

    /// <summary>Draws actions.</summary>
    /// <param name="head">μ and log σ side by side, [B, 2·A], float32; log σ is clipped to [−20, 2].</param>
    /// <param name="noise">ε, standard normal, [B, A].</param>
    /// <param name="actions">Receives a: row b at b·stride.</param>
    /// <param name="stride">Floats from row to row.</param>
    /// <param name="logDensities">Receives log π(a), [B].</param>
    public void Draw(Tensor head, Tensor noise, Span<float> actions, int stride, Span<float> logDensities)
    {
        Expect.Shape(head, _batch, 2 * _actions);
        Expect.Shape(noise, _batch, _actions);
        var outputs = MemoryMarshal.Cast<byte, float>(head.bytes);
        MemoryMarshal.Cast<byte, float>(noise.bytes).CopyTo(_noise);
        for (var row = 0; row < _batch; row++)
        {
            outputs.Slice(2 * row * _actions, _actions).CopyTo(_mean.AsSpan(row * _actions));
            outputs.Slice((2 * row + 1) * _actions, _actions).CopyTo(_logDeviation.AsSpan(row * _actions));
        }
        GC.KeepAlive(head);
        GC.KeepAlive(noise);
        var two = Vector512.Create(2f);
        for (var i = 0; i < _mean.Length; i += 16)
        {
            var epsilon = Vector512.Create(_noise, i);
            var logDeviation = Clip(Vector512.Create(_logDeviation, i));
            var u = Vector512.Create(_mean, i) + Vector512.Exp(logDeviation) * epsilon;
            // e = exp(−2|u|) ≤ 1: tanh|u| = (1 − e)/(1 + e), softplus(−2u) = max(−2u, 0) + log(1 + e).
            var e = Vector512.Exp(-two * Vector512.Abs(u));
            var tanh = Vector512.CopySign((Vector512<float>.One - e) / (Vector512<float>.One + e), u);
            var softplus = Vector512.Max(-two * u, Vector512<float>.Zero) + Vector512.Log(Vector512<float>.One + e);
            var correction = two * (Vector512.Create(LogTwo) - u - softplus);
            var terms =
                Vector512.Create(-0.5f) * epsilon * epsilon
                - logDeviation
                - Vector512.Create(HalfLogTwoPi)
                - correction;
            tanh.CopyTo(_action, i);
            terms.CopyTo(_terms, i);
        }
        for (var row = 0; row < _batch; row++)
        {
            var sum = 0f;
            for (var k = 0; k < _actions; k++)
            {
                actions[row * stride + k] = _action[row * _actions + k];
                sum += _terms[row * _actions + k];
            }
            logDensities[row] = sum;
        }
    }

    /// <summary>The head's gradient of the last <see cref="Draw"/>.</summary>
    /// <param name="actionGradient">∂L/∂a: row b at b·stride.</param>
    /// <param name="stride">Floats from row to row.</param>
    /// <param name="densityGradient">∂L/∂log π(a) of every row.</param>
    /// <param name="gradient">Receives ∂L/∂head, [B, 2·A].</param>
    public void Backward(ReadOnlySpan<float> actionGradient, int stride, float densityGradient, Span<float> gradient)
    {
        for (var row = 0; row < _batch; row++)
        {
            actionGradient.Slice(row * stride, _actions).CopyTo(_mean.AsSpan(row * _actions));
        }
        for (var i = 0; i < _mean.Length; i += 16)
        {
            var (a, raw) = (Vector512.Create(_action, i), Vector512.Create(_logDeviation, i));
            var logDeviation = Clip(raw);
            var density = Vector512.Create(densityGradient);
            var du = Vector512.Create(_mean, i) * (Vector512<float>.One - a * a) + density * Vector512.Create(2f) * a;
            var dLog = du * Vector512.Exp(logDeviation) * Vector512.Create(_noise, i) - density;
            dLog = Vector512.ConditionalSelect(Vector512.Equals(raw, logDeviation), dLog, Vector512<float>.Zero);
            du.CopyTo(_mean, i);
            dLog.CopyTo(_terms, i);
        }
        for (var row = 0; row < _batch; row++)
        {
            _mean.AsSpan(row * _actions, _actions).CopyTo(gradient[(2 * row * _actions)..]);
            _terms.AsSpan(row * _actions, _actions).CopyTo(gradient[((2 * row + 1) * _actions)..]);
        }
    }

    private static Vector512<float> Clip(Vector512<float> logDeviation) =>
        Vector512.Min(
            Vector512.Max(logDeviation, Vector512.Create(GaussianActor.LeastLogDeviation)),
            Vector512.Create(GaussianActor.GreatestLogDeviation)
        );
}
