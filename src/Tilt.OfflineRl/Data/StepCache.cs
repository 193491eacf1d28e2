using System.Diagnostics;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Tilt.OfflineRl.Data;

/// <summary>The float32 form of a data file, kept beside it and mapped into memory: built once, rebuilt when the file's hash changes.</summary>
/// <remarks>
/// A header of 4096 bytes (magic, version, shape, key, length, and a SHA-256 of these), then the sections of
/// <see cref="StepShape.Sections"/>, little-endian. The key is the SHA-256 of the source file and of the names it was read by.
/// It is written under another name and renamed when whole. Where the file's folder cannot be written, the cache goes to
/// $XDG_CACHE_HOME/tilt (or ~/.cache/tilt); where that fails too, the data are held in plain memory.
/// </remarks>
internal static class StepCache
{
    private const int HeaderBytes = 4096;
    private const int UsedBytes = 128;
    private const int Version = 1;
    private const string Extension = ".tilt-cache";

    private static ReadOnlySpan<byte> Magic => "TILTSTEP"u8;

    /// <summary>The places to keep a file's cache, in the order they are tried.</summary>
    public static IEnumerable<string> Places(string path, byte[] key, bool usualFields)
    {
        var full = Path.GetFullPath(path);
        yield return usualFields ? full + Extension : $"{full}.{Convert.ToHexStringLower(key.AsSpan(0, 4))}{Extension}";
        if (UserCache() is { } folder)
        {
            yield return Path.Combine(folder, Convert.ToHexStringLower(key.AsSpan(0, 16)) + Extension);
        }
    }

    /// <summary>Maps the cache at a path, or null where there is none that is whole and of this key.</summary>
    public static StepStorage? TryOpen(string path, byte[] key)
    {
        try
        {
            if (!File.Exists(path))
            {
                return null;
            }
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1);
            try
            {
                var header = new byte[UsedBytes + SHA256.HashSizeInBytes];
                if (
                    stream.ReadAtLeast(header, header.Length, false) < header.Length
                    || Shape(header, key) is not { } shape
                )
                {
                    stream.Dispose();
                    return null;
                }
                if (stream.Length != shape.Sections(HeaderBytes).End)
                {
                    stream.Dispose();
                    return null;
                }
                return Map(shape, stream, writable: false);
            }
            catch
            {
                stream.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Builds the cache at a path, or returns null where it cannot be written there.</summary>
    /// <param name="path">The cache's path.</param>
    /// <param name="key">What it is a cache of.</param>
    /// <param name="shape">The steps' shape.</param>
    /// <param name="fill">Writes the values; what it throws is thrown on, and nothing is left behind.</param>
    public static StepStorage? TryBuild(string path, byte[] key, StepShape shape, Action<StepStorage> fill)
    {
        FileStream stream;
        var aside = $"{path}.{Environment.ProcessId}.{Guid.NewGuid():N}.tmp";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            RemoveLeftovers(path);
            stream = new FileStream(
                aside,
                new FileStreamOptions
                {
                    Mode = FileMode.CreateNew,
                    Access = FileAccess.ReadWrite,
                    Share = FileShare.Delete,
                    BufferSize = 1,
                    // Takes the blocks now: a full disk is an error here, not a fault in the middle of a mapping.
                    PreallocationSize = shape.Sections(HeaderBytes).End,
                }
            );
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Remove(aside);
            return null;
        }
        try
        {
            var handle = stream.SafeFileHandle;
            using (var storage = Map(shape, stream, writable: true))
            {
                fill(storage);
                storage.Flush();
                RandomAccess.Write(handle, Header(shape, key), 0);
                RandomAccess.FlushToDisk(handle);
            }
            File.Move(aside, path, overwrite: true);
        }
        catch
        {
            Remove(aside);
            throw;
        }
        return TryOpen(path, key);
    }

    private static StepStorage Map(StepShape shape, FileStream stream, bool writable)
    {
        var access = writable ? MemoryMappedFileAccess.ReadWrite : MemoryMappedFileAccess.Read;
        var file = MemoryMappedFile.CreateFromFile(
            stream,
            null,
            shape.Sections(HeaderBytes).End,
            access,
            HandleInheritability.None,
            leaveOpen: false
        );
        return StepStorage.Mapped(shape, HeaderBytes, file, writable);
    }

    private static byte[] Header(StepShape shape, byte[] key)
    {
        var header = new byte[HeaderBytes];
        Magic.CopyTo(header);
        var numbers = MemoryMarshal.Cast<byte, int>(header.AsSpan(8, 24));
        numbers[0] = Version;
        numbers[1] = shape.Count;
        numbers[2] = shape.ObservationSize;
        numbers[3] = shape.ActionSize;
        numbers[4] = shape.HasTruncated ? 1 : 0;
        numbers[5] = shape.HasNextObservations ? 1 : 0;
        key.CopyTo(header.AsSpan(32));
        SHA256.HashData(header.AsSpan(0, UsedBytes), header.AsSpan(UsedBytes));
        return header;
    }

    private static StepShape? Shape(ReadOnlySpan<byte> header, byte[] key)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(header[..UsedBytes], digest);
        var numbers = MemoryMarshal.Cast<byte, int>(header.Slice(8, 24));
        if (
            !header.StartsWith(Magic)
            || !digest.SequenceEqual(header[UsedBytes..])
            || numbers[0] != Version
            || !header.Slice(32, key.Length).SequenceEqual(key)
        )
        {
            return null;
        }
        return new(numbers[1], numbers[2], numbers[3], numbers[4] != 0, numbers[5] != 0);
    }

    /// <summary>Deletes what builds of this cache left behind whose process is gone.</summary>
    private static void RemoveLeftovers(string path)
    {
        var prefix = Path.GetFileName(path) + ".";
        foreach (var file in Directory.EnumerateFiles(Path.GetDirectoryName(path)!, prefix + "*.tmp"))
        {
            var process = Path.GetFileName(file)[prefix.Length..].Split('.')[0];
            if (int.TryParse(process, out var id) && !Runs(id))
            {
                Remove(file);
            }
        }
    }

    private static void Remove(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It may be anyone's, or never have come into being; whoever builds next tries again.
        }
    }

    private static bool Runs(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static string? UserCache()
    {
        if (Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache)
        {
            return Path.Combine(cache, "tilt");
        }
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        return home.Length > 0 ? Path.Combine(home, ".cache", "tilt") : null;
    }
}
