using System.Runtime.InteropServices;
using System.Text;

namespace Tilt.Environments.Simulation;

/// <summary>A compiled model. Read-only once made, so any number of simulations on any number of threads may share it.</summary>
internal sealed unsafe class MujocoModel : IDisposable
{
    /// <summary>mjtObj numbers of what has names.</summary>
    public const int Body = 1,
        Geom = 5,
        Site = 6,
        Camera = 7;

    private const int FilesBytes = 2024008; // mjVFS; its last 2000 pointers are the files' contents
    private const int FilePointers = FilesBytes - 2000 * 8;
    private const int ErrorBytes = 1000;

    // The compiler keeps its last model in a global variable.
    private static readonly Lock Compiler = new();

    private readonly double[] _ranges;
    private readonly double[] _home;
    private nint _handle;

    private MujocoModel(nint handle, string mjcf)
    {
        _handle = handle;
        Mjcf = mjcf;
        Positions = Size("nq");
        Velocities = Size("nv");
        Controls = Size("nu");
        TimeStep = *(double*)(handle + MujocoLayout.Options);
        _ranges = Doubles("actuator_ctrlrange").ToArray();
        _home = Doubles("qpos0").ToArray();
    }

    /// <summary>Frees a model that nobody disposed.</summary>
    ~MujocoModel() => Free();

    /// <summary>mjModel*.</summary>
    public nint Handle
    {
        get
        {
            ObjectDisposedException.ThrowIf(_handle == 0, this);
            return _handle;
        }
    }

    /// <summary>What it was compiled from.</summary>
    public string Mjcf { get; }

    /// <summary>nq, the generalized coordinates.</summary>
    public int Positions { get; }

    /// <summary>nv, the degrees of freedom.</summary>
    public int Velocities { get; }

    /// <summary>nu, the motors.</summary>
    public int Controls { get; }

    /// <summary>Seconds per mj_step.</summary>
    public double TimeStep { get; }

    /// <summary>qpos0: the coordinates that mj_resetData sets, [nq].</summary>
    public ReadOnlySpan<double> Home => _home;

    /// <summary>Masses of the bodies, the world's first, kg, [nbody].</summary>
    public ReadOnlySpan<double> BodyMasses => Doubles("body_mass");

    /// <summary>Lowest and highest control of a motor.</summary>
    public (double Low, double High) ControlRange(int motor) => (_ranges[2 * motor], _ranges[2 * motor + 1]);

    /// <summary>Compiles MJCF text.</summary>
    /// <param name="mjcf">The XML.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <exception cref="EnvironmentException">The compiler refuses it, or the library is not laid out as expected.</exception>
    public static MujocoModel Compile(string mjcf, string name)
    {
        var content = Encoding.UTF8.GetBytes(mjcf);
        var files = Marshal.AllocHGlobal(FilesBytes);
        try
        {
            lock (Compiler)
            {
                MujocoNative.DefaultFiles(files);
                try
                {
                    return new(Load(files, content, name), mjcf);
                }
                finally
                {
                    MujocoNative.DeleteFiles(files);
                }
            }
        }
        finally
        {
            Marshal.FreeHGlobal(files);
        }
    }

    /// <summary>A count, such as nbody.</summary>
    public int Size(string name) => MujocoLayout.Size(Handle, name);

    /// <summary>An array of doubles.</summary>
    public ReadOnlySpan<double> Doubles(string name) => new((void*)MujocoLayout.Pointer(Handle, name), Length(name));

    /// <summary>The bytes of any array.</summary>
    public ReadOnlySpan<byte> Bytes(MujocoArray array) =>
        new(
            (void*)MujocoLayout.Pointer(Handle, array.Name),
            checked((int)(MujocoLayout.Count(Handle, array) * array.ElementBytes))
        );

    /// <summary>The number of a named body, geom, site or camera; −1 where there is none.</summary>
    public int IdOf(int kind, string name)
    {
        fixed (byte* text = Encoding.UTF8.GetBytes(name + '\0'))
        {
            return MujocoNative.IdOf(Handle, kind, text);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private static nint Load(nint files, byte[] content, string name)
    {
        fixed (byte* file = "model.xml\0"u8)
        fixed (byte* error = new byte[ErrorBytes])
        {
            var index =
                MujocoNative.MakeFile(files, file, content.Length) == 0 ? MujocoNative.FindFile(files, file) : -1;
            if (index < 0)
            {
                throw new EnvironmentException($"MuJoCo: no memory for the {content.Length} bytes of {name}.");
            }
            content.CopyTo(new Span<byte>(*(void**)(files + FilePointers + index * sizeof(nint)), content.Length));
            var handle = MujocoNative.LoadXml(file, files, error, ErrorBytes);
            if (handle == 0)
            {
                var message = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(error)).Trim();
                throw new EnvironmentException($"MuJoCo cannot compile {name}: {message}. Remedy: correct its MJCF.");
            }
            try
            {
                MujocoLayout.CheckModel(handle);
            }
            catch
            {
                MujocoNative.DeleteModel(handle);
                throw;
            }
            return handle;
        }
    }

    private int Length(string name) =>
        checked((int)MujocoLayout.Count(Handle, MujocoLayout.ModelArrays.First(array => array.Name == name)));

    private void Free()
    {
        if (_handle != 0)
        {
            MujocoNative.DeleteModel(_handle);
            _handle = 0;
        }
    }
}
