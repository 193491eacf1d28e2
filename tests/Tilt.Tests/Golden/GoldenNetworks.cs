using Tilt.Networks;
using static TorchSharp.torch;

namespace Tilt.Tests.Golden;

/// <summary>The networks of the golden set with its weights, in either number type.</summary>
/// <remarks>The recorded guidance networks have the code's sign: high is good. An energy is their negative.</remarks>
public static class GoldenNetworks
{
    public static int Actions => GoldenSet.Document("g4_info.json").RootElement.GetProperty("action_dim").GetInt32();

    public static int States => GoldenSet.Document("g4_info.json").RootElement.GetProperty("state_dim").GetInt32();

    public static ScoreNetwork2d ToyScore(ScalarType type) => Filled(new ScoreNetwork2d(Any()), "toy_score", type);

    public static EnergyNetwork2d ToyGuidance(ScalarType type) => Filled(new EnergyNetwork2d(Any()), "toy_qt", type);

    public static ResidualScoreNetwork ActionScore(ScalarType type) =>
        Filled(new ResidualScoreNetwork(Actions, States, Any()), "rl_score", type);

    public static TwinQ Critic(ScalarType type) => Filled(new TwinQ(Actions, States, Any()), "twinq", type);

    public static ConditionalEnergyNetwork ActionGuidance(ScalarType type) =>
        Filled(new ConditionalEnergyNetwork(Actions, States, Any()), "rl_qt", type);

    private static Generator Any() => new(1);

    private static TModule Filled<TModule>(TModule module, string name, ScalarType type)
        where TModule : nn.Module
    {
        var file = $"g4_params_{name}.npz";
        var arrays = GoldenSet.Arrays(file);
        var weights = arrays.Names.ToDictionary(array => array, array => arrays[array].ToTensor(ScalarType.Float32));
        module.Load(weights, file);
        foreach (var weight in weights.Values)
        {
            weight.Dispose();
        }
        return module.to(type);
    }
}
