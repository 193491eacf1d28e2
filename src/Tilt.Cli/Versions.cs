using System.Reflection;

namespace Tilt.Cli;

/// <summary>The versions of what is running, for pages and run folders.</summary>
internal static class Versions
{
    /// <summary>The version of Tilt.</summary>
    public static string Tilt => Of(typeof(Versions).Assembly);

    /// <summary>The version of TorchSharp; asking for it does not load libtorch.</summary>
    public static string TorchSharp => Of(typeof(TorchSharp.torch).Assembly);

    private static string Of(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
        ?? "unknown";
}
