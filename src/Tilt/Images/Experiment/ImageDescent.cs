using Tilt.Networks;
using Tilt.Training;

namespace Tilt.Images;

/// <summary>Gradient descent of one image network: Adam, its rates, averaged weights.</summary>
internal sealed class ImageDescent : IDisposable
{
    private readonly Adam _adam;
    private readonly LearningRate _rates;
    private readonly ExponentialMovingAverage? _average;

    public ImageDescent(Network network, ImageTraining options, ExponentialMovingAverage? average, TrainingState state)
    {
        _adam = new(network.NamedParameters(), new AdamOptions { LearningRate = options.LearningRate });
        state.AddOptimizer("adam", _adam);
        _average = average;
        _rates = options.LearningRateDecay
            ? LearningRates.Cosine(options.LearningRate, options.Steps, ImageTraining.WarmUpSteps)
            : LearningRates.Constant(options.LearningRate);
    }

    public void Step(StepContext step, Tensor loss)
    {
        _adam.LearningRate = _rates(step.Step);
        _adam.ZeroGradients();
        loss.backward();
        _adam.Step();
        _average?.Update();
        step.Record("loss", loss.detach());
    }

    public void Dispose() => _adam.Dispose();

    /// <summary>Times of a batch, one in each of B equal parts of the schedule, in random order; [B] float64 on the CPU.</summary>
    /// <remarks>On a discrete schedule they are those of its indices, 1/N to 1 (images.md §1: n uniform).</remarks>
    public static Tensor Times(NoiseSchedule schedule, long batch, Generator generator)
    {
        using var scope = NewDisposeScope();
        var part = randperm(batch, dtype: ScalarType.Float64, generator: generator);
        var u = (part + rand(batch, dtype: ScalarType.Float64, generator: generator)) / batch;
        var time = schedule is DiscreteSchedule discrete
            ? ((u * discrete.Count).floor() + 1) / discrete.Count
            : u * (schedule.End - schedule.SamplingEnd) + schedule.SamplingEnd;
        return time.MoveToOuterDisposeScope();
    }
}
