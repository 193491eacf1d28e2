using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using Tilt.Inference;

namespace Tilt.OfflineRl.Behavior;

/// <summary>A snapshot of a training, with what it earned.</summary>
/// <param name="Name">Its file's name without the ending, such as <c>step-00120000</c>.</param>
/// <param name="Steps">Environment steps of training.</param>
/// <param name="Return">Mean return with noise.</param>
/// <param name="MeanReturn">Mean return without noise.</param>
/// <param name="Sha256">SHA-256 of the file, lower-case hexadecimal.</param>
/// <param name="Actor">The policy.</param>
public sealed record Rung(
    string Name,
    long Steps,
    double Return,
    double MeanReturn,
    string Sha256,
    GaussianActor Actor
);

/// <summary>A few snapshots of one training, from the untrained policy to the best: what locomotion data are collected with.</summary>
/// <remarks>Ladders ship inside the program; README.md beside the files tells where they come from.</remarks>
public sealed class BehaviorLadder
{
    /// <summary>What the name of a snapshot's file ends with.</summary>
    public const string Ending = ".safetensors";

    private const string ResourcePrefix = "ladder/";

    // Worth two tenths of the climb between the first and the last step of a training.
    private const double Lateness = 0.04;

    private static readonly Dictionary<string, BehaviorLadder?> s_shipped = new(StringComparer.Ordinal);

    /// <summary>A ladder of the given rungs.</summary>
    /// <param name="task">The task.</param>
    /// <param name="rungs">At least two, in any order.</param>
    public BehaviorLadder(string task, IEnumerable<Rung> rungs)
    {
        Task = task;
        Rungs = [.. rungs.OrderBy(rung => rung.Steps)];
        if (Rungs.Count < 2)
        {
            throw new TiltException($"the ladder of {task}: found {Rungs.Count} snapshots; expected at least 2.");
        }
    }

    /// <summary>The task.</summary>
    public string Task { get; }

    /// <summary>The rungs in the order of training.</summary>
    public IReadOnlyList<Rung> Rungs { get; }

    /// <summary>The first: hardly or not trained.</summary>
    public Rung Random => Rungs[0];

    /// <summary>The one with the greatest return.</summary>
    public Rung Expert => Rungs.MaxBy(rung => rung.Return)!;

    /// <summary>Where a training would be stopped at about a third of what it can reach.</summary>
    /// <value>
    /// The first in the order of training whose return is within a tenth of the best's from a third of it; where there is none, the nearest.
    /// </value>
    public Rung Medium
    {
        get
        {
            double Off(Rung rung) => Math.Abs((rung.Return / Expert.Return) - (1 / 3.0));
            var before = Rungs.Where(rung => rung.Steps < Expert.Steps).ToList();
            return before.Find(rung => Off(rung) <= 0.1) ?? before.MinBy(Off) ?? Random;
        }
    }

