using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Tilt.OfflineRl.Data;

/// <summary>The memory that holds recorded steps: a mapped file, or plain memory.</summary>
internal sealed unsafe class StepStorage : IDisposable
{
    /// <summary>Set in a step's flags when the episode ended by the task's own rule.</summary>
    public const byte TerminatedFlag = 1;

    /// <summary>Set in a step's flags when the episode was cut off there.</summary>
    public const byte TruncatedFlag = 2;

    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly byte* _start;
    private int _owners = 1;
    private bool _disposed;

    private StepStorage(StepShape shape, long offset, MemoryMappedFile? file, bool writable)
    {
        Shape = shape;
        var sections = shape.Sections(offset);
        if (file is null)
        {
            _start = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(sections.End, 1), 64);
            NativeMemory.Clear(_start, (nuint)sections.End);
            GC.AddMemoryPressure(sections.End);
        }
        else
        {
            _file = file;
            var access = writable ? MemoryMappedFileAccess.ReadWrite : MemoryMappedFileAccess.Read;
            _view = file.CreateViewAccessor(0, sections.End, access);
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        }
        (var n, var s, var a) = (shape.Count, shape.ObservationSize, shape.ActionSize);
        Observations = new((float*)(_start + sections.Observations), n, s);
        NextObservations = new((float*)(_start + sections.Next), shape.HasNextObservations ? n : 0, s);
        Actions = new((float*)(_start + sections.Actions), n, a);
        Rewards = new((float*)(_start + sections.Rewards), n, 1);
        _flags = _start + sections.Flags;
        Bytes = sections.End;
    }

    ~StepStorage() => Release();

    private readonly byte* _flags;

    public StepShape Shape { get; }

    /// <summary>Bytes from the start of the block to its end.</summary>
    public long Bytes { get; }

    public FloatRows Observations { get; }

    public FloatRows NextObservations { get; }

    public FloatRows Actions { get; }

    public FloatRows Rewards { get; }

    public Span<byte> Flags => new(_flags, Shape.Count);

    /// <summary>Room in plain memory, zeroed.</summary>
    public static StepStorage InMemory(StepShape shape) => new(shape, 0, null, writable: true);

    /// <summary>Maps a file whose sections begin at an offset. The storage owns the mapping.</summary>
    public static StepStorage Mapped(StepShape shape, long offset, MemoryMappedFile file, bool writable) =>
        new(shape, offset, file, writable);

    /// <summary>Throws once the memory is gone.</summary>
    public void ExpectOpen() => ObjectDisposedException.ThrowIf(_disposed, typeof(RecordedSteps));

    /// <summary>Writes what has been changed to the file.</summary>
    public void Flush() => _view?.Flush();

    /// <summary>Marks a step as the last before its episode was cut off, unless it terminated there.</summary>
    public void CutOff(int step)
    {
        if ((Flags[step] & TerminatedFlag) == 0)
        {
            Flags[step] |= TruncatedFlag;
        }
    }

    /// <summary>Counts one more owner; each of them disposes once.</summary>
    public StepStorage Share()
    {
        ExpectOpen();
        Interlocked.Increment(ref _owners);
        return this;
    }

    /// <summary>Gives up one owner's share; the last one frees the memory.</summary>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref _owners) == 0)
        {
            Release();
            GC.SuppressFinalize(this);
        }
    }

    private void Release()
    {
        if (_disposed)
        {
            return;
        }
        _disposed = true;
        if (_view is null)
        {
            NativeMemory.AlignedFree(_start);
            GC.RemoveMemoryPressure(Bytes);
            return;
        }
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file!.Dispose();
    }
}
