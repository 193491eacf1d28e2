using Tilt.Energy;
using Tilt.Tests.Golden;
using static TorchSharp.torch;

namespace Tilt.Tests.Energy;

/// <summary>Classifier guidance and class-conditional CEP on a law small enough to sum over: four places, three classes.</summary>
public class ClassGuidanceTests
{
    // P(place, class), [4, 3].
    private static readonly double[,] Joint =
    {
        { 0.10, 0.02, 0.03 },
        { 0.05, 0.15, 0.05 },
        { 0.20, 0.05, 0.05 },
        { 0.05, 0.05, 0.20 },
    };

    private static readonly double[,] AnyPlace =
    {
        { 0.7, -0.2, 0.4 },
    };

    [Fact]
    public void Cross_entropy_over_classes_is_least_at_the_class_posterior_whatever_is_added_per_place()
    {
        using var scope = NewDisposeScope();
        var posterior = LogPosterior();
        var perPlace = tensor(new[] { 3.0, -1, 0.5, 2 }).unsqueeze(1);
        foreach (var optimum in new[] { posterior, posterior + perPlace })
        {
            var slope = ClassifierSlope(optimum);
            Close.Absolute(zeros_like(slope), slope, 1e-12, "slope");
        }
        // Adding per class is not free.
        Assert.True(ClassifierSlope(posterior + tensor(AnyPlace)).abs().max().item<double>() > 0.01);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Contrast_within_the_data_is_least_at_the_class_posterior_whatever_is_added_per_class(int k)
    {
        using var scope = NewDisposeScope();
        var energies = -LogPosterior();
        foreach (var optimum in new[] { energies, energies + tensor(AnyPlace) })
        {
            var slope = ContrastSlope(optimum, k);
            Close.Absolute(zeros_like(slope), slope, 1e-12, "slope");
        }
        // Adding per place is not free: this is what makes the raw output the right energy.
        var perPlace = tensor(new[] { 1.0, -1, 0.5, 0 }).unsqueeze(1);
        Assert.True(ContrastSlope(energies + perPlace, k).abs().max().item<double>() > 0.005);
    }

    [Fact]
    public void Both_losses_give_the_same_guidance()
    {
        using var scope = NewDisposeScope();
        var level = new LinearSchedule().At(0.3);
        // A classifier of places on a line with softly changing classes.
        Tensor LogClass(Tensor x) => nn.functional.log_softmax(x * tensor(new[] { 1.0, -0.5, 0.2 }), -1);
        ClassScores logits = (x, _) => LogClass(x) + 4 * x.square();
        ClassScores contrast = (x, _) => -LogClass(x) + tensor(AnyPlace);
        var at = tensor(new[] { -1.0, 0.3, 2 }).unsqueeze(1);
        for (long c = 0; c < 3; c++)
        {
            var expected = ClassifierGuidance.Energy(logits, c).Gradient(at, level);
            Close.Absolute(expected, ClassConditionalCep.Energy(contrast, c).Gradient(at, level), 1e-12, $"class {c}");
        }
        Assert.Throws<TiltException>(() => ClassifierGuidance.Energy(logits, 3)(at, level));
        Assert.Throws<TiltException>(() => ClassConditionalCep.Energy(contrast, -1)(at, level));
    }

    [Fact]
    public void The_anchors_class_stands_in_the_denominator()
    {
        using var scope = NewDisposeScope();
        var energies = tensor(
            new[,]
            {
                { 0.3, 1.2 },
                { -0.4, 0.1 },
                { 0.9, -0.7 },
            }
        );
        var classes = tensor(new long[] { 1, 0, 1 });
        double expected = 0;
        for (var i = 0; i < 3; i++)
        {
            var c = (int)classes[i].item<long>();
            var sum = Enumerable.Range(0, 3).Sum(j => Math.Exp(-energies[j, c].item<double>()));
            expected += (energies[i, c].item<double>() + Math.Log(sum)) / 3;
        }
        Assert.Equal(expected, ClassConditionalCep.Loss(energies, classes).item<double>(), 1e-12);
        var table = energies.t().index_select(0, classes);
        Assert.Equal(expected, ClassConditionalCep.Loss(table).item<double>(), 1e-12);
    }

    private static Tensor LogPosterior()
    {
        var joint = tensor(Joint);
        return (joint / joint.sum(-1, keepdim: true)).log();
    }

    private static Tensor ClassifierSlope(Tensor logits)
    {
        var leaf = logits.detach().clone().requires_grad_();
        var total = zeros([], ScalarType.Float64);
        for (var place = 0; place < 4; place++)
        {
            for (long c = 0; c < 3; c++)
            {
                total += Joint[place, c] * ClassifierGuidance.Loss(leaf[place].unsqueeze(0), tensor(new[] { c }));
            }
        }
        return autograd.grad([total], [leaf])[0];
    }

    /// <summary>The slope of the expected loss over all K-tuples of (place, class).</summary>
    private static Tensor ContrastSlope(Tensor energies, int k)
    {
        var leaf = energies.detach().clone().requires_grad_();
        var total = zeros([], ScalarType.Float64);
        var pairs = (int)Math.Pow(12, k);
        for (var code = 0; code < pairs; code++)
        {
            using var inner = NewDisposeScope();
            var (places, classes) = (new long[k], new long[k]);
            var (chance, rest) = (1.0, code);
            for (var i = 0; i < k; i++)
            {
                (places[i], classes[i]) = (rest % 12 / 3, rest % 3);
                chance *= Joint[places[i], classes[i]];
                rest /= 12;
            }
            var rows = leaf.index_select(0, tensor(places));
            total = (total + chance * ClassConditionalCep.Loss(rows, tensor(classes))).MoveToOuterDisposeScope();
        }
        return autograd.grad([total], [leaf])[0];
    }
}
