namespace Tilt.Sampling;

/// <summary>Everything that decides how samples are drawn from a noise predictor.</summary>
public sealed record SamplerOptions
{
    /// <summary>A name of <see cref="Solvers.All"/>.</summary>
    /// <value>dpm-solver++-2m, upstream's default.</value>
    public string Solver { get; init; } = "dpm-solver++-2m";

    /// <summary>N, the network evaluations to spend ("steps" in the papers). The adaptive solvers choose their own.</summary>
    /// <value>25, as in the authors' 2-D figures.</value>
    public int Evaluations { get; init; } = 25;

    /// <summary>How times are spread between start and end.</summary>
    /// <value>logSNR (ours: several times more accurate than uniform on low-dimensional data at equal cost).</value>
    public TimeSpacing Spacing { get; init; } = TimeSpacing.LogSnr;

    /// <summary>The noisiest time, where x_T stands; null for the schedule's T.</summary>
    public double? StartTime { get; init; }

    /// <summary>The time to end at; null for the schedule's own, 1e-3 or the first index. 0 is for DDIM and ancestral sampling only.</summary>
    public double? EndTime { get; init; }

    /// <summary>When the last steps of a multistep solver fall back to lower orders.</summary>
    /// <value>Below 10 evaluations (upstream code).</value>
    public LowerOrderFinal LowerOrderFinal { get; init; } = LowerOrderFinal.BelowTen;

    /// <summary>How a second-order step weighs differences; also the last update of a singlestep third-order step.</summary>
    /// <value>Midpoint (upstream's <c>dpmsolver</c>).</value>
    public DpmFlavor Flavor { get; init; } = DpmFlavor.Midpoint;

    /// <summary>Where a singlestep solver's evaluations go.</summary>
    /// <value>Upstream. Solvers with <c>-fixed</c> in their name have their own.</value>
    public SinglestepLayout Singlestep { get; init; } = SinglestepLayout.Upstream;

    /// <summary>Return x̂₀ at the end time rather than x: one evaluation more.</summary>
    /// <value>False.</value>
    public bool DenoiseToZero { get; init; }

    /// <summary>Keeps x̂₀ in the range of the data; null for none. Not with the noise form of DPM-Solver, which never forms x̂₀.</summary>
    public Thresholding? Thresholding { get; init; }

    /// <summary>η of DDIM: 0 is the ODE, 1 is ancestral sampling.</summary>
    /// <value>0.</value>
    public double Eta { get; init; }

    /// <summary>Absolute error per step that the adaptive solvers allow, in units of the data.</summary>
    /// <value>0.0078, two grey levels of 256 on a range of 2 (upstream).</value>
    public double AbsoluteTolerance { get; init; } = 0.0078;

    /// <summary>Relative error per step that the adaptive solvers allow.</summary>
    /// <value>0.05 (upstream).</value>
    public double RelativeTolerance { get; init; } = 0.05;

    /// <summary>The same sampler spending that many evaluations in all, the last estimate of x₀ included.</summary>
    /// <param name="evaluations">Network evaluations in all; where they are too few for a last estimate, there is none.</param>
    public SamplerOptions Spending(int evaluations) =>
        DenoiseToZero && evaluations > Solvers.Find(Solver).Fewest
            ? this with
            {
                Evaluations = evaluations - 1,
            }
            : this with
            {
                Evaluations = evaluations,
                DenoiseToZero = false,
            };

    /// <summary>Network evaluations in all, the last estimate of x₀ included.</summary>
    public int Spent => Evaluations + (DenoiseToZero ? 1 : 0);

    /// <summary>The CEP authors' 2-D sampler: noise form, multistep, order 2, uniform times.</summary>
    /// <remarks>cep.md §13; 25 evaluations in their figures, 15 by default in their code.</remarks>
    public static SamplerOptions Cep2d { get; } =
        new()
        {
            Solver = "dpm-solver-2m",
            Evaluations = 25,
            Spacing = TimeSpacing.Uniform,
            LowerOrderFinal = LowerOrderFinal.Off,
        };

