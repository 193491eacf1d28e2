using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Training;

public class RunningLogNormalizerTests
{
    [Fact]
    public void The_estimate_nears_log_Z_and_comes_back_from_its_state()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(9);
        using var running = new RunningLogNormalizer(0.01);
        Assert.Throws<InvalidOperationException>(() => running.Value);
        for (var i = 0; i < 400; i++)
        {
            running.Update(randn(256, dtype: ScalarType.Float64, generator: generator));
        }
        // E[e^−E] = e^½ for E ~ N(0, 1); the average rests on about 200 batches of 256.
        Assert.Equal(0.5, running.Value, 0.03);

        using var resumed = new RunningLogNormalizer(0.01);
        foreach (var ((_, into), (_, from)) in resumed.NamedState().Zip(running.NamedState()))
        {
            into.copy_(from);
        }
        Assert.Equal(running.Value, resumed.Value);
        Assert.Throws<TiltException>(() => running.Update(tensor(new[] { double.NaN })));
    }
}
