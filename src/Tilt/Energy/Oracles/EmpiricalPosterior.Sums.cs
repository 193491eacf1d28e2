namespace Tilt.Energy.Oracles;

public sealed partial class EmpiricalPosterior
{
    // 64 × 2048 numbers: a few of these stay in the second-level cache.
    private const long SampleBlock = 64;
    private const long PointBlock = 2048;

    // Up to so many dimensions differences are formed one by one; beyond, squares are expanded into a matrix product.
    private const int DirectDimensions = 8;

    /// <summary>Weighted sums over all points with weights exp(l_i + shift_i), or their squares, one answer per tilt.</summary>
    /// <param name="xt">[B, D].</param>
    /// <param name="level">Its level.</param>
    /// <param name="features">What to average, [N, F].</param>
    /// <param name="tilts">Shifts of the log weights.</param>
    /// <returns>The log of the weights' sum [B], without the factor 1/N, and the weighted mean of the features [B, F].</returns>
    private (Tensor LogSum, Tensor Mean)[] Sum(
        Tensor xt,
        NoiseLevel level,
        Tensor features,
        params ReadOnlySpan<Tilt> tilts
    )
    {
        Expect.Shape(xt, -1, Dimension);
        if (!(level.Sigma > 0))
        {
            throw new ArgumentException(
                $"The posterior of a data set needs noise; σ_t is {level.Sigma} at t = {level.Time}."
            );
        }
        var x = xt.detach().to(_points.dtype);
        var samples = x.shape[0];
        var logSums = new List<Tensor>[tilts.Length];
        var means = new List<Tensor>[tilts.Length];
        for (var k = 0; k < tilts.Length; k++)
        {
            (logSums[k], means[k]) = ([], []);
        }
        for (long from = 0; from < samples; from += SampleBlock)
        {
            using var block = NewDisposeScope();
            var rows = x.narrow(0, from, Math.Min(SampleBlock, samples - from));
            var state = new (Tensor Max, Tensor Sum, Tensor Mean)?[tilts.Length];
            for (long first = 0; first < Count; first += PointBlock)
            {
                using var chunk = NewDisposeScope();
                var width = Math.Min(PointBlock, Count - first);
                var logWeight = LogWeights(rows, level, first, width);
                var averaged = features.narrow(0, first, width);
                Tensor? max = null,
                    weight = null;
                for (var k = 0; k < tilts.Length; k++)
                {
                    if (tilts[k].Factor is { } factor)
                    {
                        weight = weight! * factor.narrow(0, first, width);
                    }
                    else
                    {
                        var log = tilts[k].Shift is { } shift ? logWeight + shift.narrow(0, first, width) : logWeight;
                        log = tilts[k].Squared ? 2 * log : log;
                        max = log.amax([1]);
                        max = state[k] is { } seen ? maximum(max, seen.Max) : max;
                        weight = (log - max.unsqueeze(1)).exp_();
                    }
                    var (sum, mean) = (weight.sum(1), weight.matmul(averaged));
                    if (state[k] is { } old)
                    {
                        var shrink = (old.Max - max!).exp();
                        sum += old.Sum * shrink;
                        mean += old.Mean * shrink.unsqueeze(1);
                        old.Max.Dispose();
                        old.Sum.Dispose();
                        old.Mean.Dispose();
                    }
                    state[k] = (
                        max!.alias().MoveToOuterDisposeScope(),
                        sum.MoveToOuterDisposeScope(),
                        mean.MoveToOuterDisposeScope()
                    );
                }
            }
            for (var k = 0; k < tilts.Length; k++)
            {
                var (max, sum, mean) = state[k]!.Value;
                logSums[k].Add((max + sum.log() + tilts[k].LogFactor).MoveToOuterDisposeScope());
                means[k].Add((mean / sum.unsqueeze(1)).MoveToOuterDisposeScope());
            }
        }
        var answers = new (Tensor, Tensor)[tilts.Length];
        for (var k = 0; k < tilts.Length; k++)
        {
            answers[k] =
                samples == 0
                    ? (x.new_empty(0), x.new_empty(0, features.shape[1]))
                    : (cat(logSums[k], 0), cat(means[k], 0));
        }
        return answers;
    }

    /// <summary>Cov(x₀, x₀·g | x_t) of each sample with a g of its own, [B, D].</summary>
    private Tensor Covariance(Tensor xt, NoiseLevel level, Tensor slope, Tensor mean)
    {
        var x = xt.detach().to(_points.dtype);
        var logSum = Sum(xt, level, _points.narrow(1, 0, 1), new Tilt())[0].LogSum;
        var parts = new List<Tensor> { x.new_empty(0, Dimension) };
        for (long from = 0; from < x.shape[0]; from += SampleBlock)
        {
            using var block = NewDisposeScope();
            var length = Math.Min(SampleBlock, x.shape[0] - from);
            var (rows, g, centre) = (
                x.narrow(0, from, length),
                slope.narrow(0, from, length),
                mean.narrow(0, from, length)
            );
            var logs = logSum.narrow(0, from, length).unsqueeze(1);
            var level0 = (g * centre).sum(-1, keepdim: true);
            var total = zeros_like(rows);
            for (long first = 0; first < Count; first += PointBlock)
            {
                using var chunk = NewDisposeScope();
                var width = Math.Min(PointBlock, Count - first);
                var weight = (LogWeights(rows, level, first, width) - logs).exp_();
                var along = g.matmul(_columns.narrow(1, first, width)) - level0;
                // Centred in one factor only: the weights sum to 1, so that is enough.
                total.add_(weight.mul_(along).matmul(_points.narrow(0, first, width)));
            }
            parts.Add(total.MoveToOuterDisposeScope());
        }
        return cat(parts, 0);
    }

    /// <summary>−‖x − α·x_i‖²/(2σ²), [b, width].</summary>
    /// <remarks>From the differences themselves where they are few: expanding the square cancels digits at small σ.</remarks>
    private Tensor LogWeights(Tensor rows, NoiseLevel level, long first, long width)
    {
        using var scope = NewDisposeScope();
        var unit = -0.5 / (level.Sigma * level.Sigma);
        if (Dimension > DirectDimensions)
        {
            var own = rows.square().sum(-1, keepdim: true) * unit;
            var theirs = _squares.narrow(0, first, width) * (unit * level.Alpha * level.Alpha);
            var product = (rows * (-2 * unit * level.Alpha)).matmul(_columns.narrow(1, first, width));
            return product.add_(theirs).add_(own).MoveToOuterDisposeScope();
        }
        Tensor? squared = null;
        for (var d = 0; d < Dimension; d++)
        {
            var offset = rows.narrow(1, d, 1) - _columns[d].narrow(0, first, width) * level.Alpha;
            squared = squared is null ? offset.mul_(offset) : squared.addcmul_(offset, offset, 1);
        }
        return squared!.mul_(unit).MoveToOuterDisposeScope();
    }

    /// <summary>How the weights exp(l_i) are changed: by a shift of their logs, or by a factor on top of the first sum's weights.</summary>
    /// <param name="Shift">Added to l, [N].</param>
    /// <param name="Squared">Whether the weights are then squared.</param>
    /// <param name="Factor">Multiplies the weights of the first sum, [N].</param>
    /// <param name="LogFactor">The log of what all factors were divided by.</param>
    private readonly record struct Tilt(
        Tensor? Shift = null,
        bool Squared = false,
        Tensor? Factor = null,
        double LogFactor = 0
    );
}
