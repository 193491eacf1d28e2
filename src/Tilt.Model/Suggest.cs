namespace Tilt.Model;

/// <summary>Finds the name that was probably meant.</summary>
public static class Suggest
{
    // Longer lists hide the suggestion before them.
    private const int MostListed = 40;
    private const int NearestListed = 8;

    /// <summary>The known name nearest to a mistyped one, or null when none is near.</summary>
    /// <param name="typed">What the user wrote.</param>
    /// <param name="known">The names that exist.</param>
    public static string? Nearest(string typed, IEnumerable<string> known)
    {
        var best = Ranked(typed, known).FirstOrDefault((Name: "", Distance: int.MaxValue));
        return best.Distance <= Math.Max(2, typed.Length / 3) ? best.Name : null;
    }

    /// <summary>An error for an unknown name: names it, suggests the nearest, lists what exists, or the nearest where it is much.</summary>
    /// <param name="kind">What is named, such as <c>solver</c>.</param>
    /// <param name="typed">What the user wrote.</param>
    /// <param name="known">The names that exist.</param>
    public static TiltException Unknown(string kind, string typed, IReadOnlyCollection<string> known)
    {
        var nearest = Nearest(typed, known);
        var hint = nearest is null ? "" : $" Did you mean '{nearest}'?";
        var list =
            known.Count <= MostListed
                ? $"Known: {string.Join(", ", known)}."
                : $"The nearest of {known.Count}: {string.Join(", ", Ranked(typed, known).Take(NearestListed).Select(candidate => candidate.Name))}.";
        return TiltException.Usage($"unknown {kind} '{typed}'.{hint} {list}");
    }

    private static IEnumerable<(string Name, int Distance)> Ranked(string typed, IEnumerable<string> known) =>
        known
            .Select(name => (Name: name, Distance: Distance(typed.ToLowerInvariant(), name.ToLowerInvariant())))
            .OrderBy(candidate => candidate.Distance)
            .ThenBy(candidate => candidate.Name, StringComparer.Ordinal);

    /// <summary>Levenshtein distance: insertions, deletions and replacements.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.Length];
    }
}
