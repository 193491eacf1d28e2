namespace Tilt.Sampling;

/// <summary>One solver of the catalogue.</summary>
public sealed record SolverInfo
{
    /// <summary>The name that options and the command line use.</summary>
    public required string Name { get; init; }

    /// <summary>What it is, in a few words.</summary>
    public required string Description { get; init; }

    /// <summary>Its order of convergence on a grid equal in λ; for stochastic solvers that of the samples' distribution (weak order).</summary>
    public required int Order { get; init; }

    /// <summary>Network evaluations spent when N are asked for; null where the solver chooses.</summary>
    public required Func<int, int>? Evaluations { get; init; }

    /// <summary>The fewest evaluations that may be asked for.</summary>
    public required int Fewest { get; init; }

    /// <summary>The solver itself.</summary>
    public required Solver Run { get; init; }

    /// <summary>The same as plain coefficients; null where a run cannot be planned ahead.</summary>
    public Func<SolverRun, SolverPlan>? Plan { get; init; }

    /// <summary>Whether it draws fresh noise (DDIM does too, when η &gt; 0).</summary>
    public bool Stochastic { get; init; }

    /// <summary>Whether it forms x̂₀, so that thresholding has something to act on.</summary>
    public bool FormsCleanSample { get; init; }

    /// <summary>Whether <see cref="SamplerOptions.Eta"/> means anything to it.</summary>
    public bool TakesEta { get; init; }

    /// <summary>Whether <see cref="SamplerOptions.Singlestep"/> means anything to it.</summary>
    public bool TakesLayout { get; init; }

    /// <summary>Whether it works in λ, so that it cannot end where σ = 0.</summary>
    public bool NeedsFiniteLambda { get; init; } = true;

    /// <summary>Whether it can run the ODE from data to noise.</summary>
    public bool Inverts => !Stochastic && Evaluations is not null;
}

/// <summary>All solvers, by name. A new solver is one line here; the theories find it.</summary>
/// <remarks>
/// Names follow the papers: dpm-solver expands the noise, dpm-solver++ the clean sample; the digit is the order, m is multistep,
/// s singlestep, 12 and 23 are the adaptive pairs, sde the stochastic ones. docs/algorithms/solvers.md describes them.
/// </remarks>
public static class Solvers
{
    private const Prediction Noise = Prediction.Noise;
    private const Prediction Clean = Prediction.Clean;

    /// <summary>Every solver.</summary>
    public static IReadOnlyList<SolverInfo> All { get; } =
    [
        DdimSolver("ddim", "DDIM; at eta 0 the first-order DPM-Solver"),
        Ancestral("ddpm", AncestralVariance.Small, "ancestral DDPM, fixed-small variance"),
        Ancestral("ddpm-large", AncestralVariance.Large, "ancestral DDPM, fixed-large variance"),
        Multistep("dpm-solver-1", 1, new() { Prediction = Noise, Order = 1 }, "first order"),
        Multistep(
            "dpm-solver-2m",
            2,
            new() { Prediction = Noise, Order = 2 },
            "multistep; the CEP authors' 2-D sampler"
        ),
        Multistep("dpm-solver-3m", 3, new() { Prediction = Noise, Order = 3 }, "multistep, corrected third order"),
        Multistep("dpm-solver-3m-upstream", 2, Halved(Noise), "multistep, third order as published: second in fact"),
        Singlestep("dpm-solver-2s", 2, new() { Prediction = Noise, Order = 2 }, "singlestep"),
        Singlestep("dpm-solver-3s", 2, new() { Prediction = Noise, Order = 3 }, "singlestep; ends with lower orders"),
        Equal("dpm-solver-2s-fixed", new() { Prediction = Noise, Order = 2 }, "singlestep, equal strides"),
        Equal("dpm-solver-3s-fixed", new() { Prediction = Noise, Order = 3 }, "singlestep, equal strides"),
        Adaptive("dpm-solver-12", new() { Prediction = Noise, Order = 2 }, "adaptive"),
        Adaptive("dpm-solver-23", new() { Prediction = Noise, Order = 3 }, "adaptive"),
        Multistep("dpm-solver++-1", 1, new() { Prediction = Clean, Order = 1 }, "first order"),
        Multistep("dpm-solver++-2m", 2, new() { Prediction = Clean, Order = 2 }, "multistep"),
        Multistep("dpm-solver++-3m", 3, new() { Prediction = Clean, Order = 3 }, "multistep, corrected third order"),
        Multistep("dpm-solver++-3m-upstream", 2, Halved(Clean), "multistep, third order as published: second in fact"),
        Singlestep(
            "dpm-solver++-2s",
            2,
            new() { Prediction = Clean, Order = 2 },
            "singlestep; the CEP authors' RL sampler"
        ),
        Singlestep("dpm-solver++-3s", 2, new() { Prediction = Clean, Order = 3 }, "singlestep; ends with lower orders"),
        Equal("dpm-solver++-2s-fixed", new() { Prediction = Clean, Order = 2 }, "singlestep, equal strides"),
        Equal("dpm-solver++-3s-fixed", new() { Prediction = Clean, Order = 3 }, "singlestep, equal strides"),
        Adaptive("dpm-solver++-12", new() { Prediction = Clean, Order = 2 }, "adaptive"),
        Adaptive("dpm-solver++-23", new() { Prediction = Clean, Order = 3 }, "adaptive"),
        Sde("sde-dpm-solver-1", 1, new() { Prediction = Noise, Order = 1 }, "stochastic, first order"),
        Sde("sde-dpm-solver-2m", 2, new() { Prediction = Noise, Order = 2 }, "stochastic, multistep"),
        Sde("sde-dpm-solver++-1", 1, new() { Prediction = Clean, Order = 1 }, "stochastic, first order"),
        Sde("sde-dpm-solver++-2m", 2, new() { Prediction = Clean, Order = 2 }, "stochastic, multistep"),
        Sde(
            "sde-dpm-solver++-3m",
            2,
            new() { Prediction = Clean, Order = 3 },
            "stochastic, multistep, corrected third-order drift"
        ),
    ];

