namespace Tilt.Networks;

/// <summary>Puts vectors side by side, repeating those that all rows share.</summary>
internal static class Rows
{
    /// <summary>All parts along the last dimension; a part with one row is repeated for every row of the others.</summary>
    public static Tensor Join(params ReadOnlySpan<Tensor> parts)
    {
        using var scope = NewDisposeScope();

        long[] rows = [];
        foreach (var part in parts)
        {
            var leading = part.shape[..^1];
            var oneRow = leading.All(n => n == 1);
            if (rows.Length < leading.Length || (!oneRow && rows.All(n => n == 1)))
            {
                rows = leading;
            }
        }
        var aligned = new List<Tensor>(parts.Length);
        foreach (var part in parts)
        {
            aligned.Add(part.expand([.. rows, part.shape[^1]]));
        }
        return cat(aligned, dim: -1).MoveToOuterDisposeScope();
    }
}
