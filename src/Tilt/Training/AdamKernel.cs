using System.Runtime.Intrinsics;
using Tilt.Networks;

namespace Tilt.Training;

/// <summary>Adam's update of one weight tensor in a single pass over memory, in place of six.</summary>
internal static unsafe class AdamKernel
{
    private const int Step = 16;
    private const nint BlockLength = 1 << 16;

    /// <summary>Whether it can do this one: contiguous float32 on the CPU.</summary>
    public static bool Takes(Tensor weight, Tensor gradient) =>
        weight.dtype == ScalarType.Float32
        && gradient.dtype == ScalarType.Float32
        && weight.device_type == DeviceType.CPU
        && weight.is_contiguous();

    /// <summary>Updates weight and moments.</summary>
    /// <param name="weight">θ; altered.</param>
    /// <param name="gradient">g, contiguous.</param>
    /// <param name="first">m; altered.</param>
    /// <param name="second">v; altered.</param>
    /// <param name="options">β₁, β₂, ε.</param>
    /// <param name="size">η/(1 − β₁ⁿ).</param>
    /// <param name="correction">√(1 − β₂ⁿ).</param>
    public static void Update(
        Tensor weight,
        Tensor gradient,
        Tensor first,
        Tensor second,
        AdamOptions options,
        double size,
        double correction
    )
    {
        var count = (nint)weight.numel();
        var (theta, g) = ((nint)Workers.Address(weight), (nint)Workers.Address(gradient));
        var (m, v) = ((nint)Workers.Address(first), (nint)Workers.Address(second));
        var constants = new Constants(
            (float)(1 - options.FirstDecay),
            (float)options.SecondDecay,
            (float)(1 - options.SecondDecay),
            (float)options.Epsilon,
            (float)size,
            (float)correction
        );
        var blocks = (int)((count + BlockLength - 1) / BlockLength);
        Workers.Run(
            blocks,
            block =>
            {
                var begin = block * BlockLength;
                var end = Math.Min(begin + BlockLength, count);
                Update((float*)theta, (float*)g, (float*)m, (float*)v, constants, begin, end);
            }
        );
        // The blocks work on bare addresses: what those belong to must not be collected before they are done.
        GC.KeepAlive(weight);
        GC.KeepAlive(gradient);
        GC.KeepAlive(first);
        GC.KeepAlive(second);
    }

    private readonly record struct Constants(
        float FirstShare,
        float SecondDecay,
        float SecondShare,
        float Epsilon,
        float Size,
        float Correction
    );

    private static void Update(float* theta, float* g, float* m, float* v, Constants c, nint begin, nint end)
    {
        var firstShare = Vector512.Create(c.FirstShare);
        var secondDecay = Vector512.Create(c.SecondDecay);
        var secondShare = Vector512.Create(c.SecondShare);
        var epsilon = Vector512.Create(c.Epsilon);
        var size = Vector512.Create(c.Size);
        var inverse = Vector512.Create(1 / c.Correction);
        var i = begin;
        for (; i + Step <= end; i += Step)
        {
            var gradient = Vector512.Load(g + i);
            var mean = Vector512.Load(m + i);
            mean = Vector512.FusedMultiplyAdd(firstShare, gradient - mean, mean);
            var square = Vector512.FusedMultiplyAdd(
                secondShare * gradient,
                gradient,
                secondDecay * Vector512.Load(v + i)
            );
            mean.Store(m + i);
            square.Store(v + i);
            var denominator = Vector512.FusedMultiplyAdd(Vector512.Sqrt(square), inverse, epsilon);
            (Vector512.Load(theta + i) - size * mean / denominator).Store(theta + i);
        }
        for (; i < end; i++)
        {
            m[i] = MathF.FusedMultiplyAdd(c.FirstShare, g[i] - m[i], m[i]);
            v[i] = MathF.FusedMultiplyAdd(c.SecondShare * g[i], g[i], c.SecondDecay * v[i]);
            var denominator = MathF.FusedMultiplyAdd(MathF.Sqrt(v[i]), 1 / c.Correction, c.Epsilon);
            theta[i] -= c.Size * m[i] / denominator;
        }
    }
}
