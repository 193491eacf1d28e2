using System.Runtime.InteropServices;

namespace Tilt.Tests.OfflineRl.Data;

/// <summary>Runs code on a thread that looks at files with the rights of the user nobody, even where the tests run as root.</summary>
/// <remarks>Linux: setfsuid changes the identity of the calling thread only, and root's right to pass over permissions goes with it.</remarks>
internal static partial class OneThreadAsNobody
{
    private const uint Nobody = 65534;

    public static void Run(Action action)
    {
        Exception? thrown = null;
        var thread = new Thread(() =>
        {
            var before = SetFileUser(Nobody);
            try
            {
                action();
            }
            catch (Exception e)
            {
                thrown = e;
            }
            finally
            {
                SetFileUser((uint)before);
            }
        });
        thread.Start();
        thread.Join();
        if (thrown is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(thrown);
        }
    }

    /// <summary>Whether the calling thread may read a file, asked of the system without this program's help.</summary>
    public static bool CanRead(string path)
    {
        var descriptor = Open(path, 0);
        if (descriptor >= 0)
        {
            Close(descriptor);
        }
        return descriptor >= 0;
    }

    [LibraryImport("libc", EntryPoint = "setfsuid")]
    private static partial int SetFileUser(uint user);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
