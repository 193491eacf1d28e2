using CsCheck;
using Tilt.Energy;
using Tilt.Tests.Golden;
using static TorchSharp.torch;

namespace Tilt.Tests.Energy;

public class ContrastiveEnergyPredictionTests
{
    /// <summary>Rows of energies and predictions, [B][K].</summary>
    private static readonly Gen<(double[][] Energies, double[][] Predicted)> Sets =
        from b in Gen.Int[1, 4]
        from k in Gen.Int[2, 6]
        from e in Gen.Double[-8, 8].Array[k].Array[b]
        from f in Gen.Double[-8, 8].Array[k].Array[b]
        select (e, f);

    /// <summary>
    /// Two equally likely kinds of x_t; the weight exp(−β·E) is 1 or e^β, and e^β has probability 0.2 or 0.8. The numbers are
    /// cep.md §4.1's: the difference of the two kinds' log weights that each loss is least at.
    /// </summary>
    public static TheoryData<double, int, double, double> FiniteK =>
        new()
        {
            { 1, 2, 0.56945, 0.56945 },
            { 1, 4, 0.56945, 0.58019 },
            { 1, 16, 0.56945, 0.57409 },
            { 1, 64, 0.56945, 0.57070 },
            { 3, 2, 1.21705, 1.21705 },
            { 3, 4, 1.21705, 1.34183 },
            { 3, 16, 1.21705, 1.26931 },
            { 3, 64, 1.21705, 1.22981 },
            { 10, 2, 1.38612, 1.38612 },
            { 10, 4, 1.38612, 1.58440 },
            { 10, 16, 1.38612, 1.46835 },
            { 10, 64, 1.38612, 1.40528 },
        };

    [Theory]
    [MemberData(nameof(FiniteK))]
    public void Unbiased_labels_are_exact_for_every_K_and_self_normalized_ones_have_the_known_bias(
        double beta,
        int k,
        double exact,
        double biased
    )
    {
        using var scope = NewDisposeScope();
        var truth = Math.Log((0.2 + 0.8 * Math.Exp(beta)) / (0.8 + 0.2 * Math.Exp(beta)));
        Assert.Equal(exact, truth, 5e-6);
        var (weights, probabilities, kinds) = Tuples(k);
        var energies = -beta * weights;
        var shift = full_like(probabilities, Math.Log((1 + Math.Exp(beta)) / 2)); // log Z

        // f of kind 1, below that of kind 0 by the log weight ratio.
        var unbiased = Minimizer(
            probabilities,
            d => ContrastiveEnergyPrediction.UnbiasedPerCondition(energies, -d * kinds, shift)
        );
        var normalized = Minimizer(probabilities, d => ContrastiveEnergyPrediction.PerCondition(energies, -d * kinds));

        Assert.Equal(truth, unbiased, 1e-8);
        Assert.Equal(biased, normalized, 6e-6);
        if (k > 2)
        {
            Assert.True(normalized - truth > 1e-3, "the self-normalized labels should be biased");
        }
    }

    [Fact]
    public void The_loss_is_least_at_the_energies_themselves_and_then_equals_the_entropy_of_the_labels() =>
        Sets.Sample(
            sets =>
            {
                using var scope = NewDisposeScope();
                var (energies, predicted) = Tensors(sets);
                var entropy = -(nn.functional.softmax(-energies, -1) * nn.functional.log_softmax(-energies, -1)).sum(
                    -1
                );
                var least = ContrastiveEnergyPrediction.Loss(energies, energies + 3);
                Close.Relative(entropy.mean(), least, 1e-12, "entropy");
                Assert.True((ContrastiveEnergyPrediction.Loss(energies, predicted) >= least - 1e-12).item<bool>());

                var leaf = energies.clone().requires_grad_();
                var gradient = autograd.grad([ContrastiveEnergyPrediction.Loss(energies, leaf)], [leaf])[0];
                Close.Absolute(zeros_like(gradient), gradient, 1e-12, "gradient at the optimum");
            },
            iter: 60,
            threads: 1
        );

