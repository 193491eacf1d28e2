namespace Tilt.Toys;

/// <summary>Points of the plane with their energy labels e, high is good. The target is p₀ ∝ q₀·exp(+β·e).</summary>
/// <param name="X">Points, [N, 2], float32 on the CPU.</param>
/// <param name="Labels">e of the event that made each point, [N], float32; zeros for a data set without labels.</param>
/// <remarks>
/// The label belongs to the event (the mode, the ring, the place on the spiral), mostly before noise was added, so it is in
/// general not a function of the point. E = −e in the sign of <see cref="Energy.EnergyFunction"/>.
/// </remarks>
public sealed record LabelledPoints(Tensor X, Tensor Labels) : IDisposable
{
    /// <summary>N.</summary>
    public long Count => X.shape[0];

    /// <summary>Energies E = −e, low is good, [N]. A new tensor.</summary>
    public Tensor Energies => -Labels;

    /// <inheritdoc/>
    public void Dispose()
    {
        X.Dispose();
        Labels.Dispose();
    }
}
