using Tilt.Diffusion;

namespace Tilt.Sampling;

/// <summary>What every solver does alike.</summary>
internal static class SolverTools
{
    /// <summary>x̂₀ = (x_t − σ_t·ε)/α_t, kept in range where a rule is given.</summary>
    public static Tensor Clean(Tensor x, Tensor epsilon, NoiseLevel level, Thresholding? thresholding)
    {
        using var scope = NewDisposeScope();
        var clean = (x - level.Sigma * epsilon) / level.Alpha;
        return (thresholding?.Apply(clean) ?? clean).MoveToOuterDisposeScope();
    }

    /// <summary>The model's value m, in the form that the solver expands: ε or x̂₀. One network evaluation.</summary>
    public static Tensor Evaluate(
        NoisePredictor noise,
        Tensor x,
        NoiseLevel level,
        Prediction prediction,
        Thresholding? thresholding
    )
    {
        using var scope = NewDisposeScope();
        var epsilon = noise(x, level);
        var value = prediction == Prediction.Noise ? epsilon.alias() : Clean(x, epsilon, level, thresholding);
        return value.MoveToOuterDisposeScope();
    }

    /// <summary>Standard normal noise like x, drawn on the CPU so that a seed means the same on every device.</summary>
    public static Tensor FreshNoise(Tensor x, Generator? generator)
    {
        ArgumentNullException.ThrowIfNull(generator);
        return Sampler.Normal(x.shape, x.dtype, x.device, generator);
    }

    /// <summary>Ends a step: lets the hook see x, puts the result in the caller's outer scope, and frees the state before.</summary>
    public static Tensor Advance(Tensor before, Tensor after, StateHook? hook, int step, NoiseLevel level)
    {
        var kept = (hook?.Invoke(step, level, after) ?? after).alias().MoveToOuterDisposeScope();
        before.Dispose();
        return kept;
    }

    /// <summary>Begins a run: an alias of the samples, after the hook has seen them.</summary>
    public static Tensor Begin(Tensor x, StateHook? hook, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        return (hook?.Invoke(0, level, x) ?? x).alias().MoveToOuterDisposeScope();
    }
}
