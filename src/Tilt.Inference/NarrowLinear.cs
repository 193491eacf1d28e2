using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tilt.Inference;

/// <summary>A linear layer with a handful of outputs, such as an action: each output is one dot product along the inputs.</summary>
/// <remarks>A panel of <see cref="PackedLinear"/> would be mostly padding, and multiply and stream that too.</remarks>
internal sealed unsafe class NarrowLinear
{
    private readonly AlignedFloats _rows;
    private readonly float[] _bias;
    private readonly int _padded;
    private readonly LaneWidth _lanes;

    /// <summary>A copy of a layer.</summary>
    /// <param name="weight">W, [outputs, inputs], row-major.</param>
    /// <param name="bias">b, [outputs]; empty for none.</param>
    /// <param name="outputs">Rows of W.</param>
    /// <param name="inputs">Columns of W.</param>
    /// <param name="lanes">The vectors to use; null for the processor's.</param>
    public NarrowLinear(
        ReadOnlySpan<float> weight,
        ReadOnlySpan<float> bias,
        int outputs,
        int inputs,
        LaneWidth? lanes = null
    )
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(weight.Length, outputs * inputs);
        (Outputs, _lanes) = (outputs, lanes ?? Processor.Lanes);
        _padded = (inputs + (int)_lanes - 1) / (int)_lanes * (int)_lanes;
        _rows = new((nint)outputs * _padded);
        _bias = bias.IsEmpty ? new float[outputs] : bias.ToArray();
        for (var n = 0; n < outputs; n++)
        {
            weight.Slice(n * inputs, inputs).CopyTo(_rows.Span[(n * _padded)..]);
        }
    }

    /// <summary>Width of y.</summary>
    public int Outputs { get; }

    /// <summary>Multiplies rows.</summary>
    /// <param name="x">Inputs, row r at x + r·xStride, finite up to the next whole vector.</param>
    /// <param name="xStride">Floats from row to row.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="y">Receives [rows, <see cref="Outputs"/>].</param>
    public void Multiply(float* x, nint xStride, int rows, float* y)
    {
        switch (_lanes)
        {
            case LaneWidth.Sixteen:
                Run<Lanes16, Vector512<float>>(x, xStride, rows, y);
                break;
            case LaneWidth.Eight:
                Run<Lanes8, Vector256<float>>(x, xStride, rows, y);
                break;
            case LaneWidth.Four:
                Run<Lanes4, Vector128<float>>(x, xStride, rows, y);
                break;
            default:
                Run<Lanes1, float>(x, xStride, rows, y);
                break;
        }
        GC.KeepAlive(this);
    }

    private void Run<TLanes, V>(float* x, nint xStride, int rows, float* y)
        where TLanes : ILanes<V>
        where V : unmanaged
    {
        for (var row = 0; row < rows; row++, x += xStride)
        {
            var n = 0;
            for (; n + 3 <= Outputs; n += 3)
            {
                Three<TLanes, V>(x, _rows.Start + (nint)n * _padded, y + n);
            }
            for (; n < Outputs; n++)
            {
                y[n] = Dot<TLanes, V>(x, _rows.Start + (nint)n * _padded);
            }
            for (n = 0; n < Outputs; n++)
            {
                y[n] += _bias[n];
            }
            y += Outputs;
        }
    }

    /// <summary>Three dot products that share their loads of x, with two sums each.</summary>
    private void Three<TLanes, V>(float* x, float* w, float* y)
        where TLanes : ILanes<V>
        where V : unmanaged
    {
        var zero = TLanes.All(0);
        var (a0, b0, c0, a1, b1, c1) = (zero, zero, zero, zero, zero, zero);
        var v = w + _padded;
        var u = v + _padded;
        nint k = 0;
        for (; k + 2 * TLanes.Count <= _padded; k += 2 * TLanes.Count)
        {
            var input = TLanes.Load(x + k);
            a0 = TLanes.MultiplyAdd(input, TLanes.Load(w + k), a0);
            b0 = TLanes.MultiplyAdd(input, TLanes.Load(v + k), b0);
            c0 = TLanes.MultiplyAdd(input, TLanes.Load(u + k), c0);
            input = TLanes.Load(x + k + TLanes.Count);
            a1 = TLanes.MultiplyAdd(input, TLanes.Load(w + k + TLanes.Count), a1);
            b1 = TLanes.MultiplyAdd(input, TLanes.Load(v + k + TLanes.Count), b1);
            c1 = TLanes.MultiplyAdd(input, TLanes.Load(u + k + TLanes.Count), c1);
        }
        for (; k < _padded; k += TLanes.Count)
        {
            var input = TLanes.Load(x + k);
            a0 = TLanes.MultiplyAdd(input, TLanes.Load(w + k), a0);
            b0 = TLanes.MultiplyAdd(input, TLanes.Load(v + k), b0);
            c0 = TLanes.MultiplyAdd(input, TLanes.Load(u + k), c0);
        }
        y[0] = TLanes.Sum(TLanes.Add(a0, a1));
        y[1] = TLanes.Sum(TLanes.Add(b0, b1));
        y[2] = TLanes.Sum(TLanes.Add(c0, c1));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float Dot<TLanes, V>(float* x, float* w)
        where TLanes : ILanes<V>
        where V : unmanaged
    {
        var a = TLanes.All(0);
        for (nint k = 0; k < _padded; k += TLanes.Count)
        {
            a = TLanes.MultiplyAdd(TLanes.Load(x + k), TLanes.Load(w + k), a);
        }
        return TLanes.Sum(a);
    }
}
