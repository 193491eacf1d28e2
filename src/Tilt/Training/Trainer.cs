using System.Diagnostics;
using System.Text.Json.Nodes;
using Tilt.Runs;

namespace Tilt.Training;

/// <summary>Trains stage after stage: logs, saves, resumes, stops in good order.</summary>
/// <remarks>
/// A step is: the stage's own work in a dispose scope; the log line, if due; the hooks, if due; the checkpoint, if due. A
/// checkpoint thus stands after everything of its step, and a run that goes on from it equals one that was never interrupted, bit
/// for bit (docs/runs.md says under which conditions). Without a folder nothing is saved.
/// </remarks>
public sealed class Trainer
{
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan HeartbeatEvery = TimeSpan.FromSeconds(2);

    private readonly TrainingState _state;
    private readonly IReadOnlyList<Stage> _stages;
    private readonly TrainerOptions _options;
    private readonly RunFolder? _run;
    private readonly ITrainingProgress _progress;
    private readonly IReadOnlyList<TrainingHook> _hooks;

    private readonly MetricWindow _metrics = new();
    private readonly Throughput _throughput = new();
    private readonly long[] _done;
    private IReadOnlyDictionary<string, double> _lastMeans = new Dictionary<string, double>();
    private int _current;
    private long _startedAt;
    private double _secondsBefore;
    private Stopwatch _clock = new();
    private double _lastHeartbeat = double.NegativeInfinity;
    private double _lastReport = double.NegativeInfinity;
    private double _lastCheckpoint;
    private (long Step, double Seconds) _lastLog;
    private long? _savedStep;

    /// <summary>A training that has not begun.</summary>
    /// <param name="state">All that it changes.</param>
    /// <param name="stages">Its stages, in order.</param>
    /// <param name="options">How often to log and save.</param>
    /// <param name="run">The run's folder, or null to save nothing. Stays the caller's.</param>
    /// <param name="progress">Where to tell how it is going; null for nowhere.</param>
    /// <param name="hooks">What to do every so many steps besides.</param>
    public Trainer(
        TrainingState state,
        IReadOnlyList<Stage> stages,
        TrainerOptions? options = null,
        RunFolder? run = null,
        ITrainingProgress? progress = null,
        IReadOnlyList<TrainingHook>? hooks = null
    )
    {
        _state = state;
        _stages = stages;
        _options = options ?? new TrainerOptions();
        _run = run;
        _progress = progress ?? SilentProgress.Instance;
        _hooks = hooks ?? [];
        _done = new long[stages.Count];
        if (stages.Count == 0 || stages.Select(stage => stage.Name).Distinct().Count() != stages.Count)
        {
            throw new ArgumentException("A training has at least one stage, and no two of one name.", nameof(stages));
        }
        if (stages.FirstOrDefault(stage => stage.Steps < 0) is { } negative)
        {
            throw TiltException.Usage($"steps of stage '{negative.Name}': found {negative.Steps}; expected 0 or more.");
        }
        if (_options.LogEvery < 1 || _hooks.Any(hook => hook.Every < 1))
        {
            throw TiltException.Usage("log interval: expected at least 1 step.");
        }
    }

    /// <summary>Steps done, over all stages.</summary>
    public long TotalStep => _done.Sum();

    /// <summary>Steps of all stages together.</summary>
    public long TotalSteps => _stages.Sum(stage => stage.Steps);

