using System.Diagnostics;
using Tilt.Training;

namespace Tilt.Cli.Progress;

/// <summary>Shows how far a data set is: throughput and time left of the stage under way.</summary>
internal sealed class CollectionMeter(ITrainingProgress progress, string title)
{
    private const double ShowSeconds = 0.2;

    private readonly Stopwatch _watch = new();
    private string? _stage;
    private double _shown;
    private TrainingReport? _last;

    /// <summary>Takes in how far it is; calls come one at a time.</summary>
    public void Update(string stage, long done, long total)
    {
        if (stage != _stage)
        {
            (_stage, _shown) = (stage, 0);
            _watch.Restart();
        }
        var seconds = _watch.Elapsed.TotalSeconds;
        double? rate = seconds > ShowSeconds && done > 0 ? done / seconds : null;
        _last = new()
        {
            Stage = $"{stage} {title}",
            Step = done,
            Steps = total,
            StepsPerSecond = rate,
            TimeLeft = rate is { } known ? TimeSpan.FromSeconds((total - done) / known) : null,
        };
        if (seconds - _shown >= ShowSeconds)
        {
            _shown = seconds;
            progress.Update(_last);
        }
    }

    /// <summary>Leaves the last line standing.</summary>
    public void End()
    {
        if (_last is not null)
        {
            progress.End(_last);
        }
    }
}
