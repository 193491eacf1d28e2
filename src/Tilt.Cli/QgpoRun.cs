using Tilt.Environments;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Collection;
using Tilt.OfflineRl.Data;

namespace Tilt.Cli;

/// <summary>What verbs and pages both know of a run of QGPO: its extra files, and the environment of its data.</summary>
internal static class QgpoRun
{
    /// <summary>The file in a run's folder that holds <see cref="QgpoDiagnostics"/>.</summary>
    public const string DiagnosticsName = "diagnostics.json";

    /// <summary>The file in samples/ that holds states and actions of the data, for pages made without the data.</summary>
    public const string StatesName = "states.safetensors";

    /// <summary>The environment of a data set, by its name with or without D4RL's version; null where there is none.</summary>
    public static EnvironmentTask? EnvironmentOf(string task)
    {
        var bare = task.StartsWith(DataFiles.OwnPrefix, StringComparison.OrdinalIgnoreCase)
            ? task[DataFiles.OwnPrefix.Length..]
            : task;
        foreach (var suffix in new[] { "", "-v2", "-v1", "-v0" })
        {
            if (Tasks.TryFind(bare + suffix, out var found))
            {
                return found;
            }
        }
        return DataRecipes.TryNamed(bare) is { } recipe ? Tasks.Find(recipe.Task) : null;
    }
}
