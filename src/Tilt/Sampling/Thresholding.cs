namespace Tilt.Sampling;

/// <summary>How the estimate x̂₀ is kept in the range of the data.</summary>
public enum ThresholdingKind
{
    /// <summary>Clip to [−limit, limit].</summary>
    Static,

    /// <summary>Per sample, S = max(quantile of |x̂₀|, limit): clip to [−S, S], then divide by S.</summary>
    Dynamic,

    /// <summary>As an older version and the CEP authors' copy: S = max(quantile, 1); clip to [−S, S], then multiply by limit/S.</summary>
    DynamicCepCopy,
}

/// <summary>Keeps x̂₀ in the range of the data while sampling. Only for data that are bounded, such as pixels.</summary>
/// <param name="Kind">The rule.</param>
/// <param name="Limit">The largest |x₀| of the data.</param>
/// <param name="Quantile">The share of a sample's entries that is left unclipped by the dynamic rules; 0.995 (upstream).</param>
/// <remarks>dpm-solver.md §3; §11 for the older form.</remarks>
public sealed record Thresholding(ThresholdingKind Kind, double Limit = 1, double Quantile = 0.995)
{
    /// <summary>Throws unless the numbers make sense.</summary>
    /// <exception cref="TiltException">Limit or quantile is out of range.</exception>
    public void Validate()
    {
        if (!double.IsFinite(Limit) || Limit <= 0)
        {
            throw TiltException.Usage(
                $"Option thresholding: limit is {Limit}; expected a finite number above 0, the largest |x0| of the data."
            );
        }
        if (!(Quantile > 0) || !(Quantile <= 1))
        {
            throw TiltException.Usage(
                $"Option thresholding: quantile is {Quantile}; expected a number in (0, 1], such as 0.995."
            );
        }
    }

    /// <summary>x̂₀ after the rule.</summary>
    /// <param name="clean">x̂₀, [B, …]. Left as it is.</param>
    /// <returns>The shape of <paramref name="clean"/>.</returns>
    public Tensor Apply(Tensor clean)
    {
        using var scope = NewDisposeScope();
        if (Kind == ThresholdingKind.Static)
        {
            return clean.clamp(-Limit, Limit).MoveToOuterDisposeScope();
        }

        var flat = clean.reshape(clean.shape[0], -1);
        var share = tensor(Quantile, dtype: clean.dtype, device: clean.device);
        var reach = quantile(flat.abs(), share, dim: 1, keepdim: true);
        var scale = reach.clamp_min(Kind == ThresholdingKind.Dynamic ? Limit : 1);
        var clipped = minimum(maximum(flat, -scale), scale) / scale;
        if (Kind == ThresholdingKind.DynamicCepCopy)
        {
            clipped = clipped * Limit;
        }
        return clipped.reshape(clean.shape).MoveToOuterDisposeScope();
    }
}