    [Fact]
    public void Shifting_a_condition_changes_nothing_and_permuting_its_samples_permutes_the_gradient() =>
        Sets.Sample(
            sets =>
            {
                using var scope = NewDisposeScope();
                var (energies, predicted) = Tensors(sets);
                var lift = arange(energies.shape[0], dtype: ScalarType.Float64).unsqueeze(1) - 1.5;
                var loss = ContrastiveEnergyPrediction.Loss(energies, predicted);
                Close.Relative(loss, ContrastiveEnergyPrediction.Loss(energies + lift, predicted), 1e-12, "energies");
                Close.Relative(loss, ContrastiveEnergyPrediction.Loss(energies, predicted - lift), 1e-12, "predicted");
                Close.Relative(
                    loss,
                    ContrastiveEnergyPrediction.Loss(energies.flip(1), predicted.flip(1)),
                    1e-12,
                    "order"
                );
                Close.Relative(
                    Slope(ContrastiveEnergyPrediction.Loss, energies, predicted).flip(1),
                    Slope(ContrastiveEnergyPrediction.Loss, energies.flip(1), predicted.flip(1)),
                    1e-12,
                    "gradient"
                );
            },
            iter: 60,
            threads: 1
        );

    [Fact]
    public void Another_constant_scales_the_unbiased_loss_and_its_gradient() =>
        Sets.Sample(
            sets =>
            {
                using var scope = NewDisposeScope();
                var (energies, predicted) = Tensors(sets);
                Tensor At(Tensor e, Tensor f) => ContrastiveEnergyPrediction.UnbiasedLoss(e, f, 0.3);
                Tensor Lifted(Tensor e, Tensor f) => ContrastiveEnergyPrediction.UnbiasedLoss(e, f, 1.3);
                Close.Relative(At(energies, predicted) / Math.E, Lifted(energies, predicted), 1e-12, "loss");
                Close.Relative(
                    Slope(At, energies, predicted) / Math.E,
                    Slope(Lifted, energies, predicted),
                    1e-12,
                    "gradient"
                );
            },
            iter: 60,
            threads: 1
        );

