namespace Tilt.Tests.Environments;

/// <summary>A folder named <c>shared</c> beside or above the checkout: material of others to compare with, where it is there.</summary>
internal static class SharedFolder
{
    /// <summary>A file or folder in it, or null.</summary>
    public static string? Find(params string[] path)
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            var found = Path.Combine([at.FullName, "shared", .. path]);
            if (File.Exists(found) || Directory.Exists(found))
            {
                return found;
            }
        }
        return null;
    }

    /// <summary>The same; skips the test, with the reason, where it is not there.</summary>
    public static string Needed(params string[] path)
    {
        var found = Find(path);
        Assert.SkipWhen(found is null, $"no shared/{string.Join('/', path)} beside the checkout to compare with");
        return found;
    }
}
