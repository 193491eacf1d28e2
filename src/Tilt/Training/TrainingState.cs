using Tilt.Diffusion;
using Tilt.Runs;

namespace Tilt.Training;

/// <summary>Everything that a training changes as it goes, by name: what a checkpoint saves, and loads in place.</summary>
/// <remarks>
/// The order of registration does not matter, the names do. The model's part goes to model.safetensors and is all that sampling
/// needs: modules, targets, averaged weights, normalizers, bounds. The rest goes to optimizer.safetensors: optimizers, random
/// streams, other tensors. A state owns nothing that is registered with it.
/// </remarks>
public sealed class TrainingState
{
    /// <summary>The text of <see cref="Metadata"/> that holds a model's <see cref="DiffusionRecord"/>.</summary>
    public const string DiffusionKey = "diffusion";

    private const string RandomPrefix = "random.";

    private readonly List<Part> _model = [];
    private readonly List<Part> _optimizer = [];
    private readonly SortedDictionary<string, (Func<long> Read, Action<long> Write)> _counters = new(
        StringComparer.Ordinal
    );
    private readonly HashSet<string> _names = new(StringComparer.Ordinal) { "random" };

    /// <summary>The random streams of the run.</summary>
    public RandomStreams Streams { get; }

    /// <summary>
    /// Texts saved with the model that say how to use it: parametrization, schedule, architecture. A run whose texts differ is not
    /// resumed.
    /// </summary>
    public IDictionary<string, string> Metadata { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal);

    /// <summary>A state that as yet holds the random streams only.</summary>
    /// <param name="streams">The run's streams. Stay the caller's.</param>
    public TrainingState(RandomStreams streams)
    {
        Streams = streams;
    }

    /// <summary>Adds a network, trained or following one: its parameters and buffers are the model's.</summary>
    /// <param name="name">Prefix of the tensors' names.</param>
    /// <param name="module">The network.</param>
    public TrainingState AddModule(string name, nn.Module module)
    {
        // Parameters have to be finite; a buffer may hold infinities on purpose, such as bounds.
        Add(_model, name, () => module.named_parameters().Select(p => (p.name, (Tensor)p.parameter)), finite: true);
        _model.Add(new Part(name, () => module.named_buffers().Select(b => (b.name, b.buffer)), false, null));
        return this;
    }

    /// <summary>Adds a part of the model that is no network: averaged weights, a normalizer.</summary>
    /// <param name="name">Prefix of the tensors' names.</param>
    /// <param name="part">The part.</param>
    public TrainingState AddModel(string name, IStateful part)
    {
        Add(_model, name, part.NamedState, finite: true, part.StateLoaded);
        return this;
    }

    /// <summary>Adds a tensor of the model, such as bounds of actions.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Live storage.</param>
    public TrainingState AddModel(string name, Tensor value)
    {
        Add(_model, name, () => [("", value)], finite: false);
        return this;
    }

    /// <summary>Adds an optimizer, or whatever else training needs and sampling does not.</summary>
    /// <param name="name">Prefix of the tensors' names.</param>
    /// <param name="part">The part.</param>
    public TrainingState AddOptimizer(string name, IStateful part)
    {
        Add(_optimizer, name, part.NamedState, finite: true, part.StateLoaded);
        return this;
    }

    /// <summary>Adds a tensor that training needs and sampling does not, such as the order of a data set.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Live storage.</param>
    public TrainingState AddOptimizer(string name, Tensor value)
    {
        Add(_optimizer, name, () => [("", value)], finite: false);
        return this;
    }

    /// <summary>Adds a number that is kept on the host, such as a position in a data set.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="read">Gives the present value.</param>
    /// <param name="write">Puts a saved value back.</param>
    public TrainingState AddCounter(string name, Func<long> read, Action<long> write)
    {
        Claim(name);
        _counters.Add(name, (read, write));
        return this;
    }

    /// <summary>Names and live tensors of the model's part.</summary>
    public IEnumerable<(string Name, Tensor Value)> ModelTensors => _model.SelectMany(part => part.Tensors());

    /// <summary>Names and live tensors of the optimizer's part, without the random streams.</summary>
    public IEnumerable<(string Name, Tensor Value)> OptimizerTensors => _optimizer.SelectMany(part => part.Tensors());

    /// <summary>Loads the model's part of a checkpoint: for sampling and evaluation.</summary>
    /// <param name="checkpoint">A verified checkpoint.</param>
    /// <param name="partial">Whether the checkpoint may hold tensors that are not registered here.</param>
    /// <exception cref="TiltException">It is of a model of another architecture, size, precision or meaning.</exception>
    public void LoadModel(Checkpoint checkpoint, bool partial = false)
    {
        using var reader = SafetensorsReader.Open(checkpoint.ModelFile);
        RefuseOtherMetadata(reader);
        TensorFile.Load(reader, ModelTensors, partial ? _ => true : null);
        Loaded(_model);
    }

