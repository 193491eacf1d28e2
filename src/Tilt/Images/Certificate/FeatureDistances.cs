using Tilt.Metrics;

namespace Tilt.Images.Certificate;

/// <summary>Distances of two sets of feature vectors, as the field compares pictures. Comparable only where the features are the same.</summary>
public static class FeatureDistances
{
    /// <summary>The Fréchet distance of the Gaussians that have the sets' means and covariances.</summary>
    /// <param name="samples">[N, D], N &gt; 1.</param>
    /// <param name="truth">[M, D], M &gt; 1.</param>
    /// <returns>‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½), in squared units of the features (Heusel et al. 2017).</returns>
    /// <remarks>The number falls with N even for true samples; compare at equal N, beside its floor.</remarks>
    public static double Frechet(Tensor samples, Tensor truth)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var (mean, covariance) = Moments(samples, "samples");
        var (otherMean, otherCovariance) = Moments(truth, "true samples");
        Expect.SameShape(mean, otherMean);
        // tr (Σ₁Σ₂)^½ through the symmetric Σ₁^½·Σ₂·Σ₁^½, which has the same eigenvalues and stays real.
        var (values, vectors) = linalg.eigh(covariance);
        var root = vectors.mul(values.clamp_min(0).sqrt().unsqueeze(0)).matmul(vectors.t());
        var cross = linalg.eigvalsh(root.matmul(otherCovariance).matmul(root)).clamp_min(0).sqrt().sum();
        var distance = (mean - otherMean).square().sum() + covariance.trace() + otherCovariance.trace() - 2 * cross;
        return Math.Max(0, distance.item<double>());
    }

    /// <summary>Maximum mean discrepancy under the kernel (x·y/D + 1)³ of the kernel inception distance (Bińkowski et al. 2018).</summary>
    /// <param name="samples">[N, D].</param>
    /// <param name="truth">[M, D].</param>
    /// <returns>MMD, the root of the statistic over all pairs, a vector with itself included; never negative.</returns>
    /// <remarks>
    /// Departure: KID is the unbiased square, which is about 0 for true samples, with either sign. The root of the biased one has a floor
    /// to divide by, as the other metrics of Tilt have.
    /// </remarks>
    public static double PolynomialMmd(Tensor samples, Tensor truth)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var x = Checked(samples, "samples");
        var y = Checked(truth, "true samples");
        double Mean(Tensor a, Tensor b) => (a.matmul(b.t()) / a.shape[1] + 1).pow(3).mean().item<double>();
        return Math.Sqrt(Math.Max(0, Mean(x, x) - 2 * Mean(x, y) + Mean(y, y)));
    }

    /// <summary>Features of pictures, [N, D], float32.</summary>
    /// <param name="pictures">The pictures.</param>
    /// <param name="features">[B, 3, H, W] in [−1, 1] → [B, D].</param>
    public static Tensor Of(PictureSet pictures, Func<Tensor, Tensor> features)
    {
        using var scope = NewDisposeScope();
        var blocks = new List<Tensor>();
        PictureBlocks.Over(
            pictures,
            (_, images) =>
            {
                var found = features(images);
                Expect.Shape(found, images.shape[0], -1);
                blocks.Add(found.to(ScalarType.Float32).cpu().MoveToOtherDisposeScope(scope));
            }
        );
        return cat(blocks, 0).MoveToOuterDisposeScope();
    }

    private static (Tensor Mean, Tensor Covariance) Moments(Tensor points, string what)
    {
        var x = Checked(points, what);
        if (x.shape[0] < 2)
        {
            throw new TiltException($"a covariance needs two pictures or more; {what} are {x.shape[0]}.");
        }
        var mean = x.mean([0]);
        var centred = x - mean;
        return (mean, centred.t().matmul(centred) / (x.shape[0] - 1));
    }

    private static Tensor Checked(Tensor points, string what)
    {
        Expect.Shape(points, -1, -1);
        var whole = points.detach().to(ScalarType.Float64).cpu();
        return whole.shape[0] > 0 && whole.isfinite().all().item<bool>()
            ? whole
            : throw new TiltException($"features of {what} are missing or not finite, so no distance can be computed.");
    }
}
