using Tilt.Networks;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.Images;

/// <summary>Weights of image networks outside run folders: one file with everything that sampling needs, in bf16.</summary>
/// <remarks>
/// A safetensors file; its texts say what kind of model it is, its options as JSON, and its schedule and parametrization. bf16 halves the
/// size and moves samples by less than a grey level.
/// </remarks>
public static class ImageWeights
{
    /// <summary>The text that tells kinds of models apart, in checkpoints and files alike.</summary>
    internal const string KindKey = "experiment";

    private const string OptionsKey = "options";
    private const string NamesKey = "names";

    /// <summary>Writes a model.</summary>
    internal static void Save(string path, string kind, string options, IEnumerable<string> names, nn.Module network)
    {
        using var scope = NewDisposeScope();
        TensorFile.Save(
            path,
            network.NamedTensors().Select(pair => (pair.Name, pair.Value.detach().to(ScalarType.BFloat16))),
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                [KindKey] = kind,
                [OptionsKey] = options,
                [NamesKey] = string.Join('\n', names),
            }
        );
    }

    /// <summary>What a file says of its model.</summary>
    /// <exception cref="TiltException">It is of another kind.</exception>
    internal static (string Options, IReadOnlyList<string> Names) Describe(string path, string kind)
    {
        using var reader = SafetensorsReader.Open(path);
        RequireKind(path, reader.Metadata.GetValueOrDefault(KindKey), kind);
        return (
            reader.Metadata.GetValueOrDefault(OptionsKey)
                ?? throw new TiltException($"{path}: lacks its options. Restore the file, or make it again."),
            reader.Metadata.GetValueOrDefault(NamesKey, "").Split('\n', StringSplitOptions.RemoveEmptyEntries)
        );
    }

    /// <summary>Puts a file's weights into a network.</summary>
    internal static void Load(string path, nn.Module network)
    {
        using var scope = NewDisposeScope();
        network.Load(TensorFile.ReadAll(path), path);
    }

    /// <summary>What kind of model a run or a file holds, such as <see cref="ImageNoiseModel.Kind"/>, or null when it is none of images.</summary>
    /// <param name="path">The run's folder, or the file.</param>
    public static string? KindOf(string path)
    {
        try
        {
            if (File.Exists(path))
            {
                using var file = SafetensorsReader.Open(path);
                return file.Metadata.GetValueOrDefault(KindKey);
            }
            if (!RunReader.Exists(path))
            {
                return null;
            }
            var options = RunReader.Open(path).OptionsNode();
            return !options.ContainsKey("data") || !options.ContainsKey("training") ? null
                : options.ContainsKey("sampler") ? ImageNoiseModel.Kind
                : options.ContainsKey("energy") ? ImageEnergyModel.Kind
                : ImageClassifier.Kind;
        }
        catch (TiltException)
        {
            return null;
        }
    }

    /// <summary>Throws unless a run or file is of the wanted kind.</summary>
    internal static void RequireKind(string path, string? found, string expected)
    {
        if (found != expected)
        {
            throw TiltException.Usage(
                $"{path}: holds {(found is null ? "no model of images" : Article(found))}; expected {Article(expected)}. "
                    + "Give the folder of such a run, or train one: ./tilt train "
                    + (expected == ImageEnergyModel.Kind ? "images-energy" : expected)
            );
        }

        static string Article(string kind) =>
            kind switch
            {
                ImageNoiseModel.Kind => "a noise model of images",
                ImageEnergyModel.Kind => "energies of images",
                ImageClassifier.Kind => "a classifier of images",
                _ => $"a model of kind '{kind}'",
            };
    }
}
