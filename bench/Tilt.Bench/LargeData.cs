using System.Diagnostics;
using System.Globalization;
using Tilt.OfflineRl.Data;

namespace Tilt.Bench;

/// <summary>A data set of two million observations of 111 dimensions: time and memory to write, to open first and again, and to draw from.</summary>
internal static class LargeData
{
    /// <summary>[steps [size]]: by default 2 000 000 steps of 111 dimensions. Needs about 2.5 GB of disk in the temporary folder.</summary>
    public static int Run(string[] args)
    {
        if (args is [("write" or "open") and var part, var path, .. var rest])
        {
            return part == "write"
                ? Write(path, Arguments.Count(rest, "steps", 1), Arguments.Count([.. rest.Skip(1)], "dimensions", 1))
                : Open(path);
        }
        var (steps, size) = (
            Arguments.Count(args, "steps", 2_000_000),
            Arguments.Count([.. args.Skip(1)], "dimensions", 111)
        );
        var folder = Directory.CreateTempSubdirectory("tilt-bench-");
        try
        {
            // Each part in a process of its own, so that its peak of memory is its own.
            var file = Path.Combine(folder.FullName, "large.hdf5");
            Child("write", file, $"{steps}", $"{size}");
            Child("open", file);
            Child("open", file);
            return 0;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static int Write(string path, int steps, int size)
    {
        var watch = Stopwatch.StartNew();
        var random = new Random(1);
        var observations = new float[(long)steps * size];
        for (var i = 0L; i < observations.LongLength; i++)
        {
            observations[i] = MathF.Round(random.NextSingle() * 20 - 10, 2);
        }
        var actions = new float[8 * steps];
        for (var i = 0; i < actions.Length; i++)
        {
            actions[i] = (i % 256 - 128) / 128f;
        }
        new D4rlFile()
            .Add("observations", observations, size)
            .Add("actions", actions, 8)
            .Add("rewards", new float[steps])
            .Add("terminals", new bool[steps])
            .Add("timeouts", [.. Enumerable.Range(0, steps).Select(i => i % 1000 == 999)])
            .Write(path);
        Report($"written: {new FileInfo(path).Length / 1e6:0} MB", watch);
        return 0;
    }

    private static int Open(string path)
    {
        var watch = Stopwatch.StartNew();
        var cached = File.Exists(path + ".tilt-cache");
        using var steps = RecordedSteps.Open(path);
        Report(cached ? "opened again" : "opened first", watch);
        var data = TransitionDataset.FromSteps(steps);
        using var streams = new RandomStreams(0);
        foreach (var size in new[] { 256, 4096 })
        {
            using var sampler = new MinibatchSampler(data, size, streams);
            for (var i = 0; i < 200; i++)
            {
                sampler.Next();
            }
            watch.Restart();
            const int batches = 500;
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < batches; i++)
            {
                sampler.Next();
            }
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Report(
                $"batches of {size}: {watch.Elapsed.TotalMicroseconds / batches:0} µs each, {allocated / batches} bytes allocated",
                watch
            );
        }
        return 0;
    }

    private static void Report(string what, Stopwatch watch)
    {
        var peak = File.ReadLines("/proc/self/status")
            .First(line => line.StartsWith("VmHWM", StringComparison.Ordinal));
        var kilobytes = double.Parse(
            peak.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
            CultureInfo.InvariantCulture
        );
        Console.WriteLine($"{what}; {watch.Elapsed.TotalSeconds:0.00} s, peak {kilobytes / 1e6:0.00} GB of memory");
    }

    private static void Child(params string[] words)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!);
        foreach (var word in (string[])[Environment.GetCommandLineArgs()[0], "data", .. words])
        {
            start.ArgumentList.Add(word);
        }
        using var process = Process.Start(start)!;
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new Model.TiltException($"data {words[0]} failed with {process.ExitCode}");
        }
    }
}
