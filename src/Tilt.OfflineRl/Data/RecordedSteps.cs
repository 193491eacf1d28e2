using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Tilt.OfflineRl.Data.Hdf5;

namespace Tilt.OfflineRl.Data;

/// <summary>N steps as they were recorded, in order: a struct of arrays, float32, immutable.</summary>
/// <remarks>
/// Observations and actions lie in a mapped file (see <see cref="Open(string, OpenOptions?)"/>), so that they cost address space and page cache rather
/// than heap. Spans taken from it are valid until it is disposed.
/// </remarks>
public sealed class RecordedSteps : IDisposable
{
    private readonly StepStorage _storage;
    private readonly float[] _rewards;
    private readonly byte[] _flags;

    private RecordedSteps(StepStorage storage, float[] rewards, byte[] flags, string source, string hash)
    {
        (_storage, _rewards, _flags, Source, Sha256) = (storage, rewards, flags, source, hash);
    }

    /// <summary>The file they were read from, as the user named it.</summary>
    public string Source { get; }

    /// <summary>SHA-256 of that file in lower-case hexadecimal; empty for steps that came from memory.</summary>
    public string Sha256 { get; }

    /// <summary>The cache that is mapped, or null where the data are in plain memory.</summary>
    public string? CachePath { get; private init; }

    /// <summary>N, the number of steps.</summary>
    public int Count => _storage.Shape.Count;

    /// <summary>S, the size of an observation.</summary>
    public int ObservationSize => _storage.Shape.ObservationSize;

    /// <summary>A, the size of an action.</summary>
    public int ActionSize => _storage.Shape.ActionSize;

    /// <summary>Whether the data mark the steps after which an episode was cut off.</summary>
    public bool HasTruncated => _storage.Shape.HasTruncated;

    /// <summary>Whether the observation after each step is recorded beside it.</summary>
    public bool HasNextObservations => _storage.Shape.HasNextObservations;

    /// <summary>Rewards, [N].</summary>
    public ReadOnlySpan<float> Rewards => _rewards;

    /// <summary>The memory of observations and actions.</summary>
    internal StepStorage Storage => _storage;

    /// <summary>Opens a file: HDF5 in D4RL's layout, .npz with arrays of the same names, or a .csv table.</summary>
    /// <param name="path">The file. HDF5 and .npz are known by their content, .csv by its name.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <remarks>
    /// At the first opening the values are checked, turned into float32 and written to a cache beside the file; later the cache is
    /// mapped if the file still has the same SHA-256.
    /// </remarks>
    /// <exception cref="DataException">The file is not there, may not be read, is damaged, or its values cannot be used.</exception>
    public static RecordedSteps Open(string path, OpenOptions? options = null)
    {
        options ??= new();
        using var source = ByteSource.Open(path);
        var (hash, key) = Hash(source, options.Fields);
        var text = Convert.ToHexStringLower(hash);
        if (!options.Cache || !options.ExpectFinite)
        {
            return Read(source, options, text);
        }
        var places = StepCache.Places(path, key, options.Fields == new StepFields()).ToList();
        foreach (var place in places)
        {
            if (StepCache.TryOpen(place, key) is { } cached)
            {
                return Of(cached, path, text, place);
            }
        }
        using var reader = Reader(source, options);
        foreach (var place in places)
        {
            var built = StepCache.TryBuild(
                place,
                key,
                reader.Shape,
                storage => Fill(reader, storage, source, options, hash)
            );
            if (built is not null)
            {
                return Of(built, path, text, place);
            }
        }
        return Read(source, options, text);
    }

    /// <summary>Steps that are in memory already. The arrays are copied.</summary>
    /// <param name="observations">[N, S], row after row.</param>
    /// <param name="actions">[N, A], row after row.</param>
    /// <param name="rewards">[N].</param>
    /// <param name="terminated">[N].</param>
    /// <param name="truncated">[N], or empty where cut-off steps are not marked.</param>
    /// <param name="nextObservations">[N, S], or empty where they are not recorded.</param>
    /// <param name="source">A name for messages.</param>
    /// <exception cref="DataException">Lengths do not agree, or a value is not finite.</exception>
    public static RecordedSteps FromArrays(
        ReadOnlySpan<float> observations,
        ReadOnlySpan<float> actions,
        ReadOnlySpan<float> rewards,
        ReadOnlySpan<bool> terminated,
        ReadOnlySpan<bool> truncated = default,
        ReadOnlySpan<float> nextObservations = default,
        string source = "memory"
    )
    {
        var count = rewards.Length;
        void Expect(string field, int length, bool fits)
        {
            if (!fits)
            {
                throw new DataException(
                    source,
                    field,
                    $"{length} numbers",
                    $"a whole number of them for each of {count} steps",
                    "Give arrays of one row per step."
                );
            }
        }
        Expect("rewards", count, count > 0);
        Expect("observations", observations.Length, observations.Length > 0 && observations.Length % count == 0);
        Expect("actions", actions.Length, actions.Length > 0 && actions.Length % count == 0);
        Expect("terminated", terminated.Length, terminated.Length == count);
        Expect("truncated", truncated.Length, truncated.Length == count || truncated.IsEmpty);
        Expect(
            "next observations",
            nextObservations.Length,
            nextObservations.Length == observations.Length || nextObservations.IsEmpty
        );
        var shape = new StepShape(
            count,
            observations.Length / count,
            actions.Length / count,
            !truncated.IsEmpty,
            !nextObservations.IsEmpty
        );
        var storage = StepStorage.InMemory(shape);
        Copy(observations, storage.Observations);
        Copy(actions, storage.Actions);
        Copy(rewards, storage.Rewards);
        Copy(nextObservations, storage.NextObservations);
        var flags = storage.Flags;
        for (var i = 0; i < count; i++)
        {
            flags[i] = (byte)(
                (terminated[i] ? StepStorage.TerminatedFlag : 0)
                | (!truncated.IsEmpty && truncated[i] ? StepStorage.TruncatedFlag : 0)
            );
        }
        try
        {
            ExpectFinite(storage, source, new(), (field, row, column, columns) => $"{field}[{row}, {column}]");
        }
        catch
        {
            storage.Dispose();
            throw;
        }
        return Of(storage, source, "", null);
    }

