using System.Runtime;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Tilt;

/// <summary>Prepares the process for libtorch before libtorch is loaded.</summary>
public static partial class NativeRuntime
{
    /// <summary>The variable that tells OpenMP's threads to sleep, not spin, while they wait for work.</summary>
    public const string WaitPolicyVariable = "OMP_WAIT_POLICY";

    /// <summary>Sets the OpenMP wait policy to passive unless the user has chosen one, and turns concurrent garbage collection off.</summary>
    /// <remarks>
    /// A number that meets a tensor, as in <c>0.5 * x</c>, becomes a native scalar whose address TorchSharp (0.107) passes on without keeping
    /// its owner alive. A background collection may let the finalizer free it while libtorch reads it: a long training then ends in "Unknown
    /// scalar type", or goes on with another number. Collections that run where memory is asked for never fall into such a call of their thread.
    /// libgomp's spinning threads make small training steps many times slower as soon as another process wants a core. The
    /// framework's own SetEnvironmentVariable does not reach native getenv on Unix, hence setenv from libc.
    /// Runs when the assembly is loaded; calling it again is harmless. docs/decisions/foreground-collection.md has the measurements.
    /// </remarks>
#pragma warning disable CA2255 // A library may use a module initializer: this must precede any use of libtorch, whoever calls first.
    [ModuleInitializer]
#pragma warning restore CA2255
    public static void Prepare()
    {
        GCSettings.LatencyMode = GCLatencyMode.Batch;
        if (OperatingSystem.IsLinux() && Environment.GetEnvironmentVariable(WaitPolicyVariable) is null)
        {
            _ = SetNative(WaitPolicyVariable, "passive", 0);
            Environment.SetEnvironmentVariable(WaitPolicyVariable, "passive");
        }
    }

    /// <summary>Sets how many threads libtorch will use for one operation. Has an effect only before libtorch is loaded.</summary>
    /// <param name="count">Threads, at least 1.</param>
    public static void UseThreads(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        foreach (var variable in new[] { "OMP_NUM_THREADS", "MKL_NUM_THREADS" })
        {
            _ = SetNative(variable, count.ToString(System.Globalization.CultureInfo.InvariantCulture), 1);
        }
    }

    /// <summary>What native code finds in an environment variable, which may differ from what managed code finds.</summary>
    /// <returns>Its value, or null where it is not set.</returns>
    public static string? NativeVariable(string name) => Marshal.PtrToStringUTF8(GetNative(name));

    /// <summary>Gives memory that libtorch has freed back to the system. Does nothing where the C library cannot.</summary>
    /// <remarks>
    /// glibc keeps freed blocks below one that is still in use. After thousands of blocks of megabytes in changing sizes that comes to
    /// gigabytes; malloc_trim returns their pages. Costs a walk over the heap: not for hot loops.
    /// </remarks>
    public static void ReturnFreedMemory()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }
        try
        {
            _ = TrimNative(0);
        }
        catch (EntryPointNotFoundException)
        {
            // Another C library than glibc.
        }
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int TrimNative(nint keep);

    [LibraryImport("libc", EntryPoint = "getenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetNative(string name);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetNative(string name, string value, int overwrite);
}
