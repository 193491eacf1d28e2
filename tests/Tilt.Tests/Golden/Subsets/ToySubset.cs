namespace Tilt.Tests.Golden.Subsets;

/// <summary>G7 and G8 for the repository: every name, fewer rows.</summary>
public static class ToySubset
{
    private const int PointRows = 4000;
    private const int SampleRows = 200;

    /// <summary>Runs whose samples and truth stay whole, so that their recorded metrics can be recomputed.</summary>
    private static readonly string[] Whole =
    [
        "8gaussians__CEP__beta3__samples",
        "8gaussians__beta3__truth",
        "8gaussians__CEP__beta10__samples",
        "8gaussians__beta10__truth",
        "swissroll__CEP__beta3__samples",
        "swissroll__beta3__truth",
        "swissroll__CEP__beta10__samples",
        "swissroll__beta10__truth",
    ];

    public static void Make(string from, string to)
    {
        Thin(from, to, "g7_toy_data.npz", name => name.StartsWith("map_", StringComparison.Ordinal) ? 0 : PointRows);
        Thin(from, to, "g8_samples.npz", name => Whole.Contains(name) ? 0 : SampleRows);
        foreach (var file in new[] { "g7_stats.json", "g8_results.json" })
        {
            // Not File.Copy, which would take a read-only mark along.
            File.WriteAllBytes(Path.Combine(to, file), File.ReadAllBytes(Path.Combine(from, file)));
        }
    }

    /// <summary>Keeps evenly spaced rows; 0 keeps all.</summary>
    private static void Thin(string from, string to, string file, Func<string, int> rows)
    {
        var source = Npz.Read(Path.Combine(from, file));
        var target = new Npz();
        foreach (var name in source.Names)
        {
            var array = source[name];
            var keep = rows(name);
            if (keep == 0 || keep >= array.Rows)
            {
                target.Set(name, array);
                continue;
            }
            var stride = array.Rows / keep;
            var values = Enumerable
                .Range(0, keep)
                .SelectMany(i => array.Values.Skip(i * stride * array.RowLength).Take(array.RowLength))
                .ToArray();
            target.Set(name, array with { Shape = [keep, .. array.Shape.Skip(1)], Values = values });
        }
        var path = Path.Combine(to, file);
        File.Delete(path);
        target.Write(path);
    }
}