    /// <summary>The names of all solvers.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(solver => solver.Name)];

    /// <summary>The solver of that name.</summary>
    /// <exception cref="TiltException">There is none; the message suggests one.</exception>
    public static SolverInfo Find(string name) =>
        All.FirstOrDefault(solver => string.Equals(solver.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw Suggest.Unknown("solver", name, Names);

    private static SolverInfo DdimSolver(string name, string description) =>
        new()
        {
            Name = name,
            Description = description,
            Order = 1,
            Evaluations = n => n,
            Fewest = 1,
            FormsCleanSample = true,
            TakesEta = true,
            NeedsFiniteLambda = false,
            Run = (noise, x, run) =>
                Ddim.Sample(noise, x, run.Levels, run.Options.Eta, run.Options.Thresholding, run.Hook, run.Generator),
            Plan = run => SolverPlan.Ddim(run.Levels),
        };

    private static SolverInfo Ancestral(string name, AncestralVariance variance, string description) =>
        new()
        {
            Name = name,
            Description = description,
            Order = 1,
            Evaluations = n => n,
            Fewest = 1,
            Stochastic = true,
            FormsCleanSample = true,
            NeedsFiniteLambda = false,
            Run = (noise, x, run) =>
                AncestralDdpm.Sample(noise, x, run.Levels, variance, run.Options.Thresholding, run.Hook, run.Generator),
        };

    private static SolverInfo Multistep(string name, int order, DpmOptions solver, string description) =>
        Dpm(name, order, solver, description) with
        {
            Run = (noise, x, run) => DpmSolver.Multistep(noise, x, run.Levels, With(solver, run.Options), run.Hook),
            Plan = run =>
                SolverPlan.Multistep(
                    run.Levels,
                    solver.Prediction,
                    solver.Order,
                    run.Options.Flavor,
                    run.Options.LowerOrderFinal,
                    solver.HalvedCurvature
                ),
        };

    private static SolverInfo Singlestep(string name, int order, DpmOptions solver, string description) =>
        Strided(name, order, solver, run => run.Strides(solver.Order, run.Options.Singlestep), description) with
        {
            TakesLayout = true,
        };

    private static SolverInfo Equal(string name, DpmOptions solver, string description) =>
        Strided(name, solver.Order, solver, run => run.Strides(solver.Order, SinglestepLayout.Fixed), description) with
        {
            Evaluations = n => n / solver.Order * solver.Order,
        };

    private static SolverInfo Strided(
        string name,
        int order,
        DpmOptions solver,
        Func<SolverRun, IReadOnlyList<NoiseLevel[]>> strides,
        string description
    ) =>
        Dpm(name, order, solver, description) with
        {
            Run = (noise, x, run) => DpmSolver.Singlestep(noise, x, strides(run), With(solver, run.Options), run.Hook),
            Plan = run => SolverPlan.Singlestep(strides(run), solver.Prediction, run.Options.Flavor),
        };

    private static SolverInfo Adaptive(string name, DpmOptions solver, string description) =>
        Dpm(name, solver.Order, solver, description) with
        {
            Evaluations = null,
            Run = (noise, x, run) =>
                DpmSolver.Adaptive(
                    noise,
                    x,
                    run.Schedule,
                    run.Start,
                    run.End,
                    run.Options.AbsoluteTolerance,
                    run.Options.RelativeTolerance,
                    With(solver, run.Options),
                    run.Hook
                ),
        };

    private static SolverInfo Sde(string name, int order, DpmOptions solver, string description) =>
        Dpm(name, order, solver, description) with
        {
            Stochastic = true,
            Run = (noise, x, run) =>
                SdeDpmSolver.Multistep(noise, x, run.Levels, With(solver, run.Options), run.Hook, run.Generator),
        };

    private static SolverInfo Dpm(string name, int order, DpmOptions solver, string description) =>
        new()
        {
            Name = name,
            Description = (solver.Prediction == Clean ? "DPM-Solver++, " : "DPM-Solver, ") + description,
            Order = order,
            Evaluations = n => n,
            Fewest = solver.Order,
            FormsCleanSample = solver.Prediction == Clean,
            Run = (_, _, _) => throw new InvalidOperationException($"The solver '{name}' has no function."),
        };

    private static DpmOptions Halved(Prediction prediction) =>
        new()
        {
            Prediction = prediction,
            Order = 3,
            HalvedCurvature = true,
        };

    private static DpmOptions With(DpmOptions solver, SamplerOptions options) =>
        solver with
        {
            Flavor = options.Flavor,
            LowerOrderFinal = options.LowerOrderFinal,
            Thresholding = options.Thresholding,
        };
}
