namespace Tilt;

/// <summary>Guards against shapes that broadcast silently into nonsense.</summary>
public static class Expect
{
    /// <summary>Throws unless both tensors have the same shape.</summary>
    /// <exception cref="ArgumentException">They differ; the message shows both.</exception>
    public static void SameShape(Tensor a, Tensor b)
    {
        if (!a.shape.AsSpan().SequenceEqual(b.shape))
        {
            throw new ArgumentException(
                $"Shapes differ: [{string.Join(", ", a.shape)}] and [{string.Join(", ", b.shape)}]."
            );
        }
    }

    /// <summary>Throws unless the tensor has the given shape; −1 admits any length.</summary>
    /// <exception cref="ArgumentException">It has another; the message shows both.</exception>
    public static void Shape(Tensor tensor, params ReadOnlySpan<long> shape)
    {
        var found = tensor.shape;
        var fits = found.Length == shape.Length;
        for (var i = 0; fits && i < shape.Length; i++)
        {
            fits = shape[i] == -1 || shape[i] == found[i];
        }
        if (!fits)
        {
            throw new ArgumentException(
                $"Expected a tensor of shape [{string.Join(", ", shape.ToArray())}], found [{string.Join(", ", found)}]."
            );
        }
    }
}
