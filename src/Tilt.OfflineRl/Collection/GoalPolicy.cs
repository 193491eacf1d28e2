using Tilt.Environments;
using Tilt.Environments.Mazes;

namespace Tilt.OfflineRl.Collection;

/// <summary>A policy that walks toward a point.</summary>
/// <param name="observation">The body without its x and y, then the point relative to the body, [S − 2 + 2].</param>
/// <param name="random">Draws the action, where the policy is stochastic.</param>
/// <param name="action">Receives the action in [−1, 1], [A].</param>
internal delegate void GoalPolicy(ReadOnlySpan<float> observation, RandomStream random, Span<float> action);

/// <summary>What a <see cref="GoalPolicy"/> moves through a maze: the ant, and in tests something simpler.</summary>
internal interface IMazeBody : IDisposable
{
    /// <summary>x, y and the rest, [S].</summary>
    ReadOnlySpan<double> Observation { get; }

    /// <summary>qpos, [nq].</summary>
    ReadOnlySpan<double> Position { get; }

    /// <summary>qvel, [nv].</summary>
    ReadOnlySpan<double> Velocity { get; }

    /// <summary>Begins an episode, at the maze's start or elsewhere.</summary>
    void Start(RandomStream random, (double X, double Y)? at);

    /// <summary>Acts for one control step.</summary>
    void Step(ReadOnlySpan<float> action);
}

/// <summary>The ant of AntMaze.</summary>
internal sealed class AntBody(EnvironmentTask task) : IMazeBody
{
    private readonly AntMaze _ant = (AntMaze)task.Create();

    public ReadOnlySpan<double> Observation => _ant.Observation;

    public ReadOnlySpan<double> Position => _ant.Position;

    public ReadOnlySpan<double> Velocity => _ant.Velocity;

    public void Start(RandomStream random, (double X, double Y)? at)
    {
        _ant.Reset(random);
        if (at is { } place)
        {
            var position = _ant.Position.ToArray();
            (position[0], position[1]) = place;
            _ant.SetState(position, _ant.Velocity);
        }
    }

    public void Step(ReadOnlySpan<float> action)
    {
        if (_ant.Step(action).Cause == EndCause.Divergence)
        {
            throw new TiltException($"{_ant.Divergence} The collection ends here; try another policy file.");
        }
    }

    public void Dispose() => _ant.Dispose();
}
