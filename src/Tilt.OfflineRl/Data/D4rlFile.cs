using System.Runtime.InteropServices;
using System.Text;
using PureHDF;
using PureHDF.Filters;
using PureHDF.Selections;

namespace Tilt.OfflineRl.Data;

/// <summary>The content of an HDF5 file in D4RL's layout, which is put together and then written.</summary>
/// <remarks>
/// observations (N, S), actions (N, A), rewards, terminals and timeouts (N), with whatever else under paths such as infos/qpos or
/// metadata/algorithm. Arrays are chunked by rows and deflated; booleans are the enumeration {FALSE, TRUE} by which h5py knows them; text
/// is of fixed length. Written aside and renamed when whole.
/// </remarks>
public sealed class D4rlFile
{
    private const int ChunkBytes = 1 << 18;

    private readonly SortedDictionary<string, Content> _contents = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, string> _attributes = new(StringComparer.Ordinal);

    /// <summary>What one row of an array is copied from.</summary>
    private abstract record Content
    {
        public sealed record Floats(long Rows, int Columns, bool IsVector, RowSource<float> Row) : Content;

        public sealed record Doubles(long Rows, int Columns, RowSource<double> Row) : Content;

        public sealed record Flags(bool[] Values) : Content;

        public sealed record Scalar(object Value) : Content;
    }

    private delegate void RowSource<T>(long row, Span<T> into);

    /// <summary>The underlying type is unsigned because PureHDF writes no signed enumeration.</summary>
    private enum Flag : byte
    {
        FALSE = 0,
        TRUE = 1,
    }

    /// <summary>The deflate level: 0 (none), 1 (fast) or 9 (small).</summary>
    /// <value>1.</value>
    public int Level { get; init; } = 1;

    /// <summary>All of the recorded steps: observations, actions, rewards, flags, and next observations where there are any.</summary>
    public static D4rlFile Of(RecordedSteps steps)
    {
        var file = new D4rlFile();
        file.Add(
            "observations",
            steps.Count,
            steps.ObservationSize,
            (row, into) => steps.Observation((int)row).CopyTo(into)
        );
        file.Add("actions", steps.Count, steps.ActionSize, (row, into) => steps.Action((int)row).CopyTo(into));
        if (steps.HasNextObservations)
        {
            file.Add(
                "next_observations",
                steps.Count,
                steps.ObservationSize,
                (row, into) => steps.NextObservation((int)row).CopyTo(into)
            );
        }
        file.Add("rewards", steps.Rewards.ToArray());
        file.Add("terminals", Enumerable.Range(0, steps.Count).Select(steps.Terminated).ToArray());
        if (steps.HasTruncated)
        {
            file.Add("timeouts", Enumerable.Range(0, steps.Count).Select(steps.Truncated).ToArray());
        }
        return file;
    }

    /// <summary>Adds an array of one number per step, [N].</summary>
    public D4rlFile Add(string path, float[] values) =>
        Put(path, new Content.Floats(values.Length, 1, true, (row, into) => into[0] = values[row]));

    /// <summary>Adds an array of a vector per step, [N, columns], given row after row.</summary>
    public D4rlFile Add(string path, float[] values, int columns) =>
        Add(
            path,
            Rows(path, values.Length, columns),
            columns,
            (row, into) => values.AsSpan((int)row * columns, columns).CopyTo(into)
        );

    /// <summary>Adds an array of a vector of doubles per step, [N, columns], given row after row.</summary>
    public D4rlFile Add(string path, double[] values, int columns) =>
        Put(
            path,
            new Content.Doubles(
                Rows(path, values.Length, columns),
                columns,
                (row, into) => values.AsSpan((int)row * columns, columns).CopyTo(into)
            )
        );

    /// <summary>Adds an array of a truth value per step, [N].</summary>
    public D4rlFile Add(string path, bool[] values) => Put(path, new Content.Flags(values));

    /// <summary>Adds a text.</summary>
    public D4rlFile Add(string path, string text) => Put(path, new Content.Scalar(text));