    /// <summary>Writes a checkpoint of everything.</summary>
    /// <param name="checkpoints">Where to.</param>
    /// <param name="state">The trainer's own part; counters are filled in.</param>
    internal Checkpoint Save(Checkpoints checkpoints, CheckpointState state)
    {
        using var scope = NewDisposeScope();
        var random = Streams.States();
        var counters = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var (name, (read, _)) in _counters)
        {
            counters[name] = read();
        }
        return checkpoints.Save(
            state with
            {
                Counters = counters,
            },
            ModelTensors,
            OptimizerTensors.Concat(random.Select(stream => (RandomPrefix + stream.Key, stream.Value))),
            Metadata.AsReadOnly()
        );
    }

    /// <summary>Loads a checkpoint of everything, in place.</summary>
    internal void Load(Checkpoint checkpoint)
    {
        var found = checkpoint.State.Counters;
        if (!found.Keys.ToHashSet(StringComparer.Ordinal).SetEquals(_counters.Keys))
        {
            throw new TiltException(
                $"{checkpoint.Folder}: keeps the counters {Listed(found.Keys)}; this training has {Listed(_counters.Keys)}. "
                    + "It was saved by another algorithm or version."
            );
        }
        using var scope = NewDisposeScope();
        LoadModel(checkpoint);
        using var reader = SafetensorsReader.Open(checkpoint.OptimizerFile);
        TensorFile.Load(reader, OptimizerTensors, name => name.StartsWith(RandomPrefix, StringComparison.Ordinal));
        Loaded(_optimizer);
        foreach (var (name, value) in found)
        {
            _counters[name].Write(value);
        }
        Streams.Restore(
            reader
                .Entries.Where(entry => entry.Name.StartsWith(RandomPrefix, StringComparison.Ordinal))
                .ToDictionary(
                    entry => entry.Name[RandomPrefix.Length..],
                    entry => TensorFile.Read(reader, entry.Name),
                    StringComparer.Ordinal
                )
        );
    }

    /// <summary>The first tensor that holds what it must not, or null: weights and moments are finite, nothing is NaN.</summary>
    internal string? FirstNonFinite()
    {
        using var recording = no_grad();
        foreach (var part in _model.Concat(_optimizer))
        {
            foreach (var (name, value) in part.Tensors())
            {
                if (!value.is_floating_point() || value.numel() == 0)
                {
                    continue;
                }
                using var scope = NewDisposeScope();
                var good = part.Finite ? value.isfinite().all() : value.isnan().any().logical_not();
                if (!good.item<bool>())
                {
                    return name;
                }
            }
        }
        return null;
    }

    private void Add(
        List<Part> parts,
        string name,
        Func<IEnumerable<(string, Tensor)>> tensors,
        bool finite,
        Action? loaded = null
    )
    {
        Claim(name);
        parts.Add(new Part(name, tensors, finite, loaded));
    }

    private void Claim(string name)
    {
        if (string.IsNullOrWhiteSpace(name) || !_names.Add(name))
        {
            throw new ArgumentException($"The name '{name}' of a training's part is taken or empty.", nameof(name));
        }
    }

    private void RefuseOtherMetadata(SafetensorsReader reader)
    {
        foreach (var (key, value) in Metadata)
        {
            if (!reader.Metadata.TryGetValue(key, out var found))
            {
                throw new TiltException(
                    $"{reader.Source}: says nothing of its {key}: it is no model that a training of Tilt has saved; expected "
                        + $"{Shown(value)}. Restore the file."
                );
            }
            if (found == value)
            {
                continue;
            }
            if (key == DiffusionKey)
            {
                // Names the field that differs, where the whole records would fill a screen.
                DiffusionRecord
                    .FromJson(value, "this model")
                    .RequireSame(DiffusionRecord.FromJson(found, reader.Source), reader.Source);
                continue;
            }
            throw new TiltException(
                $"{reader.Source}: the model was saved with {key} {Shown(found)}; expected {Shown(value)}. "
                    + "Used otherwise than it was trained, it would give garbage."
            );
        }

        static string Shown(string text) => text.Length <= 100 ? $"'{text}'" : $"'{text[..100]}…'";
    }

    private static void Loaded(List<Part> parts)
    {
        foreach (var part in parts)
        {
            part.Loaded?.Invoke();
        }
    }

    private static string Listed(IEnumerable<string> names) =>
        names.Any() ? string.Join(", ", names.Select(name => $"'{name}'")) : "none";

    private sealed record Part(
        string Name,
        Func<IEnumerable<(string Name, Tensor Value)>> Source,
        bool Finite,
        Action? Loaded
    )
    {
        public IEnumerable<(string Name, Tensor Value)> Tensors() =>
            Source().Select(tensor => (tensor.Name.Length == 0 ? Name : $"{Name}.{tensor.Name}", tensor.Value));
    }
}
