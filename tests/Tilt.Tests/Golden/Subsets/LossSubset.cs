namespace Tilt.Tests.Golden.Subsets;

/// <summary>Every array of G5: draws, losses, norms and targets whole, gradients and weights by their first numbers.</summary>
public static class LossSubset
{
    private const int Numbers = 24;

    public static void Make(string from, string to)
    {
        const string file = "g5_losses.npz";
        var whole = Npz.Read(Path.Combine(from, file));
        var part = new Npz();
        foreach (var name in whole.Names)
        {
            var array = whole[name];
            part.Set(name, IsTensorOfWeights(name) ? First(array) : array);
        }
        File.Delete(Path.Combine(to, file));
        part.Write(Path.Combine(to, file));
        File.WriteAllBytes(Path.Combine(to, "g5_info.json"), File.ReadAllBytes(Path.Combine(from, "g5_info.json")));
    }

    private static bool IsTensorOfWeights(string name)
    {
        var parts = name.Split("__");
        return parts.Length == 3 && !parts[1].EndsWith("stat", StringComparison.Ordinal);
    }

    /// <summary>As many first rows as hold some 24 numbers, or the beginning of the first row.</summary>
    private static NpyArray First(NpyArray array) =>
        array.RowLength <= Numbers
            ? ExactGuidanceSubset.First(array, Numbers / Math.Max(1, array.RowLength))
            : array with
            {
                Shape = [1, Numbers],
                Values = array.Values[..Numbers],
            };
}
