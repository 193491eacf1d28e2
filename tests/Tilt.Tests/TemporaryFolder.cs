namespace Tilt.Tests;

/// <summary>A folder that exists as long as the test that asked for it.</summary>
public sealed class TemporaryFolder : IDisposable
{
    // In memory where there is such a place: checkpoints wait for the disk, and tests write many.
    private static readonly string Parent = Directory.Exists("/dev/shm") ? "/dev/shm" : System.IO.Path.GetTempPath();

    public TemporaryFolder()
    {
        Directory.CreateDirectory(Path);
    }

    public string Path { get; } = System.IO.Path.Combine(Parent, $"tilt-test-{Guid.NewGuid():N}");

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
