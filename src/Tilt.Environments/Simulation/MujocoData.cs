namespace Tilt.Environments.Simulation;

/// <summary>A simulation of a model: its state and what MuJoCo derives from it. Belongs to one thread at a time.</summary>
/// <remarks>The arrays stay where they are for the simulation's life, so their pointers are taken once.</remarks>
internal sealed unsafe class MujocoData : IDisposable
{
    // Counters of mjData.warning that mean the state was not finite or beyond 10¹⁰: MuJoCo warns, silently puts the
    // simulation back to its start, and goes on.
    private const int BadPosition = 4;
    private const int BadVelocity = 5;
    private const int BadAcceleration = 6;
    private const int BadControl = 7;

    private readonly nint _model;
    private nint _handle;
    private readonly double* _position;
    private readonly double* _velocity;
    private readonly double* _control;
    private readonly double* _warmStart;
    private readonly double* _bodyPositions;
    private readonly double* _contactForces;
    private readonly double* _sitePositions;
    private readonly int _bodies;
    private readonly int _sites;

    /// <summary>A simulation at the model's start.</summary>
    public MujocoData(MujocoModel model)
    {
        Model = model;
        _model = model.Handle;
        _handle = MujocoNative.MakeData(_model);
        if (_handle == 0)
        {
            throw new EnvironmentException("MuJoCo: no memory for a simulation. Remedy: fewer environments at once.");
        }
        MujocoLayout.CheckData(_model, _handle);
        _position = Array("qpos");
        _velocity = Array("qvel");
        _control = Array("ctrl");
        _warmStart = Array("qacc_warmstart");
        _bodyPositions = Array("xpos");
        _contactForces = Array("cfrc_ext");
        _sitePositions = Array("site_xpos");
        (_bodies, _sites) = (model.Size("nbody"), model.Size("nsite"));
    }

    /// <summary>Frees a simulation that nobody disposed.</summary>
    ~MujocoData() => Free();

    /// <summary>What is simulated.</summary>
    public MujocoModel Model { get; }

    /// <summary>mjData*.</summary>
    public nint Handle
    {
        get
        {
            ObjectDisposedException.ThrowIf(_handle == 0, this);
            return _handle;
        }
    }

    /// <summary>qpos, [nq].</summary>
    public Span<double> Position => new(_position, Model.Positions);

    /// <summary>qvel, [nv].</summary>
    public Span<double> Velocity => new(_velocity, Model.Velocities);

    /// <summary>ctrl, [nu].</summary>
    public Span<double> Control => new(_control, Model.Controls);

    /// <summary>qacc_warmstart, where the constraint solver starts: part of the state that decides the bits, [nv].</summary>
    public Span<double> WarmStart => new(_warmStart, Model.Velocities);

    /// <summary>xpos, the bodies' places as the last forward pass computed them, [nbody, 3], m.</summary>
    public ReadOnlySpan<double> BodyPositions => new(_bodyPositions, 3 * _bodies);

    /// <summary>cfrc_ext, the external forces on bodies, [nbody, 6]: zero unless <see cref="ComputeContactForces"/> ran.</summary>
    public ReadOnlySpan<double> ContactForces => new(_contactForces, 6 * _bodies);

    /// <summary>site_xpos, [nsite, 3], m. Written only to draw.</summary>
    public Span<double> SitePositions => new(_sitePositions, 3 * _sites);

    /// <summary>Simulated seconds since the start.</summary>
    public double Time
    {
        get => *(double*)(Handle + MujocoLayout.Time);
        set => *(double*)(Handle + MujocoLayout.Time) = value;
    }

    /// <summary>Contacts found by the last step.</summary>
    public int ContactCount => *(int*)(Handle + MujocoLayout.ContactCount);

    /// <summary>The two geoms of a contact.</summary>
    public (int First, int Second) Contact(int index)
    {
        var contact = MujocoLayout.Pointer(Handle, "contact") + index * MujocoLayout.ContactBytes;
        return (*(int*)(contact + MujocoLayout.ContactGeom1), *(int*)(contact + MujocoLayout.ContactGeom2));
    }

    /// <summary>Back to the model's start; clears the warnings.</summary>
    public void Reset() => MujocoNative.ResetData(_model, Handle);

    /// <summary>Derives everything from the state without advancing time.</summary>
    public void Forward() => MujocoNative.Forward(_model, Handle);

    /// <summary>Advances by the model's time step.</summary>
    public void Step() => MujocoNative.Step(_model, Handle);

    /// <summary>Fills <see cref="ContactForces"/>. Does not touch the dynamics.</summary>
    public void ComputeContactForces() => MujocoNative.ContactForces(_model, Handle);

    /// <summary>What MuJoCo found not finite or beyond 10¹⁰ since the last reset; null when nothing.</summary>
    public string? BadState() =>
        Warned(BadPosition) ? "position"
        : Warned(BadVelocity) ? "velocity"
        : Warned(BadAcceleration) ? "acceleration"
        : Warned(BadControl) ? "control"
        : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private bool Warned(int kind) => *(int*)(_handle + MujocoLayout.Warnings + 8 * kind + 4) != 0;

    private double* Array(string name) => (double*)MujocoLayout.Pointer(_handle, name);

    private void Free()
    {
        if (_handle != 0)
        {
            MujocoNative.DeleteData(_handle);
            _handle = 0;
        }
    }
}
