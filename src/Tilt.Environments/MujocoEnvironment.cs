using Tilt.Environments.Rendering;
using Tilt.Environments.Simulation;

namespace Tilt.Environments;

/// <summary>How an action becomes the motors' controls.</summary>
internal enum ActionRule
{
    /// <summary>[−1, 1] is spread over each motor's range, then clipped to it: D4RL's wrapper.</summary>
    Spread,

    /// <summary>Clipped to [−1, 1].</summary>
    Clip,

    /// <summary>As it is; the engine clamps what a motor applies, the reward sees the whole.</summary>
    Raw,
}

/// <summary>What all MuJoCo tasks share: the order of a step, its ends, and state in and out.</summary>
/// <remarks>
/// A step: controls are written, <c>mj_step</c> runs a fixed number of times, then reward, end and observation are read as the
/// last step left them (no further forward pass). A reset: <c>mj_resetData</c>, positions and velocities written,
/// <c>mj_forward</c>. This is the order of gym's v2 classes, and with the same library it gives the same bits.
/// </remarks>
public abstract class MujocoEnvironment : IEnvironment
{
    /// <summary>MuJoCo's mjMAXVAL: states beyond it count as diverged.</summary>
    private const double Largest = 1e10;

    private readonly ActionRule _rule;
    private readonly int _substeps;
    private readonly double[] _observation;
    private readonly double[] _position;
    private readonly double[] _velocity;
    private readonly double[] _control;
    private readonly double[] _memory;
    private bool _placed;

    private protected MujocoEnvironment(
        EnvironmentTask task,
        MujocoModel model,
        int substeps,
        ActionRule rule,
        int memory = 0
    )
    {
        Task = task;
        Data = new MujocoData(model);
        _substeps = substeps;
        _rule = rule;
        _observation = new double[task.ObservationSize];
        _position = new double[model.Positions];
        _velocity = new double[model.Velocities];
        _control = new double[model.Controls];
        _memory = new double[memory];
        StateSize = model.Positions + 2 * model.Velocities + model.Controls + memory + 2;
    }

    /// <inheritdoc/>
    public EnvironmentTask Task { get; }

    /// <inheritdoc/>
    public ReadOnlySpan<double> Observation => _observation;

    /// <inheritdoc/>
    public int Steps { get; private set; }

    /// <inheritdoc/>
    public string? Divergence { get; private set; }

    /// <inheritdoc/>
    public int StateSize { get; }

    /// <summary>qpos: generalized coordinates, [nq]; m and rad, free joints as x, y, z and a quaternion.</summary>
    public ReadOnlySpan<double> Position => Data.Position;

    /// <summary>qvel: generalized velocities, [nv]; m/s and rad/s.</summary>
    public ReadOnlySpan<double> Velocity => Data.Velocity;

    /// <summary>Simulated seconds since the last reset.</summary>
    public double Time => Data.Time;

    internal MujocoData Data { get; }

    /// <summary>The task's own view.</summary>
    internal abstract Camera View { get; }

    /// <summary>Simulated seconds of a control step.</summary>
    private protected double StepSeconds => Task.ControlSeconds;

    /// <summary>Numbers of the task's own that live from step to step and are part of the state.</summary>
    private protected Span<double> Memory => _memory;

    /// <inheritdoc/>
    public void Reset(RandomStream random)
    {
        ArgumentNullException.ThrowIfNull(random);
        DrawStart(random, _position, _velocity);
        Place();
    }

    /// <summary>Begins an episode at a given state, such as one that a data set recorded.</summary>
    /// <param name="position">qpos, [nq]; quaternions are normalized.</param>
    /// <param name="velocity">qvel, [nv].</param>
    /// <exception cref="EnvironmentException">Wrong lengths, or a component that is not finite.</exception>
    public void SetState(ReadOnlySpan<double> position, ReadOnlySpan<double> velocity)
    {
        CheckInput(position, _position.Length, "positions");
        CheckInput(velocity, _velocity.Length, "velocities");
        position.CopyTo(_position);
        velocity.CopyTo(_velocity);
        Place();
    }

