using System.Runtime.InteropServices;

namespace Tilt.Environments.Simulation;

/// <summary>The functions of libmujoco 2.2.2 that are used. Pointers are opaque; nothing is marshalled.</summary>
internal static unsafe partial class MujocoNative
{
    /// <summary>Debian's name: the unversioned one exists only with the development package.</summary>
    public const string Library = "libmujoco.so.2.2.2";

    static MujocoNative() => Mujoco.RegisterLoader();

    [LibraryImport(Library, EntryPoint = "mj_version")]
    public static partial int Version();

    [LibraryImport(Library, EntryPoint = "mj_defaultVFS")]
    public static partial void DefaultFiles(nint files);

    [LibraryImport(Library, EntryPoint = "mj_makeEmptyFileVFS")]
    public static partial int MakeFile(nint files, byte* name, int size);

    [LibraryImport(Library, EntryPoint = "mj_findFileVFS")]
    public static partial int FindFile(nint files, byte* name);

    [LibraryImport(Library, EntryPoint = "mj_deleteVFS")]
    public static partial void DeleteFiles(nint files);

    [LibraryImport(Library, EntryPoint = "mj_loadXML")]
    public static partial nint LoadXml(byte* name, nint files, byte* error, int errorSize);

    [LibraryImport(Library, EntryPoint = "mj_deleteModel")]
    public static partial void DeleteModel(nint model);

    [LibraryImport(Library, EntryPoint = "mj_makeData")]
    public static partial nint MakeData(nint model);

    [LibraryImport(Library, EntryPoint = "mj_deleteData")]
    public static partial void DeleteData(nint data);

    [LibraryImport(Library, EntryPoint = "mj_resetData")]
    public static partial void ResetData(nint model, nint data);

    [LibraryImport(Library, EntryPoint = "mj_forward")]
    public static partial void Forward(nint model, nint data);

    [LibraryImport(Library, EntryPoint = "mj_step")]
    public static partial void Step(nint model, nint data);

    [LibraryImport(Library, EntryPoint = "mj_rnePostConstraint")]
    public static partial void ContactForces(nint model, nint data);

    [LibraryImport(Library, EntryPoint = "mj_name2id")]
    public static partial int IdOf(nint model, int kind, byte* name);

    [LibraryImport(Library, EntryPoint = "mjv_defaultCamera")]
    public static partial void DefaultCamera(nint camera);

    [LibraryImport(Library, EntryPoint = "mjv_defaultOption")]
    public static partial void DefaultOption(nint option);

    [LibraryImport(Library, EntryPoint = "mjv_defaultScene")]
    public static partial void DefaultScene(nint scene);

    [LibraryImport(Library, EntryPoint = "mjv_makeScene")]
    public static partial void MakeScene(nint model, nint scene, int maximumGeoms);

    [LibraryImport(Library, EntryPoint = "mjv_freeScene")]
    public static partial void FreeScene(nint scene);

    [LibraryImport(Library, EntryPoint = "mjv_updateScene")]
    public static partial void UpdateScene(
        nint model,
        nint data,
        nint option,
        nint perturbation,
        nint camera,
        int categories,
        nint scene
    );

    [LibraryImport(Library, EntryPoint = "mjr_defaultContext")]
    public static partial void DefaultContext(nint context);

    [LibraryImport(Library, EntryPoint = "mjr_makeContext")]
    public static partial void MakeContext(nint model, nint context, int fontScale);

    [LibraryImport(Library, EntryPoint = "mjr_freeContext")]
    public static partial void FreeContext(nint context);

    [LibraryImport(Library, EntryPoint = "mjr_setBuffer")]
    public static partial void SetBuffer(int buffer, nint context);

    [LibraryImport(Library, EntryPoint = "mjr_render")]
    public static partial void Render(Rectangle viewport, nint scene, nint context);

    [LibraryImport(Library, EntryPoint = "mjr_readPixels")]
    public static partial void ReadPixels(byte* rgb, float* depth, Rectangle viewport, nint context);

    /// <summary>mjrRect: pixels of the viewport.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public readonly record struct Rectangle(int Left, int Bottom, int Width, int Height);
}
