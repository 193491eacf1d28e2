namespace Tilt.Diffusion;

/// <summary>How likely each of some clean samples is to be the one behind x_t: averages over it replace noisy training targets.</summary>
/// <remarks>
/// A target g(x₀) of one noised sample scatters about what a network can learn, E[g(x₀) | x_t]. Take further clean samples
/// y₁..y_R, drawn independently of everything else. Seen from x_t, any of x₀, y₁..y_R could be its source, with
/// probabilities r_j ∝ N(x_t; α_t·y_j, σ_t²·I), so Σ_j r_j·g(y_j) (x₀ among the y_j) is the conditional mean of the target given x_t and
/// the set. By the tower rule its mean given x_t is E[g(x₀) | x_t] again: nothing is biased, for any R, and the scatter shrinks up to
/// R-fold where the posterior is broad. Where x_t gives its source away, r is 1 on x₀ and all is as before.
/// The references must not be samples whose own x_t enters the same contrastive loss: that loss asks for the mean given all x_t of a set.
/// Departure: the paper trains on single targets. Xu et al. 2023 ("Stable target field for reduced variance score estimation in
/// diffusion models") average the score's target this way.
/// </remarks>
/// <param name="Own">r of x₀, [B, 1].</param>
/// <param name="Others">r of the references, [B, R].</param>
public readonly record struct PosteriorAverage(Tensor Own, Tensor Others)
{
    /// <summary>The probabilities for noised samples.</summary>
    /// <param name="levels">Their levels.</param>
    /// <param name="xt">x_t, [B, D].</param>
    /// <param name="noise">The ε that was added, [B, D].</param>
    /// <param name="references">Independent clean samples, [R, D].</param>
    public static PosteriorAverage Of(RowLevels levels, Tensor xt, Tensor noise, Tensor references)
    {
        Expect.SameShape(xt, noise);
        Expect.Shape(references, -1, xt.shape[1]);
        using var scope = NewDisposeScope();
        using var constant = no_grad();

        // In units of √2·σ_t the exponent is minus a squared distance. No pair's exceeds 0, and the source's own is a few nats
        // below it at most, so neither sums nor quotients leave the range of float32.
        var unit = levels.Sigma.unsqueeze(1) * Math.Sqrt(2);
        var (place, alpha) = (xt / unit, levels.Alpha.unsqueeze(1) / unit);
        var others = zeros([xt.shape[0], references.shape[0]], dtype: xt.dtype, device: xt.device);
        for (long d = 0; d < xt.shape[1]; d++)
        {
            // Differences first, then squares: expanding the square would lose every digit that matters at small σ_t.
            using var turn = NewDisposeScope();
            var apart = place.narrow(1, d, 1).addcmul(alpha, references.select(1, d).unsqueeze(0), -1);
            others.addcmul_(apart, apart, -1);
        }
        others.exp_();
        var own = (-0.5 * noise.square().sum(1, keepdim: true)).exp();
        var total = own + others.sum(1, keepdim: true);
        return new((own / total).MoveToOuterDisposeScope(), others.div_(total).MoveToOuterDisposeScope());
    }

    /// <summary>The conditional mean of a vector target.</summary>
    /// <param name="own">g(x₀), [B, D].</param>
    /// <param name="others">g of the references, [R, D].</param>
    /// <returns>[B, D].</returns>
    public Tensor Vectors(Tensor own, Tensor others)
    {
        using var scope = NewDisposeScope();

        return (Own * own + Others.mm(others)).MoveToOuterDisposeScope();
    }

    /// <summary>The conditional mean of a number, the same function of the reference for every row.</summary>
    /// <param name="own">g(x₀), [B].</param>
    /// <param name="others">g of the references, [R].</param>
    /// <returns>[B].</returns>
    public Tensor Numbers(Tensor own, Tensor others)
    {
        using var scope = NewDisposeScope();

        return (Own.squeeze(1) * own + Others.mv(others)).MoveToOuterDisposeScope();
    }

    /// <summary>The conditional mean of a number that is another function in each set of rows, such as exp(−β·E) with a β for each.</summary>
    /// <param name="own">g of each row's x₀, [B].</param>
    /// <param name="others">g of the references in each of S sets of B/S successive rows, [S, R].</param>
    /// <returns>[B].</returns>
    public Tensor SetNumbers(Tensor own, Tensor others)
    {
        using var scope = NewDisposeScope();

        var bySet = Others.reshape(others.shape[0], -1, others.shape[1]);
        return (Own.squeeze(1) * own + bySet.bmm(others.unsqueeze(2)).reshape(-1)).MoveToOuterDisposeScope();
    }
}
