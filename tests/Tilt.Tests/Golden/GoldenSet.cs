using System.Collections.Concurrent;
using System.Text.Json;

namespace Tilt.Tests.Golden;

/// <summary>
/// Recorded numbers to compare with: the folder named by TILT_GOLDEN where it is set, else the subset in the repository
/// (every case name, fewer rows each). Golden/README.md says where they come from.
/// </summary>
public static class GoldenSet
{
    private static readonly ConcurrentDictionary<string, Lazy<Npz>> Cache = new(StringComparer.Ordinal);

    /// <summary>The folder that the tests compare with.</summary>
    public static string Folder =>
        Environment.GetEnvironmentVariable("TILT_GOLDEN") is { Length: > 0 } chosen ? chosen : RepositoryFolder;

    /// <summary>The subset that is part of the repository.</summary>
    public static string RepositoryFolder => Path.Combine(AppContext.BaseDirectory, "Golden", "Data");

    /// <summary>An .npz of the set, read once.</summary>
    public static Npz Arrays(string file) =>
        Cache.GetOrAdd(Path.Combine(Folder, file), path => new(() => Npz.Read(path))).Value;

    /// <summary>A .json of the set.</summary>
    public static JsonDocument Document(string file) =>
        JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, file)));
}
