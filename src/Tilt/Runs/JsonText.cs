using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Tilt.Runs;

/// <summary>How a run's files are written and read as JSON.</summary>
internal static class JsonText
{
    /// <summary>One value a line, for files that people read. Greek letters and quotes stay as they are: no page embeds them raw.</summary>
    public static JsonSerializerOptions Indented { get; } =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>All on one line, for logs.</summary>
    public static JsonSerializerOptions Line { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A JSON object completed by what a record's properties are by default.</summary>
    /// <remarks>
    /// Source-generated readers give an absent init-only property the default of its type, not that of the record. So the
    /// defaults are laid under what was read.
    /// </remarks>
    /// <param name="given">What was read. Left as it is.</param>
    /// <param name="type">The record's source-generated description.</param>
    public static JsonObject OverDefaults<T>(JsonObject given, JsonTypeInfo<T> type)
    {
        if (typeof(T).GetConstructor(Type.EmptyTypes) is null)
        {
            return given.DeepClone().AsObject();
        }
        var whole = JsonSerializer.SerializeToNode(Activator.CreateInstance<T>(), type)!.AsObject();
        Lay(given, whole, type);
        return whole;
    }

    /// <summary>A record from JSON text, with the record's own defaults for what is absent.</summary>
    /// <exception cref="JsonException">Not JSON, or not such a record.</exception>
    public static T Read<T>(string text, JsonTypeInfo<T> type) =>
        JsonNode.Parse(text) is JsonObject given
            ? OverDefaults(given, type).Deserialize(type)!
            : throw new JsonException("Not a JSON object.");

    /// <summary>A file's text.</summary>
    /// <exception cref="TiltException">It cannot be read.</exception>
    public static string ReadFile(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new TiltException($"{path}: cannot be read: {error.Message}", inner: error);
        }
    }

    private static void Lay(JsonObject given, JsonObject whole, JsonTypeInfo type)
    {
        foreach (var (name, value) in given)
        {
            var property = type.Properties.FirstOrDefault(known => known.Name == name);
            var inner = property is null ? null : type.Options.GetTypeInfo(property.PropertyType);
            if (inner?.Kind == JsonTypeInfoKind.Object && value is JsonObject part && whole[name] is JsonObject below)
            {
                Lay(part, below, inner);
            }
            else
            {
                whole[name] = value?.DeepClone();
            }
        }
    }
}