    /// <summary>The observation before a step, [S].</summary>
    public ReadOnlySpan<float> Observation(int step)
    {
        _storage.ExpectOpen();
        return _storage.Observations[step];
    }

    /// <summary>The observation recorded as coming after a step, [S].</summary>
    /// <exception cref="ArgumentOutOfRangeException">No such step, or none are recorded.</exception>
    public ReadOnlySpan<float> NextObservation(int step)
    {
        _storage.ExpectOpen();
        return _storage.NextObservations[step];
    }

    /// <summary>The action of a step, [A], as recorded: nothing is clipped.</summary>
    public ReadOnlySpan<float> Action(int step)
    {
        _storage.ExpectOpen();
        return _storage.Actions[step];
    }

    /// <summary>Whether the task's own rule ended the episode with this step.</summary>
    public bool Terminated(int step) => (_flags[step] & StepStorage.TerminatedFlag) != 0;

    /// <summary>Whether the episode was cut off after this step.</summary>
    public bool Truncated(int step) => (_flags[step] & StepStorage.TruncatedFlag) != 0;

    /// <summary>Whole episodes in order; steps after the last end belong to none.</summary>
    /// <param name="episodeSteps">
    /// The task's step limit, used where the data do not mark cut-off steps; null for no limit. As in D4RL the count starts at 0 for the
    /// first episode and at 1 for later ones, so these are cut a step early.
    /// </param>
    /// <remarks>D4RL's <c>sequence_dataset</c>: an episode ends with every step that is terminated or final.</remarks>
    public IReadOnlyList<Episode> Episodes(int? episodeSteps = null)
    {
        var episodes = new List<Episode>();
        var (start, step, sum) = (0, 0, 0.0);
        for (var i = 0; i < Count; i++)
        {
            sum += _rewards[i];
            var terminated = Terminated(i);
            var final = HasTruncated ? Truncated(i) : step == episodeSteps - 1;
            if (terminated || final)
            {
                episodes.Add(new(start, i + 1 - start, terminated, final, sum));
                (start, step, sum) = (i + 1, 0, 0);
            }
            step++;
        }
        return episodes;
    }

    /// <summary>The same steps with the faulty goals of antmaze-medium-play-v2 undone.</summary>
    /// <remarks>
    /// Steps rewarded although x or y is at most 19, where no goal is, get reward 0 and do not terminate. From the data loader of
    /// SfBC (Chen et al. 2022); QGPO's loader does not do it. Dispose both the original and the result.
    /// </remarks>
    public RecordedSteps WithAntMazeMediumPlayFix()
    {
        const float nearestGoal = 19;
        var (rewards, flags) = ((float[])_rewards.Clone(), (byte[])_flags.Clone());
        for (var i = 0; i < Count; i++)
        {
            var observation = Observation(i);
            if (rewards[i] > 0.001f && !(observation[0] > nearestGoal && observation[1] > nearestGoal))
            {
                rewards[i] = 0;
                flags[i] &= unchecked((byte)~StepStorage.TerminatedFlag);
            }
        }
        return new(_storage.Share(), rewards, flags, Source, Sha256) { CachePath = CachePath };
    }

    /// <summary>Throws unless the sizes are those of a task.</summary>
    /// <param name="task">The task's name, for the message.</param>
    /// <param name="observationSize">S of the task.</param>
    /// <param name="actionSize">A of the task.</param>
    /// <exception cref="DataException">The data have other sizes.</exception>
    public void ExpectSizes(string task, int observationSize, int actionSize)
    {
        void Expect(string field, int found, int expected)
        {
            if (found != expected)
            {
                throw new DataException(
                    Source,
                    field,
                    $"{found} dimensions",
                    $"{expected}, as the task {task} has",
                    "Name the task the data were recorded on, or the data of this task."
                );
            }
        }
        Expect("observations", ObservationSize, observationSize);
        Expect("actions", ActionSize, actionSize);
    }

