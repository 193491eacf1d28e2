using Tilt.Model;

namespace Tilt.Inference;

/// <summary>A matrix as it was trained, [Rows, Columns], row-major.</summary>
internal readonly record struct Matrix(float[] Values, int Rows, int Columns)
{
    /// <summary>Some of its columns, each part followed by zeros up to a given width.</summary>
    /// <param name="parts">First column, how many, and how many columns they shall take.</param>
    public Matrix Spread(params ReadOnlySpan<(int First, int Count, int Width)> parts)
    {
        var width = 0;
        foreach (var part in parts)
        {
            width += part.Width;
        }
        var spread = new float[Rows * width];
        for (var row = 0; row < Rows; row++)
        {
            var to = row * width;
            foreach (var (first, count, padded) in parts)
            {
                Values.AsSpan(row * Columns + first, count).CopyTo(spread.AsSpan(to));
                to += padded;
            }
        }
        return new(spread, Rows, width);
    }

    /// <summary>Some of its columns.</summary>
    public Matrix Part(int first, int count) => Spread((first, count, count));

    /// <summary>y = W·x + b in double, for what is computed once when a policy is loaded.</summary>
    public double[] Times(ReadOnlySpan<double> x, float[]? bias = null)
    {
        var y = new double[Rows];
        for (var row = 0; row < Rows; row++)
        {
            var sum = bias is null ? 0.0 : bias[row];
            for (var k = 0; k < Columns; k++)
            {
                sum += Values[row * Columns + k] * x[k];
            }
            y[row] = sum;
        }
        return y;
    }
}

/// <summary>A trained layer: weight and bias.</summary>
internal readonly record struct Layer(Matrix Weight, float[] Bias)
{
    public int Inputs => Weight.Columns;

    public int Outputs => Weight.Rows;

    /// <summary>y = W·x + b in double.</summary>
    public double[] Times(ReadOnlySpan<double> x) => Weight.Times(x, Bias);
}

/// <summary>Takes the tensors of a saved policy one by one, checking that they fit together and that none is left.</summary>
internal sealed class PolicyTensorSource(PolicyFile file, string where)
{
    private readonly HashSet<string> _left = [.. file.Tensors.Keys];

    /// <summary>Whether a tensor of that name exists.</summary>
    public bool Has(string name) => file.Tensors.ContainsKey(name);

    /// <summary>A vector.</summary>
    public float[] Vector(string name, int? length = null)
    {
        var tensor = Take(name);
        return tensor.Shape is [var n] && (length is null || n == length) && tensor.Values.Length == n && n > 0
            ? tensor.Values
            : throw Wrong(name, tensor, $"[{length?.ToString() ?? "n"}]");
    }

    /// <summary>A layer: <c>name.weight</c> and <c>name.bias</c>.</summary>
    /// <param name="name">The module's name.</param>
    /// <param name="inputs">Its input width, where that is known.</param>
    /// <param name="outputs">Its output width, where that is known.</param>
    public Layer Linear(string name, int? inputs = null, int? outputs = null)
    {
        var tensor = Take($"{name}.weight");
        if (
            tensor.Shape is not [var rows and > 0 and < 1 << 20, var columns and > 0 and < 1 << 20]
            || (inputs is not null && columns != inputs)
            || (outputs is not null && rows != outputs)
            || tensor.Values.Length != rows * columns
        )
        {
            throw Wrong(
                $"{name}.weight",
                tensor,
                $"[{outputs?.ToString() ?? "outputs"}, {inputs?.ToString() ?? "inputs"}]"
            );
        }
        return new(new(tensor.Values, (int)rows, (int)columns), Vector($"{name}.bias", (int)rows));
    }

    /// <summary>The layers of a stack, <c>name.0</c>, <c>name.2</c>, …, as many as there are.</summary>
    public List<Layer> Stack(string name, int inputs, int? outputs = null)
    {
        var layers = new List<Layer>();
        for (var i = 0; i == 0 || Has($"{name}.{2 * i}.weight"); i++)
        {
            var last = !Has($"{name}.{2 * (i + 1)}.weight");
            layers.Add(Linear($"{name}.{2 * i}", i == 0 ? inputs : layers[^1].Outputs, last ? outputs : null));
        }
        return layers;
    }

    /// <summary>Throws when tensors are left that nobody asked for.</summary>
    public void RequireNoneLeft()
    {
        if (_left.Count > 0)
        {
            throw new TiltException(
                $"{where}: holds the tensor '{_left.Order(StringComparer.Ordinal).First()}', which is no part of the networks that its record "
                    + "names. It was written by another version of Tilt, or for another architecture."
            );
        }
    }

    private PolicyTensor Take(string name)
    {
        _left.Remove(name);
        return file.Tensors.TryGetValue(name, out var tensor)
            ? tensor
            : throw new TiltException(
                $"{where}: lacks the tensor '{name}', which the networks that its record names have. It was written by another version of "
                    + "Tilt, or for another architecture."
            );
    }

    private TiltException Wrong(string name, PolicyTensor tensor, string expected) =>
        new(
            $"{where}: '{name}' is [{string.Join(", ", tensor.Shape)}]; expected {expected}. Its networks do not fit together or do not fit "
                + "the record."
        );
}
