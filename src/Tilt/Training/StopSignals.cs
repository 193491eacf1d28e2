using System.Runtime.InteropServices;

namespace Tilt.Training;

/// <summary>A training was asked to stop, and has stopped in good order.</summary>
public sealed class StoppedException : TiltException
{
    /// <summary>Stopped by a signal.</summary>
    /// <param name="message">What was saved, and how to go on.</param>
    /// <param name="exitCode">130 after SIGINT, 143 after SIGTERM.</param>
    public StoppedException(string message, int exitCode)
        : base(message, exitCode) { }
}

/// <summary>Notices Ctrl-C (SIGINT) and SIGTERM so that long work can stop between two steps.</summary>
/// <remarks>The second signal ends the process at once: whoever asks twice does not want to wait.</remarks>
public sealed partial class StopSignals : IDisposable
{
    /// <summary>Exit code after SIGINT.</summary>
    public const int AfterInterrupt = 130; // 128 + SIGINT

    /// <summary>Exit code after SIGTERM.</summary>
    public const int AfterTerminate = 143; // 128 + SIGTERM

    private readonly PosixSignalRegistration _interrupt;
    private readonly PosixSignalRegistration _terminate;
    private readonly CancellationTokenSource _asked;
    private int _exitCode;

    /// <summary>Listens until disposed.</summary>
    /// <param name="stop">A caller's own wish to stop. Counts as Ctrl-C.</param>
    public StopSignals(CancellationToken stop)
    {
        _asked = CancellationTokenSource.CreateLinkedTokenSource(stop);
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Ask(context, AfterInterrupt));
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Ask(context, AfterTerminate));
    }

    /// <summary>Cancelled as soon as anybody asks to stop.</summary>
    public CancellationToken Asked => _asked.Token;

    /// <summary>The exit code for the one who asked to stop, or null when nobody has.</summary>
    public int? ExitCode =>
        Volatile.Read(ref _exitCode) is var code and not 0 ? code
        : _asked.IsCancellationRequested ? AfterInterrupt
        : null;

    /// <summary>Listens no more.</summary>
    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
        _asked.Dispose();
    }

    private void Ask(PosixSignalContext context, int exitCode)
    {
        context.Cancel = true;
        if (Interlocked.CompareExchange(ref _exitCode, exitCode, 0) != 0)
        {
            ExitNow(exitCode);
        }
        _asked.Cancel();
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void ExitNow(int exitCode);
}
