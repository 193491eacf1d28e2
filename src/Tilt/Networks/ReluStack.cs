using System.Runtime.Intrinsics;
using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>Forward and backward of a small ReLU network without a recorded graph: three linear layers, ReLU between them.</summary>
/// <remarks>
/// For networks that are so small, and updated so often, that recording a graph and running a dozen small operations would cost as much
/// as the products. The large products are libtorch's, in bf16 or float32; biases, activations, the narrow last layer and all their
/// derivatives are one pass each over rows that are still in the cache:
/// h₁ = relu(x·W₁ᵀ + b₁), h₂ = relu(h₁·W₂ᵀ + b₂), y = h₂·W₃ᵀ + b₃.
/// The weights are those of an <see cref="Mlp"/>, which owns and saves them; gradients are left in their <c>grad</c>. Sums run in one
/// fixed order on the calling thread. What the last <see cref="Forward"/> left behind serves one batch at a time.
/// </remarks>
public sealed unsafe class ReluStack : IDisposable
{
    private readonly Parameter[] _parameters;
    private readonly Tensor[] _gradients;
    private readonly Tensor _output;
    private readonly int _batch;
    private readonly int _inputs;
    private readonly int _width;
    private readonly int _outputs;
    private readonly bool _half;
    private Tensor? _x;
    private Tensor? _h1;
    private Tensor? _h2;
    private Tensor? _middle;

    /// <summary>A way through a network for batches of one size.</summary>
    /// <param name="network">Three layers, both hidden ones of one width, float32, on the CPU. Stays the caller's.</param>
    /// <param name="batch">B.</param>
    /// <param name="precision">Of the product between the hidden layers and of its derivatives.</param>
    public ReluStack(Mlp network, int batch, Precision precision)
    {
        _parameters = [.. network.parameters()];
        if (_parameters.Length != 6 || _parameters[2].shape[0] != _parameters[2].shape[1])
        {
            throw new ArgumentException("A stack has three layers, the hidden ones equally wide.", nameof(network));
        }
        (_batch, _half) = (batch, precision.Resolve() == Precision.BFloat16);
        _inputs = (int)_parameters[0].shape[1];
        _width = (int)_parameters[2].shape[0];
        _outputs = (int)_parameters[4].shape[0];
        _gradients =
        [
            .. _parameters.Select(parameter => zeros(parameter.shape, ScalarType.Float32).DetachFromDisposeScope()),
        ];
        _output = zeros([batch, _outputs], ScalarType.Float32).DetachFromDisposeScope();
    }

    /// <summary>y, [B, outputs].</summary>
    /// <param name="x">[B, inputs], float32, contiguous.</param>
    /// <returns>Memory that the next call overwrites; stays the stack's.</returns>
    public Tensor Forward(Tensor x)
    {
        Expect.Shape(x, _batch, _inputs);
        using var scope = NewDisposeScope();
        using var constant = no_grad();

        Forget();
        var type = _half ? ScalarType.BFloat16 : ScalarType.Float32;
        _x = x.alias().DetachFromDisposeScope();
        _middle = (_half ? _parameters[2].to(type) : _parameters[2].alias()).DetachFromDisposeScope();
        var z1 = nn.functional.linear(x, _parameters[0]);
        _h1 = (_half ? empty(z1.shape, dtype: type) : z1).DetachFromDisposeScope();
        if (_half)
        {
            Rectify<AsFloat32, AsBFloat16>(z1, _parameters[1], _h1);
        }
        else
        {
            Rectify<AsFloat32, AsFloat32>(z1, _parameters[1], _h1);
        }
        _h2 = nn.functional.linear(_h1, _middle).DetachFromDisposeScope();
        if (_half)
        {
            Rectify<AsBFloat16, AsBFloat16>(_h2, _parameters[3], _h2);
            Head<AsBFloat16>(_h2);
        }
        else
        {
            Rectify<AsFloat32, AsFloat32>(_h2, _parameters[3], _h2);
            Head<AsFloat32>(_h2);
        }
        return _output;
    }

    /// <summary>The weights' gradients of the last <see cref="Forward"/>, into their <c>grad</c>, replacing what was there.</summary>
    /// <param name="gradient">Of y, [B, outputs], float32, contiguous.</param>
    public void Backward(Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();

        var dz1 = BackwardToFirst(gradient, weights: true);
        // dW₁ = dz₁ᵀ·x. The narrow side first: several times faster in libtorch.
        var x = _half ? _x!.to(ScalarType.BFloat16) : _x!;
        _gradients[0].copy_(x.t().mm(dz1).t());
        for (var i = 0; i < _parameters.Length; i++)
        {
            _parameters[i].grad = _gradients[i];
        }
    }

