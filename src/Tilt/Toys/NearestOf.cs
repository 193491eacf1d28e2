namespace Tilt.Toys;

/// <summary>Nearest neighbours in a table of places, without the whole matrix of distances in memory.</summary>
internal static class NearestOf
{
    /// <summary>The row of the table nearest to each point, [N] of int64.</summary>
    /// <param name="points">[N, 2], float64.</param>
    /// <param name="table">[K, 2], float64.</param>
    public static Tensor Rows(Tensor points, Tensor table)
    {
        using var scope = NewDisposeScope();
        var rows = Math.Max(1, (1 << 21) / table.shape[0]);
        var nearest = empty(points.shape[0], ScalarType.Int64);
        var (twice, squares) = (2 * table.t(), (table * table).sum(1));
        for (long start = 0; start < points.shape[0]; start += rows)
        {
            using var turn = NewDisposeScope();
            var count = Math.Min(rows, points.shape[0] - start);
            // ‖x − c‖² without ‖x‖², which is the same for every place.
            var distance = squares - points.narrow(0, start, count).mm(twice);
            nearest.narrow(0, start, count).copy_(distance.argmin(1));
        }
        return nearest.MoveToOuterDisposeScope();
    }
}
