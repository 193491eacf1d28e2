using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Tilt.Model;

namespace Tilt.Inference;

/// <summary>A tanh-Gaussian policy evaluated without libtorch: a = tanh(μ(s) + σ(s)·ε), as soft actor-critic trains it.</summary>
/// <remarks>
/// The last layer's first A outputs are μ, the others log σ, which is clipped to [−20, 2] (Haarnoja et al. 2018). Hidden layers are
/// ReLU. Immutable while nobody changes the arrays it was made of, and then usable by any number of threads at once.
/// A saved actor is one safetensors file with D4RL's names of a behavior policy's arrays: <c>fc0.weight</c> [256, S], <c>fc0.bias</c>,
/// <c>fc1.…</c>, <c>last_fc.…</c> (μ) and <c>last_fc_log_std.…</c>, float32 or float16.
/// </remarks>
public sealed class GaussianActor
{
    /// <summary>The least log σ.</summary>
    public const float LeastLogDeviation = -20;

    /// <summary>The greatest log σ.</summary>
    public const float GreatestLogDeviation = 2;

    /// <summary>What the metadata entry <c>format</c> of a saved actor says.</summary>
    public const string Format = "tilt-gaussian-actor";

    private const string MeanHead = "last_fc";
    private const string DeviationHead = "last_fc_log_std";

    // Wider than any robot needs, small enough that a damaged file cannot ask for much.
    private const long WidestLayer = 1 << 16;

    private readonly LinearWeights[] _layers;
    private readonly Lazy<PackedMlp> _packed;

