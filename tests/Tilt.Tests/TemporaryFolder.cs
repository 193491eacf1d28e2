namespace Tilt.Tests;

/// <summary>A folder that exists as long as the test that asked for it.</summary>
public sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("tilt-test-").FullName;

    /// <summary>The full path of something in it.</summary>
    public string File(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (IOException)
        {
            // A process that is just ending may still write; the system clears its temporary folder.
        }
    }
}
