using System.Numerics;
using System.Runtime.InteropServices;

namespace Tilt.OfflineRl.Data;

/// <summary>One number of every step: its range, mean, spread and histogram.</summary>
/// <param name="Name">Such as <c>observations[3]</c>.</param>
/// <param name="Min">The least finite value; NaN where there is none.</param>
/// <param name="Max">The greatest finite value.</param>
/// <param name="Mean">Over finite values.</param>
/// <param name="Deviation">Standard deviation over finite values, dividing by their number.</param>
/// <param name="NotFinite">How many values are NaN or infinite.</param>
/// <param name="Histogram">Counts in bins of equal width from <paramref name="Min"/> to <paramref name="Max"/>; the last holds its upper end.</param>
public sealed record DimensionSummary(
    string Name,
    double Min,
    double Max,
    double Mean,
    double Deviation,
    int NotFinite,
    IReadOnlyList<int> Histogram
)
{
    /// <summary>Whether all finite values are the same.</summary>
    public bool IsConstant => Min == Max;
}

/// <summary>What recorded steps hold, and what about them may surprise.</summary>
public sealed record DataSummary
{
    /// <summary>Bins of the histograms.</summary>
    public const int Bins = 40;

    /// <summary>N, the number of steps.</summary>
    public required int Steps { get; init; }

    /// <summary>Whole episodes, in order.</summary>
    public required IReadOnlyList<Episode> Episodes { get; init; }

    /// <summary>Steps after the last whole episode.</summary>
    public required int UnfinishedSteps { get; init; }

    /// <summary>Whether the data say where episodes were cut off.</summary>
    public required bool MarksCutOff { get; init; }

    /// <summary>Every dimension of the observation.</summary>
    public required IReadOnlyList<DimensionSummary> Observations { get; init; }

    /// <summary>Every dimension of the action.</summary>
    public required IReadOnlyList<DimensionSummary> Actions { get; init; }

    /// <summary>The reward.</summary>
    public required DimensionSummary Rewards { get; init; }

    /// <summary>Steps with an action component outside [−1, 1]. They are kept as they are, as D4RL keeps them.</summary>
    public required int ActionsOutside { get; init; }

    /// <summary>Action components outside [−1, 1], by dimension.</summary>
    public required IReadOnlyList<int> OutsideByDimension { get; init; }

    /// <summary>Steps whose observation and action equal those of an earlier step, bit for bit.</summary>
    public required int Duplicates { get; init; }

    /// <summary>Steps whose observation equals that of the step just before.</summary>
    public required int RepeatedObservations { get; init; }

    /// <summary>Steps that are marked both as terminated and as cut off.</summary>
    public required int MarkedTwice { get; init; }

    /// <summary>Values that are NaN or infinite.</summary>
    public int NotFinite =>
        Observations.Sum(dimension => dimension.NotFinite)
        + Actions.Sum(dimension => dimension.NotFinite)
        + Rewards.NotFinite;

    /// <summary>Looks through recorded steps.</summary>
    /// <param name="recorded">The steps; opened without <see cref="OpenOptions.ExpectFinite"/> if it is to count what is not finite.</param>
    /// <param name="episodeSteps">The task's step limit, for data that do not mark cut-off steps.</param>
    public static DataSummary Of(RecordedSteps recorded, int? episodeSteps = null)
    {
        var episodes = recorded.Episodes(episodeSteps);
        var outside = new int[recorded.ActionSize];
        var (actionsOutside, repeated, twice) = (0, 0, 0);
        var hashes = new ulong[recorded.Count];
        for (var i = 0; i < recorded.Count; i++)
        {
            var any = false;
            var action = recorded.Action(i);
            for (var j = 0; j < action.Length; j++)
            {
                if (Math.Abs(action[j]) > 1)
                {
                    outside[j]++;
                    any = true;
                }
            }
            actionsOutside += any ? 1 : 0;
            twice += recorded.Terminated(i) && recorded.Truncated(i) ? 1 : 0;
            repeated += i > 0 && Bits(recorded.Observation(i)).SequenceEqual(Bits(recorded.Observation(i - 1))) ? 1 : 0;
            hashes[i] = Hash(Hash(0x9e3779b97f4a7c15, recorded.Observation(i)), action);
        }
        Array.Sort(hashes);
        var different = hashes.Length == 0 ? 0 : 1;
        for (var i = 1; i < hashes.Length; i++)
        {
            different += hashes[i] != hashes[i - 1] ? 1 : 0;
        }
        var storage = recorded.Storage;
        return new()
        {
            Steps = recorded.Count,
            Episodes = episodes,
            UnfinishedSteps = recorded.Count - episodes.Sum(episode => episode.Length),
            MarksCutOff = recorded.HasTruncated,
            Observations = Dimensions("observations", storage.Observations),
            Actions = Dimensions("actions", storage.Actions),
            Rewards = Dimensions("rewards", storage.Rewards)[0],
            ActionsOutside = actionsOutside,
            OutsideByDimension = outside,
            Duplicates = recorded.Count - different,
            RepeatedObservations = repeated,
            MarkedTwice = twice,
        };
    }

    private static List<DimensionSummary> Dimensions(string field, FloatRows rows)
    {
        var columns = rows.Columns;
        var (least, most) = (new double[columns], new double[columns]);
        var (mean, squares, finite) = (new double[columns], new double[columns], new int[columns]);
        Array.Fill(least, double.PositiveInfinity);
        Array.Fill(most, double.NegativeInfinity);
        for (var i = 0L; i < rows.Rows; i++)
        {
            var row = rows[i];
            for (var j = 0; j < columns; j++)
            {
                double value = row[j];
                if (double.IsFinite(value))
                {
                    (least[j], most[j]) = (Math.Min(least[j], value), Math.Max(most[j], value));
                    var away = value - mean[j];
                    mean[j] += away / ++finite[j];
                    squares[j] += away * (value - mean[j]);
                }
            }
        }
        var histograms = Enumerable.Range(0, columns).Select(_ => new int[Bins]).ToArray();
        var scales = Enumerable
            .Range(0, columns)
            .Select(j => most[j] > least[j] ? Bins / (most[j] - least[j]) : 0)
            .ToArray();
        for (var i = 0L; i < rows.Rows; i++)
        {
            var row = rows[i];
            for (var j = 0; j < columns; j++)
            {
                if (float.IsFinite(row[j]))
                {
                    histograms[j][Math.Min(Bins - 1, (int)((row[j] - least[j]) * scales[j]))]++;
                }
            }
        }
        return
        [
            .. Enumerable
                .Range(0, columns)
                .Select(j => new DimensionSummary(
                    columns == 1 && field == "rewards" ? field : $"{field}[{j}]",
                    finite[j] > 0 ? least[j] : double.NaN,
                    finite[j] > 0 ? most[j] : double.NaN,
                    finite[j] > 0 ? mean[j] : double.NaN,
                    finite[j] > 0 ? Math.Sqrt(squares[j] / finite[j]) : double.NaN,
                    (int)rows.Rows - finite[j],
                    histograms[j]
                )),
        ];
    }

    private static ReadOnlySpan<uint> Bits(ReadOnlySpan<float> row) => MemoryMarshal.Cast<float, uint>(row);

    /// <summary>64 bits that differ for different rows but for one chance in 2⁶⁴ a pair.</summary>
    private static ulong Hash(ulong hash, ReadOnlySpan<float> row)
    {
        foreach (var bits in Bits(row))
        {
            hash = (BitOperations.RotateLeft(hash, 23) ^ bits) * 0xd6e8feb86659fd93;
            hash ^= hash >> 32;
        }
        return hash;
    }
}
