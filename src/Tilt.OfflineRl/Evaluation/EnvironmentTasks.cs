using Tilt.Environments;
using Tilt.OfflineRl.Data;

namespace Tilt.OfflineRl.Evaluation;

/// <summary>Which environment a data set belongs to.</summary>
public static class EnvironmentTasks
{
    private static readonly string[] Versions = ["", "-v2", "-v1", "-v0"];

    /// <summary>The environment of a data set, by its name; null where there is none.</summary>
    /// <param name="dataSet">With or without D4RL's version or the prefix of own data sets, such as <c>tilt-hopper-medium</c>.</param>
    public static EnvironmentTask? Find(string dataSet)
    {
        ArgumentNullException.ThrowIfNull(dataSet);
        var bare = dataSet.StartsWith(DataFiles.OwnPrefix, StringComparison.OrdinalIgnoreCase)
            ? dataSet[DataFiles.OwnPrefix.Length..]
            : dataSet;
        foreach (var version in Versions)
        {
            if (Tasks.TryFind(bare + version, out var found))
            {
                return found;
            }
        }
        return null;
    }
}
