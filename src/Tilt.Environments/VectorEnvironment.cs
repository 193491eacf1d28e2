using System.Runtime.ExceptionServices;

namespace Tilt.Environments;

/// <summary>N environments of a task side by side, stepped by T threads: one call of a policy acts for all.</summary>
/// <remarks>
/// Environments share nothing but their models, and each draws from its own stream, <c>NAME/i</c> for environment i; so results do
/// not depend on T, nor environment i's on N, bit for bit. Rows of the arrays are environments. A step allocates nothing.
/// </remarks>
public sealed class VectorEnvironment : IDisposable
{
    private readonly IEnvironment[] _environments;
    private readonly RandomStream[] _streams;
    private readonly float[] _observations;
    private readonly float[] _nextObservations;
    private readonly float[] _actions;
    private readonly double[] _rewards;
    private readonly double[] _returns;
    private readonly int[] _lengths;
    private readonly bool[] _terminated;
    private readonly bool[] _truncated;
    private readonly bool[] _waiting;
    private readonly EndCause[] _causes;
    private readonly Exception?[] _errors;
    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _start = new(0);
    private readonly SemaphoreSlim _finished = new(0);
    private bool _resetting;
    private int _next;
    private int _completed;
    private volatile bool _failed;
    private volatile bool _disposed;

    /// <summary>N environments, to be reset before the first step.</summary>
    /// <param name="task">What to do.</param>
    /// <param name="count">N.</param>
    /// <param name="threads">T, the calling thread included; 0 for one per processor. Never more than N are used.</param>
    /// <param name="seed">Seed of the streams.</param>
    /// <param name="name">Name that the streams begin with.</param>
    public VectorEnvironment(
        EnvironmentTask task,
        int count,
        int threads = 0,
        long seed = 0,
        string name = "environments"
    )
    {
        ArgumentNullException.ThrowIfNull(task);
        if (count < 1 || threads < 0)
        {
            throw EnvironmentException.Usage(
                $"{count} environments on {threads} threads: expected at least 1 environment, and threads at least 0 (0 for one "
                    + "per processor)."
            );
        }
        Task = task;
        _environments = new IEnvironment[count];
        _streams = new RandomStream[count];
        for (var i = 0; i < count; i++)
        {
            _environments[i] = task.Create();
            _streams[i] = new RandomStream(seed, $"{name}/{i}");
        }
        _observations = new float[count * task.ObservationSize];
        _nextObservations = new float[count * task.ObservationSize];
        _actions = new float[count * task.ActionSize];
        _rewards = new double[count];
        _returns = new double[count];
        _lengths = new int[count];
        _terminated = new bool[count];
        _truncated = new bool[count];
        _waiting = new bool[count];
        _causes = new EndCause[count];
        _errors = new Exception?[count];
        _next = count;
        Threads = Math.Min(threads == 0 ? Environment.ProcessorCount : threads, count);
        _threads = new Thread[Threads - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            _threads[i] = new Thread(Help) { IsBackground = true, Name = $"{name} {i + 1}" };
            _threads[i].Start();
        }
    }

    /// <summary>What is done.</summary>
    public EnvironmentTask Task { get; }

    /// <summary>N.</summary>
    public int Count => _environments.Length;

    /// <summary>T, the calling thread included.</summary>
    public int Threads { get; }

    /// <summary>Whether an ended episode is followed by the next at once; else its environment waits for <see cref="Reset(int)"/>.</summary>
    /// <value>True.</value>
    public bool AutoReset { get; init; } = true;

    /// <summary>s to act on, [N, S]: after an end (with <see cref="AutoReset"/>) the next episode's first.</summary>
    public ReadOnlySpan<float> Observations => _observations;

    /// <summary>s′ that the last step led to, [N, S]: after an end the ended episode's last.</summary>
    public ReadOnlySpan<float> NextObservations => _nextObservations;

    /// <summary>Rewards of the last step, [N].</summary>
    public ReadOnlySpan<double> Rewards => _rewards;

    /// <summary>Whether the last step ended the episode with no future, [N].</summary>
    public ReadOnlySpan<bool> Terminated => _terminated;

    /// <summary>Whether the last step ended the trajectory only, [N].</summary>
    public ReadOnlySpan<bool> Truncated => _truncated;

    /// <summary>Why, [N].</summary>
    public ReadOnlySpan<EndCause> Causes => _causes;