    /// <summary>Trains to the end, from the last checkpoint if there is one.</summary>
    /// <param name="stop">Asks to stop between two steps, as Ctrl-C does.</param>
    /// <exception cref="StoppedException">SIGINT, SIGTERM or the token asked to stop; a checkpoint was written.</exception>
    /// <exception cref="TiltException">A loss became NaN or infinite; the disk refused; the checkpoint is of another training.</exception>
    public TrainingResult Run(CancellationToken stop = default)
    {
        using var signals = new StopSignals(stop);
        try
        {
            _clock = Stopwatch.StartNew();
            Resume();
            _startedAt = TotalStep;
            _lastLog = (TotalStep, 0);
            Beat();
            TrainStages(signals);
            if (_savedStep != TotalStep)
            {
                SaveCheckpoint();
            }
            WriteStatus("finished");
            return new TrainingResult(TotalStep, TotalStep - _startedAt, Seconds);
        }
        catch (OperationCanceledException) when (signals.ExitCode is { } exitCode)
        {
            // Given up in the middle of a preparation, a hook or a step: what was saved before still stands.
            var saved = _savedStep is { } step ? $"the checkpoint of step {step} stands" : "nothing was saved yet";
            var stopped = new StoppedException($"stopped at step {TotalStep} of {TotalSteps}; {saved}.", exitCode);
            WriteStatus("stopped", stopped.Message);
            throw stopped;
        }
        catch (StoppedException error)
        {
            WriteStatus("stopped", error.Message);
            throw;
        }
        catch (Exception error)
        {
            TryWriteFailure(error.Message);
            throw;
        }
        finally
        {
            _metrics.Collect();
            _progress.End(Report());
        }
    }

    private Stage Stage => _stages[_current];

    private double Seconds => _secondsBefore + _clock.Elapsed.TotalSeconds;

    private void TrainStages(StopSignals signals)
    {
        for (; _current < _stages.Count; _current++)
        {
            if (_done[_current] == Stage.Steps)
            {
                if (_current + 1 == _stages.Count)
                {
                    break;
                }
                continue;
            }
            Prepare(signals.Asked);
            _throughput.Begin(_clock.Elapsed, _done[_current]);
            // What the stage before logged is not this one's.
            _lastMeans = new Dictionary<string, double>();
            var context = new StepContext(Stage, _state.Streams, _metrics);
            while (_done[_current] < Stage.Steps)
            {
                TakeStep(context);
                AfterStep(signals.Asked);
                StopIfAsked(signals);
            }
            if (_current + 1 == _stages.Count)
            {
                break;
            }
        }
    }

    private void Prepare(CancellationToken stop)
    {
        if (Stage.Prepare is not { } prepare)
        {
            return;
        }
        using var streams = Derived($"prepare/{Stage.Name}");
        using var scope = NewDisposeScope();
        prepare(new StageStart(Stage.Name, _done[_current], streams, _progress, stop));
    }

    private void TakeStep(StepContext context)
    {
        context.Step = _done[_current];
        context.TotalStep = TotalStep;
        using (NewDisposeScope())
        {
            Stage.Step(context);
        }
        RefuseBadMetrics();
        _done[_current]++;
    }

    private void AfterStep(CancellationToken stop)
    {
        var step = TotalStep;
        var stageEnds = _done[_current] == Stage.Steps;
        if (step % _options.LogEvery == 0 || stageEnds)
        {
            Log();
        }
        foreach (var hook in _hooks)
        {
            if (step % hook.Every == 0 || step == TotalSteps)
            {
                using var streams = Derived($"hook/{hook.Name}/{step}");
                using var scope = NewDisposeScope();
                using var recording = no_grad();
                hook.Act(new HookContext(Stage.Name, step, TotalSteps, streams, _progress, _run, stop));
            }
        }
        var elapsed = _clock.Elapsed.TotalSeconds;
        var bySteps = _options.CheckpointEvery > 0 && step % _options.CheckpointEvery == 0;
        var byTime = _options.CheckpointSeconds > 0 && elapsed - _lastCheckpoint >= _options.CheckpointSeconds;
        if (bySteps || byTime || (stageEnds && _current + 1 < _stages.Count))
        {
            SaveCheckpoint();
        }
        if (elapsed - _lastReport >= ReportEvery.TotalSeconds)
        {
            _lastReport = elapsed;
            _throughput.Update(_clock.Elapsed, _done[_current]);
            _progress.Update(Report());
        }
        Beat();
    }

