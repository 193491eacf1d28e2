namespace Tilt.Training;

/// <summary>The learning rate of each gradient step.</summary>
/// <param name="step">How many steps were taken before: 0 at the first.</param>
/// <returns>The rate, not negative.</returns>
public delegate double LearningRate(long step);

/// <summary>Learning rates as functions of the step.</summary>
public static class LearningRates
{
    /// <summary>The same rate at every step (cep.md §12: all of the paper's).</summary>
    /// <param name="rate">The rate.</param>
    public static LearningRate Constant(double rate) => _ => rate;

    /// <summary>Rises linearly over the warm-up, then falls along half a cosine to the last rate.</summary>
    /// <param name="rate">The highest rate.</param>
    /// <param name="steps">Steps in all; later ones keep the last rate.</param>
    /// <param name="warmUp">Steps of the rise.</param>
    /// <param name="last">The rate at the end, as a share of the highest.</param>
    public static LearningRate Cosine(double rate, long steps, long warmUp = 0, double last = 0) =>
        WarmedUp(rate, steps, warmUp, progress => last + (1 - last) * (1 + Math.Cos(Math.PI * progress)) / 2);

    /// <summary>Rises linearly over the warm-up, then falls linearly to the last rate.</summary>
    /// <param name="rate">The highest rate.</param>
    /// <param name="steps">Steps in all; later ones keep the last rate.</param>
    /// <param name="warmUp">Steps of the rise.</param>
    /// <param name="last">The rate at the end, as a share of the highest.</param>
    public static LearningRate Linear(double rate, long steps, long warmUp = 0, double last = 0) =>
        WarmedUp(rate, steps, warmUp, progress => 1 - (1 - last) * progress);

    private static LearningRate WarmedUp(double rate, long steps, long warmUp, Func<double, double> shape)
    {
        if (warmUp < 0 || steps <= warmUp)
        {
            throw TiltException.Usage(
                $"a learning rate over {steps} steps cannot warm up over {warmUp}: the warm-up has to be shorter than the whole."
            );
        }
        return step =>
            step < warmUp
                ? rate * (step + 1) / (warmUp + 1)
                : rate * shape(Math.Min(1, (double)(step - warmUp) / (steps - warmUp)));
    }
}