    /// <summary>Rewards summed over the episode that the last step belonged to, [N].</summary>
    public ReadOnlySpan<double> Returns => _returns;

    /// <summary>Steps of the episode that the last step belonged to, [N].</summary>
    public ReadOnlySpan<int> Lengths => _lengths;

    /// <summary>Environments that ended and wait for a reset, [N]; always false with <see cref="AutoReset"/>.</summary>
    public ReadOnlySpan<bool> Waiting => _waiting;

    /// <summary>One of the environments. Between steps only.</summary>
    public IEnvironment this[int index] => _environments[index];

    /// <summary>The stream that environment draws from; also for noise that belongs to it.</summary>
    public RandomStream Random(int index) => _streams[index];

    /// <summary>Begins an episode everywhere.</summary>
    public void Reset() => Run(resetting: true);

    /// <summary>Begins an episode in one environment.</summary>
    public void Reset(int index)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Begin(index);
    }

    /// <summary>Acts everywhere; environments that wait are left alone.</summary>
    /// <param name="actions">[N, A], row i for environment i.</param>
    /// <exception cref="EnvironmentException">Wrong length, or an action that is not a number.</exception>
    public void Step(ReadOnlySpan<float> actions)
    {
        if (actions.Length != _actions.Length)
        {
            throw EnvironmentException.Usage(
                $"{Count} environments of {Task.Name}: {actions.Length} action components, expected {Count} × {Task.ActionSize}."
            );
        }
        actions.CopyTo(_actions);
        Run(resetting: false);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }
        _disposed = true;
        if (_threads.Length > 0)
        {
            _start.Release(_threads.Length);
        }
        foreach (var thread in _threads)
        {
            thread.Join();
        }
        foreach (var environment in _environments)
        {
            environment.Dispose();
        }
        _start.Dispose();
        _finished.Dispose();
    }

    /// <summary>Does the work everywhere. Waits for the work, not for the threads: one that the system starves holds up nobody.</summary>
    private void Run(bool resetting)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        (_resetting, _completed) = (resetting, 0);
        Volatile.Write(ref _next, 0); // from here on any thread may take an environment
        if (_threads.Length > _start.CurrentCount)
        {
            _start.Release(_threads.Length - _start.CurrentCount);
        }
        TakeAll();
        _finished.Wait();
        if (_failed)
        {
            _failed = false;
            var error = Array.Find(_errors, error => error is not null)!;
            Array.Clear(_errors);
            ExceptionDispatchInfo.Throw(error);
        }
    }

    private void Help()
    {
        while (true)
        {
            _start.Wait();
            if (_disposed)
            {
                return;
            }
            TakeAll();
        }
    }

    /// <summary>Takes environments until none is left.</summary>
    private void TakeAll()
    {
        while (true)
        {
            // A thread that comes late looks first: counting up forever would overflow.
            var index = Volatile.Read(ref _next) < Count ? Interlocked.Increment(ref _next) - 1 : Count;
            if (index >= Count)
            {
                return;
            }
            try
            {
                if (_resetting)
                {
                    Begin(index);
                }
                else if (!_waiting[index])
                {
                    StepOne(index);
                }
            }
            catch (Exception error)
            {
                _errors[index] = error;
                _failed = true;
            }
            if (Interlocked.Increment(ref _completed) == Count)
            {
                _finished.Release();
            }
        }
    }

    private void Begin(int index)
    {
        _environments[index].Reset(_streams[index]);
        _waiting[index] = false;
        Copy(index, _observations);
    }

    private void StepOne(int index)
    {
        var environment = _environments[index];
        var first = environment.Steps == 0;
        var result = environment.Step(_actions.AsSpan(index * Task.ActionSize, Task.ActionSize));
        _rewards[index] = result.Reward;
        _terminated[index] = result.Terminated;
        _truncated[index] = result.Truncated;
        _causes[index] = result.Cause;
        _returns[index] = (first ? 0 : _returns[index]) + result.Reward;
        _lengths[index] = environment.Steps;
        Copy(index, _nextObservations);
        if (result.Ended && AutoReset)
        {
            Begin(index);
            return;
        }
        _waiting[index] = result.Ended;
        Copy(index, _observations);
    }

    private void Copy(int index, float[] rows)
    {
        var row = rows.AsSpan(index * Task.ObservationSize, Task.ObservationSize);
        var observation = _environments[index].Observation;
        for (var i = 0; i < row.Length; i++)
        {
            row[i] = (float)observation[i];
        }
    }
}
