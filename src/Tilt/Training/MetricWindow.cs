using Tilt.Runs;

namespace Tilt.Training;

/// <summary>A metric that was NaN or infinite.</summary>
/// <param name="Step">Steps done before the one that recorded it, over all stages.</param>
/// <param name="Name">The metric.</param>
/// <param name="Value">NaN or an infinity.</param>
internal sealed record BadMetric(long Step, string Name, double Value);

/// <summary>Means of metrics since the last log line.</summary>
/// <remarks>
/// Numbers of the CPU are read at once: there is no queue that would stall, and a NaN is found at the very step. Tensors of other
/// devices are kept and read together when the means are wanted. Means run in float64 in the order of steps, so one that is
/// carried through a checkpoint is the same to the last bit.
/// </remarks>
/// <param name="keepAll">Whether tensors of the CPU wait as well, as those of other devices do.</param>
internal sealed class MetricWindow(bool keepAll = false)
{
    /// <summary>Names that the log line itself uses.</summary>
    public static readonly IReadOnlySet<string> Reserved = new HashSet<string>(StringComparer.Ordinal)
    {
        JsonLines.StepField,
        JsonLines.ResumeField,
        "stage",
        "time",
        "seconds",
        "stepsPerSecond",
        "cut",
    };

    private readonly SortedDictionary<string, PartialMean> _means = new(StringComparer.Ordinal);
    private readonly List<(long Step, string Name, Tensor Value)> _waiting = [];

    /// <summary>The first metric that was NaN or infinite, once it is known.</summary>
    public BadMetric? Bad { get; private set; }

    /// <summary>Whether anything was recorded since the last log line.</summary>
    public bool IsEmpty => _means.Count == 0 && _waiting.Count == 0;

    public void Record(long step, string name, Tensor value)
    {
        if (value.numel() != 1)
        {
            throw new ArgumentException(
                $"Metric '{name}': found shape [{string.Join(", ", value.shape)}], expected one element."
            );
        }
        if (value.device_type == DeviceType.CPU && !keepAll)
        {
            Record(step, name, Number(value));
        }
        else
        {
            Claim(name);
            _waiting.Add((step, name, value.detach().clone().DetachFromDisposeScope()));
        }
    }

    public void Record(long step, string name, double value)
    {
        Claim(name);
        if (!double.IsFinite(value))
        {
            Bad ??= new BadMetric(step, name, value);
        }
        _means[name] = _means.TryGetValue(name, out var mean) ? mean.With(value) : new PartialMean(value, 1);
    }

    /// <summary>Reads what still waits on another device.</summary>
    public void Collect()
    {
        foreach (var (step, name, tensor) in _waiting)
        {
            Record(step, name, Number(tensor));
            tensor.Dispose();
        }
        _waiting.Clear();
    }

    /// <summary>The means; the window begins anew.</summary>
    public SortedDictionary<string, double> Take()
    {
        Collect();
        var means = new SortedDictionary<string, double>(StringComparer.Ordinal);
        foreach (var (name, mean) in _means)
        {
            means[name] = mean.Mean;
        }
        _means.Clear();
        return means;
    }

    /// <summary>The window as a checkpoint carries it.</summary>
    public IReadOnlyDictionary<string, PartialMean> State => _means;

    /// <summary>Takes the window over from a checkpoint.</summary>
    public void Restore(IReadOnlyDictionary<string, PartialMean> state)
    {
        _means.Clear();
        foreach (var (name, mean) in state)
        {
            _means[name] = mean;
        }
    }

    private static double Number(Tensor value) =>
        value.dtype switch
        {
            ScalarType.Float32 => value.item<float>(),
            ScalarType.Float64 => value.item<double>(),
            _ => value.ToDouble(),
        };

    private static void Claim(string name)
    {
        if (Reserved.Contains(name))
        {
            throw new ArgumentException($"The metric name '{name}' is one of the log's own.");
        }
    }
}
