using System.Runtime.InteropServices;
using System.Xml.Linq;
using Tilt.Environments.Simulation;

namespace Tilt.Environments.Rendering;

/// <summary>Whether pictures can be made here, and if not, why and what puts it right.</summary>
/// <param name="Backend">What draws, such as <c>EGL, llvmpipe (LLVM 15.0.6, 256 bits)</c>; null when nothing can.</param>
/// <param name="Problem">What is wrong; null when pictures can be made.</param>
/// <param name="Remedy">The one command that fixes it; null when pictures can be made.</param>
public sealed record RenderingAvailability(string? Backend, string? Problem, string? Remedy)
{
    /// <summary>The physics library and an OpenGL without a screen are there.</summary>
    public bool IsAvailable => Problem is null;
}

/// <summary>Takes pictures of an environment with MuJoCo's own renderer, without a screen.</summary>
/// <remarks>
/// Any thread may call it, one at a time. It compiles a model of its own to draw with, so that the sizes of its buffers do not
/// touch the model that is simulated.
/// </remarks>
public sealed unsafe class Renderer : IDisposable
{
    private const int SceneBytes = 8656;
    private const int ContextBytes = 2304;
    private const int OptionBytes = 68;
    private const int CameraBytes = 64;
    private const int SceneShadows = 8628;
    private const int SceneReflections = 8630;
    private const int MostGeoms = 1000;
    private const int AllCategories = 7;
    private const int FontScale = 100;
    private const int OffscreenBuffer = 1;

    private static readonly Lazy<RenderingAvailability> Checked = new(Check);

    private readonly MujocoEnvironment _environment;
    private readonly MujocoModel _model;
    private readonly OffscreenContext _gl;
    private readonly bool _fine;
    private readonly Camera _camera;
    private readonly nint _memory;
    private readonly nint _scene;
    private readonly nint _context;
    private readonly nint _option;
    private readonly nint _view;
    private readonly byte[] _row;
    private readonly Lock _turn = new();
    private bool _disposed;

    /// <summary>A renderer for one environment.</summary>
    /// <param name="environment">What to take pictures of.</param>
    /// <param name="width">Pixels.</param>
    /// <param name="height">Pixels.</param>
    /// <param name="camera">From where; null for the task's own view.</param>
    /// <param name="fine">Whether edges are smoothed and shadows cast, at several times the cost.</param>
    /// <exception cref="EnvironmentException">Pictures cannot be made here; the message has the remedy.</exception>
    public Renderer(
        IEnvironment environment,
        int width = 640,
        int height = 480,
        Camera? camera = null,
        bool fine = true
    )
    {
        if (environment is not MujocoEnvironment simulated)
        {
            throw EnvironmentException.Usage("renderer: pictures are made of MuJoCo tasks only.");
        }
        if (width is < 1 or > 4096 || height is < 1 or > 4096)
        {
            throw EnvironmentException.Usage(
                $"renderer: a picture of {width} × {height}, expected 1 to 4096 pixels a side."
            );
        }
        Mujoco.Require();
        _gl =
            OffscreenContext.Open(out var problem)
            ?? throw new EnvironmentException($"{Missing(problem).Problem} Remedy: {Missing(problem).Remedy}");
        (_environment, Width, Height, _fine) = (simulated, width, height, fine);
        _camera = camera ?? simulated.View;
        _model = MujocoModel.Compile(Sized(simulated.Data.Model.Mjcf), $"the pictures of {simulated.Task.Name}");
        _row = new byte[3 * width];
        _memory = (nint)NativeMemory.AllocZeroed(SceneBytes + ContextBytes + OptionBytes + CameraBytes + 64);
        _scene = _memory;
        _context = _scene + SceneBytes;
        _view = _context + ContextBytes;
        _option = _view + CameraBytes;
        _gl.Bind();
        try
        {
            MujocoNative.DefaultCamera(_view);
            MujocoNative.DefaultOption(_option);
            MujocoNative.DefaultScene(_scene);
            MujocoNative.DefaultContext(_context);
            MujocoNative.MakeScene(_model.Handle, _scene, MostGeoms);
            MujocoNative.MakeContext(_model.Handle, _context, FontScale);
            MujocoNative.SetBuffer(OffscreenBuffer, _context);
        }
        finally
        {
            _gl.Unbind();
        }
    }

