using System.Diagnostics;
using Tilt.Inference;
using Tilt.Model;

// Loads a saved policy and acts, without libtorch and, published with -p:Aot=true, without the .NET runtime.
//   Tilt.Acting POLICY [ACTIONS]
try
{
    if (args.Length is < 1 or > 2)
    {
        throw TiltException.Usage("expected a saved policy or the folder of a run: Tilt.Acting POLICY [ACTIONS]");
    }
    var count = args.Length == 2 ? int.Parse(args[1]) : 100;
    var policy = Policy.Load(args[0]);
    var observation = new float[policy.ObservationDimensions];
    var best = double.PositiveInfinity;
    float[] action = [];
    for (var seed = 0; seed < count; seed++)
    {
        var clock = Stopwatch.GetTimestamp();
        action = policy.Act(observation, seed);
        best = Math.Min(best, Stopwatch.GetElapsedTime(clock).TotalMilliseconds);
    }
    Console.WriteLine($"{Processor.Lanes} lanes, {best:f3} ms at best; last action {string.Join(" ", action)}");
    return 0;
}
catch (TiltException error)
{
    Console.Error.WriteLine($"error: {error.Message}");
    return error.ExitCode;
}
