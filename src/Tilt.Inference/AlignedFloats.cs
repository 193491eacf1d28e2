namespace Tilt.Inference;

/// <summary>Floats that never move and begin at a cache line, for kernels that work on addresses.</summary>
/// <remarks>Zero at first. Whoever uses <see cref="Start"/> keeps this object alive meanwhile.</remarks>
internal sealed unsafe class AlignedFloats
{
    private const int Line = 64;
    private readonly float[] _memory;

    /// <summary>Room for that many floats.</summary>
    public AlignedFloats(nint count)
    {
        _memory = GC.AllocateArray<float>(checked((int)count + Line / sizeof(float)), pinned: true);
        fixed (float* first = _memory)
        {
            Start = (float*)(((nint)first + Line - 1) & ~(nint)(Line - 1));
        }
        Count = count;
    }

    /// <summary>The first float.</summary>
    public float* Start { get; }

    /// <summary>How many there are.</summary>
    public nint Count { get; }

    /// <summary>All of them.</summary>
    public Span<float> Span => new(Start, checked((int)Count));
}
