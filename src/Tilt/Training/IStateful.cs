namespace Tilt.Training;

/// <summary>Something with a state in tensors that a checkpoint has to carry: an optimizer, averaged weights, a normalizer.</summary>
/// <remarks>
/// The names and shapes are the same from construction on, so whatever is made lazily (moments at a first step) is made in the
/// constructor. A count of steps is a tensor too (int64, no dimensions).
/// </remarks>
public interface IStateful
{
    /// <summary>Every tensor of the state under a name of its own.</summary>
    /// <returns>
    /// The live storage, not copies: saving reads it, and loading writes into it in place under no_grad. The caller disposes none.
    /// </returns>
    IEnumerable<(string Name, Tensor Value)> NamedState();

    /// <summary>Called after loading has written into the tensors, for those who keep a copy of one on the host.</summary>
    void StateLoaded() { }
}
