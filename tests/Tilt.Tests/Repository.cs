using System.Runtime.CompilerServices;

namespace Tilt.Tests;

/// <summary>The checkout that the tests were built from.</summary>
internal static class Repository
{
    /// <summary>Its folder.</summary>
    public static string Root { get; } = Find();

    private static string Find([CallerFilePath] string here = "")
    {
        // Upwards from the output folder, which moves with the checkout; the compiler's path is the second choice.
        foreach (var start in new[] { AppContext.BaseDirectory, here })
        {
            for (var folder = Path.GetDirectoryName(start); folder is not null; folder = Path.GetDirectoryName(folder))
            {
                if (File.Exists(Path.Combine(folder, "Tilt.slnx")))
                {
                    return folder;
                }
            }
        }
        throw new DirectoryNotFoundException("No folder with Tilt.slnx above the tests.");
    }
}
