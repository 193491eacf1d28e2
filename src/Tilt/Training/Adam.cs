using Tilt.Networks;

namespace Tilt.Training;

/// <summary>Adam's constants.</summary>
public sealed record AdamOptions
{
    /// <summary>The step size.</summary>
    /// <value>3e-4 (the paper's guidance networks and critics; its score networks use 1e-4).</value>
    public double LearningRate { get; init; } = 3e-4;

    /// <summary>β₁, the decay of the mean gradient.</summary>
    /// <value>0.9 (code).</value>
    public double FirstDecay { get; init; } = 0.9;

    /// <summary>β₂, the decay of the mean square.</summary>
    /// <value>0.999 (code).</value>
    public double SecondDecay { get; init; } = 0.999;

    /// <summary>What keeps the division finite.</summary>
    /// <value>1e-8 (code).</value>
    public double Epsilon { get; init; } = 1e-8;
}

/// <summary>The Adam optimizer, with its whole state in named tensors.</summary>
/// <remarks>
/// m ← m + (1 − β₁)(g − m); v ← β₂·v + (1 − β₂)·g²; θ ← θ − η/(1 − β₁ⁿ) · m / (√v/√(1 − β₂ⁿ) + ε), as PyTorch's
/// <c>torch.optim.Adam</c> has it. One count n serves all weights, so every weight must have a gradient at every step.
/// </remarks>
public sealed class Adam : IStateful, IDisposable
{
    private readonly AdamOptions _options;
    private readonly Slot[] _slots;
    private readonly Tensor _step;
    private long _count;

    private sealed record Slot(string Name, Tensor Weight, Tensor First, Tensor Second);

    /// <summary>An optimizer of the given weights, its moments zero.</summary>
    /// <param name="parameters">Weights by name, each a leaf that requires gradients. Kept; the caller disposes them.</param>
    /// <param name="options">The constants.</param>
    public Adam(IEnumerable<(string Name, Tensor Value)> parameters, AdamOptions options)
    {
        using var scope = NewDisposeScope();

        _options = options;
        LearningRate = options.LearningRate;
        _slots =
        [
            .. parameters.Select(pair => new Slot(
                pair.Name,
                pair.Value,
                zeros_like(pair.Value, requires_grad: false).DetachFromDisposeScope(),
                zeros_like(pair.Value, requires_grad: false).DetachFromDisposeScope()
            )),
        ];
        _step = zeros([], dtype: ScalarType.Int64).DetachFromDisposeScope();
    }

    /// <summary>η, the step size of the next step. Set it before a step to follow a <see cref="Training.LearningRate"/>.</summary>
    public double LearningRate { get; set; }

    /// <summary>n, the steps taken.</summary>
    public long Steps => _count;

    /// <summary>Forgets the gradients.</summary>
    public void ZeroGradients()
    {
        foreach (var slot in _slots)
        {
            slot.Weight.grad = null;
        }
    }

    /// <summary>Moves every weight along its gradient.</summary>
    /// <exception cref="InvalidOperationException">A weight has no gradient.</exception>
    public void Step()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();

        _count++;
        _step.fill_(_count);
        var size = LearningRate / (1 - Math.Pow(_options.FirstDecay, _count));
        var correction = Math.Sqrt(1 - Math.Pow(_options.SecondDecay, _count));
        foreach (var slot in _slots)
        {
            if (slot.Weight.grad is null)
            {
                throw new InvalidOperationException($"Weight '{slot.Name}' has no gradient: call backward first.");
            }
        }
        foreach (var slot in _slots)
        {
            using var inner = NewDisposeScope();
            var gradient = slot.Weight.grad!;
            if (AdamKernel.Takes(slot.Weight, gradient))
            {
                AdamKernel.Update(
                    slot.Weight,
                    gradient.contiguous(),
                    slot.First,
                    slot.Second,
                    _options,
                    size,
                    correction
                );
                continue;
            }
            slot.First.lerp_(gradient, tensor(1 - _options.FirstDecay, dtype: gradient.dtype, device: gradient.device));
            slot.Second.mul_(_options.SecondDecay).addcmul_(gradient, gradient, 1 - _options.SecondDecay);
            var denominator = slot.Second.sqrt().div_(correction).add_(_options.Epsilon);
            slot.Weight.addcdiv_(slot.First, denominator, -size);
        }
    }

    /// <inheritdoc/>
    public IEnumerable<(string Name, Tensor Value)> NamedState() =>
        [
            ("step", _step),
            .. _slots.Select(slot => ("exp_avg." + slot.Name, slot.First)),
            .. _slots.Select(slot => ("exp_avg_sq." + slot.Name, slot.Second)),
        ];

    /// <inheritdoc/>
    public void StateLoaded() => _count = _step.item<long>();

    /// <inheritdoc/>
    public void Dispose()
    {
        _step.Dispose();
        foreach (var slot in _slots)
        {
            slot.First.Dispose();
            slot.Second.Dispose();
        }
    }
}