    /// <summary>An actor of the given layers.</summary>
    /// <param name="layers">From observation to 2·A outputs. Their arrays are used as they are, not copied.</param>
    public GaussianActor(IReadOnlyList<LinearWeights> layers)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(layers.Count, 1, nameof(layers));
        for (var i = 0; i < layers.Count; i++)
        {
            var inputs = i == 0 ? layers[0].Inputs : layers[i - 1].Outputs;
            if (layers[i].Weight.Length != inputs * layers[i].Outputs || inputs == 0)
            {
                throw new ArgumentException($"Layer {i} does not fit the one before.", nameof(layers));
            }
        }
        if (layers[^1].Outputs % 2 != 0)
        {
            throw new ArgumentException("The last layer gives a mean and a deviation for each action.", nameof(layers));
        }
        _layers = [.. layers];
        _packed = new(() => new PackedMlp(_layers, Activation.Relu));
    }

    /// <summary>S.</summary>
    public int Observations => _layers[0].Inputs;

    /// <summary>A.</summary>
    public int Actions => _layers[^1].Outputs / 2;

    /// <summary>The layers, from observation to the 2·A outputs.</summary>
    public IReadOnlyList<LinearWeights> Layers => _layers;

    /// <summary>Texts that were saved with it: task, steps, measured returns.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; private init; } = new Dictionary<string, string>();

    /// <summary>Actions of a batch.</summary>
    /// <param name="observations">s, [rows, S], row-major.</param>
    /// <param name="noise">ε, [rows, A], standard normal; empty for the mean, a = tanh(μ).</param>
    /// <param name="actions">Receives a, [rows, A], in [−1, 1].</param>
    /// <param name="logDensities">Receives log π(a | s), [rows]; empty where nobody asks. With no noise, that of the mean.</param>
    /// <remarks>A row's result is the same bits whatever rows it comes with. Scratch comes from the stack or the heap by size.</remarks>
    public void Act(
        ReadOnlySpan<float> observations,
        ReadOnlySpan<float> noise,
        Span<float> actions,
        Span<float> logDensities = default
    )
    {
        var rows = observations.Length / Observations;
        if (actions.Length != rows * Actions || (noise.Length != 0 && noise.Length != actions.Length))
        {
            throw new ArgumentException(
                $"{observations.Length} observation, {noise.Length} noise and {actions.Length} action components are no batch "
                    + $"for S = {Observations}, A = {Actions}."
            );
        }
        var outputs = rows <= 64 ? stackalloc float[rows * 2 * Actions] : new float[rows * 2 * Actions];
        _packed.Value.Evaluate(observations, outputs);
        for (var row = 0; row < rows; row++)
        {
            var density = Draw(
                outputs.Slice(row * 2 * Actions, 2 * Actions),
                noise.IsEmpty ? noise : noise.Slice(row * Actions, Actions),
                actions.Slice(row * Actions, Actions)
            );
            if (!logDensities.IsEmpty)
            {
                logDensities[row] = density;
            }
        }
    }

    /// <summary>One action, straight from the arrays, so that they may change from call to call: while an actor is being trained.</summary>
    /// <param name="observation">s, [S].</param>
    /// <param name="noise">ε, [A]; empty for the mean.</param>
    /// <param name="action">Receives a, [A].</param>
    /// <remarks>Rounds otherwise than <see cref="Act"/>: products are added in another order.</remarks>
    public void ActOne(scoped ReadOnlySpan<float> observation, ReadOnlySpan<float> noise, Span<float> action)
    {
        var widest = _layers.Max(layer => layer.Outputs);
        Span<float> first = stackalloc float[widest];
        Span<float> second = stackalloc float[widest];
        scoped var input = observation;
        for (var i = 0; i < _layers.Length; i++)
        {
            var output = (i % 2 == 0 ? first : second)[.._layers[i].Outputs];
            Multiply(_layers[i], input, output, rectify: i + 1 < _layers.Length);
            input = output;
        }
        Draw(input, noise, action);
    }

    /// <summary>Reads a saved actor.</summary>
    /// <param name="file">A safetensors file that <see cref="ToBytes"/> made.</param>
    /// <exception cref="TiltException">It is none, is damaged, or its layers do not fit.</exception>
    public static GaussianActor Load(string file)
    {
        using var reader = SafetensorsReader.Open(file);
        return Read(reader);
    }

    /// <summary>Reads a saved actor from memory.</summary>
    /// <param name="bytes">The file's content.</param>
    /// <param name="source">What to call it in messages.</param>
    public static GaussianActor Parse(byte[] bytes, string source)
    {
        using var reader = SafetensorsReader.Parse(bytes, source);
        return Read(reader);
    }

    /// <summary>The file of this actor.</summary>
    /// <param name="type">float32 or float16 numbers.</param>
    /// <param name="metadata">Texts to save with it.</param>
    public byte[] ToBytes(ElementType type, IReadOnlyDictionary<string, string> metadata)
    {
        var tensors = new List<(SafetensorsEntry, byte[])>();
        void Add(string name, ReadOnlySpan<float> values, params long[] shape) =>
            tensors.Add((new(name, type, shape), Encode(values, type)));

        for (var i = 0; i < _layers.Length - 1; i++)
        {
            Add($"fc{i}.weight", _layers[i].Weight, _layers[i].Outputs, _layers[i].Inputs);
            Add($"fc{i}.bias", _layers[i].Bias, _layers[i].Outputs);
        }
        var last = _layers[^1];
        var half = Actions * last.Inputs;
        Add($"{MeanHead}.weight", last.Weight.AsSpan(0, half), Actions, last.Inputs);
        Add($"{MeanHead}.bias", last.Bias.AsSpan(0, Actions), Actions);
        Add($"{DeviationHead}.weight", last.Weight.AsSpan(half), Actions, last.Inputs);
        Add($"{DeviationHead}.bias", last.Bias.AsSpan(Actions), Actions);
        var texts = new SortedDictionary<string, string>(StringComparer.Ordinal) { ["format"] = Format };
        foreach (var (key, value) in metadata)
        {
            texts[key] = value;
        }
        return SafetensorsWriter.ToBytes(tensors, texts);
    }

    private static GaussianActor Read(SafetensorsReader reader)
    {
        if (reader.Metadata.GetValueOrDefault("format") != Format)
        {
            throw new TiltException(
                $"{reader.Source}: found no actor's file; expected one of format {Format}, as './tilt data train-behavior' writes."
            );
        }
        var layers = new List<LinearWeights>();
        while (reader.Find($"fc{layers.Count}.weight") is not null)
        {
            layers.Add(Layer(reader, $"fc{layers.Count}", layers.Count == 0 ? null : layers[^1].Outputs));
        }
        int? before = layers.Count == 0 ? null : layers[^1].Outputs;
        var (mean, deviation) = (Layer(reader, MeanHead, before), Layer(reader, DeviationHead, before));
        if (mean.Outputs != deviation.Outputs || mean.Inputs != deviation.Inputs)
        {
            throw new TiltException(
                $"{reader.Source}: {MeanHead} gives {mean.Outputs} actions and {DeviationHead} {deviation.Outputs}; expected as many."
            );
        }
        layers.Add(new([.. mean.Weight, .. deviation.Weight], [.. mean.Bias, .. deviation.Bias]));
        return new(layers) { Metadata = reader.Metadata };
    }

    private static LinearWeights Layer(SafetensorsReader reader, string name, int? inputs)
    {
        var weight = reader[$"{name}.weight"];
        var bias = reader[$"{name}.bias"];
        var fits =
            weight.Shape.Count == 2
            && bias.Shape.Count == 1
            && weight.Shape[0] == bias.Shape[0]
            && weight.Shape[0] is > 0 and <= WidestLayer
            && weight.Shape[1] is > 0 and <= WidestLayer
            && (inputs is null || weight.Shape[1] == inputs);
        if (!fits)
        {
            throw new TiltException(
                $"{reader.Source}: '{name}' is {weight.Describe()} with bias {bias.Describe()}; expected a weight [outputs, "
                    + $"{(inputs is { } count ? count : "inputs")}] and a bias [outputs]. The file is damaged or of another kind."
            );
        }
        return new(Decode(reader, weight), Decode(reader, bias));
    }

    private static float[] Decode(SafetensorsReader reader, SafetensorsEntry entry)
    {
        var values =
            entry.Type == ElementType.F16
                ? Array.ConvertAll(reader.ReadArray<Half>(entry.Name, ElementType.F16), half => (float)half)
                : reader.ReadSingles(entry.Name);
        return Array.TrueForAll(values, float.IsFinite)
            ? values
            : throw new TiltException($"{reader.Source}: '{entry.Name}' holds NaN or infinity; the file is damaged.");
    }

    private static byte[] Encode(ReadOnlySpan<float> values, ElementType type)
    {
        if (type == ElementType.F32)
        {
            return MemoryMarshal.AsBytes(values).ToArray();
        }
        if (type != ElementType.F16)
        {
            throw new ArgumentException($"An actor is saved as F32 or F16, not {type}.", nameof(type));
        }
        var halves = new Half[values.Length];
        for (var i = 0; i < halves.Length; i++)
        {
            halves[i] = (Half)values[i];
        }
        return MemoryMarshal.AsBytes<Half>(halves).ToArray();
    }

    /// <summary>a = tanh(μ + σ·ε) and its log-density.</summary>
    /// <remarks>log π(a) = Σᵢ −½εᵢ² − log σᵢ − ½ log 2π − log(1 − aᵢ²), the last as 2(log 2 − u − softplus(−2u)), which never overflows.</remarks>
    private static float Draw(ReadOnlySpan<float> outputs, ReadOnlySpan<float> noise, Span<float> action)
    {
        const double HalfLogTwoPi = 0.918938533204672742;
        const double LogTwo = 0.693147180559945309;
        var density = 0.0;
        for (var i = 0; i < action.Length; i++)
        {
            var logDeviation = Math.Clamp(outputs[action.Length + i], LeastLogDeviation, GreatestLogDeviation);
            var epsilon = noise.IsEmpty ? 0f : noise[i];
            var u = outputs[i] + MathF.Exp(logDeviation) * epsilon;
            action[i] = MathF.Tanh(u);
            var softplus = Math.Max(-2 * u, 0) + Math.Log(1 + Math.Exp(-Math.Abs(2 * u)));
            density += -0.5 * epsilon * epsilon - logDeviation - HalfLogTwoPi - 2 * (LogTwo - u - softplus);
        }
        return (float)density;
    }

    private static void Multiply(in LinearWeights layer, ReadOnlySpan<float> input, Span<float> output, bool rectify)
    {
        ref var x = ref MemoryMarshal.GetReference(input);
        ref var w = ref MemoryMarshal.GetArrayDataReference(layer.Weight);
        var count = input.Length;
        for (var row = 0; row < output.Length; row++)
        {
            ref var weights = ref Unsafe.Add(ref w, row * count);
            var (even, odd) = (Vector512<float>.Zero, Vector512<float>.Zero);
            var i = 0;
            for (; i + 32 <= count; i += 32)
            {
                even = Vector512.FusedMultiplyAdd(Load(ref weights, i), Load(ref x, i), even);
                odd = Vector512.FusedMultiplyAdd(Load(ref weights, i + 16), Load(ref x, i + 16), odd);
            }
            var sum = Vector512.Sum(even + odd);
            for (; i < count; i++)
            {
                sum += Unsafe.Add(ref weights, i) * Unsafe.Add(ref x, i);
            }
            sum += layer.Bias[row];
            output[row] = rectify ? MathF.Max(sum, 0) : sum;
        }
    }

    private static Vector512<float> Load(ref float start, int at) => Vector512.LoadUnsafe(ref start, (nuint)at);
}
