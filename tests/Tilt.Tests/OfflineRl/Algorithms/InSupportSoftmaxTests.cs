using Tilt.OfflineRl.Algorithms;
using static TorchSharp.torch;

namespace Tilt.Tests.OfflineRl.Algorithms;

public class InSupportSoftmaxTests
{
    [Fact]
    public void The_value_runs_from_the_mean_to_the_best_support_action()
    {
        using var scope = NewDisposeScope();
        var q = tensor(
            new[,]
            {
                { 1.0, 3, -2 },
                { 0, 0, 5 },
            }
        );
        Assert.True(InSupportSoftmax.Value(q, 0).allclose(q.mean([1])));
        Assert.True(InSupportSoftmax.Value(q, 1e3).allclose(q.amax([1])));
        var between = InSupportSoftmax.Value(q, 0.5);
        Assert.True((between > q.mean([1])).all().item<bool>() && (between < q.amax([1])).all().item<bool>());
    }

    [Fact]
    public void Termination_stops_the_bootstrap_and_no_gradient_flows()
    {
        using var scope = NewDisposeScope();
        var next = tensor(new[] { 10.0, 10 }).requires_grad_();
        var target = InSupportSoftmax.Target(tensor(new[] { 1.0, 1 }), tensor(new[] { 0.0, 1 }), next, 0.9);
        Assert.Equal([10.0, 1.0], target.data<double>().ToArray());
        Assert.False(target.requires_grad);
        Assert.Throws<ArgumentException>(() => InSupportSoftmax.Target(ones(2, 1), ones(2), ones(2), 0.9));
    }
}
