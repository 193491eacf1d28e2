using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Tilt.Runs;

/// <summary>Options that check their own values.</summary>
public interface ICheckedOptions
{
    /// <summary>Throws unless the values make sense together.</summary>
    /// <exception cref="TiltException">The message names the option, what was found and what was expected.</exception>
    void Check();
}

/// <summary>Marks an option that may differ when a run is resumed, such as the number of steps.</summary>
/// <remarks>
/// Everything else has to stay: a run whose options changed halfway is no run that could be repeated. Whoever marks an option
/// vouches that changing it alters nothing of what has already been trained.
/// </remarks>
[AttributeUsage(AttributeTargets.Property)]
public sealed class MayChangeOnResumeAttribute : Attribute;

/// <summary>Reads, writes and alters options records by name. Unknown names are refused with a suggestion.</summary>
/// <remarks>
/// Works on any record with a source-generated <see cref="JsonTypeInfo{T}"/>. Nested records have dotted names, such as
/// <c>network.width</c>. Names on a command line may be written with dashes and in any case: <c>support-actions</c> is
/// <c>supportActions</c>.
/// </remarks>
public static class OptionRecords
{
    /// <summary>The record as indented JSON, defaults included.</summary>
    /// <param name="options">The record.</param>
    /// <param name="type">Its source-generated description.</param>
    public static string ToJson<T>(T options, JsonTypeInfo<T> type) =>
        JsonSerializer.SerializeToNode(options, type)!.ToJsonString(JsonText.Indented) + "\n";

    /// <summary>A record from JSON.</summary>
    /// <param name="json">A JSON object. Absent names keep their defaults.</param>
    /// <param name="source">The file, for messages.</param>
    /// <param name="type">The record's source-generated description.</param>
    /// <exception cref="TiltException">Not JSON, an unknown name, or a value of the wrong kind or out of range.</exception>
    public static T Parse<T>(string json, string source, JsonTypeInfo<T> type)
    {
        JsonNode? node;
        try
        {
            node = JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException error)
        {
            throw TiltException.Usage($"{source}: not valid JSON: {error.Message}");
        }
        if (node is not JsonObject root)
        {
            throw TiltException.Usage($"{source}: found {Kind(node)}; expected a JSON object of options.");
        }
        RefuseUnknown(root, type, source, "");
        return FromNode(JsonText.OverDefaults(root, type), type, source);
    }

