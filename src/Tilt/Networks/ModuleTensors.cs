using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>The weights of a module by name: what a checkpoint saves and a copy copies.</summary>
public static class ModuleTensors
{
    /// <summary>Trainable weights, then fixed ones, by their dotted names and in the order of registration. Not copies.</summary>
    /// <param name="module">Any module.</param>
    public static IReadOnlyList<(string Name, Tensor Value)> NamedTensors(this nn.Module module)
    {
        var all = new List<(string, Tensor)>();
        foreach (var (name, parameter) in module.named_parameters())
        {
            all.Add((name, parameter));
        }
        foreach (var (name, buffer) in module.named_buffers())
        {
            all.Add((name, buffer));
        }
        return all;
    }

    /// <summary>Trainable weights by their dotted names: what an optimizer takes.</summary>
    /// <param name="module">Any module.</param>
    public static IReadOnlyList<(string Name, Tensor Value)> NamedParameters(this nn.Module module) =>
        [.. module.named_parameters().Select(pair => (pair.name, (Tensor)pair.parameter))];

    /// <summary>The number of trainable weights.</summary>
    /// <param name="module">Any module.</param>
    public static long ParameterCount(this nn.Module module) => module.parameters().Sum(parameter => parameter.numel());

    /// <summary>Overwrites every weight, in place and in the module's own number type.</summary>
    /// <param name="module">Where the weights go.</param>
    /// <param name="source">Weights by name. Left as they are.</param>
    /// <param name="where">What the weights were read from, for the error message.</param>
    /// <exception cref="TiltException">A name is missing or unknown, or a shape differs. Nothing has been overwritten then.</exception>
    public static void Load(
        this nn.Module module,
        IReadOnlyDictionary<string, Tensor> source,
        string where = "the given weights"
    ) => LoadInto(module.NamedTensors(), source, module.GetName(), where);

    /// <summary>Overwrites every weight with those of a module of the same make.</summary>
    /// <param name="module">Where the weights go.</param>
    /// <param name="source">Where they come from. Left as it is.</param>
    public static void CopyFrom(this nn.Module module, nn.Module source) =>
        module.Load(source.NamedTensors().ToDictionary(pair => pair.Name, pair => pair.Value));

    /// <summary>Moves every trainable weight a share of the way toward those of a module of the same make, as target networks do.</summary>
    /// <param name="module">The module that follows: θ′ ← θ′ + rate·(θ − θ′).</param>
    /// <param name="source">The module it follows. Left as it is.</param>
    /// <param name="rate">The share, in [0, 1].</param>
    public static void Follow(this nn.Module module, nn.Module source, double rate)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        foreach (var (target, (name, weight)) in module.NamedParameters().Zip(source.NamedParameters()))
        {
            if (target.Name != name)
            {
                throw new ArgumentException(
                    $"'{target.Name}' cannot follow '{name}': the modules are of different make."
                );
            }
            target.Value.lerp_(weight, rate);
        }
    }

    /// <summary>Overwrites named tensors in place with those of the same names.</summary>
    internal static void LoadInto(
        IReadOnlyList<(string Name, Tensor Value)> targets,
        IReadOnlyDictionary<string, Tensor> source,
        string what,
        string where
    )
    {
        var known = targets.Select(pair => pair.Name).ToHashSet(StringComparer.Ordinal);
        var missing = known.Where(name => !source.ContainsKey(name)).ToList();
        var unknown = source.Keys.Where(name => !known.Contains(name)).ToList();
        if (missing.Count + unknown.Count > 0)
        {
            throw new TiltException(
                $"{where} do not fit {what}:"
                    + (missing.Count > 0 ? $" missing {string.Join(", ", missing)}." : "")
                    + (unknown.Count > 0 ? $" Not known here: {string.Join(", ", unknown)}." : "")
                    + " Load weights that were saved from the same kind of model with the same options."
            );
        }
        foreach (var (name, target) in targets)
        {
            if (!target.shape.AsSpan().SequenceEqual(source[name].shape))
            {
                throw new TiltException(
                    $"{where} do not fit {what}: '{name}' is [{string.Join(", ", source[name].shape)}], expected "
                        + $"[{string.Join(", ", target.shape)}]. Load weights that were saved with the same options."
                );
            }
        }
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        foreach (var (name, target) in targets)
        {
            target.copy_(source[name]);
        }
    }
}
