namespace Tilt.OfflineRl.Algorithms;

/// <summary>The backup of in-support softmax Q-learning: values of states from actions that the behavior model proposes.</summary>
/// <remarks>
/// V(s) = Σⱼ softmax(β·q)ⱼ·qⱼ over the K support actions of s: the mean of Q under the tilted policy, estimated without asking Q
/// about an action that the data would not hold (QGPO; qgpo.md §2, step 4).
/// </remarks>
public static class InSupportSoftmax
{
    /// <summary>V(s), the softmax-weighted mean of Q over support actions.</summary>
    /// <param name="values">Q(s, aⱼ) of each state's support actions, [B, K].</param>
    /// <param name="beta">β of the backup, at least 0: 0 is the mean over the behavior, ∞ the best support action.</param>
    /// <returns>[B].</returns>
    public static Tensor Value(Tensor values, double beta)
    {
        Expect.Shape(values, -1, -1);
        using var scope = NewDisposeScope();

        var weights = nn.functional.softmax(beta * values, dim: -1);
        return (weights * values).sum(-1).MoveToOuterDisposeScope();
    }

    /// <summary>What Q(s, a) is drawn toward: r + γ·V(s′), without the bootstrap where the episode terminated.</summary>
    /// <param name="reward">r, [B].</param>
    /// <param name="terminated">1 where s′ ended the episode for good, else 0, [B]. A truncated episode is 0.</param>
    /// <param name="nextValue">V(s′), [B].</param>
    /// <param name="discount">γ, in [0, 1].</param>
    /// <returns>[B]. No gradient flows through it.</returns>
    public static Tensor Target(Tensor reward, Tensor terminated, Tensor nextValue, double discount)
    {
        Expect.Shape(reward, -1);
        Expect.SameShape(reward, terminated);
        Expect.SameShape(reward, nextValue);
        using var scope = NewDisposeScope();
        using var constant = no_grad();

        return (reward + discount * (1 - terminated) * nextValue).MoveToOuterDisposeScope();
    }
}
