using Tilt.Energy;
using Tilt.Tests.Golden;
using static TorchSharp.torch;

namespace Tilt.Tests.Energy;

/// <summary>The optima of the two regressions on a law small enough to sum over: three kinds of x_t, four energies.</summary>
public class EnergyRegressionTests
{
    // P(kind, energy), [3, 4], and β·E of the four.
    private static readonly double[,] Chances =
    {
        { 0.10, 0.05, 0.05, 0.10 },
        { 0.02, 0.20, 0.08, 0.05 },
        { 0.15, 0.05, 0.05, 0.10 },
    };

    private static readonly double[] Energies = [-1.5, 0.2, 0.9, 2.5];

    [Fact]
    public void Mse_is_least_at_the_posterior_mean_of_the_energy()
    {
        using var scope = NewDisposeScope();
        var optimum = (Posterior() * tensor(Energies)).sum(-1);
        var slope = ExpectedSlope(MseEnergyPrediction.Loss, optimum);
        Close.Absolute(zeros_like(slope), slope, 1e-12, "slope at E[E | x_t]");
        Assert.True(ExpectedSlope(MseEnergyPrediction.Loss, Exact()).abs().max().item<double>() > 0.01);
    }

    [Fact]
    public void Exp_mse_without_bounds_is_least_at_the_exact_energy_less_the_reference()
    {
        using var scope = NewDisposeScope();
        const double reference = -0.7;
        Tensor Loss(Tensor e, Tensor f) => ExpMseEnergyPrediction.Loss(e, f, reference, ExpMseBounds.None);
        var slope = ExpectedSlope(Loss, Exact() - reference);
        Close.Absolute(zeros_like(slope), slope, 1e-12, "slope at E_t");
        var mean = (Posterior() * tensor(Energies)).sum(-1) - reference;
        Assert.True(ExpectedSlope(Loss, mean).abs().max().item<double>() > 0.01);
    }

    [Fact]
    public void A_ceiling_on_the_target_moves_the_optimum_of_exp_mse()
    {
        using var scope = NewDisposeScope();
        var bounds = new ExpMseBounds(-100, 1, Model: false);
        Tensor Loss(Tensor e, Tensor f) => ExpMseEnergyPrediction.Loss(e, f, 0.0, bounds);
        Assert.True(ExpectedSlope(Loss, Exact()).abs().max().item<double>() > 0.1);
        var clamped = -(Posterior() * (-tensor(Energies)).clamp(-100, 1).exp()).sum(-1).log();
        var slope = ExpectedSlope(Loss, clamped);
        Close.Absolute(zeros_like(slope), slope, 1e-12, "slope at the clamped optimum");
    }

    [Fact]
    public void A_bound_on_the_model_stops_its_gradient_beyond()
    {
        using var scope = NewDisposeScope();
        var predicted = tensor(new[] { -5.0, -4.0 }).requires_grad_();
        var energies = zeros(2, ScalarType.Float64);
        ExpMseEnergyPrediction.Loss(energies, predicted, 0.0, ExpMseBounds.Actions).backward();
        Assert.Equal(0, predicted.grad![0].item<double>());
        Assert.NotEqual(0, predicted.grad![1].item<double>());
    }

    [Fact]
    public void Shapes_that_would_broadcast_are_refused()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>(() => MseEnergyPrediction.Loss(ones(4, 1), ones(4)));
        Assert.Throws<ArgumentException>(() => MseEnergyPrediction.Loss(ones(4), ones(4, 1)));
        Assert.Throws<ArgumentException>(() =>
            ExpMseEnergyPrediction.Loss(ones(4), ones(4), ones(4, 1), ExpMseBounds.Actions)
        );
    }

    private static Tensor Posterior()
    {
        var joint = tensor(Chances);
        return joint / joint.sum(-1, keepdim: true);
    }

    private static Tensor Exact() => -(Posterior() * (-tensor(Energies)).exp()).sum(-1).log();

    /// <summary>The slope of the expected loss in f of each kind, summed over the whole law.</summary>
    private static Tensor ExpectedSlope(Func<Tensor, Tensor, Tensor> loss, Tensor predicted)
    {
        var leaf = predicted.detach().clone().requires_grad_();
        var total = zeros([], ScalarType.Float64);
        for (var kind = 0; kind < 3; kind++)
        {
            for (var i = 0; i < 4; i++)
            {
                total += Chances[kind, i] * loss(tensor(new[] { Energies[i] }), leaf[kind].unsqueeze(0));
            }
        }
        return autograd.grad([total], [leaf])[0];
    }
}
