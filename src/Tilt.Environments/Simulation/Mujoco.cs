using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Tilt.Environments.Simulation;

/// <summary>Whether the physics library can be used here, and if not, why and what puts it right.</summary>
/// <param name="Path">The library's file, where it was found.</param>
/// <param name="Problem">What is wrong; null when the library is usable.</param>
/// <param name="Remedy">The one command that fixes it; null when the library is usable.</param>
public sealed record MujocoAvailability(string? Path, string? Problem, string? Remedy)
{
    /// <summary>The library is there, of the right version, and laid out as expected.</summary>
    public bool IsAvailable => Problem is null;
}

/// <summary>The physics library, libmujoco 2.2.2 as Debian 12 packages it.</summary>
/// <remarks>
/// Version 2.2.2 has no accessors for the simulation's state, so fields are read through their offsets. That is safe only for
/// the exact layout it was written for: the version is checked once, the layout of every model and every simulation when it is
/// made (<see cref="MujocoLayout"/>).
/// </remarks>
public static unsafe class Mujoco
{
    /// <summary>The version needed.</summary>
    public const string Version = "2.2.2";

    /// <summary>The Debian packages that physics needs.</summary>
    public static IReadOnlyList<string> Packages { get; } = ["libmujoco2.2.2"];

    /// <summary>The Debian packages that rendering needs besides.</summary>
    public static IReadOnlyList<string> RenderingPackages { get; } = ["libosmesa6"];

    /// <summary>The command that installs physics and rendering, as root.</summary>
    public static string InstallCommand { get; } =
        $"apt-get update && apt-get install -y {string.Join(' ', Packages)} {string.Join(' ', RenderingPackages)}";

    private const int VersionNumber = 222;

    private static readonly Lazy<MujocoAvailability> Checked = new(Check);

    private static int _registered;
    private static nint _handle;
    private static string? _path;

    [ThreadStatic]
    private static string? _lastWarning;

    /// <summary>Looks for the library, once per process.</summary>
    public static MujocoAvailability Availability => Checked.Value;

    /// <summary>Goes on only where the library can be used.</summary>
    /// <exception cref="EnvironmentException">It cannot; the message has the remedy.</exception>
    public static void Require() => Require(Availability);

    internal static void Require(MujocoAvailability availability)
    {
        if (!availability.IsAvailable)
        {
            throw new EnvironmentException($"{availability.Problem} Remedy: {availability.Remedy}");
        }
    }

    /// <summary>The last warning that MuJoCo gave on this thread; null when there was none since the last call.</summary>
    internal static string? TakeWarning()
    {
        var warning = _lastWarning;
        _lastWarning = null;
        return warning;
    }

    /// <summary>Makes this assembly's imports go through <see cref="NativeLibraries"/>.</summary>
    internal static void RegisterLoader()
    {
        if (Interlocked.Exchange(ref _registered, 1) == 0)
        {
            NativeLibrary.SetDllImportResolver(typeof(Mujoco).Assembly, Resolve);
        }
    }

    /// <summary>What to say where the library is not found.</summary>
    internal static MujocoAvailability Missing() =>
        new(
            null,
            $"MuJoCo: {MujocoNative.Library} was not found, neither by the system's loader nor in the folders of "
                + $"{NativeLibraries.FolderVariable} nor in .tilt/native of the checkout; tasks with physics need it, "
                + "everything else works without.",
            $"as root, {InstallCommand}; otherwise unpack the packages into .tilt/native (apt-get download "
                + $"{string.Join(' ', Packages)}; dpkg -x FILE.deb .tilt/native) or name their folder in "
                + $"{NativeLibraries.FolderVariable}."
        );

    /// <summary>What to say of a library with another version number; null for the right one.</summary>
    internal static MujocoAvailability? WrongVersion(int found, string? path) =>
        found == VersionNumber
            ? null
            : new(
                path,
                $"MuJoCo: {path ?? MujocoNative.Library} reports version {found}, expected {VersionNumber}: its structures "
                    + "are laid out for that version alone.",
                InstallCommand
            );

    private static MujocoAvailability Check()
    {
        RegisterLoader();
        if (Resolve(MujocoNative.Library, typeof(Mujoco).Assembly, null) == 0)
        {
            return Missing();
        }
        if (WrongVersion(MujocoNative.Version(), _path) is { } wrong)
        {
            return wrong;
        }
        *(delegate* unmanaged[Cdecl]<byte*, void>*)NativeLibrary.GetExport(_handle, "mju_user_warning") = &OnWarning;
        *(delegate* unmanaged[Cdecl]<byte*, void>*)NativeLibrary.GetExport(_handle, "mju_user_error") = &OnError;
        try
        {
            using var model = MujocoModel.Compile("<mujoco/>", "the smallest model");
            using var data = new MujocoData(model);
        }
        catch (EnvironmentException error)
        {
            return new(_path, error.Message, InstallCommand);
        }
        return new(_path ?? Mapped(MujocoNative.Library), null, null);
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? search)
    {
        if (name != MujocoNative.Library)
        {
            return NativeLibraries.TryLoad(name, out var other, out _) ? other : 0;
        }
        if (_handle == 0 && NativeLibraries.TryLoad(name, out var handle, out var path))
        {
            (_handle, _path) = (handle, path);
        }
        return _handle;
    }

    /// <summary>Where a loaded library lies, as the process's memory map tells.</summary>
    private static string? Mapped(string name)
    {
        try
        {
            return File.ReadLines("/proc/self/maps")
                .Select(line => line[(line.LastIndexOf(' ') + 1)..])
                .FirstOrDefault(file => file.EndsWith('/' + name, StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Keeps the message for who asks; without this MuJoCo prints it and writes MUJOCO_LOG.TXT.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnWarning(byte* message) => _lastWarning = Text(message);

    /// <summary>An error handler must not return and must not throw through native frames: the process ends.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnError(byte* message) => Environment.FailFast($"MuJoCo stopped: {Text(message)}");

    private static string Text(byte* message) =>
        Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(message));
}
