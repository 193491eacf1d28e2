using System.Globalization;

namespace Tilt.OfflineRl.Data;

/// <summary>A data set of D4RL: the returns that normalise scores, the sizes and step limit of its task, and its file.</summary>
/// <param name="Name">D4RL's name, such as hopper-medium-v2.</param>
/// <param name="MinReturn">The return that scores 0: a random policy's.</param>
/// <param name="MaxReturn">The return that scores 100: an expert's.</param>
/// <param name="ObservationSize">S, or null where it is not recorded here.</param>
/// <param name="ActionSize">A, or null where it is not recorded here.</param>
/// <param name="EpisodeSteps">The step limit of an episode, or null where it is not recorded here.</param>
/// <param name="RemoteFile">The file below D4RL's server folder; empty for a whole family of data sets.</param>
/// <remarks>
/// Numbers from D4RL (Fu et al. 2020), <c>d4rl/infos.py</c> and the environments' registrations, in the table d4rl.csv. Versions v0 to v2
/// of a robot share them: the version names the data, not the physics.
/// </remarks>
public sealed record D4rlTask(
    string Name,
    double MinReturn,
    double MaxReturn,
    int? ObservationSize,
    int? ActionSize,
    int? EpisodeSteps,
    string RemoteFile
)
{
    private static readonly Lazy<SortedDictionary<string, D4rlTask>> Table = new(Read);

    /// <summary>All of them, by name.</summary>
    public static IReadOnlyCollection<string> Names => Table.Value.Keys.ToList();

    /// <summary>The name D4RL keeps its file under, in ~/.d4rl/datasets.</summary>
    public string FileName => Path.GetFileName(RemoteFile);

    /// <summary>Where the file can be had.</summary>
    public string Url => $"http://rail.eecs.berkeley.edu/datasets/offline_rl/{RemoteFile}";

    /// <summary>The data set of exactly that name, or null.</summary>
    public static D4rlTask? Exactly(string name) => Table.Value.GetValueOrDefault(name);

    /// <summary>Finds reference returns and sizes by name.</summary>
    /// <param name="name">
    /// D4RL's name, or the beginning of one: hopper-medium has those of the newest hopper-medium-v…, and hopper those that all of the
    /// robot's data sets share.
    /// </param>
    /// <exception cref="TiltException">There are none.</exception>
    public static D4rlTask Named(string name)
    {
        if (Find(name) is { } task)
        {
            return task;
        }
        var families = Names
            .Select(known => known.Split('-'))
            .SelectMany(words => Enumerable.Range(1, words.Length).Select(length => string.Join('-', words[..length])))
            .Distinct()
            .Where(known => Find(known) is not null);
        var hint = Suggest.Nearest(name, families) is { } near ? $" Did you mean '{near}'?" : "";
        throw TiltException.Usage($"unknown D4RL data set '{name}'.{hint} 'tilt list d4rl' names them all.");
    }

    /// <summary>Like <see cref="Named"/>, but null where there are none.</summary>
    public static D4rlTask? Find(string name)
    {
        if (Exactly(name) is { } exact)
        {
            return exact;
        }
        foreach (var version in new[] { "-v2", "-v1", "-v0" })
        {
            if (Table.Value.TryGetValue(name + version, out var versioned))
            {
                return versioned;
            }
        }
        var family = Table
            .Value.Values.Where(task => task.Name.StartsWith(name + "-", StringComparison.Ordinal))
            .ToList();
        var agree = family.Select(task => (task.MinReturn, task.MaxReturn, task.EpisodeSteps)).Distinct().Count() == 1;
        return agree ? family[0] with { Name = name, RemoteFile = "" } : null;
    }

    /// <summary>The normalised score: 0 at <see cref="MinReturn"/>, 100 at <see cref="MaxReturn"/>.</summary>
    /// <param name="undiscounted">The return of an episode, or the mean over episodes.</param>
    /// <remarks>100 · (R − R_min) / (R_max − R_min), in percent as papers print it; D4RL's function leaves out the 100.</remarks>
    public double Score(double undiscounted) => 100 * (undiscounted - MinReturn) / (MaxReturn - MinReturn);

    /// <summary>The return that has a normalised score.</summary>
    /// <param name="score">In percent.</param>
    public double ReturnOf(double score) => MinReturn + (score / 100 * (MaxReturn - MinReturn));

    private static SortedDictionary<string, D4rlTask> Read()
    {
        using var stream = typeof(D4rlTask).Assembly.GetManifestResourceStream("d4rl.csv")!;
        using var reader = new StreamReader(stream);
        var table = new SortedDictionary<string, D4rlTask>(StringComparer.Ordinal);
        reader.ReadLine();
        while (reader.ReadLine() is { } line)
        {
            var cells = line.Split(',');
            double Number(int cell) => double.Parse(cells[cell], CultureInfo.InvariantCulture);
            int? Size(int cell) =>
                cells[cell].Length == 0 ? null : int.Parse(cells[cell], CultureInfo.InvariantCulture);
            table.Add(cells[0], new(cells[0], Number(1), Number(2), Size(3), Size(4), Size(5), cells[6]));
        }
        return table;
    }
}
