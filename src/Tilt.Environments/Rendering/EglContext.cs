using System.Runtime.InteropServices;

namespace Tilt.Environments.Rendering;

/// <summary>EGL without a surface, on Mesa's surfaceless platform.</summary>
internal sealed unsafe partial class EglContext : OffscreenContext
{
    private const string Library = "libEGL.so.1";
    private const uint SurfacelessPlatform = 0x31DD;
    private const uint OpenGl = 0x30A2;

    private static readonly int[] Wanted =
    [
        0x3024,
        8, // red
        0x3023,
        8, // green
        0x3022,
        8, // blue
        0x3021,
        8, // alpha
        0x3025,
        24, // depth
        0x3026,
        8, // stencil
        0x3040,
        8, // for OpenGL
        0x3033,
        1, // for pixel buffers
        0x3038,
    ];

    private readonly nint _display;
    private nint _context;

    private EglContext(nint display, nint context) => (_display, _context) = (display, context);

    /// <summary>A context, or null and why not.</summary>
    public static EglContext? TryOpen(out string problem)
    {
        try
        {
            return Make(out problem);
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            problem = $"{Library} is not there or too old";
            return null;
        }
    }

    public override void Bind()
    {
        if (MakeCurrent(_display, 0, 0, _context) == 0)
        {
            throw NotBound($"EGL error 0x{GetError():x}");
        }
    }

    public override void Unbind() => _ = MakeCurrent(_display, 0, 0, 0);

    public override void Dispose()
    {
        if (_context != 0)
        {
            _ = DestroyContext(_display, _context);
            _context = 0;
        }
    }

    private static EglContext? Make(out string problem)
    {
        nint config;
        int found;
        var display = GetPlatformDisplay(SurfacelessPlatform, 0, 0);
        if (display == 0 || Initialize(display, null, null) == 0)
        {
            problem = $"EGL has no surfaceless display (error 0x{GetError():x})";
            return null;
        }
        fixed (int* wanted = Wanted)
        {
            if (ChooseConfig(display, wanted, &config, 1, &found) == 0 || found == 0 || BindApi(OpenGl) == 0)
            {
                problem = $"EGL has no configuration for OpenGL (error 0x{GetError():x})";
                return null;
            }
        }
        var handle = CreateContext(display, config, 0, null);
        if (handle == 0)
        {
            problem = $"EGL makes no context (error 0x{GetError():x})";
            return null;
        }
        var context = new EglContext(display, handle);
        context.Bind();
        fixed (byte* name = "glGetString\0"u8)
        {
            if (RendererOf(GetProcAddress(name)) is not { } renderer)
            {
                context.Unbind();
                context.Dispose();
                problem = "EGL's context has no OpenGL";
                return null;
            }
            context.Name = $"EGL, {renderer}";
        }
        context.Unbind();
        problem = "";
        return context;
    }

    [LibraryImport(Library, EntryPoint = "eglGetPlatformDisplay")]
    private static partial nint GetPlatformDisplay(uint platform, nint native, nint attributes);

    [LibraryImport(Library, EntryPoint = "eglInitialize")]
    private static partial uint Initialize(nint display, int* major, int* minor);

    [LibraryImport(Library, EntryPoint = "eglChooseConfig")]
    private static partial uint ChooseConfig(nint display, int* wanted, nint* configs, int size, int* found);

    [LibraryImport(Library, EntryPoint = "eglBindAPI")]
    private static partial uint BindApi(uint api);

    [LibraryImport(Library, EntryPoint = "eglCreateContext")]
    private static partial nint CreateContext(nint display, nint config, nint share, int* attributes);

    [LibraryImport(Library, EntryPoint = "eglMakeCurrent")]
    private static partial uint MakeCurrent(nint display, nint draw, nint read, nint context);

    [LibraryImport(Library, EntryPoint = "eglDestroyContext")]
    private static partial uint DestroyContext(nint display, nint context);

    [LibraryImport(Library, EntryPoint = "eglGetProcAddress")]
    private static partial nint GetProcAddress(byte* name);

    [LibraryImport(Library, EntryPoint = "eglGetError")]
    private static partial int GetError();
}