    /// <summary>The gradient of the last <see cref="Forward"/>'s input, from a column on; the weights get none.</summary>
    /// <param name="gradient">Of y, [B, outputs], float32, contiguous.</param>
    /// <param name="firstColumn">The first input that is asked about.</param>
    /// <returns>[B, inputs − firstColumn], float32.</returns>
    public Tensor InputGradient(Tensor gradient, int firstColumn = 0)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();

        var dz1 = BackwardToFirst(gradient, weights: false);
        var weight = _parameters[0].narrow(1, firstColumn, _inputs - firstColumn).to(dz1.dtype);
        return dz1.mm(weight).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Forget();
        _output.Dispose();
        foreach (var gradient in _gradients)
        {
            gradient.Dispose();
        }
    }

    private Tensor BackwardToFirst(Tensor gradient, bool weights)
    {
        Expect.Shape(gradient, _batch, _outputs);
        if (_h2 is null)
        {
            throw new InvalidOperationException("Backward without a Forward before.");
        }
        using var scope = NewDisposeScope();

        var dz2 = empty_like(_h2);
        var g = Floats(gradient);
        var h1 = Workers.Address(_h1!);
        var h2 = Workers.Address(_h2);
        if (weights)
        {
            SumRows(g);
        }
        float* Sums(int index) => weights ? Floats(_gradients[index]) : null;
        if (_half)
        {
            HeadBackward<AsBFloat16>(g, h2, Workers.Address(dz2), Sums(4), Sums(3));
        }
        else
        {
            HeadBackward<AsFloat32>(g, h2, Workers.Address(dz2), Sums(4), Sums(3));
        }
        if (weights)
        {
            _gradients[2].copy_(dz2.t().mm(_h1!));
        }
        var dz1 = dz2.mm(_middle!);
        if (_half)
        {
            Mask<AsBFloat16>(Workers.Address(dz1), h1, Sums(1));
        }
        else
        {
            Mask<AsFloat32>(Workers.Address(dz1), h1, Sums(1));
        }
        GC.KeepAlive(gradient);
        GC.KeepAlive(dz2);
        return dz1.MoveToOuterDisposeScope();
    }

    private void Forget()
    {
        _x?.Dispose();
        _h1?.Dispose();
        _h2?.Dispose();
        _middle?.Dispose();
    }

    private static float* Floats(Tensor tensor) => (float*)Workers.Address(tensor);

    /// <summary>h = max(z + b, 0).</summary>
    private void Rectify<TFrom, TTo>(Tensor from, Tensor biases, Tensor to)
        where TFrom : IStorage
        where TTo : IStorage
    {
        var z = Workers.Address(from);
        var bias = Floats(biases);
        var h = Workers.Address(to);
        var zero = Vector512<float>.Zero;
        for (var row = 0; row < _batch; row++)
        {
            var at = (nint)row * _width;
            var i = 0;
            for (; i + 32 <= _width; i += 32)
            {
                var (a, b) = TFrom.Load(z, at + i);
                a += Vector512.Load(bias + i);
                b += Vector512.Load(bias + i + 16);
                TTo.Store(h, at + i, Vector512.Max(a, zero), Vector512.Max(b, zero));
            }
            for (; i < _width; i++)
            {
                TTo.StoreOne(h, at + i, MathF.Max(TFrom.LoadOne(z, at + i) + bias[i], 0));
            }
        }
        GC.KeepAlive(from);
        GC.KeepAlive(to);
    }

    /// <summary>y = h·Wᵀ + b of the last layer.</summary>
    private void Head<T>(Tensor hidden)
        where T : IStorage
    {
        var h = Workers.Address(hidden);
        var weight = Floats(_parameters[4]);
        var bias = Floats(_parameters[5]);
        var y = Floats(_output);
        for (var row = 0; row < _batch; row++)
        {
            var at = (nint)row * _width;
            for (var o = 0; o < _outputs; o++)
            {
                var w = weight + (nint)o * _width;
                var (low, high) = (Vector512<float>.Zero, Vector512<float>.Zero);
                var i = 0;
                for (; i + 32 <= _width; i += 32)
                {
                    var (a, b) = T.Load(h, at + i);
                    low = Vector512.FusedMultiplyAdd(a, Vector512.Load(w + i), low);
                    high = Vector512.FusedMultiplyAdd(b, Vector512.Load(w + i + 16), high);
                }
                var sum = Vector512.Sum(low + high);
                for (; i < _width; i++)
                {
                    sum += T.LoadOne(h, at + i) * w[i];
                }
                y[row * _outputs + o] = sum + bias[o];
            }
        }
        GC.KeepAlive(hidden);
    }

    /// <summary>db₃ = Σ g over the batch.</summary>
    private void SumRows(float* g)
    {
        var sums = Floats(_gradients[5]);
        new Span<float>(sums, _outputs).Clear();
        for (var row = 0; row < _batch; row++)
        {
            for (var o = 0; o < _outputs; o++)
            {
                sums[o] += g[row * _outputs + o];
            }
        }
    }

    /// <summary>dz₂ = (g·W₃) ∘ [h₂ &gt; 0], and where wanted dW₃ = gᵀ·h₂ and db₂ = Σ dz₂; 32 columns at a time.</summary>
    private void HeadBackward<T>(float* g, void* h, void* dz, float* dWeight, float* dBias)
        where T : IStorage
    {
        var weight = Floats(_parameters[4]);
        var zero = Vector512<float>.Zero;
        var column = 0;
        for (; column + 32 <= _width; column += 32)
        {
            var (lowSum, highSum) = (zero, zero);
            if (dWeight != null)
            {
                for (var o = 0; o < _outputs; o++)
                {
                    zero.Store(dWeight + (nint)o * _width + column);
                    zero.Store(dWeight + (nint)o * _width + column + 16);
                }
            }
            for (var row = 0; row < _batch; row++)
            {
                var at = (nint)row * _width + column;
                var (ha, hb) = T.Load(h, at);
                var (a, b) = (zero, zero);
                for (var o = 0; o < _outputs; o++)
                {
                    var factor = Vector512.Create(g[row * _outputs + o]);
                    var w = weight + (nint)o * _width + column;
                    a = Vector512.FusedMultiplyAdd(factor, Vector512.Load(w), a);
                    b = Vector512.FusedMultiplyAdd(factor, Vector512.Load(w + 16), b);
                    if (dWeight != null)
                    {
                        var d = dWeight + (nint)o * _width + column;
                        Vector512.FusedMultiplyAdd(factor, ha, Vector512.Load(d)).Store(d);
                        Vector512.FusedMultiplyAdd(factor, hb, Vector512.Load(d + 16)).Store(d + 16);
                    }
                }
                a = Vector512.ConditionalSelect(Vector512.GreaterThan(ha, zero), a, zero);
                b = Vector512.ConditionalSelect(Vector512.GreaterThan(hb, zero), b, zero);
                T.Store(dz, at, a, b);
                lowSum += a;
                highSum += b;
            }
            if (dBias != null)
            {
                lowSum.Store(dBias + column);
                highSum.Store(dBias + column + 16);
            }
        }
        for (; column < _width; column++)
        {
            var sum = 0f;
            for (var o = 0; o < _outputs && dWeight != null; o++)
            {
                dWeight[(nint)o * _width + column] = 0;
            }
            for (var row = 0; row < _batch; row++)
            {
                var at = (nint)row * _width + column;
                var value = T.LoadOne(h, at);
                var d = 0f;
                for (var o = 0; o < _outputs; o++)
                {
                    d += g[row * _outputs + o] * weight[(nint)o * _width + column];
                    if (dWeight != null)
                    {
                        dWeight[(nint)o * _width + column] += g[row * _outputs + o] * value;
                    }
                }
                d = value > 0 ? d : 0;
                T.StoreOne(dz, at, d);
                sum += d;
            }
            if (dBias != null)
            {
                dBias[column] = sum;
            }
        }
    }

    /// <summary>dz ← dz ∘ [h &gt; 0], and where wanted its sum over the batch.</summary>
    private void Mask<T>(void* dz, void* h, float* sums)
        where T : IStorage
    {
        var zero = Vector512<float>.Zero;
        var column = 0;
        for (; column + 32 <= _width; column += 32)
        {
            var (lowSum, highSum) = (zero, zero);
            for (var row = 0; row < _batch; row++)
            {
                var at = (nint)row * _width + column;
                var (a, b) = T.Load(dz, at);
                var (ha, hb) = T.Load(h, at);
                a = Vector512.ConditionalSelect(Vector512.GreaterThan(ha, zero), a, zero);
                b = Vector512.ConditionalSelect(Vector512.GreaterThan(hb, zero), b, zero);
                T.Store(dz, at, a, b);
                lowSum += a;
                highSum += b;
            }
            if (sums != null)
            {
                lowSum.Store(sums + column);
                highSum.Store(sums + column + 16);
            }
        }
        for (; column < _width; column++)
        {
            var sum = 0f;
            for (var row = 0; row < _batch; row++)
            {
                var at = (nint)row * _width + column;
                var value = T.LoadOne(h, at) > 0 ? T.LoadOne(dz, at) : 0;
                T.StoreOne(dz, at, value);
                sum += value;
            }
            if (sums != null)
            {
                sums[column] = sum;
            }
        }
    }
}
