namespace Tilt.Networks;

/// <summary>Runs independent blocks of a kernel on as many threads as libtorch uses.</summary>
/// <remarks>Blocks see raw memory only: tensors and their scopes stay with the caller's thread.</remarks>
internal static class Workers
{
    public static void Run(int blocks, Action<int> body)
    {
        var threads = Math.Min(get_num_threads(), blocks);
        if (threads <= 1)
        {
            for (var block = 0; block < blocks; block++)
            {
                body(block);
            }
            return;
        }
        Parallel.For(0, blocks, new ParallelOptions { MaxDegreeOfParallelism = threads }, body);
    }
}
