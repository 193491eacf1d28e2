using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tilt.Environments.Simulation;
using Tilt.OfflineRl.Data;

namespace Tilt.OfflineRl.Collection;

/// <summary>A data set that was made by a recipe: its file, with a manifest inside and beside it.</summary>
/// <remarks>
/// Inside, in the HDF5 file's attributes, stands all that decides the content: recipe, size, seed, physics, policies, and a SHA-256
/// over the numbers. Beside it, in FILE.json, stand the same, the file's own SHA-256 and a summary of the episodes.
/// </remarks>
public static class OwnDataSet
{
    /// <summary>What the attribute made_by begins with.</summary>
    public const string Maker = "Tilt";

    /// <summary>The manifest beside a file.</summary>
    public static string ManifestOf(string file) => Path.ChangeExtension(file, ".json");

    /// <summary>Collects a data set and writes it.</summary>
    /// <param name="recipe">What.</param>
    /// <param name="request">How much, from which seed.</param>
    /// <param name="file">The .hdf5 file; what it held is replaced once the new data are whole.</param>
    /// <param name="version">Tilt's version.</param>
    /// <returns>The manifest.</returns>
    /// <exception cref="TiltException">Something is missing, or the place cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was given up; nothing is left behind.</exception>
    public static JsonObject Make(DataRecipe recipe, CollectionRequest request, string file, string version)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        ArgumentNullException.ThrowIfNull(request);
        Mujoco.Require();
        if (request.PolicyFile is null && recipe.Missing() is { } missing)
        {
            throw new TiltException($"{recipe.Name} cannot be made here: {missing}");
        }
        if (request.PolicyFile is not null && !recipe.TakesPolicyFile)
        {
            throw TiltException.Usage($"{recipe.Name}: the recipe says which policies act; leave --policy out.");
        }
        D4rlFile.TryPlace(file);
        var steps = recipe.Make(request);
        request.Stop.ThrowIfCancellationRequested();
        var manifest = Manifest(recipe, request, steps, version);
        var content = steps.ToFile();
        foreach (var (name, value) in manifest)
        {
            content.Describe(name, Text(value));
        }
        content.Write(
            file,
            (done, total) => request.Progress?.Invoke("writing", done * steps.Count / total, steps.Count),
            request.Stop
        );

        manifest["file"] = Path.GetFileName(file);
        manifest["file_sha256"] = Tilt.Runs.ContentHash.OfFile(file);
        manifest["episodes"] = Episodes(steps);
        DurableFile.Replace(
            ManifestOf(file),
            manifest.ToJsonString(
                new()
                {
                    WriteIndented = true,
                    Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
                }
            ) + "\n"
        );
        return manifest;
    }

    /// <summary>Whether a file holds what the request would make: by this version, with the policies that ship now.</summary>
    /// <exception cref="TiltException">The file cannot be read.</exception>
    public static bool Matches(string file, DataRecipe recipe, CollectionRequest request, string version)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        ArgumentNullException.ThrowIfNull(request);
        var attributes = FileContents.Of(file).Attributes;
        bool Is(string name, string value) => attributes.TryGetValue(name, out var found) && found == value;
        return Is("made_by", By(version))
            && Is("recipe", recipe.Name)
            && Is("steps", request.Size.ToString(CultureInfo.InvariantCulture))
            && Is("seed", request.Seed.ToString(CultureInfo.InvariantCulture))
            && request.PolicyFile is null
            && Hashes(attributes.GetValueOrDefault("policies")).SetEquals(recipe.PolicyHashes(request.Size));
    }

    /// <summary>SHA-256 of the policies that a file's attribute names.</summary>
    private static HashSet<string> Hashes(string? policies)
    {
        try
        {
            var entries = policies is null ? null : JsonNode.Parse(policies) as JsonArray;
            return [.. entries?.Select(entry => entry?["sha256"]?.GetValue<string>()).OfType<string>() ?? []];
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return [];
        }
    }

    private static string By(string version) => $"{Maker} {version}, data make";

    private static JsonObject Manifest(
        DataRecipe recipe,
        CollectionRequest request,
        CollectedSteps steps,
        string version
    )
    {
        var manifest = new JsonObject
        {
            ["made_by"] = By(version),
            ["recipe"] = recipe.Name,
            ["note"] = $"Made by Tilt after D4RL's protocol of {recipe.Name}. Not D4RL's data.",
            ["task"] = recipe.Task,
            ["steps"] = steps.Count,
            ["seed"] = request.Seed,
            ["physics"] = $"MuJoCo {Mujoco.Version}, inertias of MuJoCo 2.0",
            ["protocol"] = recipe.Protocol,
            ["policies"] = new JsonArray([
                .. steps.Policies.Select(policy =>
                {
                    var entry = new JsonObject { ["name"] = policy.Name };
                    Set(entry, "sha256", policy.Sha256);
                    Set(entry, "return", policy.Return);
                    Set(entry, "steps", policy.Steps);
                    return entry;
                }),
            ]),
            ["content_sha256"] = steps.ContentSha256(),
        };
        foreach (var (name, text) in steps.Notes)
        {
            manifest[name] = text;
        }
        return manifest;
    }

    private static void Set<T>(JsonObject entry, string name, T? value)
    {
        if (value is not null)
        {
            entry[name] = JsonValue.Create(value);
        }
    }

    private static string Text(JsonNode? value) =>
        value is JsonValue plain && plain.GetValueKind() == JsonValueKind.String
            ? plain.GetValue<string>()
            : value?.ToJsonString() ?? "";

    /// <summary>Count, lengths and returns of the whole episodes.</summary>
    private static JsonObject Episodes(CollectedSteps steps)
    {
        var (count, first, sum) = (0, 0, 0.0);
        var (least, most, total) = (double.PositiveInfinity, double.NegativeInfinity, 0.0);
        var (shortest, longest) = (int.MaxValue, 0);
        for (var i = 0; i < steps.Count; i++)
        {
            sum += steps.Rewards[i];
            if (steps.Terminated[i] || steps.Truncated[i])
            {
                var length = i + 1 - first;
                (shortest, longest) = (Math.Min(shortest, length), Math.Max(longest, length));
                (least, most, total) = (Math.Min(least, sum), Math.Max(most, sum), total + sum);
                (count, first, sum) = (count + 1, i + 1, 0);
            }
        }
        return count == 0
            ? new() { ["count"] = 0 }
            : new()
            {
                ["count"] = count,
                ["shortest"] = shortest,
                ["longest"] = longest,
                ["least_return"] = least,
                ["mean_return"] = total / count,
                ["greatest_return"] = most,
            };
    }
}