    /// <summary>The CEP authors' offline-RL sampler: data form, singlestep, order 2, uniform times, 15 evaluations.</summary>
    /// <remarks>cep.md §13.</remarks>
    public static SamplerOptions CepRl { get; } =
        new()
        {
            Solver = "dpm-solver++-2s",
            Evaluations = 15,
            Spacing = TimeSpacing.Uniform,
            LowerOrderFinal = LowerOrderFinal.Off,
            Singlestep = SinglestepLayout.CepCopy,
        };

    /// <summary>Throws unless these options can be run on that schedule.</summary>
    /// <exception cref="TiltException">An option is unknown, out of range, or does not go with another.</exception>
    public void Validate(NoiseSchedule schedule)
    {
        var solver = Solvers.Find(Solver);
        if (solver.Evaluations is not null && (Evaluations < solver.Fewest || Evaluations > 1_000_000))
        {
            throw TiltException.Usage(
                $"Option evaluations is {Evaluations}; the solver '{solver.Name}' needs from {solver.Fewest} to 1000000."
            );
        }

        var (start, end) = Span(schedule);
        if (!double.IsFinite(start) || !double.IsFinite(end) || end < 0 || start > schedule.End || end >= start)
        {
            throw TiltException.Usage(
                $"Options startTime and endTime are {start} and {end}; expected 0 <= endTime < startTime <= {schedule.End}, "
                    + $"the end of the schedule '{schedule.Name}'."
            );
        }
        var needsLambda = solver.NeedsFiniteLambda || Spacing == TimeSpacing.LogSnr;
        if (needsLambda && !double.IsFinite(schedule.Lambda(end)))
        {
            throw TiltException.Usage(
                $"Option endTime is {end}, where λ is infinite: "
                    + (
                        solver.NeedsFiniteLambda
                            ? $"the solver '{solver.Name}' works in λ. End at {schedule.SamplingEnd} with denoiseToZero, or use ddim."
                            : "logSNR spacing is equal in λ. Use uniform or quadratic spacing, or end a little above it."
                    )
            );
        }

        if (Singlestep == SinglestepLayout.Fixed && solver.TakesLayout)
        {
            throw TiltException.Usage(
                $"Option singlestep is Fixed; expected Upstream or CepCopy. For equal strides use the solver '{solver.Name}-fixed'."
            );
        }
        if (!(Eta >= 0) || !(Eta <= 1))
        {
            throw TiltException.Usage($"Option eta is {Eta}; expected 0 (the ODE) to 1 (ancestral sampling).");
        }
        if (Eta > 0 && !solver.TakesEta)
        {
            throw TiltException.Usage(
                $"Option eta is {Eta}, but the solver '{solver.Name}' takes none. Use ddim, or leave eta at 0."
            );
        }
        if (Thresholding is not null)
        {
            Thresholding.Validate();
            if (!solver.FormsCleanSample)
            {
                throw TiltException.Usage(
                    $"Option thresholding is set, but the solver '{solver.Name}' expands the noise and never forms x0. "
                        + "Use a dpm-solver++ solver or ddim, or leave thresholding out."
                );
            }
        }
        if (
            !(AbsoluteTolerance > 0)
            || !(RelativeTolerance >= 0)
            || !double.IsFinite(AbsoluteTolerance + RelativeTolerance)
        )
        {
            throw TiltException.Usage(
                $"Options absoluteTolerance and relativeTolerance are {AbsoluteTolerance} and {RelativeTolerance}; expected "
                    + "finite numbers, the first above 0, the second at least 0."
            );
        }
    }

    /// <summary>Start and end time, defaults filled in.</summary>
    internal (double Start, double End) Span(NoiseSchedule schedule) =>
        (StartTime ?? schedule.End, EndTime ?? schedule.SamplingEnd);
}
