using Tilt.Networks;

namespace Tilt.Diffusion;

/// <summary>A network together with what its output means: predicts the noise in x_t and refuses samplers it does not fit.</summary>
/// <remarks>
/// ε = −h, ε = out, ε = (x_t − α_t·x₀)/σ_t or ε = σ_t·x_t + α_t·v by <see cref="Tilt.Model.Parametrization"/>; the score is −ε/σ_t.
/// The model does not own the network.
/// </remarks>
public sealed class NoiseModel
{
    // An inverse of λ may land a few ulps before the first time; a sampler for another range is much further off.
    private const double TimeSlack = 1e-6;
    private const double SameLogAlpha = 1e-9;

    /// <summary>A model of the given make.</summary>
    /// <param name="network">Gives [B, D]. Kept, not copied; the caller disposes it.</param>
    /// <param name="schedule">What noises the data.</param>
    /// <param name="parametrization">How noise is read from the network's output.</param>
    /// <param name="firstTime">The earliest t that the model is trained at; 1e-3 in the paper's code (cep.md §9).</param>
    public NoiseModel(
        Network network,
        NoiseSchedule schedule,
        Parametrization parametrization = Parametrization.Score,
        double firstTime = 1e-3
    )
    {
        if (!(firstTime >= 0 && firstTime < schedule.End))
        {
            throw TiltException.Usage(
                $"the first time {firstTime} is not in [0, {schedule.End}), the range of schedule '{schedule.Name}'."
            );
        }
        (Network, Schedule, Parametrization, FirstTime) = (network, schedule, parametrization, firstTime);
    }

    /// <summary>What computes.</summary>
    public Network Network { get; }

    /// <summary>What noises the data.</summary>
    public NoiseSchedule Schedule { get; }

    /// <summary>How noise is read from the network's output.</summary>
    public Parametrization Parametrization { get; }

    /// <summary>The earliest t that the model is trained at.</summary>
    public double FirstTime { get; }

    /// <summary>What has to be stored with the weights.</summary>
    public DiffusionRecord Record =>
        DiffusionRecord.Of(Schedule, Parametrization, FirstTime, Network.Dimensions, Network.ConditionDimensions);

    /// <summary>ε(x_t, t) of an unconditional model.</summary>
    public NoisePredictor Noise => Given(null);

    /// <summary>ε(·, t | s): the noise predictor for given conditions.</summary>
    /// <param name="condition">Observations s, one per row of the samples ([B, S]) or one for all ([1, S]). Kept alive by the caller.</param>
    public NoisePredictor Given(Tensor? condition) =>
        (xt, level) =>
        {
            RequireCompatible(level);
            using var scope = NewDisposeScope();

            var output = Network.At(xt, level, condition);
            var noise = Parametrization switch
            {
                Parametrization.Score => -output,
                Parametrization.Noise => output,
                Parametrization.Clean => (xt - level.Alpha * output) / level.Sigma,
                _ => level.Sigma * xt + level.Alpha * output,
            };
            return noise.MoveToOuterDisposeScope();
        };

    /// <summary>Throws when a sampler asks for a level that is not one of the model's own.</summary>
    /// <param name="level">The level that a sampler visits.</param>
    /// <exception cref="TiltException">Its α_t is another schedule's, or its t lies outside the trained range.</exception>
    public void RequireCompatible(NoiseLevel level)
    {
        if (!(level.Time >= FirstTime * (1 - TimeSlack) && level.Time <= Schedule.End * (1 + TimeSlack)))
        {
            throw new TiltException(
                $"the sampler asks for t = {level.Time:g9}, but the model is trained on [{FirstTime:g9}, {Schedule.End:g9}]. "
                    + $"Start the levels at {Schedule.End:g9} and end them at {FirstTime:g9} or before."
            );
        }
        var own = Schedule.LogAlpha(level.Time);
        if (!(Math.Abs(own - level.LogAlpha) <= SameLogAlpha * Math.Max(1, Math.Abs(own))))
        {
            throw new TiltException(
                $"the sampler's levels are of another schedule than the model's: at t = {level.Time:g9} it has "
                    + $"log alpha {level.LogAlpha:g9}, the model was trained with '{Schedule.Name}' where it is {own:g9}. "
                    + "Make the levels with the model's own schedule."
            );
        }
        if (level.NetworkTime != Schedule.NetworkTime(level.Time))
        {
            throw new TiltException(
                $"the sampler's levels tell the network {level.NetworkTime:g9} for t = {level.Time:g9}, the model was trained to "
                    + $"be told {Schedule.NetworkTime(level.Time):g9}. Make the levels with the model's own schedule."
            );
        }
    }
}
