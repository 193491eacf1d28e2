using System.Collections.Concurrent;

namespace Tilt.Inference;

/// <summary>One layer as it was trained: y = x·Wᵀ + b.</summary>
/// <param name="Weight">W, [outputs, inputs], row-major.</param>
/// <param name="Bias">b, [outputs].</param>
public readonly record struct LinearWeights(float[] Weight, float[] Bias)
{
    /// <summary>Width of y.</summary>
    public int Outputs => Bias.Length;

    /// <summary>Width of x.</summary>
    public int Inputs => Bias.Length == 0 ? 0 : Weight.Length / Bias.Length;
}

/// <summary>A stack of linear layers with one nonlinearity between them, evaluated without libtorch.</summary>
/// <remarks>
/// Immutable once built; any number of threads may evaluate it at the same time, each with working memory of its own from a pool.
/// The same input gives the same bits, whatever rows it is evaluated with and on however many threads.
/// </remarks>
public sealed unsafe class PackedMlp
{
    // Activations of so many rows stay in the second-level cache while all layers pass over them. A multiple of 12, the rows of
    // the largest block.
    private const int ChunkRows = 120;

    // Rows a power of two apart would fall on the same lines of the first-level cache.
    private const int Skew = 16;

    private readonly PackedLinear[] _layers;
    private readonly Activation _activation;
    private readonly nint _stride;
    private readonly ConcurrentBag<AlignedFloats> _pool = [];

    /// <summary>A packed copy of a stack.</summary>
    /// <param name="layers">From input to output; each takes what the one before gives.</param>
    /// <param name="activation">What stands between the layers. Nothing follows the last.</param>
    /// <param name="storage">How to keep the weights.</param>
    /// <param name="lanes">The vectors to use; null for the processor's widest.</param>
    public PackedMlp(
        IReadOnlyList<LinearWeights> layers,
        Activation activation,
        WeightStorage storage = WeightStorage.Float32,
        LaneWidth? lanes = null
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(layers.Count, 1, nameof(layers));
        for (var i = 0; i < layers.Count; i++)
        {
            var expected = i == 0 ? layers[0].Inputs : layers[i - 1].Outputs;
            if (layers[i].Inputs != expected || layers[i].Weight.Length != layers[i].Inputs * layers[i].Outputs)
            {
                throw new ArgumentException(
                    $"Layer {i} has {layers[i].Weight.Length} weights for {layers[i].Outputs} outputs; expected {expected} inputs each.",
                    nameof(layers)
                );
            }
        }
        _layers =
        [
            .. layers.Select(layer => new PackedLinear(
                layer.Weight,
                layer.Bias,
                layer.Outputs,
                layer.Inputs,
                storage,
                lanes
            )),
        ];
        _activation = activation;
        _stride = _layers.Max(layer => Math.Max(layer.Padded, layer.Inputs)) + Skew;
    }

    /// <summary>Width of an input.</summary>
    public int Inputs => _layers[0].Inputs;

    /// <summary>Width of an output.</summary>
    public int Outputs => _layers[^1].Outputs;

    /// <summary>The outputs of a batch.</summary>
    /// <param name="x">[rows, <see cref="Inputs"/>], row-major.</param>
    /// <param name="y">Receives [rows, <see cref="Outputs"/>].</param>
    /// <param name="threads">How many threads may work on it. Chunks of 120 rows are what they share.</param>
    public void Evaluate(ReadOnlySpan<float> x, Span<float> y, int threads = 1)
    {
        var rows = x.Length / Inputs;
        if (x.Length != rows * Inputs || y.Length != rows * Outputs)
        {
            throw new ArgumentException(
                $"{x.Length} inputs and {y.Length} outputs are no batch for {Inputs} inputs and {Outputs} outputs a row."
            );
        }
        fixed (float* from = x)
        fixed (float* to = y)
        {
            var chunks = (rows + ChunkRows - 1) / ChunkRows;
            if (threads <= 1 || chunks <= 1)
            {
                for (var chunk = 0; chunk < chunks; chunk++)
                {
                    EvaluateChunk(from, to, chunk, rows);
                }
                return;
            }
            var (fromAddress, toAddress) = ((nint)from, (nint)to);
            Parallel.For(
                0,
                chunks,
                new ParallelOptions { MaxDegreeOfParallelism = threads },
                chunk => EvaluateChunk((float*)fromAddress, (float*)toAddress, chunk, rows)
            );
        }
    }

    private void EvaluateChunk(float* x, float* y, int chunk, int rows)
    {
        var first = chunk * ChunkRows;
        rows = Math.Min(ChunkRows, rows - first);
        x += (nint)first * Inputs;
        y += (nint)first * Outputs;

        if (!_pool.TryTake(out var work))
        {
            work = new AlignedFloats(2 * ChunkRows * _stride);
        }
        var a = work.Start;
        var b = a + ChunkRows * _stride;
        for (var i = 0; i < _layers.Length; i++)
        {
            var last = i + 1 == _layers.Length;
            var epilogue = new Epilogue { Activation = last ? Activation.Identity : _activation };
            _layers[i].Multiply(i == 0 ? x : b, i == 0 ? Inputs : _stride, rows, a, _stride, epilogue);
            var written = a;
            a = b;
            b = written;
        }
        for (var row = 0; row < rows; row++)
        {
            new ReadOnlySpan<float>(b + row * _stride, Outputs).CopyTo(new(y + row * Outputs, Outputs));
        }
        GC.KeepAlive(work);
        _pool.Add(work);
    }
}