    private void StopIfAsked(StopSignals signals)
    {
        if (signals.ExitCode is not { } exitCode || TotalStep == TotalSteps)
        {
            return;
        }
        if (_run is null)
        {
            throw new StoppedException($"stopped after step {TotalStep} of {TotalSteps}; nothing was saved.", exitCode);
        }
        if (_savedStep != TotalStep)
        {
            SaveCheckpoint();
        }
        throw new StoppedException(
            $"stopped after step {TotalStep} of {TotalSteps}; a checkpoint was written to {_run.Path}. The same command goes on.",
            exitCode
        );
    }

    private void Log()
    {
        var empty = _metrics.IsEmpty;
        var means = _metrics.Take();
        RefuseBadMetrics();
        if (empty)
        {
            return;
        }
        _lastMeans = means;
        if (_run is null)
        {
            return;
        }
        var elapsed = _clock.Elapsed.TotalSeconds;
        var rate = (TotalStep - _lastLog.Step) / Math.Max(elapsed - _lastLog.Seconds, 1e-9);
        _lastLog = (TotalStep, elapsed);
        var fields = new List<KeyValuePair<string, JsonNode?>> { new("stage", Stage.Name) };
        fields.AddRange(means.Select(mean => new KeyValuePair<string, JsonNode?>(mean.Key, mean.Value)));
        fields.Add(new("stepsPerSecond", Math.Round(rate, 3)));
        fields.Add(new("seconds", Math.Round(Seconds, 3)));
        fields.Add(new("time", Clock.Now()));
        _run.Metrics.Append(TotalStep, fields);
        _run.TensorBoard.Append(
            TotalStep,
            means
                .Select(mean => new KeyValuePair<string, double>($"{Stage.Name}/{mean.Key}", mean.Value))
                .Append(new("throughput/stepsPerSecond", rate))
        );
    }

    private void SaveCheckpoint()
    {
        if (_run is null)
        {
            return;
        }
        _metrics.Collect();
        RefuseBadMetrics();
        if (_state.FirstNonFinite() is { } name)
        {
            throw Diverged(TotalStep, $"'{name}' holds NaN or infinity");
        }
        // What a checkpoint vouches for has to be on the disk before it.
        _run.Metrics.Force();
        _run.RecordStreams(_state.Streams);
        _run.Checkpoints.Keep = _options.KeepCheckpoints;
        _state.Save(
            _run.Checkpoints,
            new CheckpointState
            {
                Step = TotalStep,
                Stages = [.. _stages.Select((stage, i) => new StagePosition(stage.Name, _done[i], stage.Steps))],
                Metrics = new SortedDictionary<string, PartialMean>(
                    _metrics.State.ToDictionary(pair => pair.Key, pair => pair.Value),
                    StringComparer.Ordinal
                ),
                Seconds = Seconds,
            }
        );
        _savedStep = TotalStep;
        _lastCheckpoint = _clock.Elapsed.TotalSeconds;
    }

    private void Resume()
    {
        if (_run is null or { IsNew: true })
        {
            return;
        }
        var notes = new List<string>();
        var checkpoint = _run.Checkpoints.Latest(notes.Add, setAside: true);
        if (checkpoint is not null)
        {
            TakePosition(checkpoint);
            _state.Load(checkpoint);
            _metrics.Restore(checkpoint.State.Metrics);
            _secondsBefore = checkpoint.State.Seconds;
            _savedStep = checkpoint.State.Step;
        }
        _run.MarkResumed(TotalStep, notes);
        foreach (var note in _run.Notes.Concat(notes))
        {
            _progress.Say(note);
        }
        _progress.Say(
            checkpoint is null ? "no checkpoint yet: starting from the first step"
            : TotalStep == TotalSteps ? $"already finished: {TotalStep} steps"
            : $"resuming after step {TotalStep} of {TotalSteps}"
        );
    }