    /// <summary>Adds a number.</summary>
    public D4rlFile Add(string path, int number) => Put(path, new Content.Scalar(number));

    /// <summary>Sets an attribute of the file, such as who made it.</summary>
    public D4rlFile Describe(string attribute, string text)
    {
        _attributes[attribute] = text;
        return this;
    }

    /// <summary>Writes the file.</summary>
    /// <param name="path">Where; an existing file is replaced.</param>
    /// <param name="progress">Told the rows written and the rows of all arrays together.</param>
    /// <param name="stop">Asks to give up; the old file then stays as it was.</param>
    /// <exception cref="DataException">A required array is missing, lengths differ, or the place cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was given up.</exception>
    public void Write(string path, Action<long, long>? progress = null, CancellationToken stop = default)
    {
        Check(path);
        var full = Path.GetFullPath(path);
        var aside = $"{full}.{Environment.ProcessId}.{Guid.NewGuid():N}.tmp";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            WriteTo(aside, progress, stop);
            using (var written = new FileStream(aside, FileMode.Open, FileAccess.ReadWrite))
            {
                written.Flush(flushToDisk: true);
            }
            File.Move(aside, full, overwrite: true);
            DurableFile.ForceFolder(Path.GetDirectoryName(full)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Refused(path, e);
        }
        finally
        {
            if (File.Exists(aside))
            {
                File.Delete(aside);
            }
        }
    }

    /// <summary>Tries whether a file can be written at a place, before hours go into what is to be written there.</summary>
    /// <param name="path">The file; it is left as it is. Its folder is made.</param>
    /// <exception cref="DataException">It cannot.</exception>
    public static void TryPlace(string path)
    {
        var full = Path.GetFullPath(path);
        var aside = $"{full}.{Environment.ProcessId}.{Guid.NewGuid():N}.tmp";
        try
        {
            if (Directory.Exists(full))
            {
                throw new IOException("a folder of that name");
            }
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            using (File.Create(aside, 1, FileOptions.DeleteOnClose)) { }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Refused(path, e);
        }
    }

    private static DataException Refused(string path, Exception e) =>
        new(
            path,
            "the file",
            e.Message.TrimEnd('.'),
            "a place that can be written",
            "Choose another folder, or free some space.",
            e
        );

    private D4rlFile Add(string path, long rows, int columns, RowSource<float> row) =>
        Put(path, new Content.Floats(rows, columns, false, row));

    private D4rlFile Put(string path, Content content)
    {
        if (path.Split('/').Any(part => part.Length == 0) || !_contents.TryAdd(path, content))
        {
            throw new ArgumentException($"'{path}' is no new path.", nameof(path));
        }
        return this;
    }

    private static long Rows(string path, long length, int columns) =>
        columns > 0 && length % columns == 0
            ? length / columns
            : throw new ArgumentException($"{length} numbers are no rows of {columns}.", path);

