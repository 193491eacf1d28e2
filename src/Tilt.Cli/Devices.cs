using TorchSharp;

namespace Tilt.Cli;

/// <summary>Where tensors may live.</summary>
internal static class Devices
{
    /// <summary>The names that --device understands.</summary>
    public static IReadOnlyList<string> Names { get; } = ["cpu", "cuda"];

    /// <summary>The device of that name, if this machine and this build have it.</summary>
    /// <exception cref="TiltException">CUDA was asked for, and the CPU build of libtorch is what was found.</exception>
    public static torch.Device Resolve(string name)
    {
        if (name == "cpu")
        {
            return torch.CPU;
        }
        if (!torch.cuda.is_available())
        {
            throw TiltException.Usage(
                "--device cuda: the libtorch here is built for the CPU only, or finds no NVIDIA GPU. Add the package TorchSharp-cuda-linux "
                    + "to src/Tilt.Cli/Tilt.Cli.csproj in place of libtorch-cpu-linux-x64 on a machine with a GPU, or use --device cpu."
            );
        }
        return torch.CUDA;
    }
}
