namespace Tilt.Inference;

/// <summary>The time embedding of a saved network: Linear([sin(2π·W·t), cos(2π·W·t)]).</summary>
internal sealed class TimeEmbedding(float[] frequencies, Layer layer)
{
    /// <summary>Reads <c>prefix.0.W</c> and <c>prefix.1</c>.</summary>
    public static TimeEmbedding Read(PolicyTensorSource source, string prefix)
    {
        var frequencies = source.Vector($"{prefix}.0.W");
        var width = 2 * frequencies.Length;
        return new(frequencies, source.Linear($"{prefix}.1", width, width));
    }

    /// <summary>Width of an embedding.</summary>
    public int Width => layer.Outputs;

    /// <summary>The embedding of one time.</summary>
    /// <param name="time">What networks are told of t.</param>
    public double[] Of(double time)
    {
        var features = new double[2 * frequencies.Length];
        for (var k = 0; k < frequencies.Length; k++)
        {
            // In float32 and in this order, as in training: angles reach hundreds, where a rounding is 1e-5 of a turn.
            var angle = (float)time * frequencies[k] * (float)(2 * Math.PI);
            features[k] = MathF.Sin(angle);
            features[frequencies.Length + k] = MathF.Cos(angle);
        }
        return layer.Times(features);
    }
}
