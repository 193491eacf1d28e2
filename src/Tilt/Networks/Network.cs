namespace Tilt.Networks;

/// <summary>A function of noisy samples, their times and, where it has one, a condition: what noise models and energies are made of.</summary>
/// <remarks>
/// To add one: derive a sealed class, draw its layers with <see cref="Initialize"/>, register them under the names its weights
/// shall be saved by, and implement <c>forward</c>. Everything else (noise models, energies, optimizers, checkpoints) takes any
/// network. What comes out depends on the kind: a score network gives [B, D], an energy network [B].
/// Works in float32 and, after <c>to(ScalarType.Float64)</c>, in float64.
/// </remarks>
/// <param name="name">The class's name, shown in errors.</param>
public abstract class Network(string name) : nn.Module<Tensor, Tensor, Tensor?, Tensor>(name)
{
    /// <summary>D, the number of coordinates of a sample, over all its axes.</summary>
    public abstract long Dimensions { get; }

    /// <summary>The axes of a sample: [D] for points and actions, [C, H, W] for images.</summary>
    public virtual IReadOnlyList<long> SampleShape => [Dimensions];

    /// <summary>The number of coordinates of a condition; 0 where the network takes none.</summary>
    public abstract long ConditionDimensions { get; }

    /// <summary>The network's value.</summary>
    /// <param name="x">Noisy samples x_t, [B, D] with further leading dimensions allowed, or [B, C, H, W]. Left as they are.</param>
    /// <param name="time">t of each sample, [B], or [1] for one t that all share.</param>
    /// <param name="condition">Conditions such as observations, [B, C]; null where the network takes none.</param>
    public abstract override Tensor forward(Tensor x, Tensor time, Tensor? condition);

    /// <summary>The network's value without a condition.</summary>
    /// <param name="x">Noisy samples x_t, [B, D].</param>
    /// <param name="time">t of each sample, [B], or [1] for one t that all share.</param>
    public Tensor call(Tensor x, Tensor time) => call(x, time, null);

    /// <summary>The network's value where all samples have one noise level.</summary>
    /// <param name="x">Noisy samples x_t, [B, D].</param>
    /// <param name="level">Their level.</param>
    /// <param name="condition">Conditions, [B, C]; null where the network takes none.</param>
    public Tensor At(Tensor x, NoiseLevel level, Tensor? condition = null)
    {
        using var scope = NewDisposeScope();

        var time = full([1], level.NetworkTime, dtype: x.dtype, device: x.device);
        return call(x, time, condition).MoveToOuterDisposeScope();
    }

    /// <summary>Throws unless samples and condition have the widths that the network was built for.</summary>
    /// <exception cref="TiltException">They have not; the message says which and what was found.</exception>
    protected void Check(Tensor x, Tensor? condition)
    {
        var shape = SampleShape;
        if (shape.Count > 1)
        {
            var found = x.shape;
            // Convolutions want one leading axis, the batch.
            if (found.Length != shape.Count + 1 || !found.AsSpan(1).SequenceEqual(shape.ToArray()))
            {
                throw new TiltException(
                    $"{GetName()}: found samples of shape [{string.Join(", ", found)}]; the network was built for "
                        + $"[B, {string.Join(", ", shape)}]. Resize the images, or build the network for theirs."
                );
            }
        }
        else if (x.shape[^1] != Dimensions)
        {
            throw new TiltException(
                $"{GetName()}: samples have {x.shape[^1]} coordinates, the network was built for {Dimensions}."
            );
        }
        var given = condition?.shape[^1] ?? 0;
        if (given != ConditionDimensions)
        {
            throw new TiltException(
                $"{GetName()}: the condition has {given} coordinates, the network was built for {ConditionDimensions}."
            );
        }
    }
}
