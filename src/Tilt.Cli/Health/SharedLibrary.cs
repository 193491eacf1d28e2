using System.Buffers.Binary;
using System.Text;
using System.Text.RegularExpressions;

namespace Tilt.Cli.Health;

/// <summary>A symbol version that a shared library asks another one for.</summary>
/// <param name="Library">The other library, such as <c>libstdc++.so.6</c>.</param>
/// <param name="Version">The version, such as <c>GLIBCXX_3.4.32</c>.</param>
/// <param name="IsWeak">Whether the loader lets the library in when the version is absent.</param>
internal sealed record VersionNeed(string Library, string Version, bool IsWeak);

/// <summary>Reads from an ELF file what the dynamic loader would look at, without loading it.</summary>
internal static partial class SharedLibrary
{
    private const uint VersionNeedSection = 0x6ffffffe;
    private const ushort WeakFlag = 2;

    /// <summary>The versions that a 64-bit little-endian library needs of others.</summary>
    /// <exception cref="InvalidDataException">Not such a file.</exception>
    public static IReadOnlyList<VersionNeed> VersionNeeds(string path)
    {
        ReadOnlySpan<byte> elf = File.ReadAllBytes(path);
        if (elf.Length < 64 || !elf[..4].SequenceEqual("\u007fELF"u8) || elf[4] != 2 || elf[5] != 1)
        {
            throw new InvalidDataException($"'{path}' is not a 64-bit shared library.");
        }
        var needs = new List<VersionNeed>();
        try
        {
            var headers = Wide(elf, 0x28);
            var count = Half(elf, 0x3c);
            for (var i = 0; i < count; i++)
            {
                var header = headers + i * 64;
                if (Word(elf, header + 4) == VersionNeedSection)
                {
                    var names = Wide(elf, headers + (int)Word(elf, header + 40) * 64 + 24);
                    ReadNeeds(elf, Wide(elf, header + 24), names, needs);
                }
            }
        }
        catch (ArgumentOutOfRangeException)
        {
            throw new InvalidDataException($"'{path}' is truncated.");
        }
        return needs;
    }

    /// <summary>The highest GLIBCXX version that a C++ runtime offers.</summary>
    public static System.Version HighestCxxVersion(string libstdcxx)
    {
        var text = Encoding.Latin1.GetString(File.ReadAllBytes(libstdcxx));
        return CxxVersion()
            .Matches(text)
            .Select(match => System.Version.Parse(match.Groups[1].Value))
            .DefaultIfEmpty(new System.Version(0, 0))
            .Max()!;
    }

    /// <summary>The C++ runtime that the loader would take.</summary>
    /// <returns>Its path, or null where none was found in the usual places.</returns>
    public static string? FindCxxRuntime()
    {
        const string name = "libstdc++.so.6";
        var folders = (Environment.GetEnvironmentVariable("LD_LIBRARY_PATH") ?? "")
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Concat(["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib"]);
        return folders.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
    }

    private static void ReadNeeds(ReadOnlySpan<byte> elf, int at, int names, List<VersionNeed> needs)
    {
        while (true)
        {
            var library = Text(elf, names + (int)Word(elf, at + 4));
            var entry = at + (int)Word(elf, at + 8);
            for (var left = Half(elf, at + 2); left > 0; left--)
            {
                var flags = Half(elf, entry + 4);
                needs.Add(new(library, Text(elf, names + (int)Word(elf, entry + 8)), (flags & WeakFlag) != 0));
                entry += (int)Word(elf, entry + 12);
            }
            var next = (int)Word(elf, at + 12);
            if (next == 0)
            {
                return;
            }
            at += next;
        }
    }

    private static int Wide(ReadOnlySpan<byte> elf, int at) =>
        checked((int)BinaryPrimitives.ReadUInt64LittleEndian(elf[at..]));

    private static uint Word(ReadOnlySpan<byte> elf, int at) => BinaryPrimitives.ReadUInt32LittleEndian(elf[at..]);

    private static ushort Half(ReadOnlySpan<byte> elf, int at) => BinaryPrimitives.ReadUInt16LittleEndian(elf[at..]);

    private static string Text(ReadOnlySpan<byte> elf, int at)
    {
        var rest = elf[at..];
        return Encoding.ASCII.GetString(rest[..rest.IndexOf((byte)0)]);
    }

    [GeneratedRegex(@"GLIBCXX_(3\.4\.\d+)\0")]
    private static partial Regex CxxVersion();
}
