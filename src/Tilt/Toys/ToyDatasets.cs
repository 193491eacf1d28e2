namespace Tilt.Toys;

/// <summary>The catalogue of two-dimensional data sets.</summary>
public static class ToyDatasets
{
    /// <summary>All of them: the authors' six first, then the one with a natural label, then those without labels.</summary>
    public static IReadOnlyList<ToyDataset> All { get; } =
    [
        new EightGaussians(),
        new Rings(),
        new Moons(),
        new SwissRoll(),
        new TwoSpirals(),
        new Checkerboard(),
        new Pinwheel(),
        new Circles(),
        new Line(),
        new Cosine(),
    ];

    /// <summary>Those whose points carry labels.</summary>
    public static IReadOnlyList<ToyDataset> Labelled { get; } = [.. All.Where(set => set.HasLabels)];

    /// <summary>The six that the paper's figures show.</summary>
    public static IReadOnlyList<ToyDataset> Paper { get; } = [.. All.Take(6)];

    /// <summary>The data set of that name.</summary>
    /// <param name="name">Such as <c>8gaussians</c>; case does not matter.</param>
    /// <exception cref="TiltException">There is none; the message suggests the nearest.</exception>
    public static ToyDataset Find(string name) =>
        All.FirstOrDefault(set => string.Equals(set.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw Suggest.Unknown("data set", name, [.. All.Select(set => set.Name)]);
}
