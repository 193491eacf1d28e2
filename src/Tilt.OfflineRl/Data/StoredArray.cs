namespace Tilt.OfflineRl.Data;

/// <summary>An array of an .hdf5 or .npz file, known to be covered by the file's bytes, and the way to its values.</summary>
/// <param name="Name">Its path or name.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its shape; empty for a scalar.</param>
/// <param name="ReadFloats">Fills rows × columns of float32; one or two axes.</param>
internal sealed record StoredArray(
    string Name,
    ElementType Type,
    IReadOnlyList<long> Shape,
    Action<FloatRows> ReadFloats
)
{
    /// <summary>Its shape in numpy's writing: (83, 11), (83,), ().</summary>
    public string ShapeText => Describe(Shape);

    /// <summary>A shape in numpy's writing.</summary>
    public static string Describe(IReadOnlyList<long> shape) =>
        shape.Count == 1 ? $"({shape[0]},)" : $"({string.Join(", ", shape)})";
}

/// <summary>A file that holds arrays by name.</summary>
internal interface IArrayFile : IDisposable
{
    /// <summary>The file's name, for messages.</summary>
    string Name { get; }

    /// <summary>The names of its arrays.</summary>
    IEnumerable<string> Names { get; }

    /// <summary>Whether there is an array of that name.</summary>
    bool Has(string name);

    /// <summary>The array of that name.</summary>
    /// <exception cref="DataException">It is of a kind that cannot be read.</exception>
    StoredArray Array(string name);
}
