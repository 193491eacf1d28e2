using System.Runtime.InteropServices;

namespace Tilt.Environments.Simulation;

/// <summary>Finds the native libraries: named folders first, then the system's own, then the checkout's.</summary>
/// <remarks>
/// Folders of TILT_NATIVE (separated by colons) are asked first, then the system's loader, then <c>.tilt/native</c> in the
/// folders above the program and above the working directory. A folder may be the root of unpacked Debian packages:
/// <c>usr/lib/x86_64-linux-gnu</c> below it is looked into as well. Libraries that lie beside the wanted one serve as its
/// dependencies: the loader takes a library that is already in the process before it searches.
/// </remarks>
internal static class NativeLibraries
{
    /// <summary>The environment variable that names folders to look into first.</summary>
    public const string FolderVariable = "TILT_NATIVE";

    private static readonly string[] Below =
    [
        "",
        "usr/lib/x86_64-linux-gnu",
        "lib/x86_64-linux-gnu",
        "usr/lib",
        "usr/lib/x86_64-linux-gnu/mesa",
    ];

    /// <summary>Loads a library by the name of its file.</summary>
    /// <param name="name">File name with version, such as <c>libmujoco.so.2.2.2</c>.</param>
    /// <param name="handle">The loader's handle, or zero.</param>
    /// <param name="path">The file, where it was found in a folder; null where the system's loader found it.</param>
    public static bool TryLoad(string name, out nint handle, out string? path)
    {
        path = null;
        return TryFolders(Named(), name, out handle, out path)
            || NativeLibrary.TryLoad(name, out handle)
            || TryFolders(OfTheCheckout(), name, out handle, out path);
    }

    /// <summary>Folders that <see cref="FolderVariable"/> names.</summary>
    private static string[] Named() =>
        Environment.GetEnvironmentVariable(FolderVariable)?.Split(':', StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static IEnumerable<string> OfTheCheckout()
    {
        foreach (var start in new[] { AppContext.BaseDirectory, Environment.CurrentDirectory })
        {
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                yield return Path.Combine(folder.FullName, ".tilt", "native");
            }
        }
    }

    private static bool TryFolders(IEnumerable<string> folders, string name, out nint handle, out string? path)
    {
        foreach (var folder in folders)
        {
            foreach (var below in Below)
            {
                path = Path.Combine(folder, below, name);
                if (File.Exists(path) && TryFile(path, out handle))
                {
                    return true;
                }
            }
        }
        (handle, path) = (0, null);
        return false;
    }

    private static bool TryFile(string path, out nint handle)
    {
        if (NativeLibrary.TryLoad(path, out handle))
        {
            return true;
        }
        var waiting = Directory
            .EnumerateFiles(Path.GetDirectoryName(path)!, "lib*.so.*")
            .Where(file => file != path)
            .Order(StringComparer.Ordinal)
            .ToList();
        while (true)
        {
            var loaded = waiting.RemoveAll(file => NativeLibrary.TryLoad(file, out _));
            if (NativeLibrary.TryLoad(path, out handle))
            {
                return true;
            }
            if (loaded == 0)
            {
                return false;
            }
        }
    }
}