    /// <inheritdoc/>
    public StepResult Step(ReadOnlySpan<double> action)
    {
        CheckReady(action.Length);
        for (var i = 0; i < _control.Length; i++)
        {
            _control[i] = _rule switch
            {
                ActionRule.Spread => Spread(action[i], i),
                ActionRule.Clip => Math.Clamp(action[i], -1, 1),
                _ => action[i],
            };
        }
        return Act();
    }

    /// <inheritdoc/>
    public StepResult Step(ReadOnlySpan<float> action)
    {
        CheckReady(action.Length);
        for (var i = 0; i < _control.Length; i++)
        {
            _control[i] = _rule switch
            {
                ActionRule.Spread => Spread(action[i], i),
                ActionRule.Clip => Math.Clamp(action[i], -1f, 1f),
                _ => action[i],
            };
        }
        return Act();
    }

    /// <inheritdoc/>
    public void SaveState(Span<double> state)
    {
        CheckState(state.Length);
        var rest = Save(state, Data.Position);
        rest = Save(rest, Data.Velocity);
        rest = Save(rest, Data.WarmStart);
        rest = Save(rest, Data.Control);
        rest = Save(rest, Memory);
        rest[0] = Data.Time;
        rest[1] = Steps;
    }

    /// <inheritdoc/>
    public void RestoreState(ReadOnlySpan<double> state)
    {
        CheckState(state.Length);
        CheckInput(state, StateSize, "numbers of a saved state");
        var rest = Restore(state, _position);
        rest = Restore(rest, _velocity);
        Place();
        // The forward pass may have normalized a quaternion and moved the solver's start: the next step must find both as saved.
        _position.CopyTo(Data.Position);
        rest = Restore(rest, Data.WarmStart);
        rest = Restore(rest, Data.Control);
        Restore(rest, Memory);
        Data.Time = state[^2];
        Steps = (int)state[^1];
        Observe(_observation);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Data.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Puts into the simulation what only a picture shows, such as the goal's marker.</summary>
    internal virtual void BeforePicture() { }

    /// <summary>Draws where an episode starts.</summary>
    private protected abstract void DrawStart(RandomStream random, Span<double> position, Span<double> velocity);

    /// <summary>Remembers what the reward compares with.</summary>
    private protected virtual void BeforeStep() { }

    /// <summary>What follows a forward pass at a new state.</summary>
    private protected virtual void AfterPlacing() { }

    /// <summary>The reward of the step just made, and whether the task's rule ends the episode.</summary>
    private protected abstract double Reward(out bool terminated);

    /// <summary>Writes s, [S].</summary>
    private protected abstract void Observe(Span<double> observation);

    /// <summary>Positions and velocities uniform on ±width about the model's start, or velocities normal.</summary>
    private protected void DrawAround(
        RandomStream random,
        Span<double> position,
        Span<double> velocity,
        double width,
        double? normalVelocity
    )
    {
        var home = Data.Model.Home;
        for (var i = 0; i < position.Length; i++)
        {
            position[i] = home[i] + random.Uniform(-width, width);
        }
        for (var i = 0; i < velocity.Length; i++)
        {
            velocity[i] = normalVelocity is { } scale ? scale * random.Normal() : random.Uniform(-width, width);
        }
    }

    /// <summary>Σ aᵢ² of the controls as written.</summary>
    private protected double SquaredControls()
    {
        var sum = 0.0;
        foreach (var control in Data.Control)
        {
            sum += control * control;
        }
        return sum;
    }

    /// <summary>Positions from an index on, then velocities, clipped to ±limit.</summary>
    private protected void ObserveFrom(int first, double limit, Span<double> observation)
    {
        var position = Data.Position[first..];
        position.CopyTo(observation);
        var velocity = Data.Velocity;
        for (var i = 0; i < velocity.Length; i++)
        {
            observation[position.Length + i] = Math.Clamp(velocity[i], -limit, limit);
        }
    }

    private static Span<double> Save(Span<double> state, ReadOnlySpan<double> part)
    {
        part.CopyTo(state);
        return state[part.Length..];
    }

    private static ReadOnlySpan<double> Restore(ReadOnlySpan<double> state, Span<double> part)
    {
        state[..part.Length].CopyTo(part);
        return state[part.Length..];
    }

    /// <summary>lo + (a + 1)/2·(hi − lo), clipped.</summary>
    private double Spread(double action, int motor)
    {
        var range = Data.Model.ControlRange(motor);
        return Math.Clamp(range.Low + (action + 1) * 0.5 * (range.High - range.Low), range.Low, range.High);
    }

    /// <summary>The same in float32.</summary>
    private float Spread(float action, int motor)
    {
        var range = Data.Model.ControlRange(motor);
        var (low, high) = ((float)range.Low, (float)range.High);
        return Math.Clamp(low + (action + 1f) * 0.5f * (high - low), low, high);
    }

    private void Place()
    {
        Data.Reset();
        _position.CopyTo(Data.Position);
        _velocity.CopyTo(Data.Velocity);
        Data.Forward();
        Steps = 0;
        Divergence = null;
        _placed = true;
        AfterPlacing();
        Observe(_observation);
    }

    private StepResult Act()
    {
        for (var i = 0; i < _control.Length; i++)
        {
            if (!(Math.Abs(_control[i]) <= Largest))
            {
                throw EnvironmentException.Usage(
                    $"task {Task.Name}: component {i} of the action leads to a control of {_control[i]}; expected finite numbers. "
                        + "Look for the first NaN in what made the action."
                );
            }
        }
        BeforeStep();
        _control.CopyTo(Data.Control);
        for (var i = 0; i < _substeps; i++)
        {
            Data.Step();
        }
        Steps++;
        if (Diverged())
        {
            return new(0, Terminated: true, Truncated: false, EndCause.Divergence);
        }
        var reward = Reward(out var terminated);
        Observe(_observation);
        var truncated = !terminated && Steps >= Task.MaximumSteps;
        var cause =
            terminated ? EndCause.Rule
            : truncated ? EndCause.TimeLimit
            : EndCause.None;
        return new(reward, terminated, truncated, cause);
    }

    private bool Diverged()
    {
        if (Data.BadState() is { } bad)
        {
            Divergence =
                $"{Task.Name}: at step {Steps} a {bad} was not a number or above 1e10, and MuJoCo put the simulation back to its "
                + $"start. {Mujoco.TakeWarning()}".TrimEnd();
            return true;
        }
        if (Finite(Data.Position) && Finite(Data.Velocity))
        {
            return false;
        }
        Divergence = $"{Task.Name}: after step {Steps} a position or velocity is not a number or above 1e10.";
        return true;
    }

    private static bool Finite(ReadOnlySpan<double> values)
    {
        foreach (var value in values)
        {
            if (!(Math.Abs(value) <= Largest))
            {
                return false;
            }
        }
        return true;
    }

    private void CheckReady(int length)
    {
        if (length != Task.ActionSize)
        {
            throw EnvironmentException.Usage(
                $"task {Task.Name}: the action has {length} components, expected {Task.ActionSize}."
            );
        }
        if (!_placed)
        {
            throw EnvironmentException.Usage($"task {Task.Name}: step before the first reset; call Reset first.");
        }
        if (Divergence is not null)
        {
            throw EnvironmentException.Usage($"{Divergence} Call Reset before the next step.");
        }
    }

    private void CheckState(int length)
    {
        if (length != StateSize)
        {
            throw EnvironmentException.Usage(
                $"task {Task.Name}: a saved state has {StateSize} numbers, found {length}; use StateSize, and the same task."
            );
        }
    }

    private void CheckInput(ReadOnlySpan<double> values, int count, string what)
    {
        if (values.Length != count)
        {
            throw EnvironmentException.Usage($"task {Task.Name}: {values.Length} {what}, expected {count}.");
        }
        for (var i = 0; i < values.Length; i++)
        {
            if (!double.IsFinite(values[i]))
            {
                throw EnvironmentException.Usage(
                    $"task {Task.Name}: {what}[{i}] is {values[i]}, expected a finite number."
                );
            }
        }
    }
}
