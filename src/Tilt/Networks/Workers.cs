using System.Runtime.InteropServices;

namespace Tilt.Networks;

/// <summary>Runs independent blocks of a kernel on as many threads as libtorch uses.</summary>
/// <remarks>Blocks see raw memory only: tensors and their scopes stay with the caller's thread.</remarks>
internal static unsafe class Workers
{
    /// <summary>Runs <paramref name="body"/> for 0, …, blocks − 1, in any order, and returns when all are done.</summary>
    /// <param name="blocks">How many there are.</param>
    /// <param name="body">One block's work.</param>
    /// <param name="threads">How many threads at most; 0 for libtorch's number.</param>
    public static void Run(int blocks, Action<int> body, int threads = 0)
    {
        threads = Math.Min(threads > 0 ? threads : get_num_threads(), blocks);
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

    /// <summary>Where a tensor's numbers begin. It has to be contiguous and on the CPU, and to be kept alive by the caller.</summary>
    public static void* Address(Tensor tensor)
    {
        if (!tensor.is_contiguous() || tensor.device_type != DeviceType.CPU)
        {
            throw new ArgumentException("The kernels take contiguous tensors on the CPU.");
        }
        // Memory of libtorch, which no collector moves.
        fixed (byte* first = &MemoryMarshal.GetReference(tensor.bytes))
        {
            return first;
        }
    }
}