    /// <summary>A copy with some options altered.</summary>
    /// <param name="options">The record. Left as it is.</param>
    /// <param name="assignments">Each of the form <c>name=value</c>; the last of a name counts.</param>
    /// <param name="type">The record's source-generated description.</param>
    /// <exception cref="TiltException">Exit code 2: no such option, or a value that it cannot take.</exception>
    public static T Apply<T>(T options, IEnumerable<string> assignments, JsonTypeInfo<T> type)
    {
        var root = JsonSerializer.SerializeToNode(options, type)!.AsObject();
        var known = Flatten(type).ToList();
        foreach (var assignment in assignments)
        {
            var equals = assignment.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw TiltException.Usage($"--set {assignment}: expected name=value, such as {Example(known)}.");
            }
            var typed = assignment[..equals].Trim();
            var text = assignment[(equals + 1)..].Trim();
            var option =
                known.Find(candidate => Plain(candidate.Path) == Plain(typed))
                ?? throw Suggest.Unknown("option", typed, [.. known.Select(candidate => candidate.Path)]);
            var parent = root;
            var names = option.Path.Split('.');
            foreach (var name in names[..^1])
            {
                parent = (JsonObject)(parent[name] ??= new JsonObject());
            }
            parent[names[^1]] = option.Parse(text);
        }
        return FromNode(root, type, "--set");
    }

    /// <summary>Names and present values of all options, nested ones dotted, for tables and comparisons.</summary>
    /// <param name="options">The record.</param>
    /// <param name="type">Its source-generated description.</param>
    public static IReadOnlyList<(string Name, string Value)> List<T>(T options, JsonTypeInfo<T> type)
    {
        var found = new List<(string, string)>();
        Collect(JsonSerializer.SerializeToNode(options, type)!.AsObject(), "", found);
        return found;
    }

    /// <summary>Options in which two records differ.</summary>
    /// <returns>Name, value before, value after, and whether it is marked <see cref="MayChangeOnResumeAttribute"/>.</returns>
    internal static List<(string Name, string Before, string After, bool MayChange)> Differences<T>(
        T before,
        T after,
        JsonTypeInfo<T> type
    )
    {
        var old = List(before, type)
            .ToDictionary(option => option.Name, option => option.Value, StringComparer.Ordinal);
        var now = List(after, type).ToDictionary(option => option.Name, option => option.Value, StringComparer.Ordinal);
        var free = Flatten(type).Where(option => option.MayChange).Select(option => option.Path).ToHashSet();
        return
        [
            .. old
                .Keys.Union(now.Keys)
                .Select(name => (name, old.GetValueOrDefault(name, "absent"), now.GetValueOrDefault(name, "absent")))
                .Where(pair => pair.Item2 != pair.Item3)
                .Select(pair => (pair.name, pair.Item2, pair.Item3, free.Contains(pair.name))),
        ];
    }

    private sealed record Option(string Path, JsonTypeInfo Type, bool MayChange)
    {
        /// <summary>The JSON value that a text on the command line stands for.</summary>
        public JsonNode? Parse(string text)
        {
            var type = Nullable.GetUnderlyingType(Type.Type) ?? Type.Type;
            if (text is "null" or "none" && (type != Type.Type || type == typeof(string)))
            {
                return null;
            }
            if (type == typeof(bool))
            {
                return text.ToLowerInvariant() switch
                {
                    "true" or "yes" or "on" or "1" => true,
                    "false" or "no" or "off" or "0" => false,
                    _ => throw Wrong(text, "true or false"),
                };
            }
            if (type.IsEnum)
            {
                var name =
                    Array.Find(Enum.GetNames(type), known => Plain(known) == Plain(text))
                    ?? throw Suggest.Unknown($"value of option '{Path}'", text, Enum.GetNames(type));
                return JsonSerializer.SerializeToNode(Enum.Parse(type, name), Type);
            }
            if (type == typeof(double) || type == typeof(float))
            {
                return
                    double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
                    && double.IsFinite(number)
                    ? number
                    : throw Wrong(text, "a number");
            }
            if (type == typeof(int) || type == typeof(long))
            {
                // 1e6 and 1_000_000 are read as people mean them.
                var plain = text.Replace("_", "", StringComparison.Ordinal);
                if (
                    decimal.TryParse(plain, NumberStyles.Float, CultureInfo.InvariantCulture, out var whole)
                    && decimal.IsInteger(whole)
                )
                {
                    decimal most = type == typeof(int) ? int.MaxValue : long.MaxValue;
                    return Math.Abs(whole) <= most ? (long)whole : throw Wrong(text, $"at most {most}");
                }
                throw Wrong(text, "a whole number");
            }
            if (type == typeof(string))
            {
                return text;
            }
            if (Type.Kind == JsonTypeInfoKind.Enumerable && !text.StartsWith('['))
            {
                var element = new Option(Path, Type.Options.GetTypeInfo(Type.ElementType!), MayChange);
                var parts = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
                return new JsonArray([.. parts.Select(element.Parse)]);
            }
            try
            {
                return JsonNode.Parse(text);
            }
            catch (JsonException)
            {
                throw Wrong(text, "a JSON value");
            }
        }

        private TiltException Wrong(string found, string expected) =>
            TiltException.Usage($"option '{Path}': found '{found}'; expected {expected}.");
    }

    /// <summary>All options of a record that take a value; those of nested records with dotted names.</summary>
    private static IEnumerable<Option> Flatten(JsonTypeInfo type, string prefix = "")
    {
        foreach (var property in Writable(type))
        {
            var inner = type.Options.GetTypeInfo(property.PropertyType);
            var path = prefix + property.Name;
            var mayChange = MemberOf(type, property)?.IsDefined(typeof(MayChangeOnResumeAttribute), true) == true;
            if (inner.Kind == JsonTypeInfoKind.Object)
            {
                foreach (var nested in Flatten(inner, path + "."))
                {
                    yield return nested with
                    {
                        MayChange = nested.MayChange || mayChange,
                    };
                }
            }
            else
            {
                yield return new Option(path, inner, mayChange);
            }
        }
    }

    private static IEnumerable<JsonPropertyInfo> Writable(JsonTypeInfo type) =>
        type.Properties.Where(property => property.Get is not null);

    private static ICustomAttributeProvider? MemberOf(JsonTypeInfo type, JsonPropertyInfo property) =>
        property.AttributeProvider
        ?? type.Type.GetProperty(
            property.Name,
            BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.IgnoreCase
        );

    private static void RefuseUnknown(JsonObject node, JsonTypeInfo type, string source, string prefix)
    {
        if (type.Kind != JsonTypeInfoKind.Object)
        {
            return;
        }
        foreach (var (name, value) in node)
        {
            var property = type.Properties.FirstOrDefault(known => known.Name == name);
            if (property is null)
            {
                var known = type.Properties.Select(candidate => prefix + candidate.Name).ToList();
                throw TiltException.Usage($"{source}: {Suggest.Unknown("option", prefix + name, known).Message}");
            }
            if (value is null && !property.IsSetNullable)
            {
                throw TiltException.Usage(
                    $"{source}: option '{prefix}{name}': found null; expected {Expected(property.PropertyType)}."
                );
            }
            if (value is JsonObject nested)
            {
                RefuseUnknown(nested, type.Options.GetTypeInfo(property.PropertyType), source, $"{prefix}{name}.");
            }
        }
    }

    private static T FromNode<T>(JsonObject root, JsonTypeInfo<T> type, string source)
    {
        T options;
        try
        {
            options = root.Deserialize(type)!;
        }
        catch (JsonException error)
        {
            var path = error.Path?.TrimStart('$', '.') ?? "";
            var found = Find(root, path);
            var expected = Flatten(type)
                .FirstOrDefault(option => path.StartsWith(option.Path, StringComparison.Ordinal));
            throw TiltException.Usage(
                $"{source}: option '{path}': found {found?.ToJsonString() ?? "nothing"}; expected "
                    + $"{(expected is null ? "another kind of value" : Expected(expected.Type.Type))}."
            );
        }
        try
        {
            (options as ICheckedOptions)?.Check();
        }
        catch (TiltException error) when (source != "--set")
        {
            throw new TiltException($"{source}: {error.Message}", error.ExitCode, error);
        }
        return options;
    }

    private static string Expected(Type type)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        return plain.IsEnum ? $"one of {string.Join(", ", Enum.GetNames(plain))}"
            : plain == typeof(bool) ? "true or false"
            : plain == typeof(int) || plain == typeof(long) ? "a whole number"
            : plain == typeof(double) || plain == typeof(float) ? "a number"
            : plain == typeof(string) ? "a text"
            : "a list or an object";
    }

    private static JsonNode? Find(JsonNode? node, string path)
    {
        foreach (var name in path.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            node = (node as JsonObject)?[name];
        }
        return node;
    }

    private static void Collect(JsonObject node, string prefix, List<(string, string)> found)
    {
        foreach (var (name, value) in node)
        {
            if (value is JsonObject nested)
            {
                Collect(nested, $"{prefix}{name}.", found);
            }
            else
            {
                found.Add((prefix + name, value?.ToJsonString() ?? "null"));
            }
        }
    }

    private static string Plain(string name) =>
        name.Replace("-", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal).ToLowerInvariant();

    private static string Example(List<Option> known) => known.Count > 0 ? $"{known[0].Path}=…" : "steps=1000";

    private static string Kind(JsonNode? node) => node is null ? "null" : node.GetValueKind().ToString();
}