    /// <summary>Names of the tasks whose ladder ships with Tilt.</summary>
    public static IReadOnlyList<string> ShippedTasks { get; } =
    [
        .. Resources()
            .Select(name => name[ResourcePrefix.Length..].Split('/')[0])
            .Distinct()
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>The ladder of a task that ships with Tilt; null where none does.</summary>
    /// <param name="task">Such as hopper.</param>
    public static BehaviorLadder? Shipped(string task)
    {
        lock (s_shipped)
        {
            if (!s_shipped.TryGetValue(task, out var ladder))
            {
                var rungs = Resources()
                    .Where(name => name.StartsWith($"{ResourcePrefix}{task}/", StringComparison.Ordinal))
                    .Select(name =>
                    {
                        using var stream = typeof(BehaviorLadder).Assembly.GetManifestResourceStream(name)!;
                        using var bytes = new MemoryStream();
                        stream.CopyTo(bytes);
                        return Parse(bytes.ToArray(), name);
                    })
                    .ToList();
                s_shipped.Add(task, ladder = rungs.Count == 0 ? null : new(task, rungs));
            }
            return ladder;
        }
    }

    /// <summary>Reads the snapshots of a folder.</summary>
    /// <param name="folder">A ladder's folder, or the snapshots of a run.</param>
    /// <exception cref="TiltException">There are none, or one is damaged or of another task.</exception>
    public static BehaviorLadder Open(string folder)
    {
        var files = Directory.Exists(folder) ? Directory.GetFiles(folder, "*" + Ending) : [];
        if (files.Length == 0)
        {
            throw new TiltException(
                $"{folder}: found no snapshots; expected files step-N{Ending}, as './tilt data train-behavior' writes."
            );
        }
        var rungs = files.Select(file => (File: file, Rung: Parse(File.ReadAllBytes(file), file))).ToList();
        var task = rungs[0].Rung.Actor.Metadata["task"];
        if (
            rungs.FirstOrDefault(each => each.Rung.Actor.Metadata["task"] != task) is { File: { } odd, Rung: var other }
        )
        {
            throw new TiltException($"{odd}: a policy for {other.Actor.Metadata["task"]}; the others are for {task}.");
        }
        return new(task, rungs.Select(each => each.Rung));
    }

    /// <summary>
    /// Chooses rungs whose returns climb evenly: the first snapshot, the best, one near a third of the best, and others between.
    /// </summary>
    /// <param name="count">How many, at least 3.</param>
    /// <remarks>
    /// Wanted returns are spread evenly between the first's and the best's, the nearest of them to a third of the best moved there. Among all
    /// choices in the order of training the one with the least sum of costs is taken (dynamic programming): the squared difference from
    /// the wanted return, as a share of the whole climb, plus a little for lateness, so that of two alike the earlier is taken.
    /// </remarks>
    public BehaviorLadder Thinned(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 3);
        var last = Rungs.ToList().IndexOf(Expert);
        var candidates = Rungs.Take(last + 1).ToList();
        if (candidates.Count <= count)
        {
            return new(Task, candidates);
        }
        var wanted = new double[count];
        for (var i = 0; i < count; i++)
        {
            wanted[i] = Random.Return + (Expert.Return - Random.Return) * i / (count - 1);
        }
        var middle = Enumerable.Range(1, count - 2).MinBy(i => Math.Abs(wanted[i] - Expert.Return / 3));
        wanted[middle] = Expert.Return / 3;

        var climb = Math.Max(Expert.Return - Random.Return, 1e-9);

        // cost[i][j]: least cost of wanted 0 … i with snapshot j as the i-th rung.
        var cost = new double[count, candidates.Count];
        var before = new int[count, candidates.Count];
        for (var i = 0; i < count; i++)
        {
            for (var j = 0; j < candidates.Count; j++)
            {
                cost[i, j] = double.PositiveInfinity;
                var own =
                    Math.Pow((candidates[j].Return - wanted[i]) / climb, 2)
                    // The third of the best is what "medium" means: nothing is traded for it.
                    + (i == middle ? 0 : Lateness * candidates[j].Steps / Expert.Steps);
                if (i == 0)
                {
                    cost[i, j] = j == 0 ? own : double.PositiveInfinity;
                    continue;
                }
                for (var k = 0; k < j; k++)
                {
                    if (cost[i - 1, k] + own < cost[i, j])
                    {
                        (cost[i, j], before[i, j]) = (cost[i - 1, k] + own, k);
                    }
                }
            }
        }
        var chosen = new List<Rung>();
        for (var (i, j) = (count - 1, candidates.Count - 1); i >= 0; j = before[i, j], i--)
        {
            chosen.Add(candidates[j]);
        }
        return new(Task, chosen);
    }

    private static Rung Parse(byte[] bytes, string source)
    {
        var actor = GaussianActor.Parse(bytes, source);
        var texts = actor.Metadata;
        if (
            !texts.ContainsKey("task")
            || !long.TryParse(texts.GetValueOrDefault("steps"), CultureInfo.InvariantCulture, out var steps)
            || SnapshotReturns.Read(texts, sampled: true) is not { } sampled
            || SnapshotReturns.Read(texts, sampled: false) is not { } mean
        )
        {
            throw new TiltException(
                $"{source}: found an actor without task, steps and measured returns; expected a snapshot of './tilt data train-behavior'."
            );
        }
        return new(
            Path.GetFileNameWithoutExtension(source),
            steps,
            sampled.Mean,
            mean.Mean,
            Convert.ToHexStringLower(SHA256.HashData(bytes)),
            actor
        );
    }

    private static IEnumerable<string> Resources() =>
        Assembly
            .GetExecutingAssembly()
            .GetManifestResourceNames()
            .Where(name => name.StartsWith(ResourcePrefix, StringComparison.Ordinal));
}