    private void Check(string file)
    {
        var rows = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var (path, content) in _contents)
        {
            if (!path.StartsWith("metadata/", StringComparison.Ordinal))
            {
                rows[path] = content switch
                {
                    Content.Floats floats => floats.Rows,
                    Content.Doubles doubles => doubles.Rows,
                    Content.Flags flags => flags.Values.Length,
                    _ => rows.GetValueOrDefault("observations", -1),
                };
            }
        }
        foreach (var name in new[] { "observations", "actions", "rewards", "terminals" })
        {
            if (!rows.ContainsKey(name))
            {
                throw new DataException(
                    file,
                    name,
                    $"only {string.Join(", ", rows.Keys)}",
                    $"an array named {name}",
                    "Add it before writing."
                );
            }
        }
        foreach (var (path, count) in rows)
        {
            if (count != rows["observations"] && count >= 0)
            {
                throw new DataException(
                    file,
                    path,
                    $"{count} rows",
                    $"{rows["observations"]} rows, as observations has",
                    "Add arrays of one row per step."
                );
            }
        }
    }

    private void WriteTo(string path, Action<long, long>? progress, CancellationToken stop)
    {
        var root = new H5File();
        var pending = new List<Action<H5NativeWriter, Action<long>>>();
        var (done, total) = (0L, 0L);
        foreach (var (name, content) in _contents)
        {
            total += content switch
            {
                Content.Floats floats => floats.Rows,
                Content.Doubles doubles => doubles.Rows,
                Content.Flags flags => flags.Values.Length,
                _ => 0,
            };
            H5Group group = root;
            var parts = name.Split('/');
            foreach (var part in parts[..^1])
            {
                if (!group.TryGetValue(part, out var inner))
                {
                    group[part] = inner = new H5Group();
                }
                group = (H5Group)inner;
            }
            group[parts[^1]] = Dataset(content, pending);
        }
        foreach (var (name, text) in _attributes)
        {
            root.Attributes[name] = text;
        }
        var texts = _contents
            .Values.OfType<Content.Scalar>()
            .Select(scalar => scalar.Value)
            .OfType<string>()
            .Concat(_attributes.Values);
        var longest = texts.Select(Encoding.UTF8.GetByteCount).DefaultIfEmpty(1).Max();
        using var writer = root.BeginWrite(path, new H5WriteOptions(DefaultStringLength: longest + 1));
        foreach (var write in pending)
        {
            write(
                writer,
                rows =>
                {
                    stop.ThrowIfCancellationRequested();
                    done += rows;
                    progress?.Invoke(done, total);
                }
            );
        }
    }

    private object Dataset(Content content, List<Action<H5NativeWriter, Action<long>>> pending) =>
        content switch
        {
            Content.Floats floats => Rows(floats.Rows, floats.Columns, floats.IsVector, floats.Row, pending),
            Content.Doubles doubles => Rows(doubles.Rows, doubles.Columns, false, doubles.Row, pending),
            Content.Flags flags => Rows<Flag>(
                flags.Values.Length,
                1,
                true,
                (row, into) => into[0] = flags.Values[row] ? Flag.TRUE : Flag.FALSE,
                pending
            ),
            Content.Scalar scalar => scalar.Value,
            _ => throw new InvalidOperationException(),
        };

    /// <summary>An array that is written a chunk of rows at a time, so that the rows need not be in the heap all at once.</summary>
    private H5Dataset<T[]> Rows<T>(
        long rows,
        int columns,
        bool isVector,
        RowSource<T> row,
        List<Action<H5NativeWriter, Action<long>>> pending
    )
        where T : unmanaged
    {
        var size = Marshal.SizeOf(typeof(T).IsEnum ? typeof(byte) : typeof(T));
        var chunkRows = Math.Clamp(ChunkBytes / (columns * size), 1, Math.Max(1, rows));
        ulong[] shape = isVector ? [(ulong)rows] : [(ulong)rows, (ulong)columns];
        uint[] chunk = isVector ? [(uint)chunkRows] : [(uint)chunkRows, (uint)columns];
        var deflate = new H5Filter(DeflateFilter.Id, new() { [DeflateFilter.COMPRESSION_LEVEL] = Level });
        var last = new LastChunk();
        var dataset = new H5Dataset<T[]>(shape, chunk, new(last, Level > 0 ? [deflate] : []));
        pending.Add(
            (writer, wrote) =>
            {
                T[] buffer = [];
                for (var first = 0L; first < rows; first += chunkRows)
                {
                    var count = Math.Min(chunkRows, rows - first);
                    buffer = buffer.Length == count * columns ? buffer : new T[count * columns];
                    for (var i = 0L; i < count; i++)
                    {
                        row(first + i, buffer.AsSpan((int)i * columns, columns));
                    }
                    ulong[] starts = isVector ? [(ulong)first] : [(ulong)first, 0];
                    ulong[] blocks = isVector ? [(ulong)count] : [(ulong)count, (ulong)columns];
                    writer.Write(dataset, buffer, fileSelection: new HyperslabSelection(blocks.Length, starts, blocks));
                    wrote(count);
                }
                last.Finish();
            }
        );
        return dataset;
    }
}
