using Tilt.OfflineRl.Collection;

namespace Tilt.OfflineRl.Evaluation;

/// <summary>A score of the paper's results table.</summary>
/// <param name="Row">The row's two labels as printed.</param>
/// <param name="Mean">D4RL's normalized score of QGPO, in percent.</param>
/// <param name="Spread">What is printed after ±; the table does not say over how many seeds, nor whether it is a standard deviation.</param>
public sealed record PaperScore(string Row, double Mean, double Spread);

/// <summary>QGPO's column of the paper's results table (Lu et al. 2023; qgpo.md §6): measured on D4RL's data.</summary>
public static class PaperScores
{
    /// <summary>All 15 rows by data set, in the order of the table.</summary>
    public static IReadOnlyList<(string DataSet, double Mean, double Spread)> All { get; } =
    [
        ("halfcheetah-medium-expert", 93.5, 0.3),
        ("hopper-medium-expert", 108.0, 2.5),
        ("walker2d-medium-expert", 110.7, 0.6),
        ("halfcheetah-medium", 54.1, 0.4),
        ("hopper-medium", 98.0, 2.6),
        ("walker2d-medium", 86.0, 0.7),
        ("halfcheetah-medium-replay", 47.6, 1.4),
        ("hopper-medium-replay", 96.9, 2.6),
        ("walker2d-medium-replay", 84.4, 4.1),
        ("antmaze-umaze", 96.4, 1.4),
        ("antmaze-umaze-diverse", 74.4, 9.7),
        ("antmaze-medium-play", 83.6, 4.4),
        ("antmaze-medium-diverse", 83.8, 3.5),
        ("antmaze-large-play", 66.6, 9.8),
        ("antmaze-large-diverse", 64.8, 5.5),
    ];

    /// <summary>The score of a data set's row, or null where the table has none.</summary>
    /// <param name="name">The data set's name, with or without D4RL's version or the prefix of own data sets.</param>
    public static PaperScore? Of(string name)
    {
        if (PaperRows.Of(name) is not { } row)
        {
            return null;
        }
        var (_, mean, spread) = All.First(known => PaperRows.Of(known.DataSet) == row);
        return new(row, mean, spread);
    }
}
