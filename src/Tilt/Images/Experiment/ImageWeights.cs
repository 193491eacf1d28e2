using System.Text.Json.Serialization.Metadata;
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
    internal const string NamesKey = "names";

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

    /// <summary>The model of a run's latest checkpoint, with its averaged weights, or of a file of weights.</summary>
    /// <param name="path">The run's folder, or the file.</param>
    /// <param name="kind">What it has to be.</param>
    /// <param name="type">How its options are read.</param>
    /// <param name="notes">Told what is remarkable, such as a damaged checkpoint that was passed over.</param>
    /// <param name="make">A model with drawn weights, from its options, the names of its outputs and random streams.</param>
    /// <exception cref="TiltException">No run, no checkpoint, or one of another kind.</exception>
    internal static TModel Open<TModel, TOptions>(
        string path,
        string kind,
        JsonTypeInfo<TOptions> type,
        Action<string>? notes,
        Func<TOptions, IReadOnlyList<string>, RandomStreams, TModel> make
    )
        where TModel : class, IImageModel
    {
        // Drawn weights are overwritten, so any seed will do.
        using var streams = new RandomStreams(0);
        if (File.Exists(path))
        {
            var (json, names) = Describe(path, kind);
            var stored = OptionRecords.Parse(json, path, type);
            return Filled(
                make(stored, names, streams),
                model =>
                {
                    using var scope = NewDisposeScope();
                    model.Network.Load(TensorFile.ReadAll(path), path);
                }
            );
        }
        var reader = RunReader.Open(path);
        RequireKind(path, KindOf(path), kind);
        var options = reader.Options(type);
        var checkpoint = reader.Checkpoint(notes);
        return Filled(
            make(options, NamesIn(checkpoint), streams),
            model =>
            {
                model.Register(new TrainingState(streams)).LoadModel(checkpoint);
                model.UseAverages();
            }
        );
    }

    /// <summary>The model once its weights are in; it is disposed where they are not to be had.</summary>
    private static TModel Filled<TModel>(TModel model, Action<TModel> fill)
        where TModel : class, IImageModel
    {
        try
        {
            fill(model);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The names of a checkpoint's outputs; none where its kind has no such names.</summary>
    private static string[] NamesIn(Checkpoint checkpoint)
    {
        using var reader = SafetensorsReader.Open(checkpoint.ModelFile);
        return reader.Metadata.GetValueOrDefault(NamesKey, "").Split('\n', StringSplitOptions.RemoveEmptyEntries);
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

/// <summary>What the models of image runs have in common: a network, and how a checkpoint fills it.</summary>
internal interface IImageModel : IDisposable
{
    /// <summary>What computes.</summary>
    Network Network { get; }

    /// <summary>Names its modules and texts in a training's state.</summary>
    TrainingState Register(TrainingState state);

    /// <summary>Puts the averaged weights in the network's place.</summary>
    void UseAverages();
}
