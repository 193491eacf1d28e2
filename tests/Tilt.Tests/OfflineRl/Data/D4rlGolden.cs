using System.Text.Json;
using Tilt.Tests.Golden;

namespace Tilt.Tests.OfflineRl.Data;

/// <summary>The golden set G9: HDF5 files in D4RL's layout, and what D4RL makes of them.</summary>
public static class D4rlGolden
{
    private static readonly Lazy<JsonElement> Manifest = new(() =>
        JsonDocument.Parse(File.ReadAllText(PathOf("manifest.json"))).RootElement
    );

    public static IEnumerable<string> ValidNames =>
        Manifest.Value.GetProperty("valid").EnumerateObject().Select(p => p.Name);

    public static IEnumerable<string> BadNames =>
        Manifest.Value.GetProperty("bad").EnumerateObject().Select(p => p.Name);

    public static JsonElement Valid(string name) => Manifest.Value.GetProperty("valid").GetProperty(name);

    public static JsonElement Bad(string name) => Manifest.Value.GetProperty("bad").GetProperty(name);

    public static string FileOf(JsonElement item) => PathOf(item.GetProperty("file").GetString()!);

    public static Npz Expected(string name) => GoldenSet.Arrays(Path.Combine("g9_d4rl", $"{name}_expected.npz"));

    public static string PathOf(string file) => Path.Combine(GoldenSet.Folder, "g9_d4rl", file);
}
