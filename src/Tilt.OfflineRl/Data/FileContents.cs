using Tilt.OfflineRl.Data.Hdf5;

namespace Tilt.OfflineRl.Data;

/// <summary>An array, column or value of a data file.</summary>
/// <param name="Name">Its path or name.</param>
/// <param name="Shape">In numpy's writing; empty where it is not known before reading.</param>
/// <param name="Type">In numpy's words.</param>
/// <param name="Text">The value of a single one, as text.</param>
public sealed record FileEntry(string Name, string Shape, string Type, string? Text);

/// <summary>What a data file contains, whether Tilt uses it or not.</summary>
/// <param name="Format">HDF5, npz or table.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Entries">Arrays or columns.</param>
/// <param name="Attributes">Attributes of an HDF5 file.</param>
public sealed record FileContents(
    string Format,
    long Length,
    IReadOnlyList<FileEntry> Entries,
    IReadOnlyDictionary<string, string> Attributes
)
{
    /// <summary>Lists a file's contents; what cannot be read is listed with the reason.</summary>
    /// <exception cref="DataException">The file as a whole cannot be read.</exception>
    public static FileContents Of(string path)
    {
        using var source = ByteSource.Open(path);
        var none = new Dictionary<string, string>();
        if (NpzFile.Recognizes(source))
        {
            using var npz = new NpzFile(source);
            return new("npz", source.Length, List(npz, _ => null), none);
        }
        if (RecordedSteps.IsTable(source))
        {
            var columns = CsvReader.Columns(source);
            return new(
                "table",
                source.Length,
                [.. columns.Select(name => new FileEntry(name, "", "text", null))],
                none
            );
        }
        using var hdf5 = Hdf5File.Open(source);
        return new("HDF5", source.Length, List(hdf5, hdf5.Text), hdf5.Attributes);
    }

    private static List<FileEntry> List(IArrayFile file, Func<string, string?> text)
    {
        var entries = new List<FileEntry>();
        foreach (var name in file.Names)
        {
            try
            {
                var array = file.Array(name);
                entries.Add(new(name, array.ShapeText, array.Type.Name, array.Shape.Count == 0 ? text(name) : null));
            }
            catch (DataException e)
            {
                entries.Add(new(name, "", e.Found, null));
            }
        }
        return entries;
    }
}