    private void TakePosition(Checkpoint checkpoint)
    {
        var saved = checkpoint.State.Stages;
        if (!saved.Select(stage => stage.Name).SequenceEqual(_stages.Select(stage => stage.Name)))
        {
            throw new TiltException(
                $"{checkpoint.Folder}: has the stages {string.Join(", ", saved.Select(stage => stage.Name))}; this training has "
                    + $"{string.Join(", ", _stages.Select(stage => stage.Name))}. It was saved by another algorithm or version."
            );
        }
        for (var i = 0; i < saved.Count; i++)
        {
            var (name, done, steps) = saved[i];
            // A stage that others have been built on is closed; the one in progress, or the last, may still grow.
            var closed = done == steps && i + 1 < saved.Count && saved[i + 1].Done > 0;
            if (closed ? _stages[i].Steps != steps : _stages[i].Steps < done)
            {
                throw TiltException.Usage(
                    $"steps of stage '{name}': found {_stages[i].Steps}, but the run in {_run!.Path} has done {done} already"
                        + $"{(closed ? " and gone on to the next stage" : "")}; expected {done}{(closed ? "" : " or more")}."
                );
            }
            _done[i] = done;
        }
    }

    private void RefuseBadMetrics()
    {
        if (_metrics.Bad is { } bad)
        {
            var value = double.IsNaN(bad.Value) ? "NaN" : "infinite";
            throw Diverged(bad.Step + 1, $"'{bad.Name}' is {value}");
        }
    }

    private TiltException Diverged(long totalStep, string what)
    {
        var before = _stages.Take(_current).Sum(stage => stage.Steps);
        var kept =
            _run is null ? ""
            : _run.Checkpoints.Steps is [var last, ..]
                ? $" The last good checkpoint, of step {last}, is kept in {_run.Path}."
            : " No checkpoint had been written yet.";
        return new TiltException(
            $"stage '{Stage.Name}', step {totalStep - before}: {what}; training stopped.{kept} Look at the data, or lower the "
                + "learning rate."
        );
    }

    private RandomStreams Derived(string name) => new(_state.Streams.SeedOf(name));

    private void Beat()
    {
        var elapsed = _clock.Elapsed.TotalSeconds;
        if (elapsed - _lastHeartbeat >= HeartbeatEvery.TotalSeconds)
        {
            _lastHeartbeat = elapsed;
            WriteStatus("running");
        }
    }

    private void WriteStatus(string state, string? message = null)
    {
        var rate = _throughput.StepsPerSecond;
        _run?.WriteStatus(
            new RunStatus
            {
                State = state,
                Stage = Stage.Name,
                Step = TotalStep,
                Steps = TotalSteps,
                StepsPerSecond = rate is { } known ? Math.Round(known, 3) : null,
                Eta =
                    state == "running" && rate is > 0
                        ? Clock.At(DateTime.UtcNow.AddSeconds(Math.Min(1e9, (TotalSteps - TotalStep) / rate.Value)))
                        : null,
                Message = message,
            }
        );
    }

    private void TryWriteFailure(string message)
    {
        try
        {
            WriteStatus("failed", message);
        }
        catch (TiltException)
        {
            // The disk may be what failed; the first error is the one worth telling.
        }
    }

    private TrainingReport Report()
    {
        var rate = _throughput.StepsPerSecond;
        return new TrainingReport
        {
            Stage = Stage.Name,
            StageNumber = _current + 1,
            StageCount = _stages.Count,
            Step = _done[_current],
            Steps = Stage.Steps,
            TotalStep = TotalStep,
            TotalSteps = TotalSteps,
            StepsPerSecond = rate,
            TimeLeft = rate is > 0
                ? TimeSpan.FromSeconds(Math.Min(1e9, (Stage.Steps - _done[_current]) / rate.Value))
                : null,
            Metrics = _lastMeans,
        };
    }
}
