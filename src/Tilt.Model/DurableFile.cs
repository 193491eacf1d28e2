using System.Runtime.InteropServices;

namespace Tilt.Model;

/// <summary>Writes files so that a reader finds the old content or the new one, never a mixture, whenever the power goes.</summary>
/// <remarks>
/// The content goes to a name aside, is forced to the disk, and is renamed over the old one; then the folder's entry is forced
/// to the disk too. What the disk answers (full, read-only, missing) becomes a <see cref="TiltException"/>.
/// </remarks>
public static partial class DurableFile
{
    private const int NoSpaceLeft = 28; // ENOSPC
    private const int ReadOnlySystem = 30; // EROFS
    private const int QuotaExceeded = 122; // EDQUOT

    /// <summary>What names aside end in, so that leftovers of a killed process can be told.</summary>
    public const string AsideSuffix = ".new";

    /// <summary>Replaces a file by what the function writes.</summary>
    /// <param name="path">The file. Its folder exists.</param>
    /// <param name="write">Writes the whole content.</param>
    /// <param name="force">
    /// Whether to wait for the disk. Without, the file still changes as a whole, but the newest may be lost with the power.
    /// </param>
    /// <exception cref="TiltException">The disk refused. The old file is as it was.</exception>
    public static void Replace(string path, Action<Stream> write, bool force = true)
    {
        var aside = path + AsideSuffix;
        try
        {
            Write(aside, write, force);
            File.Move(aside, path, overwrite: true);
            if (force)
            {
                ForceFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            TryDelete(aside);
            throw Refused(path, error);
        }
        catch
        {
            // The function gave up by itself: what it wrote so far is nobody's.
            TryDelete(aside);
            throw;
        }
    }

    /// <summary>Replaces a file by a text in UTF-8.</summary>
    /// <param name="path">The file. Its folder exists.</param>
    /// <param name="text">The whole content.</param>
    /// <param name="force">Whether to wait for the disk.</param>
    /// <exception cref="TiltException">The disk refused. The old file is as it was.</exception>
    public static void Replace(string path, string text, bool force = true) =>
        Replace(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)), force);

    /// <summary>Writes a new file under its own name and forces it to the disk. For folders that are renamed as a whole.</summary>
    /// <param name="path">The file; what it held is lost.</param>
    /// <param name="write">Writes the whole content.</param>
    /// <param name="force">Whether to wait for the disk.</param>
    /// <exception cref="IOException">The disk refused.</exception>
    public static void Write(string path, Action<Stream> write, bool force = true)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        write(stream);
        stream.Flush(flushToDisk: force);
    }

    /// <summary>Forces a folder's entries (names made, renamed, removed) to the disk.</summary>
    /// <param name="folder">An existing folder.</param>
    public static void ForceFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            return; // The file system's journal keeps the order of renames.
        }
        var handle = OpenFolder(folder, 0);
        if (handle < 0)
        {
            return; // A folder that cannot be opened for reading still holds the renamed file.
        }
        _ = ForceHandle(handle);
        _ = CloseHandle(handle);
    }

    /// <summary>What a failed write means, in words and with the remedy.</summary>
    /// <param name="path">What was being written.</param>
    /// <param name="error">What the system said.</param>
    public static TiltException Refused(string path, Exception error)
    {
        var reason = (error.HResult & 0xffff) switch
        {
            NoSpaceLeft => "the disk is full; free some space or choose another folder",
            QuotaExceeded => "the disk quota is used up; free some space or choose another folder",
            ReadOnlySystem => "the file system is mounted read-only; choose a folder that can be written",
            _ when error is UnauthorizedAccessException =>
                "no permission to write there; choose a folder that can be written",
            _ when error is DirectoryNotFoundException => "its folder does not exist; create it first",
            _ => error.Message,
        };
        return new TiltException($"{path}: cannot be written: {reason}.", inner: error);
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The first error is the one worth telling.
        }
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFolder(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int ForceHandle(int handle);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int CloseHandle(int handle);
}