    /// <summary>Gives the memory back. Spans taken before must not be used any more.</summary>
    public void Dispose() => _storage.Dispose();

    /// <summary>Reads a file's bytes without a cache: what the fuzzers drive.</summary>
    internal static RecordedSteps Read(ByteSource source, OpenOptions options, string hash = "")
    {
        using var reader = Reader(source, options);
        var storage = StepStorage.InMemory(reader.Shape);
        try
        {
            Fill(reader, storage, source, options, null);
            return Of(storage, source.Name, hash, null);
        }
        catch
        {
            storage.Dispose();
            throw;
        }
    }

    private static RecordedSteps Of(StepStorage storage, string source, string hash, string? cache) =>
        new(
            storage,
            MemoryMarshal.CreateReadOnlySpan(ref storage.Rewards[0][0], storage.Shape.Count).ToArray(),
            storage.Flags.ToArray(),
            source,
            hash
        )
        {
            CachePath = cache,
        };

    /// <summary>Whether a file is a table in text, by its name.</summary>
    internal static bool IsTable(ByteSource source) =>
        Path.GetExtension(source.Name).ToLowerInvariant() is ".csv" or ".tsv" or ".txt";

    private static StepReader Reader(ByteSource source, OpenOptions options)
    {
        if (NpzFile.Recognizes(source))
        {
            return ArrayReader(new NpzFile(source), options.Fields, readsNext: true);
        }
        if (IsTable(source))
        {
            return new CsvReader(source, options.Fields);
        }
        return ArrayReader(Hdf5File.Open(source, options.Workers), options.Fields, readsNext: false);
    }

    /// <summary>The reader of matrices where there are observations in one array, else the reader of columns.</summary>
    private static StepReader ArrayReader(IArrayFile file, StepFields fields, bool readsNext)
    {
        try
        {
            bool IsMatrix(string name) => file.Has(name) && file.Array(name).Shape.Count == 2;
            var names = fields.Observations ?? ["observations"];
            var columns = names.Count > 1 || (!IsMatrix(names[0]) && file.Names.Any(StepTable.IsObservation));
            return columns ? new ColumnReader(file, fields) : new MatrixReader(file, fields, readsNext);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static void Fill(
        StepReader reader,
        StepStorage storage,
        ByteSource source,
        OpenOptions options,
        byte[]? hash
    )
    {
        reader.Fill(storage);
        if (options.ExpectFinite)
        {
            ExpectFinite(storage, source.Name, reader.Names, reader.Place);
        }
        if (hash is not null && !Hash(source, options.Fields).File.AsSpan().SequenceEqual(hash))
        {
            throw new DataException(
                source.Name,
                "the file",
                "other bytes than a moment ago",
                "a file that stays as it is while it is read",
                "Wait until whatever writes it is done."
            );
        }
    }

    private static (byte[] File, byte[] Key) Hash(ByteSource source, StepFields fields)
    {
        using var stream = source.AsStream();
        var file = SHA256.HashData(stream);
        var names = Encoding.UTF8.GetBytes($"{Path.GetExtension(source.Name)}\0{fields.Key()}");
        return (file, SHA256.HashData([.. file, .. names]));
    }

    private static void Copy(ReadOnlySpan<float> from, FloatRows to)
    {
        for (var i = 0L; i < to.Rows; i++)
        {
            from.Slice((int)i * to.Columns, to.Columns).CopyTo(to[i]);
        }
    }

    private static void ExpectFinite(
        StepStorage storage,
        string file,
        StepFieldNames names,
        Func<string, long, int, int, string> place
    )
    {
        ExpectFinite(storage.Observations, file, names.Observations, place);
        ExpectFinite(storage.NextObservations, file, names.NextObservations, place);
        ExpectFinite(storage.Actions, file, names.Actions, place);
        ExpectFinite(storage.Rewards, file, names.Rewards, place);
    }

    private static void ExpectFinite(
        FloatRows rows,
        string file,
        string field,
        Func<string, long, int, int, string> place
    )
    {
        for (var i = 0L; i < rows.Rows; i++)
        {
            var row = rows[i];
            if (IsFinite(row))
            {
                continue;
            }
            var column = 0;
            while (float.IsFinite(row[column]))
            {
                column++;
            }
            throw new DataException(
                file,
                place(field, i, column, rows.Columns),
                float.IsNaN(row[column]) ? "NaN"
                    : row[column] > 0 ? "+infinity"
                    : "-infinity",
                "a finite number in the range of float32",
                "Repair or leave out the step; 'tilt data inspect' counts how many there are."
            );
        }
    }

    /// <summary>x − x is 0 for finite numbers and NaN for the others.</summary>
    private static bool IsFinite(ReadOnlySpan<float> row)
    {
        var i = 0;
        for (; i <= row.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var values = new Vector<float>(row[i..]);
            if (!Vector.EqualsAll(values - values, Vector<float>.Zero))
            {
                return false;
            }
        }
        for (; i < row.Length; i++)
        {
            if (!float.IsFinite(row[i]))
            {
                return false;
            }
        }
        return true;
    }
}
