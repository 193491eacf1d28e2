namespace Tilt.Networks;

/// <summary>The weights of trained networks as a saved policy holds them.</summary>
public static class PolicyTensors
{
    /// <summary>Copies of all weights, named <c>score.…</c> and <c>guidance.…</c> after the modules' own names.</summary>
    /// <param name="score">The score network, on any device and in any number type.</param>
    /// <param name="guidance">The guidance network; null for a behavior policy.</param>
    public static IReadOnlyDictionary<string, PolicyTensor> Of(Network score, Network? guidance)
    {
        var all = new SortedDictionary<string, PolicyTensor>(StringComparer.Ordinal);
        Add(PolicyFile.ScorePrefix, score);
        if (guidance is not null)
        {
            Add(PolicyFile.GuidancePrefix, guidance);
        }
        return all;

        void Add(string prefix, Network network)
        {
            using var scope = NewDisposeScope();
            using var recording = no_grad();
            foreach (var (name, value) in network.NamedTensors())
            {
                var copy = value.detach().cpu().to(ScalarType.Float32).contiguous();
                all.Add(prefix + name, new(value.shape, copy.data<float>().ToArray()));
            }
        }
    }
}
