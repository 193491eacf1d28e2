using Tilt.Environments;
using Tilt.Inference;
using Tilt.Training;

namespace Tilt.OfflineRl.Behavior;

/// <summary>An episode that a training finished.</summary>
internal readonly record struct FinishedEpisode(double Return, int Length);

/// <summary>Environments that a policy in training acts in, one step at a time, taking turns.</summary>
/// <remarks>
/// A step may run on another thread while the networks are updated: it acts with a copy of the actor taken before, so its result
/// does not depend on which of the two is faster. Where every environment stands is part of a checkpoint, to the bit.
/// </remarks>
internal sealed class Rollouts : IStateful, IDisposable
{
    private const int PerEnvironment = 4 + 1; // the stream's four words, and the return so far

    private readonly EnvironmentTask _task;
    private readonly IEnvironment[] _environments;
    private readonly RandomStream[] _streams;
    private readonly double[] _returns;
    private readonly bool[] _begun;
    private readonly Tensor _simulations;
    private readonly Tensor _positions;
    private readonly float[] _observation;
    private readonly float[] _next;
    private readonly float[] _action;
    private readonly float[] _noise;
    private int _turn;
    private Task? _running;

    /// <summary>Environments before their first episode.</summary>
    /// <param name="task">What to do.</param>
    /// <param name="count">How many take turns.</param>
    /// <param name="seed">Seed of their streams.</param>
    public Rollouts(EnvironmentTask task, int count, long seed)
    {
        _task = task;
        _environments = new IEnvironment[count];
        _streams = new RandomStream[count];
        for (var i = 0; i < count; i++)
        {
            _environments[i] = task.Create();
            _streams[i] = new RandomStream(seed, $"rollouts/{i}");
        }
        (_returns, _begun) = (new double[count], new bool[count]);
        _simulations = zeros([count, _environments[0].StateSize + 1], ScalarType.Float64).DetachFromDisposeScope();
        _positions = zeros([count + 1, PerEnvironment], ScalarType.Int64).DetachFromDisposeScope();
        _observation = new float[task.ObservationSize];
        _next = new float[task.ObservationSize];
        _action = new float[task.ActionSize];
        _noise = new float[task.ActionSize];
    }

    /// <summary>s of the step just made, [S].</summary>
    public ReadOnlySpan<float> Observation => _observation;

    /// <summary>a of the step just made, [A].</summary>
    public ReadOnlySpan<float> Action => _action;

    /// <summary>s′ of the step just made, [S].</summary>
    public ReadOnlySpan<float> NextObservation => _next;

    /// <summary>What the step just made brought.</summary>
    public StepResult Result { get; private set; }

    /// <summary>The episode that the step just made finished, or null.</summary>
    public FinishedEpisode? Finished { get; private set; }

    /// <summary>Takes the next step.</summary>
    /// <param name="actor">Who acts; null for uniform random actions.</param>
    public void Step(GaussianActor? actor)
    {
        var i = _turn;
        _turn = (_turn + 1) % _environments.Length;
        var (environment, random) = (_environments[i], _streams[i]);
        if (!_begun[i])
        {
            environment.Reset(random);
            (_begun[i], _returns[i]) = (true, 0);
        }
        Narrow(environment.Observation, _observation);
        if (actor is null)
        {
            for (var k = 0; k < _action.Length; k++)
            {
                _action[k] = (float)random.Uniform(-1, 1);
            }
        }
        else
        {
            for (var k = 0; k < _noise.Length; k++)
            {
                _noise[k] = (float)random.Normal();
            }
            actor.ActOne(_observation, _noise, _action);
        }
        Result = environment.Step(_action);
        Narrow(environment.Observation, _next);
        _returns[i] += Result.Reward;
        Finished = null;
        if (Result.Ended)
        {
            Finished = new(_returns[i], environment.Steps);
            _begun[i] = false;
        }
    }

    /// <summary>Begins the next step on another thread.</summary>
    public void Begin(GaussianActor actor) => _running = Task.Run(() => Step(actor));

    /// <summary>Waits for the step that was begun.</summary>
    public void Join()
    {
        _running?.GetAwaiter().GetResult();
        _running = null;
    }

    /// <inheritdoc/>
    public IEnumerable<(string Name, Tensor Value)> NamedState()
    {
        Describe();
        return [("simulations", _simulations), ("positions", _positions)];
    }

    /// <inheritdoc/>
    public void StateLoaded()
    {
        var simulations = _simulations.data<double>().ToArray();
        var positions = _positions.data<long>().ToArray();
        var width = (int)_simulations.shape[1];
        for (var i = 0; i < _environments.Length; i++)
        {
            var at = positions.AsSpan(i * PerEnvironment, PerEnvironment);
            _streams[i].State = ((ulong)at[0], (ulong)at[1], (ulong)at[2], (ulong)at[3]);
            _begun[i] = at[4] != 0;
            _returns[i] = simulations[i * width];
            if (_begun[i])
            {
                _environments[i].RestoreState(simulations.AsSpan(i * width + 1, width - 1));
            }
        }
        _turn = (int)positions[_environments.Length * PerEnvironment];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var environment in _environments)
        {
            environment.Dispose();
        }
        _simulations.Dispose();
        _positions.Dispose();
    }

    private void Describe()
    {
        var width = (int)_simulations.shape[1];
        var simulations = new double[_environments.Length * width];
        var positions = new long[(_environments.Length + 1) * PerEnvironment];
        for (var i = 0; i < _environments.Length; i++)
        {
            var at = positions.AsSpan(i * PerEnvironment, PerEnvironment);
            var (a, b, c, d) = _streams[i].State;
            (at[0], at[1], at[2], at[3], at[4]) = ((long)a, (long)b, (long)c, (long)d, _begun[i] ? 1 : 0);
            simulations[i * width] = _returns[i];
            if (_begun[i])
            {
                _environments[i].SaveState(simulations.AsSpan(i * width + 1, width - 1));
            }
        }
        positions[_environments.Length * PerEnvironment] = _turn;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _simulations.copy_(tensor(simulations).reshape(_simulations.shape));
        _positions.copy_(tensor(positions).reshape(_positions.shape));
    }

    private static void Narrow(ReadOnlySpan<double> from, Span<float> to)
    {
        for (var i = 0; i < to.Length; i++)
        {
            to[i] = (float)from[i];
        }
    }
}
