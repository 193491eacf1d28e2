namespace Tilt.Tests.Golden.Subsets;

/// <summary>
/// The part of G1 and G2 that the repository carries: every array. Schedules keep every tenth time and whole beta arrays; solver
/// runs keep 64 samples, except the adaptive ones, whose step control looks at all of them.
/// </summary>
public static class SolverSubset
{
    private const int Samples = 64;
    private const int EveryNth = 10;

    public static void Make(string from, string to)
    {
        var schedules = Npz.Read(Path.Combine(from, "g1_schedule.npz"));
        var fewer = new Npz();
        foreach (var name in schedules.Names)
        {
            var array = schedules[name];
            var whole = name.Contains("betas") || name.EndsWith("_array", StringComparison.Ordinal);
            fewer.Set(name, whole || array.Rows < 200 ? array : Thin(array));
        }
        Write(fewer, Path.Combine(to, "g1_schedule.npz"));

        var runs = Npz.Read(Path.Combine(from, "g2_dpm_solver.npz"));
        var shorter = new Npz();
        foreach (var name in runs.Names)
        {
            var whole =
                name == "x_T"
                || name.Contains("adaptive")
                || name.StartsWith("eps_", StringComparison.Ordinal) && name.Length == 5;
            shorter.Set(name, whole || runs[name].Rows <= Samples ? runs[name] : First(runs[name]));
        }
        Write(shorter, Path.Combine(to, "g2_dpm_solver.npz"));
        File.WriteAllBytes(Path.Combine(to, "g2_cases.json"), File.ReadAllBytes(Path.Combine(from, "g2_cases.json")));
    }

    private static NpyArray First(NpyArray array) =>
        array with
        {
            Shape = [Samples, .. array.Shape[1..]],
            Values = array.Values[..(Samples * array.RowLength)],
        };

    private static NpyArray Thin(NpyArray array)
    {
        var values = array.Values.Where((_, i) => i % EveryNth == 0 || i == array.Values.Length - 1).ToArray();
        return array with { Shape = [values.Length], Values = values };
    }

    private static void Write(Npz npz, string path)
    {
        File.Delete(path);
        npz.Write(path);
    }
}
