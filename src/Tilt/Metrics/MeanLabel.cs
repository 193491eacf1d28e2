namespace Tilt.Metrics;

/// <summary>Mean effective label of samples: how far the tilting has come along its own scale.</summary>
public static class MeanLabel
{
    /// <summary>The mean of e over the points.</summary>
    /// <param name="samples">[N, D].</param>
    /// <param name="labelsOf">The effective label e of each point, [N].</param>
    public static double Of(Tensor samples, Func<Tensor, Tensor> labelsOf)
    {
        using var scope = NewDisposeScope();
        using var inference = no_grad();
        return labelsOf(Samples.Checked(samples, "samples")).to(ScalarType.Float64).mean().item<double>();
    }

    /// <summary>|mean label of the samples − exact mean| as a metric of samples; the true samples are not looked at.</summary>
    /// <param name="labelsOf">The effective label e of each point, [N].</param>
    /// <param name="exact">The exact mean under the target.</param>
    public static SampleMetric Against(Func<Tensor, Tensor> labelsOf, double exact) =>
        (samples, _) => Math.Abs(Of(samples, labelsOf) - exact);
}
