namespace Tilt.Images;

/// <summary>Energy functions of images by name, computed together: what one energy network has heads for.</summary>
/// <param name="Names">H names, such as the six hues.</param>
/// <param name="Of">E(x₀) of each, low is good: [B, 3, H, W] in [−1, 1] to [B, H]. Differentiable where DPS is to be used.</param>
public sealed record ImageEnergies(IReadOnlyList<string> Names, Func<Tensor, Tensor> Of)
{
    /// <summary>The distance from each of six hues (images.md §3.1).</summary>
    public static ImageEnergies Color { get; } = new(Hues.Names, ColorEnergy.Energies);

    /// <summary>One energy function of the caller's.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="energy">[B, 3, H, W] → [B].</param>
    public static ImageEnergies Custom(string name, Energy.EnergyFunction energy) =>
        new(
            [name],
            images =>
            {
                using var scope = NewDisposeScope();
                return energy(images).unsqueeze(1).MoveToOuterDisposeScope();
            }
        );

    /// <summary>One of them as an energy function.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <exception cref="TiltException">There is no such one.</exception>
    public Energy.EnergyFunction this[string name]
    {
        get
        {
            var head = Index(name);
            return images =>
            {
                using var scope = NewDisposeScope();
                return Of(images).select(1, head).MoveToOuterDisposeScope();
            };
        }
    }

    /// <summary>The place of a name.</summary>
    /// <exception cref="TiltException">There is no such one.</exception>
    public int Index(string name)
    {
        for (var i = 0; i < Names.Count; i++)
        {
            if (Names[i] == name)
            {
                return i;
            }
        }
        throw Suggest.Unknown("energy", name, [.. Names]);
    }
}
