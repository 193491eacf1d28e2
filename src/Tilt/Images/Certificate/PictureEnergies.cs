using Tilt.Energy;

namespace Tilt.Images.Certificate;

/// <summary>Energies of pictures, several at once: the tilts that a reference can answer for.</summary>
/// <param name="Names">Their names, K of them.</param>
/// <param name="Of">E of each picture, in nats per unit β: N·K numbers, picture by picture.</param>
public sealed record PictureEnergies(IReadOnlyList<string> Names, Func<PictureSet, double[]> Of)
{
    /// <summary>The colour energies of all six hues.</summary>
    public static PictureEnergies Colors { get; } = new(Hues.Names, ColorEnergy.Energies);

    /// <summary>Any energy on images.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="energy">E, on [B, 3, H, W] in [−1, 1].</param>
    public static PictureEnergies From(string name, EnergyFunction energy) =>
        new(
            [name],
            pictures =>
            {
                var found = new double[pictures.Count];
                PictureBlocks.Over(
                    pictures,
                    (first, images) =>
                    {
                        var values = energy(images);
                        Expect.Shape(values, images.shape[0]);
                        values.to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray().CopyTo(found, first);
                    }
                );
                return found;
            }
        );

    /// <summary>The place of an energy in <see cref="Names"/>.</summary>
    /// <exception cref="TiltException">There is none of that name.</exception>
    public int Index(string name)
    {
        for (var i = 0; i < Names.Count; i++)
        {
            if (Names[i] == name)
            {
                return i;
            }
        }
        throw Suggest.Unknown("energy", name, Names);
    }
}
