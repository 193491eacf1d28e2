using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Networks;

/// <summary>A network without weights that computes a given function: a perfect model for tests.</summary>
internal sealed class FunctionNetwork(
    long dimensions,
    long conditionDimensions,
    Func<Tensor, Tensor, Tensor?, Tensor> function
) : Network(nameof(FunctionNetwork))
{
    public override long Dimensions => dimensions;

    public override long ConditionDimensions => conditionDimensions;

    public override Tensor forward(Tensor x, Tensor time, Tensor? condition) => function(x, time, condition);
}