    /// <summary>Looks for an OpenGL without a screen, once per process.</summary>
    public static RenderingAvailability Availability => Checked.Value;

    /// <summary>Pixels across.</summary>
    public int Width { get; }

    /// <summary>Pixels down.</summary>
    public int Height { get; }

    /// <summary>What draws.</summary>
    public string Backend => _gl.Name;

    /// <summary>Takes a picture of the environment as it stands.</summary>
    /// <param name="rgb">Receives red, green and blue of each pixel, rows from the top, [Height, Width, 3].</param>
    /// <exception cref="EnvironmentException">Wrong length.</exception>
    public void Render(Span<byte> rgb)
    {
        if (rgb.Length != 3 * Width * Height)
        {
            throw EnvironmentException.Usage(
                $"renderer: {rgb.Length} bytes for a picture of {Width} × {Height}, expected {3 * Width * Height}."
            );
        }
        lock (_turn)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _gl.Bind();
            try
            {
                Draw(rgb);
            }
            finally
            {
                _gl.Unbind();
            }
        }
        FlipRows(rgb);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_turn)
        {
            if (_disposed)
            {
                return;
            }
            _disposed = true;
            _gl.Bind();
            MujocoNative.FreeScene(_scene);
            MujocoNative.FreeContext(_context);
            _gl.Unbind();
            _gl.Dispose();
            NativeMemory.Free((void*)_memory);
            _model.Dispose();
        }
    }

    /// <summary>What to say where there is no OpenGL without a screen.</summary>
    internal static RenderingAvailability Missing(string problem) =>
        new(
            null,
            $"rendering: no OpenGL without a screen ({problem}); pictures need one, everything else works without.",
            $"as root, {Mujoco.InstallCommand}"
        );

    private static RenderingAvailability Check()
    {
        if (!Mujoco.Availability.IsAvailable)
        {
            return new(null, Mujoco.Availability.Problem, Mujoco.Availability.Remedy);
        }
        using var context = OffscreenContext.Open(out var problem);
        return context is null ? Missing(problem) : new(context.Name, null, null);
    }

    /// <summary>The model with buffers of the picture's size.</summary>
    private string Sized(string mjcf)
    {
        var document = XDocument.Parse(mjcf);
        var visual = document.Root!.Element("visual")!;
        visual.Add(new XElement("global", new XAttribute("offwidth", Width), new XAttribute("offheight", Height)));
        if (!_fine)
        {
            visual.Element("quality")!.SetAttributeValue("offsamples", 0);
        }
        return document.ToString();
    }

    private void Draw(Span<byte> rgb)
    {
        _environment.BeforePicture();
        var viewport = new MujocoNative.Rectangle(0, 0, Width, Height);
        PlaceCamera();
        MujocoNative.UpdateScene(
            _model.Handle,
            _environment.Data.Handle,
            _option,
            perturbation: 0,
            _view,
            AllCategories,
            _scene
        );
        *(byte*)(_scene + SceneShadows) = (byte)(_fine ? 1 : 0);
        *(byte*)(_scene + SceneReflections) = 0;
        MujocoNative.Render(viewport, _scene, _context);
        fixed (byte* pixels = rgb)
        {
            MujocoNative.ReadPixels(pixels, null, viewport, _context);
        }
    }

    /// <summary>mjvCamera of the free kind: look-at point at 16, distance 40, azimuth 48, elevation 56.</summary>
    private void PlaceCamera()
    {
        var (x, y, z) = _camera.LookAt;
        if (_camera.Follows)
        {
            var robot = _environment.Data.BodyPositions.Slice(3, 3);
            (x, y) = (x + robot[0], y + robot[1]);
        }
        var view = (double*)(_view + 16);
        (view[0], view[1], view[2]) = (x, y, z);
        (view[3], view[4], view[5]) = (_camera.Distance, _camera.Azimuth, _camera.Elevation);
    }

    /// <summary>OpenGL's rows come from the bottom.</summary>
    private void FlipRows(Span<byte> rgb)
    {
        var length = 3 * Width;
        for (var row = 0; row < Height / 2; row++)
        {
            var top = rgb.Slice(row * length, length);
            var bottom = rgb.Slice((Height - 1 - row) * length, length);
            top.CopyTo(_row);
            bottom.CopyTo(top);
            _row.CopyTo(bottom);
        }
    }
}
