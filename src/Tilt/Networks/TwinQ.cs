namespace Tilt.Networks;

/// <summary>Two independent critics Q₁(s, a) and Q₂(s, a); the smaller of the two is the value that is used.</summary>
/// <remarks>
/// Each is [a, s] → 256 → 256 → 256 → 1 with ReLU between (cep.md §11d). The minimum damps the overestimation that a maximizing
/// policy would feed on. 275 970 trainable weights for A = 6, S = 17.
/// </remarks>
public sealed class TwinQ : nn.Module<Tensor, Tensor, Tensor>
{
    private const long Hidden = 256;

    private readonly Mlp _first;
    private readonly Mlp _second;

    /// <summary>The pair with drawn weights.</summary>
    /// <param name="actionDimensions">A.</param>
    /// <param name="observationDimensions">S.</param>
    /// <param name="generator">Where the draws come from.</param>
    public TwinQ(long actionDimensions, long observationDimensions, Generator generator)
        : base(nameof(TwinQ))
    {
        (ActionDimensions, ObservationDimensions) = (actionDimensions, observationDimensions);
        long[] widths = [actionDimensions + observationDimensions, Hidden, Hidden, Hidden, 1];
        _first = new(widths, Activation.Relu, generator);
        _second = new(widths, Activation.Relu, generator);
        register_module("q1", _first);
        register_module("q2", _second);
    }

    /// <summary>A.</summary>
    public long ActionDimensions { get; }

    /// <summary>S.</summary>
    public long ObservationDimensions { get; }

    /// <summary>min(Q₁, Q₂), [B].</summary>
    /// <param name="action">Actions, [B, A].</param>
    /// <param name="observation">Observations, [B, S].</param>
    public override Tensor forward(Tensor action, Tensor observation)
    {
        using var scope = NewDisposeScope();

        var (first, second) = Both(action, observation);
        return minimum(first, second).MoveToOuterDisposeScope();
    }

    /// <summary>min(Q₁, Q₂) of several actions in each state, [B, K].</summary>
    /// <param name="actions">K actions of each state, [B, K, A].</param>
    /// <param name="observations">The states, [B, S]. Each passes the first layer once, not K times.</param>
    public Tensor Values(Tensor actions, Tensor observations)
    {
        Expect.Shape(actions, observations.shape[0], -1, ActionDimensions);
        using var scope = NewDisposeScope();

        var states = observations.unsqueeze(1);
        return minimum(_first.Join(actions, states), _second.Join(actions, states))
            .squeeze(-1)
            .MoveToOuterDisposeScope();
    }

    /// <summary>Q₁ and Q₂, each [B].</summary>
    /// <param name="action">Actions, [B, A].</param>
    /// <param name="observation">Observations, [B, S].</param>
    public (Tensor First, Tensor Second) Both(Tensor action, Tensor observation)
    {
        using var scope = NewDisposeScope();

        var joined = Rows.Join(action, observation);
        return (
            _first.call(joined).squeeze(-1).MoveToOuterDisposeScope(),
            _second.call(joined).squeeze(-1).MoveToOuterDisposeScope()
        );
    }
}
