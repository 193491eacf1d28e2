using System.Runtime.CompilerServices;

namespace Tilt.Inference;

/// <summary>The function after a layer.</summary>
public enum Activation
{
    /// <summary>None.</summary>
    Identity,

    /// <summary>x·sigmoid(x).</summary>
    Silu,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>The derivative of <see cref="Silu"/>: where gradients turn around.</summary>
    SiluSlope,
}

/// <summary>Values that a row of a product takes part with: row r uses <c>At + (r / Group)·Stride</c>.</summary>
/// <remarks>Group &gt; 1: candidates of one state share a row. Stride 0: all rows share one.</remarks>
internal readonly unsafe struct RowValues(float* at, nint stride, int group = 1)
{
    public readonly float* At = at;
    public readonly nint Stride = stride;
    public readonly int Group = group;

    public bool Exist => At != null;

    /// <summary>The same, so many floats further on.</summary>
    public RowValues Moved(nint floats) => new(At + floats, Stride, Group);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float* Row(int row) => At + (Group == 1 ? row : row / Group) * Stride;
}

/// <summary>What a layer does to its sums before it stores them: y = Times ∘ (f(Start + x·Wᵀ) + Plus).</summary>
internal unsafe struct Epilogue
{
    /// <summary>f.</summary>
    public Activation Activation;

    /// <summary>What the sums start from; the bias where left out.</summary>
    public RowValues Start;

    /// <summary>Added after f: a skip connection, an embedding.</summary>
    public RowValues Plus;

    /// <summary>Multiplied last: the slope of the activation before, when gradients go backward.</summary>
    public RowValues Times;

    /// <summary>Where f′ goes, with the stride of y; null where nobody wants it.</summary>
    public float* Slopes;
}
