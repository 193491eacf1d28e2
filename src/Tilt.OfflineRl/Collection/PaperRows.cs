using Tilt.OfflineRl.Data;

namespace Tilt.OfflineRl.Collection;

/// <summary>Which row of the paper's results table a data set belongs to.</summary>
public static class PaperRows
{
    private static readonly string[] Robots = ["HalfCheetah", "Hopper", "Walker2d"];
    private static readonly string[] Mixtures = ["Medium-Expert", "Medium", "Medium-Replay"];

    private static readonly SortedDictionary<string, string> Rows = new(
        Robots
            .SelectMany(robot => Mixtures.Select(mixture => (robot, mixture)))
            .ToDictionary(row => $"{row.robot}-{row.mixture}".ToLowerInvariant(), row => $"{row.mixture} {row.robot}"),
        StringComparer.Ordinal
    )
    {
        ["antmaze-umaze"] = "Default AntMaze-umaze",
        ["antmaze-umaze-diverse"] = "Diverse AntMaze-umaze",
        ["antmaze-medium-play"] = "Play AntMaze-medium",
        ["antmaze-medium-diverse"] = "Diverse AntMaze-medium",
        ["antmaze-large-play"] = "Play AntMaze-large",
        ["antmaze-large-diverse"] = "Diverse AntMaze-large",
    };

    /// <summary>All rows on a task, their first labels: <c>Medium-Expert, Medium, Medium-Replay</c> for hopper.</summary>
    /// <param name="task">A task's name.</param>
    public static IReadOnlyList<string> OfTask(string task) =>
        [
            .. Rows.Where(row =>
                    row.Key == task
                    || (
                        Robots.Any(robot => robot.Equals(task, StringComparison.OrdinalIgnoreCase))
                        && row.Key.StartsWith(task + "-", StringComparison.Ordinal)
                    )
                )
                .Select(row => row.Value.Split(' ')[0]),
        ];

    /// <summary>The row's two labels as printed, or null where the table has none.</summary>
    /// <param name="name">A data set's name; D4RL's version and the prefix of own data sets are left out of account.</param>
    /// <remarks>The table of normalized scores, 15 rows (Lu et al. 2023).</remarks>
    public static string? Of(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var bare = name.StartsWith(DataFiles.OwnPrefix, StringComparison.Ordinal)
            ? name[DataFiles.OwnPrefix.Length..]
            : name;
        if (bare.Length > 3 && bare[^3..^1] == "-v" && char.IsAsciiDigit(bare[^1]))
        {
            bare = bare[..^3];
        }
        return Rows.GetValueOrDefault(bare);
    }
}
