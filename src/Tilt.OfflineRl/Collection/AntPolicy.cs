using System.Security.Cryptography;
using Tilt.Environments;
using Tilt.Environments.Mazes;
using Tilt.Inference;

namespace Tilt.OfflineRl.Collection;

/// <summary>The goal-reaching policy that walks the ant: a saved actor, from a file or from what ships with Tilt.</summary>
/// <remarks>
/// Stochastic, as D4RL's: it acts with a draw of its Gaussian, tanh(μ + σ·ε). Of two makes: an actor of <c>ant-goal</c> sees the body and the
/// waypoint's direction, one of <c>ant-heading</c> sees the body in a frame whose x axis points there (<see cref="AntHeading.Turn"/>).
/// </remarks>
internal sealed class AntPolicy
{
    /// <summary>The task whose observation is what a <see cref="GoalPolicy"/> sees.</summary>
    private const string GoalTask = "ant-goal";

    /// <summary>The task whose observation is turned to where the ant is to walk.</summary>
    private const string HeadingTask = "ant-heading";

    /// <summary>The policy that ships, as a resource of this assembly.</summary>
    private const string Shipped = "ant-heading.safetensors";

    private readonly GaussianActor _actor;
    private readonly bool _turned;

    private AntPolicy(GaussianActor actor, byte[] bytes, string source)
    {
        var (goal, heading) = (Tasks.Find(GoalTask), Tasks.Find(HeadingTask));
        _turned = actor.Observations == heading.ObservationSize;
        if (!(_turned || actor.Observations == goal.ObservationSize) || actor.Actions != goal.ActionSize)
        {
            throw new TiltException(
                $"{source}: found an actor from {actor.Observations} observations to {actor.Actions} actions, expected {goal.ObservationSize} "
                    + $"(the body without x and y, then the waypoint's direction as a vector of 10 m) or {heading.ObservationSize} (the body as "
                    + $"seen from the direction of travel), and {goal.ActionSize}. Train one with {TrainCommand}."
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

    private static string TrainCommand => $"'./tilt data train-behavior --task {HeadingTask}'";

    /// <summary>What is missing where nothing ships; null where something does.</summary>
    public static string? Missing =>
        Resource() is null
            ? $"no goal-reaching ant policy ships with Tilt. Train one with {TrainCommand}, and pass the actor it saves: "
                + "--policy FILE (a safetensors file of 27 or 29 observations and 8 actions)."
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
        if (!_turned)
        {
            _actor.Act(observation, noise, action);
            return;
        }
        Span<double> body = stackalloc double[_actor.Observations];
        Span<float> seen = stackalloc float[_actor.Observations];
        for (var i = 0; i < body.Length; i++)
        {
            body[i] = observation[i];
        }
        AntHeading.Turn(body, Math.Atan2(observation[^1], observation[^2]), body);
        for (var i = 0; i < body.Length; i++)
        {
            seen[i] = (float)body[i];
        }
        _actor.Act(seen, noise, action);
    }

    /// <summary>SHA-256 of the policy that ships; none where none does.</summary>
    public static IReadOnlyList<string> ShippedHashes =>
        Resource() is { } bytes ? [Convert.ToHexStringLower(SHA256.HashData(bytes))] : [];

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
