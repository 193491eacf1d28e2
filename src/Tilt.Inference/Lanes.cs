using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tilt.Inference;

/// <summary>How many float32 numbers one instruction of the kernels works on.</summary>
public enum LaneWidth
{
    /// <summary>One: a processor without vectors, or one whose vectors are switched off.</summary>
    One = 1,

    /// <summary>Four: SSE, NEON.</summary>
    Four = 4,

    /// <summary>Eight: AVX2.</summary>
    Eight = 8,

    /// <summary>Sixteen: AVX-512.</summary>
    Sixteen = 16,
}

/// <summary>Which kernels this process uses.</summary>
public static class Processor
{
    /// <summary>The widest vectors that the processor has and the runtime may use. Read from CPU features, never timed.</summary>
    public static LaneWidth Lanes { get; } =
        Vector512.IsHardwareAccelerated ? LaneWidth.Sixteen
        : Vector256.IsHardwareAccelerated ? LaneWidth.Eight
        : Vector128.IsHardwareAccelerated ? LaneWidth.Four
        : LaneWidth.One;
}

/// <summary>The operations the kernels are written in, on a vector type <typeparamref name="V"/> of any width.</summary>
/// <typeparam name="V">Vector512, Vector256 or Vector128 of float, or float itself.</typeparam>
internal unsafe interface ILanes<V>
    where V : unmanaged
{
    /// <summary>Floats in a vector.</summary>
    static abstract int Count { get; }

    static abstract V Load(float* from);
    static abstract void Store(V value, float* to);

    /// <summary>Every lane the same number.</summary>
    static abstract V All(float value);

    /// <summary>a·b + c, rounded once where the processor can.</summary>
    static abstract V MultiplyAdd(V a, V b, V c);
    static abstract V Add(V a, V b);
    static abstract V Multiply(V a, V b);
    static abstract V Divide(V a, V b);

    /// <summary>The larger of two; NaN in b stays NaN.</summary>
    static abstract V Max(V a, V b);

    /// <summary>1 above zero, 0 elsewhere.</summary>
    static abstract V Step(V value);

    /// <summary>The sum of all lanes.</summary>
    static abstract float Sum(V value);

    /// <summary>The nearest whole numbers.</summary>
    static abstract V Round(V value);

    /// <summary>p·2ⁿ for whole n in [−126, 127].</summary>
    static abstract V Scale(V p, V n);

    /// <summary>min(max(value, low), high); NaN stays NaN.</summary>
    static abstract V Clamp(V value, V low, V high);

    /// <summary>Two vectors of bfloat16, packed as pairs: lane i holds number i of the first below number i of the second.</summary>
    static abstract (V First, V Second) LoadPairs(uint* from);
}

/// <summary>AVX-512.</summary>
internal readonly unsafe struct Lanes16 : ILanes<Vector512<float>>
{
    public static int Count => 16;

    public static Vector512<float> Load(float* from) => Vector512.Load(from);

    public static void Store(Vector512<float> value, float* to) => value.Store(to);

    public static Vector512<float> All(float value) => Vector512.Create(value);

    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        Vector512.MultiplyAddEstimate(a, b, c);

    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    /// <summary>Where there is the 14-bit reciprocal: it and one Newton step, which double its bits.</summary>
    public static Vector512<float> Divide(Vector512<float> a, Vector512<float> b)
    {
        if (!Avx512F.IsSupported)
        {
            return a / b;
        }
        var r = Avx512F.Reciprocal14(b);
        return a * Avx512F.FusedMultiplyAdd(Avx512F.FusedMultiplyAddNegated(b, r, Vector512<float>.One), r, r);
    }

    public static Vector512<float> Max(Vector512<float> a, Vector512<float> b) => Vector512.MaxNative(a, b);

    public static Vector512<float> Step(Vector512<float> value) =>
        Vector512.ConditionalSelect(
            Vector512.GreaterThan(value, Vector512<float>.Zero),
            Vector512<float>.One,
            Vector512<float>.Zero
        );

    public static float Sum(Vector512<float> value) => Vector512.Sum(value);

    public static Vector512<float> Round(Vector512<float> value) => Vector512.Round(value);

    public static Vector512<float> Scale(Vector512<float> p, Vector512<float> n) =>
        Avx512F.IsSupported
            ? Avx512F.Scale(p, n)
            : p * ((Vector512.ConvertToInt32(n) + Vector512.Create(127)) << 23).AsSingle();

    public static Vector512<float> Clamp(Vector512<float> value, Vector512<float> low, Vector512<float> high) =>
        Vector512.MinNative(high, Vector512.MaxNative(low, value));

    public static (Vector512<float> First, Vector512<float> Second) LoadPairs(uint* from)
    {
        var pairs = Vector512.Load(from);
        return ((pairs << 16).AsSingle(), (pairs & Vector512.Create(0xffff0000u)).AsSingle());
    }
}

