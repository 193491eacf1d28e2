using System.Runtime.InteropServices;
using Tilt.Environments.Simulation;

namespace Tilt.Environments.Rendering;

/// <summary>An OpenGL context without a screen. MuJoCo finds OpenGL's functions through the library that made it.</summary>
internal abstract class OffscreenContext : IDisposable
{
    /// <summary>What draws, such as <c>EGL, llvmpipe</c>.</summary>
    public string Name { get; protected set; } = "";

    /// <summary>Opens EGL's surfaceless platform, or OSMesa where that does not work.</summary>
    /// <param name="problem">Why neither works; empty when one does.</param>
    public static OffscreenContext? Open(out string problem)
    {
        Mujoco.RegisterLoader();
        if (EglContext.TryOpen(out var egl) is { } first)
        {
            problem = "";
            return first;
        }
        if (OsMesaContext.TryOpen(out var mesa) is { } second)
        {
            problem = "";
            return second;
        }
        problem = $"{egl}; {mesa}";
        return null;
    }

    /// <summary>Makes it the calling thread's context.</summary>
    public abstract void Bind();

    /// <summary>Frees the calling thread from it, so that another may bind it.</summary>
    public abstract void Unbind();

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>The context cannot be used on this thread.</summary>
    protected static EnvironmentException NotBound(string what) =>
        new(
            $"rendering: the OpenGL context cannot be bound to this thread ({what}). Remedy: dispose other renderers of the thread "
                + "first."
        );

    /// <summary>The renderer's name, which also shows that OpenGL's functions are there.</summary>
    protected static unsafe string? RendererOf(nint getString)
    {
        const uint renderer = 0x1F01;
        return getString == 0
            ? null
            : Marshal.PtrToStringUTF8(((delegate* unmanaged[Cdecl]<uint, nint>)getString)(renderer));
    }
}
