using Tilt.Runs;

namespace Tilt.Training;

/// <summary>How often a training logs and saves.</summary>
public sealed record TrainerOptions
{
    /// <summary>Steps from one log line to the next.</summary>
    /// <value>100.</value>
    public long LogEvery { get; init; } = 100;

    /// <summary>Steps from one checkpoint to the next; 0 for none by steps.</summary>
    /// <value>10 000.</value>
    public long CheckpointEvery { get; init; } = 10_000;

    /// <summary>Seconds after which a checkpoint is written in any case; 0 for none by time.</summary>
    /// <value>60.</value>
    public double CheckpointSeconds { get; init; } = 60;

    /// <summary>How many of the latest checkpoints are kept.</summary>
    /// <value>3.</value>
    public int KeepCheckpoints { get; init; } = 3;
}

/// <summary>Something to do every so many steps that leaves the training as it is: evaluate, draw a picture.</summary>
/// <param name="Name">Its name, unique; its random numbers depend on it.</param>
/// <param name="Every">Steps from one time to the next, over all stages. The last step counts too.</param>
/// <param name="Act">What to do. Runs in a dispose scope of its own, without recording gradients.</param>
public sealed record TrainingHook(string Name, long Every, Action<HookContext> Act);

/// <summary>What a hook is called with.</summary>
/// <param name="Stage">The stage that is being trained.</param>
/// <param name="Step">Steps done over all stages.</param>
/// <param name="Steps">Steps of all stages together.</param>
/// <param name="Streams">Random streams of this hook at this step: the same numbers whether or not the run was interrupted.</param>
/// <param name="Progress">Where to say or show something.</param>
/// <param name="Run">The run's folder, for evaluation.jsonl and samples; null when training without one.</param>
/// <param name="Stop">Cancelled on Ctrl-C or SIGTERM: what takes long looks at it now and then, and throws.</param>
public sealed record HookContext(
    string Stage,
    long Step,
    long Steps,
    RandomStreams Streams,
    ITrainingProgress Progress,
    RunFolder? Run,
    CancellationToken Stop
);

/// <summary>What a training did.</summary>
/// <param name="Steps">Steps done over all stages and starts.</param>
/// <param name="StepsNow">Steps done by this start; 0 when the run was finished already.</param>
/// <param name="Seconds">Seconds spent over all starts.</param>
public sealed record TrainingResult(long Steps, long StepsNow, double Seconds);
