namespace Tilt.OfflineRl.Data;

/// <summary>Finds the file of a data set.</summary>
public static class DataFiles
{
    /// <summary>The folder D4RL keeps its files in: $D4RL_DATASET_DIR, else ~/.d4rl/datasets.</summary>
    public static string D4rlFolder =>
        Environment.GetEnvironmentVariable("D4RL_DATASET_DIR") is { Length: > 0 } chosen
            ? chosen
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".d4rl", "datasets");

    /// <summary>What the names of data sets made by Tilt begin with, so that nobody takes them for D4RL's.</summary>
    public const string OwnPrefix = "tilt-";

    /// <summary>The folder of own data sets, below the working folder.</summary>
    public const string OwnFolder = "data";

    /// <summary>Where a data set made by Tilt is kept.</summary>
    /// <param name="name">The recipe's name, such as hopper-medium-replay.</param>
    /// <param name="ownFolder">Where own data sets lie; data/ below the working folder by default.</param>
    public static string OwnFile(string name, string ownFolder = OwnFolder) =>
        Path.Combine(ownFolder, $"{OwnPrefix}{name}.hdf5");

    /// <summary>The file to read.</summary>
    /// <param name="name">
    /// A file, or the name of a data set: <c>NAME.hdf5</c> or <c>tilt-NAME.hdf5</c> in the folder of own data sets, or D4RL's file in
    /// <see cref="D4rlFolder"/>.
    /// </param>
    /// <param name="data">What the user gave as <c>--data</c>, a file; null or empty where nothing was given. It goes first.</param>
    /// <param name="ownFolder">Where own data sets lie; data/ below the working folder by default.</param>
    /// <param name="remedy">What to do when there is none; null where a file can be given as <c>--data</c>.</param>
    /// <exception cref="TiltException">There is no such file; says where it was looked for and where it can be had.</exception>
    public static string Find(string name, string? data = null, string ownFolder = OwnFolder, string? remedy = null)
    {
        if (!string.IsNullOrEmpty(data))
        {
            // Opening it says what is wrong with the path, if anything.
            return ExpandHome(data);
        }
        var places = new List<string>
        {
            ExpandHome(name),
            Path.Combine(ownFolder, name + ".hdf5"),
            OwnFile(name, ownFolder),
        };
        var task = D4rlTask.Exactly(name);
        if (task is not null)
        {
            places.Add(Path.Combine(D4rlFolder, task.FileName));
        }
        if (places.Find(File.Exists) is { } found)
        {
            return found;
        }
        if (Directory.Exists(places[0]))
        {
            throw new DataException(name, "the data set", "a folder", "a file", "Name one of the files in it.");
        }
        var otherwise = remedy ?? "Pass the file: --data FILE.";
        var advice = task is null
            ? Suggest.Nearest(name, D4rlTask.Names) is { } near
                ? $"Did you mean '{near}'? {otherwise}"
                : otherwise
            : $"Download {task.Url} into {D4rlFolder}. {otherwise}";
        throw new DataException(name, "the data set", $"no file at {string.Join(", ", places)}", "a data file", advice);
    }

    private static string ExpandHome(string path) =>
        path.StartsWith("~/", StringComparison.Ordinal)
            ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), path[2..])
            : path;
}
