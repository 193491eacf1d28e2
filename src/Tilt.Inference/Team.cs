using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Tilt.Inference;

/// <summary>Two threads that go through one short piece of work in step: the caller's and a helper.</summary>
/// <remarks>
/// An action of one state takes under a millisecond and has a hundred points at which both halves must be complete, so the threads
/// wait for each other by reading a counter (0.1 µs), not by sleeping (50 µs). A thread that has waited long for a partner that the
/// system runs elsewhere gives its core away; and as an action then takes many times what one thread needs, the team rests for
/// the next actions, for longer each time until it goes well again. Between actions the helper waits a little in the same manner, then sleeps,
/// and ends after a second without work: nobody has to dispose a team.
/// </remarks>
#pragma warning disable CA1001 // A semaphore whose wait handle nobody asks for holds nothing that needs disposal.
internal sealed class Team
#pragma warning restore CA1001
{
    /// <summary>Threads in step.</summary>
    public const int Size = 2;

    private const int ReadsBeforePause = 64;
    private const int ReadsBeforeYield = 4096;
    private const int ReadsBeforeSleep = ReadsBeforeYield;
    private const int IdleMilliseconds = 1000;

    private const int Awake = 0;
    private const int Asleep = 1;
    private const int Gone = 2;

    // Longer than a sleeping or new helper needs to come; a turn of the scheduler takes milliseconds.
    private static readonly TimeSpan Crowded = TimeSpan.FromMilliseconds(1);
    private const int FirstRest = 16;
    private const int LongestRest = 4096;

    private readonly SemaphoreSlim _wake = new(0);
    private readonly Arrivals[] _arrived = new Arrivals[Size];
    private Action<int>? _work;
    private int _rounds;
    private int _helper = Gone;
    private int _taken;
    private int _crowded;
    private int _rest = FirstRest;
    private int _resting;

    /// <summary>Makes the team the caller's until <see cref="Leave"/>; false while it is somebody else's, or rests.</summary>
    public bool TryEnter()
    {
        if (Interlocked.CompareExchange(ref _taken, 1, 0) != 0)
        {
            return false;
        }
        if (_resting > 0)
        {
            _resting--;
            Leave();
            return false;
        }
        return true;
    }

    /// <summary>Gives the team free.</summary>
    public void Leave() => Volatile.Write(ref _taken, 0);

    /// <summary>Does work(0) here and work(1) on the helper, and returns when both are done.</summary>
    /// <param name="work">Meets (<see cref="Meet"/>) equally often on both threads, and does not throw.</param>
    public void Run(Action<int> work)
    {
        (_work, _crowded) = (work, 0);
        var round = Interlocked.Increment(ref _rounds);
        switch (Interlocked.Exchange(ref _helper, Awake))
        {
            case Asleep:
                _wake.Release();
                break;
            case Gone:
                new Thread(() => Help(round - 1)) { IsBackground = true, Name = "Tilt policy helper" }.Start();
                break;
        }
        work(0);
        Meet(0);
        _work = null;
        (_rest, _resting) =
            Volatile.Read(ref _crowded) == 0 ? (FirstRest, 0) : (Math.Min(2 * _rest, LongestRest), _rest);
    }

    /// <summary>Waits until both threads are here. What either has written before, both can read afterwards.</summary>
    /// <param name="thread">Which of the two calls: 0 or 1.</param>
    public void Meet(int thread)
    {
        var mine = _arrived[thread].Count + 1;
        Volatile.Write(ref _arrived[thread].Count, mine);
        ref var other = ref _arrived[1 - thread].Count;
        // Differences, so that counters may wrap around.
        long since = 0;
        for (var reads = 0; Volatile.Read(ref other) - mine < 0; reads++)
        {
            Wait(reads);
            if (reads == ReadsBeforeYield)
            {
                since = Stopwatch.GetTimestamp();
            }
        }
        if (since != 0 && Stopwatch.GetElapsedTime(since) > Crowded)
        {
            Volatile.Write(ref _crowded, 1);
        }
    }

    private void Help(int seen)
    {
        while (true)
        {
            var reads = 0;
            for (; Volatile.Read(ref _rounds) == seen && reads < ReadsBeforeSleep; reads++)
            {
                Wait(reads);
            }
            if (Volatile.Read(ref _rounds) == seen && !Sleep(seen))
            {
                return;
            }
            seen++;
            _work!(1);
            Meet(1);
        }
    }

    /// <summary>Sleeps until there is work; false when there was none for so long that the thread should end.</summary>
    private bool Sleep(int seen)
    {
        Interlocked.CompareExchange(ref _helper, Asleep, Awake);
        if (Volatile.Read(ref _rounds) != seen)
        {
            if (Interlocked.CompareExchange(ref _helper, Awake, Asleep) != Asleep)
            {
                _wake.Wait(); // The caller saw the thread asleep and has called it, or is about to.
            }
            return true;
        }
        if (_wake.Wait(IdleMilliseconds))
        {
            return true;
        }
        if (Interlocked.CompareExchange(ref _helper, Gone, Asleep) == Asleep)
        {
            return false;
        }
        _wake.Wait();
        return true;
    }

    private static void Wait(int reads)
    {
        if (reads >= ReadsBeforeYield)
        {
            Thread.Yield();
        }
        else if (reads >= ReadsBeforePause && X86Base.IsSupported)
        {
            X86Base.Pause();
        }
    }

    /// <summary>A counter on cache lines of its own: each is written by one thread and read by the other.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Arrivals
    {
        [FieldOffset(128)]
        public int Count;
    }
}
