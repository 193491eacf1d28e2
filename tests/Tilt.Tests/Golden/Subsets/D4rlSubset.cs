namespace Tilt.Tests.Golden.Subsets;

/// <summary>G9 for the repository: every file byte for byte, and of the expected arrays the first rows.</summary>
public static class D4rlSubset
{
    private const int Rows = 40;

    public static void Make(string from, string to)
    {
        var (source, target) = (Path.Combine(from, "g9_d4rl"), Path.Combine(to, "g9_d4rl"));
        Directory.CreateDirectory(target);
        foreach (var file in Directory.EnumerateFiles(source))
        {
            var copy = Path.Combine(target, Path.GetFileName(file));
            File.Delete(copy);
            if (file.EndsWith(".npz", StringComparison.Ordinal))
            {
                Thin(file, copy);
            }
            else
            {
                // Not File.Copy, which would take a read-only mark along.
                File.WriteAllBytes(copy, File.ReadAllBytes(file));
            }
        }
    }

    private static void Thin(string file, string copy)
    {
        var (source, target) = (Npz.Read(file), new Npz());
        foreach (var name in source.Names)
        {
            var array = source[name];
            var rows = Math.Min(Rows, array.Rows);
            var values = array.Values.AsSpan(0, rows * array.RowLength).ToArray();
            target.Set(name, array with { Shape = [rows, .. array.Shape.Skip(1)], Values = values });
        }
        target.Write(copy);
    }
}