    [Fact]
    public void Unbiased_labels_sum_to_one_on_average_with_log_Z_as_the_shift()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var pool = randn(4096, dtype: ScalarType.Float64, generator: generator);
        var shift = LogNormalizer.Of(pool, 2);
        // With f constant the loss is (sum of labels)·log K.
        var loss = ContrastiveEnergyPrediction.UnbiasedLoss(
            2 * pool.reshape(512, 8),
            zeros(512, 8, ScalarType.Float64),
            shift
        );
        Assert.Equal(Math.Log(8), loss.item<double>(), 1e-10);
    }

    [Fact]
    public void No_gradient_flows_into_the_energies()
    {
        using var scope = NewDisposeScope();
        var energies = ones(2, 3).requires_grad_();
        var predicted = rand(2, 3).requires_grad_();
        (
            ContrastiveEnergyPrediction.Loss(energies, predicted)
            + ContrastiveEnergyPrediction.UnbiasedLoss(energies, predicted, 0)
        ).backward();
        Assert.Null(energies.grad);
        Assert.NotNull(predicted.grad);
    }

    [Fact]
    public void Extreme_energies_stay_finite()
    {
        using var scope = NewDisposeScope();
        var energies = tensor(
            new float[,]
            {
                { -2000, 0, 2000 },
            }
        );
        var loss = ContrastiveEnergyPrediction.Loss(energies, energies / 100);
        Assert.True(loss.isfinite().item<bool>());
    }

    [Fact]
    public void Shapes_that_would_broadcast_are_refused()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>(() => ContrastiveEnergyPrediction.Loss(ones(4, 1), ones(4)));
        Assert.Throws<ArgumentException>(() => ContrastiveEnergyPrediction.Loss(ones(4), ones(4)));
        Assert.Throws<ArgumentException>(() =>
            ContrastiveEnergyPrediction.UnbiasedLoss(ones(4, 2), ones(4, 2), ones(2))
        );
    }

    [Fact]
    public void Nothing_leaks()
    {
        using var energies = rand(4, 8);
        using var predicted = rand(4, 8);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        ContrastiveEnergyPrediction.Loss(energies, predicted).Dispose();
        ContrastiveEnergyPrediction.UnbiasedLoss(energies, predicted, 1).Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    /// <summary>Every K-tuple of (kind, weight) up to order: the log weights over β [S, K], their probabilities [S], their kinds [S, K].</summary>
    private static (Tensor Weights, Tensor Probabilities, Tensor Kinds) Tuples(int k)
    {
        // Categories: kind 0 with weight 1 or e^β, kind 1 with weight 1 or e^β.
        double[] chance = [0.5 * 0.8, 0.5 * 0.2, 0.5 * 0.2, 0.5 * 0.8];
        var logFactorial = new double[k + 1];
        for (var i = 1; i <= k; i++)
        {
            logFactorial[i] = logFactorial[i - 1] + Math.Log(i);
        }
        var (weights, kinds, probabilities) = (new List<double>(), new List<double>(), new List<double>());
        for (var a = 0; a <= k; a++)
        {
            for (var b = 0; a + b <= k; b++)
            {
                for (var c = 0; a + b + c <= k; c++)
                {
                    int[] counts = [a, b, c, k - a - b - c];
                    var log = logFactorial[k];
                    for (var j = 0; j < 4; j++)
                    {
                        log += counts[j] * Math.Log(chance[j]) - logFactorial[counts[j]];
                    }
                    if (log < Math.Log(1e-14))
                    {
                        continue; // all of them together are below 1e-9
                    }
                    for (var j = 0; j < 4; j++)
                    {
                        for (var n = 0; n < counts[j]; n++)
                        {
                            weights.Add(j % 2);
                            kinds.Add(j / 2);
                        }
                    }
                    probabilities.Add(Math.Exp(log));
                }
            }
        }
        Assert.Equal(1, probabilities.Sum(), 1e-9);
        return (
            tensor(weights.ToArray()).reshape(-1, k),
            tensor(probabilities.ToArray()),
            tensor(kinds.ToArray()).reshape(-1, k)
        );
    }

    /// <summary>Where the expected loss is least: the root of its slope, which rises since the loss is convex.</summary>
    private static double Minimizer(Tensor probabilities, Func<Tensor, Tensor> losses)
    {
        double SlopeAt(double d)
        {
            using var scope = NewDisposeScope();
            var leaf = tensor(d, dtype: ScalarType.Float64, requires_grad: true);
            return autograd.grad([(probabilities * losses(leaf)).sum()], [leaf])[0].item<double>();
        }
        var (left, right) = (1.0, 1.2);
        var (slopeLeft, slopeRight) = (SlopeAt(left), SlopeAt(right));
        // Secant steps; the function is smooth and nearly straight.
        for (var i = 0; i < 30 && Math.Abs(right - left) > 1e-9 && slopeRight != slopeLeft; i++)
        {
            var next = right - slopeRight * (right - left) / (slopeRight - slopeLeft);
            (left, slopeLeft) = (right, slopeRight);
            (right, slopeRight) = (next, SlopeAt(next));
        }
        return right;
    }

    private static (Tensor Energies, Tensor Predicted) Tensors((double[][] Energies, double[][] Predicted) sets) =>
        (Matrix(sets.Energies), Matrix(sets.Predicted));

    private static Tensor Matrix(double[][] rows) =>
        tensor(rows.SelectMany(row => row).ToArray()).reshape(rows.Length, rows[0].Length);

    private static Tensor Slope(Func<Tensor, Tensor, Tensor> loss, Tensor energies, Tensor predicted)
    {
        var leaf = predicted.detach().clone().requires_grad_();
        return autograd.grad([loss(energies, leaf)], [leaf])[0];
    }
}
