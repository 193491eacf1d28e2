using System.Runtime.InteropServices;

namespace Tilt.Environments.Rendering;

/// <summary>Mesa's software renderer into memory.</summary>
internal sealed unsafe partial class OsMesaContext : OffscreenContext
{
    private const string Library = "libOSMesa.so.8";
    private const uint Rgba = 0x1908;
    private const uint UnsignedByte = 0x1401;

    // MuJoCo draws into a buffer of its own: OSMesa needs one all the same.
    private const int Side = 16;

    private readonly byte* _pixels = (byte*)NativeMemory.AllocZeroed(4 * Side * Side);
    private nint _context;

    private OsMesaContext(nint context) => _context = context;

    /// <summary>A context, or null and why not.</summary>
    public static OsMesaContext? TryOpen(out string problem)
    {
        try
        {
            return Make(out problem);
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            problem = $"{Library} is not there";
            return null;
        }
    }

    public override void Bind()
    {
        if (MakeCurrent(_context, _pixels, UnsignedByte, Side, Side) == 0)
        {
            throw NotBound("OSMesa");
        }
    }

    public override void Unbind() => _ = MakeCurrent(0, null, 0, 0, 0);

    public override void Dispose()
    {
        if (_context != 0)
        {
            DestroyContext(_context);
            NativeMemory.Free(_pixels);
            _context = 0;
        }
    }

    private static OsMesaContext? Make(out string problem)
    {
        var handle = CreateContext(Rgba, 24, 8, 8, 0);
        if (handle == 0)
        {
            problem = "OSMesa makes no context";
            return null;
        }
        var context = new OsMesaContext(handle);
        context.Bind();
        fixed (byte* name = "glGetString\0"u8)
        {
            if (RendererOf(GetProcAddress(name)) is not { } renderer)
            {
                context.Unbind();
                context.Dispose();
                problem = "OSMesa's context has no OpenGL";
                return null;
            }
            context.Name = $"OSMesa, {renderer}";
        }
        context.Unbind();
        problem = "";
        return context;
    }

    [LibraryImport(Library, EntryPoint = "OSMesaCreateContextExt")]
    private static partial nint CreateContext(uint format, int depth, int stencil, int accumulation, nint share);

    [LibraryImport(Library, EntryPoint = "OSMesaMakeCurrent")]
    private static partial byte MakeCurrent(nint context, byte* pixels, uint type, int width, int height);

    [LibraryImport(Library, EntryPoint = "OSMesaDestroyContext")]
    private static partial void DestroyContext(nint context);

    [LibraryImport(Library, EntryPoint = "OSMesaGetProcAddress")]
    private static partial nint GetProcAddress(byte* name);
}
