namespace Tilt.Toys;

/// <summary>Rejection sampling in whole vectors.</summary>
internal static class Rejection
{
    /// <summary>The first n accepted of as many proposals as it takes, [n].</summary>
    /// <param name="n">How many.</param>
    /// <param name="rate">A lower bound of the share that is accepted; it sets the size of the rounds, not the law.</param>
    /// <param name="propose">Makes proposals and says which are accepted.</param>
    public static Tensor Draw(long n, double rate, Func<long, (Tensor Values, Tensor Accepted)> propose)
    {
        using var scope = NewDisposeScope();
        var parts = new List<Tensor>();
        for (long have = 0; have < n; )
        {
            var (values, accepted) = propose((long)((n - have) / rate * 1.05) + 64);
            var kept = values.masked_select(accepted);
            parts.Add(kept);
            have += kept.shape[0];
        }
        return n == 0
            ? empty(0, ScalarType.Float64).MoveToOuterDisposeScope()
            : cat(parts, 0).narrow(0, 0, n).clone().MoveToOuterDisposeScope();
    }
}
