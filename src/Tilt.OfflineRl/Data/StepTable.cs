using System.Globalization;
using System.Text.RegularExpressions;

namespace Tilt.OfflineRl.Data;

/// <summary>Which columns of a table hold which field of a step.</summary>
internal sealed partial class StepTable
{
    private const string Remedy =
        "Name them so, or say which they are, as in --field reward=NAME --field observations=NAME,NAME.";

    private readonly string _file;
    private readonly IReadOnlyList<string> _columns;

    /// <summary>Assigns the columns.</summary>
    /// <param name="file">For messages.</param>
    /// <param name="columns">The names in the table's order.</param>
    /// <param name="fields">Names the user chose.</param>
    public StepTable(string file, IReadOnlyList<string> columns, StepFields fields)
    {
        (_file, _columns) = (file, columns);
        if (
            columns.GroupBy(name => name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is
            { } twice
        )
        {
            throw new DataException(
                file,
                $"column '{twice.Key}'",
                $"{twice.Count()} columns of that name",
                "each name once",
                "Rename the others."
            );
        }
        Observations = Vector("observations", fields.Observations, ObservationPattern(), required: true);
        Actions = Vector("actions", fields.Actions, ActionPattern(), required: true);
        NextObservations = Vector("next observations", fields.NextObservations, NextPattern(), required: false);
        Reward = Scalar("reward", fields.Reward, ["reward", "rewards"], required: true);
        Terminated = Scalar(
            "terminated",
            fields.Terminated,
            ["terminated", "terminal", "terminals", "terminations"],
            required: true
        );
        Truncated = Scalar(
            "truncated",
            fields.Truncated,
            ["truncated", "timeout", "timeouts", "truncations"],
            required: false
        );
        Episode = Scalar("episode", fields.Episode, ["episode", "episode_id"], required: false);
        if (NextObservations.Count > 0 && NextObservations.Count != Observations.Count)
        {
            throw new DataException(
                file,
                "next observations",
                $"{NextObservations.Count} columns",
                $"{Observations.Count}, as observations have",
                "Record the same dimensions before and after a step."
            );
        }
    }

    /// <summary>Columns of the observation, in order.</summary>
    public IReadOnlyList<int> Observations { get; }

    /// <summary>Columns of the observation after the step; empty where there are none.</summary>
    public IReadOnlyList<int> NextObservations { get; }

    /// <summary>Columns of the action, in order.</summary>
    public IReadOnlyList<int> Actions { get; }

    /// <summary>The column of the reward.</summary>
    public int Reward { get; }

    /// <summary>The column that says whether the task's rule ended the episode.</summary>
    public int Terminated { get; }

    /// <summary>The column that says whether the episode was cut off, or −1.</summary>
    public int Truncated { get; }

    /// <summary>The column that numbers the episodes, or −1.</summary>
    public int Episode { get; }

    /// <summary>Whether a column of that name holds a dimension of the observation.</summary>
    public static bool IsObservation(string name) => ObservationPattern().IsMatch(name);

    /// <summary>All columns that hold a field.</summary>
    public IEnumerable<int> Used =>
        Observations
            .Concat(NextObservations)
            .Concat(Actions)
            .Concat([Reward, Terminated, Truncated, Episode])
            .Where(column => column >= 0);

    /// <summary>The column that holds a dimension of a field, by the field's usual name.</summary>
    public int Source(string field, int dimension) =>
        field switch
        {
            "observations" => Observations[dimension],
            "next_observations" => NextObservations[dimension],
            "actions" => Actions[dimension],
            _ => Reward,
        };

    /// <summary>What the table holds.</summary>
    public StepShape Shape(int count) =>
        new(count, Observations.Count, Actions.Count, Truncated >= 0 || Episode >= 0, NextObservations.Count > 0);

    private List<int> Vector(string field, IReadOnlyList<string>? chosen, Regex usual, bool required)
    {
        if (chosen is not null)
        {
            return [.. chosen.Select(name => Find(field, name))];
        }
        var found = _columns
            .Select((name, column) => (Match: usual.Match(name), Column: column))
            .Where(candidate => candidate.Match.Success)
            .Select(candidate => (Index: Number(candidate.Match), candidate.Column))
            .OrderBy(candidate => candidate.Index)
            .ToList();
        for (var i = 0; i < found.Count; i++)
        {
            if (found[i].Index != i)
            {
                throw new DataException(
                    _file,
                    $"column '{_columns[found[i].Column]}'",
                    $"number {found[i].Index} where {i} comes next",
                    "each number from 0 on, once",
                    Remedy
                );
            }
        }
        if (required && found.Count == 0)
        {
            var stem = field.TrimEnd('s');
            throw Missing(field, $"columns {stem}_0, {stem}_1, …");
        }
        return [.. found.Select(candidate => candidate.Column)];
    }

    private int Scalar(string field, string? chosen, string[] usual, bool required)
    {
        if (chosen is not null)
        {
            return Find(field, chosen);
        }
        foreach (var name in usual)
        {
            for (var i = 0; i < _columns.Count; i++)
            {
                if (_columns[i].Equals(name, StringComparison.OrdinalIgnoreCase))
                {
                    return i;
                }
            }
        }
        return required ? throw Missing(field, $"a column '{usual[0]}'") : -1;
    }

    private int Find(string field, string name)
    {
        for (var i = 0; i < _columns.Count; i++)
        {
            if (_columns[i] == name)
            {
                return i;
            }
        }
        var near = Suggest.Nearest(name, _columns) is { } nearest ? $"Did you mean '{nearest}'?" : "Check the name.";
        throw new DataException(_file, field, $"no column '{name}' among {Some()}", "a column of the table", near);
    }

    private DataException Missing(string field, string expected) =>
        new(_file, field, $"only {Some()}", expected, Remedy);

    private string Some() =>
        string.Join(", ", _columns.Take(12).Select(name => name.Length > 40 ? name[..40] + "…" : name))
        + (_columns.Count > 12 ? $", … ({_columns.Count} columns)" : "");

    private static int Number(Match match) =>
        int.TryParse(match.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : int.MaxValue;

    [GeneratedRegex(@"^(?:observations?|obs|states?)[_.\[]?([0-9]+)\]?$", RegexOptions.IgnoreCase)]
    private static partial Regex ObservationPattern();

    [GeneratedRegex(@"^next_(?:observations?|obs|states?)[_.\[]?([0-9]+)\]?$", RegexOptions.IgnoreCase)]
    private static partial Regex NextPattern();

    [GeneratedRegex(@"^(?:actions?|act)[_.\[]?([0-9]+)\]?$", RegexOptions.IgnoreCase)]
    private static partial Regex ActionPattern();
}
