using System.Security.Cryptography;
using Tilt.Environments;
using Tilt.Inference;

namespace Tilt.OfflineRl.Collection;

/// <summary>The goal-reaching policy that walks the ant: a saved actor, from a file or from what ships with Tilt.</summary>
/// <remarks>Stochastic, as D4RL's: it acts with a draw of its Gaussian, tanh(μ + σ·ε).</remarks>
internal sealed class AntPolicy
{
    /// <summary>The task that such a policy is trained on; its observation is what a <see cref="GoalPolicy"/> sees.</summary>
    public const string TrainingTask = "ant-goal";

    /// <summary>The policy that ships, as a resource of this assembly.</summary>
    private const string Shipped = "ant-goal.safetensors";

    private readonly GaussianActor _actor;

    private AntPolicy(GaussianActor actor, byte[] bytes, string source)
    {
        var task = Tasks.Find(TrainingTask);
        if (actor.Observations != task.ObservationSize || actor.Actions != task.ActionSize)
        {
            throw new TiltException(
                $"{source}: found an actor from {actor.Observations} observations to {actor.Actions} actions, expected {task.ObservationSize} "
                    + $"(the body without x and y, then the waypoint's direction as a vector of 10 m) and {task.ActionSize}. "
                    + $"Train one with {TrainCommand}."
            );
        }
        _actor = actor;
        double? measured = double.TryParse(
            actor.Metadata.GetValueOrDefault("return"),
            System.Globalization.CultureInfo.InvariantCulture,
            out var value
        )
            ? value
            : null;
        Description = new(Path.GetFileName(source), Convert.ToHexStringLower(SHA256.HashData(bytes)), measured);
    }

    private static string TrainCommand => $"'./tilt data train-behavior --task {TrainingTask}'";

    /// <summary>What is missing where nothing ships; null where something does.</summary>
    public static string? Missing =>
        Resource() is null
            ? $"no goal-reaching ant policy ships with Tilt. Train one with {TrainCommand}, and pass the actor it saves: "
                + "--policy FILE (a safetensors file of 29 observations and 8 actions)."
            : null;

    /// <summary>For the manifest.</summary>
    public ActingPolicy Description { get; }

    /// <summary>Reads a policy.</summary>
    /// <param name="file">A saved actor; null for the one that ships.</param>
    /// <exception cref="TiltException">It cannot be read, or is another robot's.</exception>
    public static AntPolicy Load(string? file)
    {
        var source = file ?? Shipped;
        var bytes = file is null ? Resource() ?? throw new TiltException(Missing!) : Read(file);
        return new(GaussianActor.Parse(bytes, source), bytes, source);
    }

    /// <summary>Acts: a <see cref="GoalPolicy"/>.</summary>
    public void Act(ReadOnlySpan<float> observation, RandomStream random, Span<float> action)
    {
        Span<float> noise = stackalloc float[action.Length];
        foreach (ref var component in noise)
        {
            component = (float)random.Normal();
        }
        _actor.Act(observation, noise, action);
    }

    private static byte[]? Resource()
    {
        using var stream = typeof(AntPolicy).Assembly.GetManifestResourceStream(Shipped);
        if (stream is null)
        {
            return null;
        }
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    private static byte[] Read(string file)
    {
        try
        {
            // Opening it as safetensors bounds its size before it is taken into memory.
            using (SafetensorsReader.Open(file)) { }
            return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TiltException($"--policy {file}: cannot be read: {e.Message}", inner: e);
        }
    }
}
