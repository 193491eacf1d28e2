namespace Tilt.Images.Certificate;

/// <summary>How far samples are from the training pictures, beside how far true pictures are that no training saw.</summary>
/// <param name="Median">Median distance of the samples to their nearest training picture.</param>
/// <param name="Lowest">Distance that one sample in twenty falls short of.</param>
/// <param name="Copies">Share of samples that equal a training picture in every byte.</param>
/// <param name="HeldOutMedian">The same median of held-out true pictures.</param>
/// <param name="HeldOutLowest">The same low twentieth of held-out true pictures.</param>
/// <param name="HeldOutCopies">The same share of held-out true pictures.</param>
/// <remarks>
/// The distance is the root of the mean square difference over all bytes of a picture, in levels of 0 … 255. A model that has learned
/// its data by heart draws samples nearer to them than held-out pictures are.
/// </remarks>
public sealed record Novelty(
    double Median,
    double Lowest,
    double Copies,
    double HeldOutMedian,
    double HeldOutLowest,
    double HeldOutCopies
)
{
    /// <summary>Median of the samples over median of held-out pictures: about 1 for a model that makes new pictures, near 0 for one that recites.</summary>
    public double Ratio => Median / HeldOutMedian;

    /// <summary>Compares samples and held-out pictures with the training pictures.</summary>
    public static Novelty Of(PictureSet samples, PictureSet heldOut, PictureSet training)
    {
        var (median, lowest, copies) = Summary(Distances(samples, training));
        var (heldMedian, heldLowest, heldCopies) = Summary(Distances(heldOut, training));
        return new(median, lowest, copies, heldMedian, heldLowest, heldCopies);
    }

    /// <summary>The same where no true pictures are left over, as of a folder: training pictures stand in, each against all others.</summary>
    /// <param name="samples">The samples.</param>
    /// <param name="training">The training pictures, at least two.</param>
    public static Novelty LeavingOneOut(PictureSet samples, PictureSet training)
    {
        var (median, lowest, copies) = Summary(Distances(samples, training));
        // As many as there are samples are enough to compare with.
        var some = Math.Min(samples.Count, training.Count);
        var first = training.Pick([.. Enumerable.Range(0, (int)some).Select(i => (long)i)]);
        var (othersMedian, othersLowest, othersCopies) = Summary(Distances(first, training, leaveOut: true));
        return new(median, lowest, copies, othersMedian, othersLowest, othersCopies);
    }

    /// <summary>The distance of each picture to its nearest training picture, in levels of 0 … 255.</summary>
    /// <param name="pictures">N of them.</param>
    /// <param name="training">M of them, of the same size.</param>
    /// <param name="leaveOut">Whether picture i is training picture i, and is not compared with itself.</param>
    /// <remarks>
    /// Candidates are found with float32 matrix products, whose rounding is below a tenth of a level; the distance to the found
    /// one is then taken in whole numbers, so that a copy is at 0 exactly.
    /// </remarks>
    public static double[] Distances(PictureSet pictures, PictureSet training, bool leaveOut = false)
    {
        if (pictures.Stride != training.Stride || training.Count == 0)
        {
            throw new ArgumentException("Pictures can be compared with training pictures of their own size only.");
        }
        const long rows = 512;
        const long columns = 8192;
        var nearest = new long[pictures.Count];
        using var constant = no_grad();
        for (var first = 0L; first < pictures.Count; first += rows)
        {
            using var scope = NewDisposeScope();
            var a = Centred(pictures, first, rows);
            var best = full([a.shape[0]], float.PositiveInfinity);
            var found = zeros([a.shape[0]], ScalarType.Int64);
            for (var start = 0L; start < training.Count; start += columns)
            {
                using var turn = NewDisposeScope();
                var b = Centred(training, start, columns);
                // ‖a‖² is the same for all columns and is left out.
                var distances = b.square().sum(1).unsqueeze(0) - 2 * a.matmul(b.t());
                if (leaveOut)
                {
                    var (i, j) = (arange(a.shape[0]).unsqueeze(1) + first, arange(b.shape[0]).unsqueeze(0) + start);
                    distances = distances.masked_fill(i == j, float.PositiveInfinity);
                }
                var (values, places) = distances.min(1);
                var closer = values < best;
                found = where(closer, places + start, found).MoveToOuterDisposeScope();
                best = where(closer, values, best).MoveToOuterDisposeScope();
            }
            found.data<long>().ToArray().CopyTo(nearest, first);
        }
        return [.. nearest.Select((place, i) => Distance(pictures[i], training[place]))];
    }

    private static Tensor Centred(PictureSet pictures, long first, long most) =>
        (pictures.Bytes(first, Math.Min(most, pictures.Count - first)).to(ScalarType.Float32) - 128).flatten(1);

    private static double Distance(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        var sum = 0L;
        for (var i = 0; i < a.Length; i++)
        {
            var difference = a[i] - b[i];
            sum += difference * difference;
        }
        return Math.Sqrt((double)sum / a.Length);
    }

    private static (double Median, double Lowest, double Copies) Summary(double[] distances)
    {
        Array.Sort(distances);
        return (
            distances[distances.Length / 2],
            distances[distances.Length / 20],
            distances.Count(distance => distance == 0) / (double)distances.Length
        );
    }
}
