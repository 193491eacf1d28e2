using Microsoft.Win32.SafeHandles;

namespace Tilt.OfflineRl.Data;

/// <summary>The bytes of a file, or of memory, read at any offset and never past the end. Reading is safe from many threads.</summary>
internal sealed class ByteSource : IDisposable
{
    private const string Damaged = "The file is damaged or not whole: copy or download it again.";

    private readonly SafeFileHandle? _handle;
    private readonly ReadOnlyMemory<byte> _memory;

    /// <summary>The name errors carry.</summary>
    public string Name { get; }

    /// <summary>Length in bytes.</summary>
    public long Length { get; }

    /// <summary>Bytes in memory under a name of their own.</summary>
    public ByteSource(string name, ReadOnlyMemory<byte> memory)
    {
        (Name, _memory, Length) = (name, memory, memory.Length);
    }

    private ByteSource(string name, SafeFileHandle handle)
    {
        (Name, _handle, Length) = (name, handle, RandomAccess.GetLength(handle));
    }

    /// <summary>Opens a file for reading.</summary>
    /// <exception cref="DataException">It is not there, is a folder, or may not be read.</exception>
    public static ByteSource Open(string path)
    {
        if (Directory.Exists(path))
        {
            throw new DataException(path, "the path", "a folder", "a file", "Name the data file inside it.");
        }
        try
        {
            return new(path, File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new DataException(path, "the path", "no such file", "a data file", NearbyRemedy(path), e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new DataException(
                path,
                "the file's permissions",
                "no right to read it",
                "a file that this user may read",
                $"Ask its owner, or run: chmod +r '{path}'.",
                e
            );
        }
        catch (IOException e)
        {
            throw new DataException(path, "the file", e.Message, "a readable file", "Check the disk and the path.", e);
        }
    }

    /// <summary>Fills the span from the given offset on.</summary>
    /// <exception cref="DataException">The file ends before that.</exception>
    public void Read(long offset, Span<byte> into, string field)
    {
        if (offset < 0 || offset > Length - into.Length)
        {
            throw new DataException(
                Name,
                field,
                $"a reference to bytes {offset} to {offset + (decimal)into.Length} of {Length}",
                "a reference inside the file",
                Damaged
            );
        }
        if (_handle is null)
        {
            _memory.Span.Slice((int)offset, into.Length).CopyTo(into);
            return;
        }
        while (into.Length > 0)
        {
            int read;
            try
            {
                read = RandomAccess.Read(_handle, into, offset);
            }
            catch (IOException e)
            {
                throw new DataException(Name, field, e.Message, "readable bytes", "Check the disk.", e);
            }
            if (read == 0)
            {
                throw new DataException(
                    Name,
                    field,
                    $"the end of the file at byte {offset}",
                    $"{Length} bytes, as when it was opened",
                    "The file shrank while it was read: wait until whatever writes it is done."
                );
            }
            into = into[read..];
            offset += read;
        }
    }

    /// <summary>The bytes at an offset, in an array of their own. The length is checked against the file before allocating.</summary>
    public byte[] Bytes(long offset, long count, string field)
    {
        if (offset < 0 || count < 0 || offset > Length || count > Length - offset || count > Array.MaxLength)
        {
            throw new DataException(
                Name,
                field,
                $"a reference to {count} bytes at {offset} of {Length}",
                "a reference inside the file",
                Damaged
            );
        }
        var bytes = new byte[count];
        Read(offset, bytes, field);
        return bytes;
    }

    /// <summary>Everything, as a stream from the start. It shares the source and leaves it open.</summary>
    public Stream AsStream() => new SourceStream(this);

    /// <inheritdoc/>
    public void Dispose() => _handle?.Dispose();

    private static string NearbyRemedy(string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path));
        if (!Directory.Exists(folder))
        {
            return $"There is no folder '{folder}' either: check the path.";
        }
        try
        {
            var names = Directory.EnumerateFiles(folder).Select(file => Path.GetFileName(file)!).Take(1000);
            return Suggest.Nearest(Path.GetFileName(path), names) is { } near
                ? $"Did you mean '{near}'?"
                : "Check the path.";
        }
        catch (UnauthorizedAccessException)
        {
            return "Check the path.";
        }
    }

    private sealed class SourceStream(ByteSource source) : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => true;
        public override bool CanWrite => false;
        public override long Length => source.Length;
        public override long Position { get; set; }

        public override int Read(Span<byte> buffer)
        {
            var count = (int)Math.Clamp(source.Length - Position, 0, buffer.Length);
            source.Read(Position, buffer[..count], "the file");
            Position += count;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override long Seek(long offset, SeekOrigin origin) =>
            Position = origin switch
            {
                SeekOrigin.Begin => offset,
                SeekOrigin.Current => Position + offset,
                _ => Length + offset,
            };

        public override void Flush() { }

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