/// <summary>AVX2.</summary>
internal readonly unsafe struct Lanes8 : ILanes<Vector256<float>>
{
    public static int Count => 8;

    public static Vector256<float> Load(float* from) => Vector256.Load(from);

    public static void Store(Vector256<float> value, float* to) => value.Store(to);

    public static Vector256<float> All(float value) => Vector256.Create(value);

    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        Vector256.MultiplyAddEstimate(a, b, c);

    public static Vector256<float> Add(Vector256<float> a, Vector256<float> b) => a + b;

    public static Vector256<float> Multiply(Vector256<float> a, Vector256<float> b) => a * b;

    public static Vector256<float> Divide(Vector256<float> a, Vector256<float> b) => a / b;

    public static Vector256<float> Max(Vector256<float> a, Vector256<float> b) => Vector256.MaxNative(a, b);

    public static Vector256<float> Step(Vector256<float> value) =>
        Vector256.ConditionalSelect(
            Vector256.GreaterThan(value, Vector256<float>.Zero),
            Vector256<float>.One,
            Vector256<float>.Zero
        );

    public static float Sum(Vector256<float> value) => Vector256.Sum(value);

    public static Vector256<float> Round(Vector256<float> value) => Vector256.Round(value);

    public static Vector256<float> Scale(Vector256<float> p, Vector256<float> n) =>
        p * ((Vector256.ConvertToInt32(n) + Vector256.Create(127)) << 23).AsSingle();

    public static Vector256<float> Clamp(Vector256<float> value, Vector256<float> low, Vector256<float> high) =>
        Vector256.MinNative(high, Vector256.MaxNative(low, value));

    public static (Vector256<float> First, Vector256<float> Second) LoadPairs(uint* from)
    {
        var pairs = Vector256.Load(from);
        return ((pairs << 16).AsSingle(), (pairs & Vector256.Create(0xffff0000u)).AsSingle());
    }
}

/// <summary>SSE and NEON.</summary>
internal readonly unsafe struct Lanes4 : ILanes<Vector128<float>>
{
    public static int Count => 4;

    public static Vector128<float> Load(float* from) => Vector128.Load(from);

    public static void Store(Vector128<float> value, float* to) => value.Store(to);

    public static Vector128<float> All(float value) => Vector128.Create(value);

    public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> c) =>
        Vector128.MultiplyAddEstimate(a, b, c);

    public static Vector128<float> Add(Vector128<float> a, Vector128<float> b) => a + b;

    public static Vector128<float> Multiply(Vector128<float> a, Vector128<float> b) => a * b;

    public static Vector128<float> Divide(Vector128<float> a, Vector128<float> b) => a / b;

    public static Vector128<float> Max(Vector128<float> a, Vector128<float> b) => Vector128.MaxNative(a, b);

    public static Vector128<float> Step(Vector128<float> value) =>
        Vector128.ConditionalSelect(
            Vector128.GreaterThan(value, Vector128<float>.Zero),
            Vector128<float>.One,
            Vector128<float>.Zero
        );

    public static float Sum(Vector128<float> value) => Vector128.Sum(value);

    public static Vector128<float> Round(Vector128<float> value) => Vector128.Round(value);

    public static Vector128<float> Scale(Vector128<float> p, Vector128<float> n) =>
        p * ((Vector128.ConvertToInt32(n) + Vector128.Create(127)) << 23).AsSingle();

    public static Vector128<float> Clamp(Vector128<float> value, Vector128<float> low, Vector128<float> high) =>
        Vector128.MinNative(high, Vector128.MaxNative(low, value));

    public static (Vector128<float> First, Vector128<float> Second) LoadPairs(uint* from)
    {
        var pairs = Vector128.Load(from);
        return ((pairs << 16).AsSingle(), (pairs & Vector128.Create(0xffff0000u)).AsSingle());
    }
}

