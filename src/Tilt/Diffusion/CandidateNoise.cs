using Tilt.Networks;

namespace Tilt.Diffusion;

/// <summary>Predicts the noise of many candidate actions per state, as fast as the processor allows: for support actions.</summary>
/// <remarks>
/// In bf16 a <see cref="ResidualScoreNetwork"/> is evaluated by <see cref="CandidateScores"/>; everything else, and every other precision, is the
/// model itself with each state repeated. docs/inference.md shows what bf16 does to the samples.
/// </remarks>
public sealed class CandidateNoise : IDisposable
{
    private readonly NoiseModel _model;
    private readonly CandidateScores? _scores;
    private readonly int _candidates;

    /// <summary>Prepares a model whose weights stay as they are.</summary>
    /// <param name="model">A float32 model. Kept, not owned.</param>
    /// <param name="candidates">M, candidates of each state.</param>
    /// <param name="precision">Of the products of hidden layers; Auto is bf16 where the processor multiplies it natively.</param>
    public CandidateNoise(NoiseModel model, int candidates, Precision precision = Precision.Auto)
    {
        if (candidates < 1)
        {
            throw TiltException.Usage($"candidates is {candidates}; expected 1 or more.");
        }
        (_model, _candidates) = (model, candidates);
        if (precision.Resolve() == Precision.BFloat16 && model.Network is ResidualScoreNetwork network)
        {
            _scores = new(network);
        }
    }

    /// <summary>ε(·, t | s) of samples [B·M, A], the M candidates of a state side by side.</summary>
    /// <param name="states">s, [B, S]. Kept alive by the caller.</param>
    public NoisePredictor Given(Tensor states)
    {
        if (_scores is null)
        {
            return (xt, level) =>
            {
                using var scope = NewDisposeScope();
                return _model.Given(states.repeat_interleave(_candidates, 0))(xt, level).MoveToOuterDisposeScope();
            };
        }
        return (xt, level) =>
        {
            _model.RequireCompatible(level);
            using var scope = NewDisposeScope();
            var output = _scores.Evaluate(xt, full([1], level.NetworkTime), states);
            var noise = _model.Parametrization switch
            {
                Parametrization.Score => -output,
                Parametrization.Noise => output,
                Parametrization.Clean => (xt - level.Alpha * output) / level.Sigma,
                _ => level.Sigma * xt + level.Alpha * output,
            };
            return noise.MoveToOuterDisposeScope();
        };
    }

    /// <inheritdoc/>
    public void Dispose() => _scores?.Dispose();
}
