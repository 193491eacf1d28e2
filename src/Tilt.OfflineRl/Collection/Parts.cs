using System.Runtime.ExceptionServices;

namespace Tilt.OfflineRl.Collection;

/// <summary>Collects a data set in parts that know nothing of each other, so that threads change the time and never the data.</summary>
internal static class Parts
{
    /// <summary>Steps between two looks at whether to stop.</summary>
    private const int Interval = 1000;

    /// <summary>Fills rows [first, first + count) of a part.</summary>
    /// <param name="part">The part's number, from which its random streams take their names.</param>
    /// <param name="first">Its first row.</param>
    /// <param name="count">Its rows.</param>
    /// <param name="stepped">To be called after each step.</param>
    public delegate void Fill(int part, int first, int count, Action stepped);

    /// <summary>Fills all parts.</summary>
    /// <param name="request">How many steps, on how many threads.</param>
    /// <param name="partSteps">Steps of a part; the last may have fewer.</param>
    /// <param name="fill">Fills one.</param>
    /// <exception cref="OperationCanceledException">The request was given up.</exception>
    public static void Run(CollectionRequest request, int partSteps, Fill fill)
    {
        var total = request.Size;
        var parts = (int)(((long)total + partSteps - 1) / partSteps);
        var done = 0L;
        var gate = new Lock();

        void Count(int steps)
        {
            request.Stop.ThrowIfCancellationRequested();
            lock (gate)
            {
                done += steps;
                request.Progress?.Invoke("collecting", done, total);
            }
        }

        void One(int part)
        {
            var first = part * partSteps;
            var (count, waiting) = (Math.Min(partSteps, total - first), 0);
            fill(
                part,
                first,
                count,
                () =>
                {
                    if (++waiting == Interval)
                    {
                        Count(waiting);
                        waiting = 0;
                    }
                }
            );
            Count(waiting);
        }

        request.Stop.ThrowIfCancellationRequested();
        try
        {
            Parallel.For(
                0,
                parts,
                new ParallelOptions { MaxDegreeOfParallelism = request.Threads, CancellationToken = request.Stop },
                One
            );
        }
        catch (AggregateException failures)
        {
            // All parts fail alike, or one does; and whoever gave up wants to hear that, not how often.
            ExceptionDispatchInfo.Throw(
                failures.Flatten().InnerExceptions.FirstOrDefault(failure => failure is not OperationCanceledException)
                    ?? new OperationCanceledException(request.Stop)
            );
        }
    }
}
