namespace Tilt.Training;

/// <summary>How far a training is, for people.</summary>
public sealed record TrainingReport
{
    /// <summary>The stage that is being trained.</summary>
    public required string Stage { get; init; }

    /// <summary>Which of the stages that is: 1, 2, …</summary>
    public int StageNumber { get; init; } = 1;

    /// <summary>How many stages there are.</summary>
    public int StageCount { get; init; } = 1;

    /// <summary>Steps of the stage done.</summary>
    public long Step { get; init; }

    /// <summary>Steps the stage has.</summary>
    public long Steps { get; init; }

    /// <summary>Steps done over all stages.</summary>
    public long TotalStep { get; init; }

    /// <summary>Steps of all stages together.</summary>
    public long TotalSteps { get; init; }

    /// <summary>Throughput, in steps per second, smoothed over some seconds. Null until it is known.</summary>
    public double? StepsPerSecond { get; init; }

    /// <summary>Time left for the stage at that rate.</summary>
    public TimeSpan? TimeLeft { get; init; }

    /// <summary>Means of the metrics at the last log line.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
}

/// <summary>Where a training tells how it is going. All calls come from the thread that trains.</summary>
public interface ITrainingProgress
{
    /// <summary>The training has moved on. Called some times per second at most.</summary>
    /// <param name="report">How far it is.</param>
    void Update(TrainingReport report);

    /// <summary>A line that should stay readable.</summary>
    /// <param name="message">Such as which checkpoint a run goes on from.</param>
    void Say(string message);

    /// <summary>A picture in text to show beside the progress until the next one comes.</summary>
    /// <param name="lines">Its lines. Empty to take it away.</param>
    void Show(IReadOnlyList<string> lines);

    /// <summary>The training has ended, one way or another: whatever is live becomes still.</summary>
    /// <param name="report">How far it came.</param>
    void End(TrainingReport report);
}

/// <summary>Tells nobody.</summary>
public sealed class SilentProgress : ITrainingProgress
{
    /// <summary>The only one that is needed.</summary>
    public static SilentProgress Instance { get; } = new();

    /// <inheritdoc/>
    public void Update(TrainingReport report) { }

    /// <inheritdoc/>
    public void Say(string message) { }

    /// <inheritdoc/>
    public void Show(IReadOnlyList<string> lines) { }

    /// <inheritdoc/>
    public void End(TrainingReport report) { }
}