/// <summary>No vectors.</summary>
internal readonly unsafe struct Lanes1 : ILanes<float>
{
    public static int Count => 1;

    public static float Load(float* from) => *from;

    public static void Store(float value, float* to) => *to = value;

    public static float All(float value) => value;

    public static float MultiplyAdd(float a, float b, float c) => float.MultiplyAddEstimate(a, b, c);

    public static float Add(float a, float b) => a + b;

    public static float Multiply(float a, float b) => a * b;

    public static float Divide(float a, float b) => a / b;

    public static float Max(float a, float b) => MathF.Max(a, b);

    public static float Step(float value) => value > 0 ? 1 : 0;

    public static float Sum(float value) => value;

    public static float Round(float value) => MathF.Round(value);

    public static float Scale(float p, float n) => p * BitConverter.Int32BitsToSingle(((int)n + 127) << 23);

    public static float Clamp(float value, float low, float high) => MathF.Min(high, MathF.Max(low, value));

    public static (float First, float Second) LoadPairs(uint* from) =>
        (BitConverter.UInt32BitsToSingle(*from << 16), BitConverter.UInt32BitsToSingle(*from & 0xffff0000u));
}

/// <summary>Activation functions in terms of <see cref="ILanes{V}"/>.</summary>
internal static class Smooth<TLanes, V>
    where TLanes : ILanes<V>
    where V : unmanaged
{
    // e^±87 is the last that float32 holds with room for a reciprocal; beyond it a sigmoid is 0 or 1 to all digits.
    private const float Steepest = 87;

    /// <summary>1/(1 + e^(−x)), to about 3e-7 relative.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Sigmoid(V x)
    {
        var one = TLanes.All(1);
        var y = TLanes.Multiply(TLanes.All(-1), TLanes.Clamp(x, TLanes.All(-Steepest), TLanes.All(Steepest)));
        return TLanes.Divide(one, TLanes.Add(one, Exp(y)));
    }

    /// <summary>e^y = 2ⁿ·e^r with n = round(y/ln 2) and r = y − n·ln 2.</summary>
    /// <remarks>|r| ≤ ln 2/2, where the Taylor polynomial of degree 6 is off by r⁷/7! ≤ 1.2e-7.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Exp(V y)
    {
        var n = TLanes.Round(TLanes.Multiply(y, TLanes.All(1.44269504f)));
        var r = TLanes.MultiplyAdd(n, TLanes.All(-0.693147181f), y);
        var p = TLanes.All(1f / 720);
        p = TLanes.MultiplyAdd(p, r, TLanes.All(1f / 120));
        p = TLanes.MultiplyAdd(p, r, TLanes.All(1f / 24));
        p = TLanes.MultiplyAdd(p, r, TLanes.All(1f / 6));
        p = TLanes.MultiplyAdd(p, r, TLanes.All(1f / 2));
        p = TLanes.MultiplyAdd(p, r, TLanes.All(1));
        p = TLanes.MultiplyAdd(p, r, TLanes.All(1));
        return TLanes.Scale(p, n);
    }
}
