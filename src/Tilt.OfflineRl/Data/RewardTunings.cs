namespace Tilt.OfflineRl.Data;

/// <summary>Changes the rewards of transitions before training.</summary>
/// <param name="data">The transitions; left as they are.</param>
/// <returns>A reward for each of them.</returns>
public delegate float[] RewardTuning(TransitionDataset data);

/// <summary>The reward tunings of the literature, by name.</summary>
public static class RewardTunings
{
    private static readonly SortedDictionary<string, RewardTuning> All = new(StringComparer.Ordinal)
    {
        ["none"] = Unchanged,
        ["iql-locomotion"] = IqlLocomotion,
        ["episode-range"] = EpisodeRange,
        ["iql-antmaze"] = IqlAntMaze,
        ["cql-antmaze"] = CqlAntMaze,
        ["antmaze"] = AntMaze,
        ["standardize"] = Standardize,
    };

    /// <summary>Their names.</summary>
    public static IReadOnlyCollection<string> Names => All.Keys;

    /// <summary>A tuning by name.</summary>
    /// <exception cref="TiltException">There is none of that name.</exception>
    public static RewardTuning Named(string name) =>
        All.TryGetValue(name, out var tuning) ? tuning : throw Suggest.Unknown("reward tuning", name, Names);

    /// <summary>r as recorded.</summary>
    public static float[] Unchanged(TransitionDataset data) => data.Rewards.ToArray();

    /// <summary>1000 · r / (R_max − R_min), with the returns of windows of up to 1000 transitions: IQL's for locomotion, and QGPO's.</summary>
    /// <remarks>
    /// Kostrikov et al. 2021 and QGPO's code. The windows run over the transitions: one closes when it terminates or has 1000. Since
    /// transitions at a timeout have been dropped, a full episode leaves 999 and no mark, so windows slide across the episodes' borders;
    /// the unfinished last window does not count. <see cref="EpisodeRange"/> is the form without that quirk.
    /// </remarks>
    /// <exception cref="DataException">No window closes, or all returns are equal.</exception>
    public static float[] IqlLocomotion(TransitionDataset data) => WindowRange(data, 1000);

    /// <summary><see cref="IqlLocomotion"/> with windows of another length.</summary>
    /// <param name="data">The transitions.</param>
    /// <param name="steps">The longest window.</param>
    public static float[] WindowRange(TransitionDataset data, int steps) =>
        Scaled(data, ReturnRange(data, steps), $"no window of {steps} transitions and no terminated episode");

    /// <summary>1000 · r / (R_max − R_min), with the returns of whole episodes as recorded, cut-off steps included.</summary>
    /// <exception cref="DataException">No episode is whole, or all returns are equal.</exception>
    public static float[] EpisodeRange(TransitionDataset data)
    {
        var episodes = data.Recorded.Episodes(data.Options.EpisodeSteps);
        (double, double)? range =
            episodes.Count == 0
                ? null
                : (episodes.Min(episode => episode.Return), episodes.Max(episode => episode.Return));
        return Scaled(data, range, "no whole episode");
    }

    /// <summary>r − 1, so that the goal pays 0 and every other step −1: IQL's for AntMaze, and QGPO's.</summary>
    public static float[] IqlAntMaze(TransitionDataset data) => Each(data, reward => reward - 1);

    /// <summary>4 · (r − 0.5): CQL's for AntMaze.</summary>
    public static float[] CqlAntMaze(TransitionDataset data) => Each(data, reward => (reward - 0.5f) * 4);

    /// <summary>2 · (r − 0.25).</summary>
    public static float[] AntMaze(TransitionDataset data) => Each(data, reward => (reward - 0.25f) * 2);

    /// <summary>(r − mean) / deviation over all transitions; the deviation divides by Count − 1.</summary>
    /// <exception cref="DataException">All rewards are equal.</exception>
    public static float[] Standardize(TransitionDataset data)
    {
        var (mean, squares) = (0.0, 0.0);
        for (var k = 0; k < data.Count; k++)
        {
            var away = data.Rewards[k] - mean;
            mean += away / (k + 1);
            squares += away * (data.Rewards[k] - mean);
        }
        if (!(squares > 0))
        {
            throw Constant(data, "rewards", data.Rewards[0]);
        }
        var deviation = Math.Sqrt(squares / (data.Count - 1));
        return Each(data, reward => (float)((reward - mean) / deviation));
    }

    /// <summary>The least and greatest return of consecutive windows, which close when they terminate or have a number of transitions.</summary>
    /// <param name="data">The transitions.</param>
    /// <param name="steps">The longest window.</param>
    /// <returns>Null where no window closes. The unfinished last window does not count.</returns>
    public static (double Min, double Max)? ReturnRange(TransitionDataset data, int steps)
    {
        (double Min, double Max)? range = null;
        var (sum, length) = (0.0, 0);
        for (var k = 0; k < data.Count; k++)
        {
            sum += data.Rewards[k];
            length++;
            if (data.Terminated[k] != 0 || length == steps)
            {
                range = range is var (min, max) ? (Math.Min(min, sum), Math.Max(max, sum)) : (sum, sum);
                (sum, length) = (0, 0);
            }
        }
        return range;
    }

    private static float[] Scaled(TransitionDataset data, (double Min, double Max)? range, string without)
    {
        if (range is not var (min, max))
        {
            throw new DataException(
                data.Recorded.Source,
                "rewards",
                without,
                "at least two returns to take a range of",
                $"Use another reward tuning ({string.Join(", ", Names)}), or data with whole episodes."
            );
        }
        if (!(max > min))
        {
            throw Constant(data, "returns", min);
        }
        return Each(data, reward => (float)(reward / (max - min) * 1000));
    }

    private static DataException Constant(TransitionDataset data, string what, double value) =>
        new(
            data.Recorded.Source,
            "rewards",
            $"{what} that are all {value}",
            $"{what} that differ, since their spread is divided by",
            "Use another reward tuning, such as none."
        );

    private static float[] Each(TransitionDataset data, Func<float, float> tune)
    {
        var rewards = data.Rewards.ToArray();
        for (var k = 0; k < rewards.Length; k++)
        {
            rewards[k] = tune(rewards[k]);
        }
        return rewards;
    }
}
