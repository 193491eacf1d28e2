namespace Tilt.Tests.Golden.Subsets;

/// <summary>Every array of G3, with every fourth grid point and the first samples of each run.</summary>
public static class ExactGuidanceSubset
{
    private const int Stride = 4;
    private const int Samples = 48;

    public static void Make(string from, string to)
    {
        const string file = "g3_exact_guidance.npz";
        var whole = Npz.Read(Path.Combine(from, file));
        var grid = whole["x"].Rows;
        var part = new Npz();
        foreach (var name in whole.Names)
        {
            var array = whole[name];
            part.Set(
                name,
                name == "x" ? Every(array, 0)
                    : name.StartsWith("sample__", StringComparison.Ordinal) ? First(array, Samples)
                    : array.Shape.Length >= 2 && array.Shape[1] == grid ? Every(array, 1)
                    : array
            );
        }
        File.Delete(Path.Combine(to, file));
        part.Write(Path.Combine(to, file));
        File.Copy(Path.Combine(from, "g3_checks.json"), Path.Combine(to, "g3_checks.json"), overwrite: true);
        File.SetAttributes(Path.Combine(to, "g3_checks.json"), FileAttributes.Normal);
    }

    /// <summary>The first rows of an array.</summary>
    public static NpyArray First(NpyArray array, int rows)
    {
        rows = Math.Min(rows, array.Rows);
        return array with { Shape = [rows, .. array.Shape[1..]], Values = array.Values[..(rows * array.RowLength)] };
    }

    /// <summary>Every fourth entry along one axis.</summary>
    private static NpyArray Every(NpyArray array, int axis)
    {
        var before = array.Shape[..axis].Aggregate(1, (a, b) => a * b);
        var after = array.Shape[(axis + 1)..].Aggregate(1, (a, b) => a * b);
        var length = array.Shape[axis];
        var kept = (length + Stride - 1) / Stride;
        var values = new List<double>(before * kept * after);
        for (var i = 0; i < before; i++)
        {
            for (var j = 0; j < length; j += Stride)
            {
                values.AddRange(array.Values.AsSpan((i * length + j) * after, after));
            }
        }
        var shape = (int[])array.Shape.Clone();
        shape[axis] = kept;
        return array with { Shape = shape, Values = [.. values] };
    }
}
