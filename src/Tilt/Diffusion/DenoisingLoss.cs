namespace Tilt.Diffusion;

/// <summary>The denoising score-matching loss: how far a model is from telling which noise was added.</summary>
/// <remarks>
/// mean over the batch of the sum over dimensions of (output − target)², where the target is what a perfect network would give
/// out for the known noise: −ε for <see cref="Parametrization.Score"/>, ε, x₀ or α_t·ε − σ_t·x₀. For the first two it is
/// ‖ε̂ − ε‖², the paper's loss ‖h + ε‖² (cep.md §9); the others weigh times differently and have the same minimizer.
/// </remarks>
public static class DenoisingLoss
{
    /// <summary>The loss with t uniform on [first time, T) and standard normal noise, both drawn.</summary>
    /// <param name="model">The model to train.</param>
    /// <param name="x0">Clean samples, [B, D].</param>
    /// <param name="condition">Conditions, [B, C]; null for none.</param>
    /// <param name="generator">Where the draws come from: times first, then noise.</param>
    /// <returns>A scalar.</returns>
    public static Tensor Draw(NoiseModel model, Tensor x0, Tensor? condition, Generator generator)
    {
        using var scope = NewDisposeScope();

        var time = ForwardProcess.DrawTimes(x0.shape[0], model.FirstTime, model.Schedule.End, generator);
        var noise = ForwardProcess.DrawNoise(x0, generator);
        return Loss(model, x0, time, noise, condition).MoveToOuterDisposeScope();
    }

    /// <summary>The loss for given times and noise.</summary>
    /// <param name="model">The model to train.</param>
    /// <param name="x0">Clean samples, [B, D].</param>
    /// <param name="time">t of each, [B]; best in float64.</param>
    /// <param name="noise">ε of each, [B, D].</param>
    /// <param name="condition">Conditions, [B, C]; null for none.</param>
    /// <param name="weight">How much each level counts, [B] of positive numbers; null for all alike. Moves no minimizer.</param>
    /// <returns>A scalar.</returns>
    public static Tensor Loss(
        NoiseModel model,
        Tensor x0,
        Tensor time,
        Tensor noise,
        Tensor? condition = null,
        Func<RowLevels, Tensor>? weight = null
    )
    {
        Expect.SameShape(x0, noise);
        Expect.Shape(time, x0.shape[0]);
        using var scope = NewDisposeScope();

        var levels = ForwardProcess.Levels(model.Schedule, time, x0);
        var xt = ForwardProcess.Noised(levels, x0, noise);
        return Loss(model, levels, xt, x0, noise, condition, weight).MoveToOuterDisposeScope();
    }

    /// <summary>The loss with targets averaged over what could be behind x_t: the same minimizer, less scatter.</summary>
    /// <param name="model">The model to train.</param>
    /// <param name="x0">Clean samples, [B, D].</param>
    /// <param name="time">t of each, [B]; best in float64.</param>
    /// <param name="noise">ε of each, [B, D].</param>
    /// <param name="references">Further clean samples, independent of these, [R, D]. See <see cref="PosteriorAverage"/>.</param>
    /// <returns>A scalar. Lower than <see cref="Loss(NoiseModel, Tensor, Tensor, Tensor, Tensor?, Func{RowLevels, Tensor})"/> by the scatter that was averaged away.</returns>
    public static Tensor AveragedLoss(NoiseModel model, Tensor x0, Tensor time, Tensor noise, Tensor references)
    {
        Expect.SameShape(x0, noise);
        Expect.Shape(time, x0.shape[0]);
        using var scope = NewDisposeScope();

        var levels = ForwardProcess.Levels(model.Schedule, time, x0);
        var xt = ForwardProcess.Noised(levels, x0, noise);
        var clean = PosteriorAverage.Of(levels, xt, noise, references).Vectors(x0, references);
        // x̂₀ and ε̂ belong together: x_t = α_t·x̂₀ + σ_t·ε̂. Written from ε, so that small σ_t does not amplify rounding.
        var epsilon = noise + levels.Alpha.unsqueeze(1) / levels.Sigma.unsqueeze(1) * (x0 - clean);
        return Loss(model, levels, xt, clean, epsilon, null).MoveToOuterDisposeScope();
    }

    private static Tensor Loss(
        NoiseModel model,
        RowLevels levels,
        Tensor xt,
        Tensor x0,
        Tensor noise,
        Tensor? condition,
        Func<RowLevels, Tensor>? weight = null
    )
    {
        using var scope = NewDisposeScope();

        var output = model.Network.call(xt, levels.NetworkTime, condition);
        var target = model.Parametrization switch
        {
            Parametrization.Score => -noise,
            Parametrization.Noise => noise,
            Parametrization.Clean => x0,
            _ => ForwardProcess.Column(levels.Alpha, x0) * noise - ForwardProcess.Column(levels.Sigma, x0) * x0,
        };
        var errors = (output - target).square().flatten(1).sum(-1);
        return (weight is null ? errors : errors * weight(levels)).mean().MoveToOuterDisposeScope();
    }
}
