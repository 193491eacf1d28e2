using Tilt.Tests.Environments;

namespace Tilt.Tests.Golden.Subsets;

/// <summary>
/// The part of the recorded MuJoCo trajectories that the repository carries: every array of every file, with the first steps of the
/// long trajectories, the whole of the short episodes that end, and some of the single steps, those that end an episode among them.
/// </summary>
public static class MujocoSubset
{
    private const int LongSteps = 28;
    private const int ShortSteps = 8;
    private const int SingleSteps = 12;

    public static void Make(string from, string to)
    {
        foreach (var file in GoldenTrajectories.Files.Keys)
        {
            var all = Npz.Read(Path.Combine(from, "mujoco", file + ".npz"));
            var fewer = new Npz();
            var singles = Singles(all);
            foreach (var name in all.Names)
            {
                fewer.Set(name, Part(name, all, singles));
            }
            var path = Path.Combine(to, "mujoco", file + ".npz");
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.Delete(path);
            fewer.Write(path);
        }
    }

    private static NpyArray Part(string name, Npz all, int[] singles)
    {
        var array = all[name];
        if (name == "meta" || name.Contains("_init_", StringComparison.Ordinal))
        {
            return array;
        }
        if (name.StartsWith("s_", StringComparison.Ordinal))
        {
            return Rows(array, singles);
        }
        var trajectory = name[..name.IndexOf('_', StringComparison.Ordinal)];
        var done = all[$"{trajectory}_done"].Values;
        var steps = trajectory is "t0" or "t1" or "t2" ? LongSteps : ShortSteps;
        // An episode that stops at its end is kept whole; a recorder that went on after the end is cut like the others.
        var ends = Array.IndexOf(done, 1) == done.Length - 1;
        return Rows(array, [.. Enumerable.Range(0, ends ? done.Length : Math.Min(steps, done.Length))]);
    }

    /// <summary>The first steps, and the first of those that end an episode or earn a reward.</summary>
    private static int[] Singles(Npz all)
    {
        var (done, reward) = (all["s_done"].Values, all["s_reward"].Values);
        var special = Enumerable.Range(0, done.Length).Where(i => done[i] != 0 || reward[i] == 1).Take(SingleSteps / 2);
        return [.. special.Concat(Enumerable.Range(0, done.Length)).Distinct().Take(SingleSteps).Order()];
    }

    private static NpyArray Rows(NpyArray array, int[] rows) =>
        array with
        {
            Shape = [rows.Length, .. array.Shape[1..]],
            Values = [.. rows.SelectMany(row => array.Values[(row * array.RowLength)..((row + 1) * array.RowLength)])],
        };
}
