namespace Tilt.Training;

/// <summary>Steps per second over the last seconds.</summary>
/// <remarks>Steps and time are forgotten alike, so the rate is right from the first look on, not drawn to where it started.</remarks>
internal sealed class Throughput
{
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(5);

    private TimeSpan _lastTime;
    private long _lastStep;
    private double _steps;
    private double _seconds;

    /// <summary>The rate, or null before two looks at the clock.</summary>
    public double? StepsPerSecond => _seconds > 0 ? _steps / _seconds : null;

    /// <summary>A stage begins; another stage's rate says nothing about it.</summary>
    public void Begin(TimeSpan now, long step)
    {
        (_lastTime, _lastStep, _steps, _seconds) = (now, step, 0, 0);
    }

    /// <summary>Takes in how far the stage has come.</summary>
    public void Update(TimeSpan now, long step)
    {
        var passed = now - _lastTime;
        if (passed <= TimeSpan.Zero)
        {
            return;
        }
        var kept = Math.Exp(-passed / Memory);
        _steps = _steps * kept + (step - _lastStep);
        _seconds = _seconds * kept + passed.TotalSeconds;
        (_lastTime, _lastStep) = (now, step);
    }
}
