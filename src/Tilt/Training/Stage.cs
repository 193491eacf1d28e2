namespace Tilt.Training;

/// <summary>A part of a training: so many steps of one kind.</summary>
/// <param name="Name">Its name in logs, unique within a training, such as <c>behavior</c>.</param>
/// <param name="Steps">Gradient steps it takes.</param>
/// <param name="Step">Takes one step. Runs in a dispose scope of its own.</param>
public sealed record Stage(string Name, long Steps, Action<StepContext> Step)
{
    /// <summary>
    /// What has to be there before the first step, such as support actions drawn from a trained behavior model. Null when nothing has.
    /// </summary>
    /// <remarks>
    /// Runs whenever a process enters the stage: at its beginning, and again when a run goes on in the middle of it. So it depends
    /// on nothing that the stage itself changes, and draws from the streams it is given, which start afresh each time.
    /// </remarks>
    public Action<StageStart>? Prepare { get; init; }
}

/// <summary>What a stage is prepared with.</summary>
/// <param name="Stage">The stage's name.</param>
/// <param name="Done">Steps of the stage that are done already: more than 0 when a run goes on in the middle of it.</param>
/// <param name="Streams">Random streams that give the same numbers each time this stage is prepared.</param>
/// <param name="Progress">Where to say what takes long.</param>
/// <param name="Stop">Cancelled on Ctrl-C or SIGTERM: what takes long looks at it now and then, and throws.</param>
public sealed record StageStart(
    string Stage,
    long Done,
    RandomStreams Streams,
    ITrainingProgress Progress,
    CancellationToken Stop
);

/// <summary>What a step knows, and where it leaves its metrics.</summary>
public sealed class StepContext
{
    private readonly MetricWindow _metrics;

    /// <summary>The stage's name.</summary>
    public string Stage { get; }

    /// <summary>Steps of this stage done before this one: 0, 1, …</summary>
    public long Step { get; internal set; }

    /// <summary>Steps this stage has in all.</summary>
    public long Steps { get; }

    /// <summary>Steps done before this one, over all stages.</summary>
    public long TotalStep { get; internal set; }

    /// <summary>The run's random streams.</summary>
    public RandomStreams Streams { get; }

    internal StepContext(Stage stage, RandomStreams streams, MetricWindow metrics)
    {
        Stage = stage.Name;
        Steps = stage.Steps;
        Streams = streams;
        _metrics = metrics;
    }

    /// <summary>Records a metric of this step. The log gets its mean since the last log line.</summary>
    /// <param name="name">Its name, such as <c>loss</c>.</param>
    /// <param name="value">
    /// A tensor of one element. One on another device stays there until the next log line, so nothing waits for the device.
    /// NaN or infinity stops the training.
    /// </param>
    public void Record(string name, Tensor value) => _metrics.Record(TotalStep, name, value);

    /// <summary>Records a metric of this step. The log gets its mean since the last log line.</summary>
    /// <param name="name">Its name, such as <c>learningRate</c>.</param>
    /// <param name="value">Its value. NaN or infinity stops the training.</param>
    public void Record(string name, double value) => _metrics.Record(TotalStep, name, value);
}
