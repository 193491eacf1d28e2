namespace Tilt.Sampling;

/// <summary>One solver of the catalogue.</summary>
/// <param name="Name">The name that options and the command line use.</param>
/// <param name="Order">Its order of convergence in λ; for SDE solvers that of the deterministic part. Also the fewest evaluations.</param>
/// <param name="Evaluations">Network evaluations spent when N are asked for; null where the solver chooses.</param>
/// <param name="Stochastic">Whether it draws fresh noise (DDIM does too, when η &gt; 0).</param>
/// <param name="FormsCleanSample">Whether it forms x̂₀, so that thresholding has something to act on.</param>
/// <param name="Description">What it is, in a few words.</param>
/// <param name="Run">The solver itself.</param>
public sealed record SolverInfo(
    string Name,
    int Order,
    Func<int, int>? Evaluations,
    bool Stochastic,
    bool FormsCleanSample,
    string Description,
    Solver Run
)
{
    /// <summary>Whether <see cref="SamplerOptions.Eta"/> means anything to it.</summary>
    public bool TakesEta => Name == "ddim";

    /// <summary>Whether it works in λ, so that it cannot end where σ = 0.</summary>
    public bool NeedsFiniteLambda => Name is not ("ddim" or "ddpm" or "ddpm-large");

    /// <summary>Whether it can run the ODE from data to noise.</summary>
    public bool Inverts => !Stochastic && Evaluations is not null;
}

/// <summary>All solvers, by name. A new solver is one line here; the theories find it.</summary>
public static class Solvers
{
    /// <summary>Every solver.</summary>
    public static IReadOnlyList<SolverInfo> All { get; } =
    [
        new("ddim", 1, n => n, false, true, "DDIM; eta = 0 is first-order DPM-Solver", RunDdim),
        new("ddpm", 1, n => n, true, true, "ancestral DDPM, fixed-small variance", Ancestral(AncestralVariance.Small)),
        new(
            "ddpm-large",
            1,
            n => n,
            true,
            true,
            "ancestral DDPM, fixed-large variance",
            Ancestral(AncestralVariance.Large)
        ),
        Multistep("dpm-solver-1", 1, new() { Order = 1 }, "DPM-Solver, first order"),
        Multistep("dpm-solver-2m", 2, new() { Order = 2 }, "DPM-Solver, multistep"),
        Multistep("dpm-solver-3m", 3, new() { Order = 3 }, "DPM-Solver, multistep, corrected third order"),
        Multistep("dpm-solver-3m-upstream", 2, new() { Order = 3, HalvedCurvature = true }, "the same as published"),
        Singlestep("dpm-solver-2s", 2, 2, "DPM-Solver, singlestep", Prediction.Noise),
        Singlestep(
            "dpm-solver-3s",
            2,
            3,
            "DPM-Solver, singlestep; its last strides are of lower order",
            Prediction.Noise
        ),
        Fixed("dpm-solver-2s-fixed", 2, "DPM-Solver, singlestep, equal strides", Prediction.Noise),
        Fixed("dpm-solver-3s-fixed", 3, "DPM-Solver, singlestep, equal strides", Prediction.Noise),
        Adaptive("dpm-solver-12", 2, "DPM-Solver, adaptive steps", Prediction.Noise),
        Adaptive("dpm-solver-23", 3, "DPM-Solver, adaptive steps", Prediction.Noise),
        Multistep("dpm-solver++-1", 1, new() { Order = 1, Prediction = Prediction.Clean }, "DPM-Solver++, first order"),
        Multistep("dpm-solver++-2m", 2, new() { Order = 2, Prediction = Prediction.Clean }, "DPM-Solver++, multistep"),
        Multistep(
            "dpm-solver++-3m",
            3,
            new() { Order = 3, Prediction = Prediction.Clean },
            "DPM-Solver++, multistep, corrected third order"
        ),
        Multistep(
            "dpm-solver++-3m-upstream",
            2,
            new()
            {
                Order = 3,
                Prediction = Prediction.Clean,
                HalvedCurvature = true,
            },
            "the same as published"
        ),
        Singlestep("dpm-solver++-2s", 2, 2, "DPM-Solver++, singlestep", Prediction.Clean),
        Singlestep(
            "dpm-solver++-3s",
            2,
            3,
            "DPM-Solver++, singlestep; its last strides are of lower order",
            Prediction.Clean
        ),
        Fixed("dpm-solver++-2s-fixed", 2, "DPM-Solver++, singlestep, equal strides", Prediction.Clean),
        Fixed("dpm-solver++-3s-fixed", 3, "DPM-Solver++, singlestep, equal strides", Prediction.Clean),
        Adaptive("dpm-solver++-12", 2, "DPM-Solver++, adaptive steps", Prediction.Clean),
        Adaptive("dpm-solver++-23", 3, "DPM-Solver++, adaptive steps", Prediction.Clean),
        Sde("sde-dpm-solver-1", 1, "SDE DPM-Solver, first order", Prediction.Noise),
        Sde("sde-dpm-solver-2m", 2, "SDE DPM-Solver, multistep", Prediction.Noise),
        Sde("sde-dpm-solver++-1", 1, "SDE DPM-Solver++, first order", Prediction.Clean),
        Sde("sde-dpm-solver++-2m", 2, "SDE DPM-Solver++, multistep", Prediction.Clean),
        Sde("sde-dpm-solver++-3m", 3, "SDE DPM-Solver++, multistep, corrected third order", Prediction.Clean),
    ];

    /// <summary>The names of all solvers.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(solver => solver.Name)];

    /// <summary>The solver of that name.</summary>
    /// <exception cref="TiltException">There is none; the message suggests one.</exception>
    public static SolverInfo Find(string name) =>
        All.FirstOrDefault(solver => string.Equals(solver.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw Suggest.Unknown("solver", name, Names);

    private static Solver RunDdim =>
        (noise, x, run) =>
            Ddim.Sample(noise, x, run.Levels, run.Options.Eta, run.Options.Thresholding, run.Hook, run.Generator);

    private static Solver Ancestral(AncestralVariance variance) =>
        (noise, x, run) =>
            AncestralDdpm.Sample(noise, x, run.Levels, variance, run.Options.Thresholding, run.Hook, run.Generator);

    private static SolverInfo Multistep(string name, int declared, DpmOptions options, string description) =>
        new(
            name,
            declared,
            n => n,
            false,
            options.Prediction == Prediction.Clean,
            description,
            (noise, x, run) => DpmSolver.Multistep(noise, x, run.Levels, With(options, run.Options), run.Hook)
        );

    private static SolverInfo Singlestep(
        string name,
        int declared,
        int order,
        string description,
        Prediction prediction
    ) =>
        new(
            name,
            declared,
            n => n,
            false,
            prediction == Prediction.Clean,
            description,
            (noise, x, run) =>
                DpmSolver.Singlestep(
                    noise,
                    x,
                    run.Strides(order, run.Options.Singlestep),
                    With(new() { Order = order, Prediction = prediction }, run.Options),
                    run.Hook
                )
        );

    private static SolverInfo Fixed(string name, int order, string description, Prediction prediction) =>
        new(
            name,
            order,
            n => n / order * order,
            false,
            prediction == Prediction.Clean,
            description,
            (noise, x, run) =>
                DpmSolver.Singlestep(
                    noise,
                    x,
                    run.Strides(order, SinglestepLayout.Fixed),
                    With(new() { Order = order, Prediction = prediction }, run.Options),
                    run.Hook
                )
        );

    private static SolverInfo Adaptive(string name, int order, string description, Prediction prediction) =>
        new(
            name,
            order,
            null,
            false,
            prediction == Prediction.Clean,
            description,
            (noise, x, run) =>
                DpmSolver.Adaptive(
                    noise,
                    x,
                    run.Schedule,
                    run.Start,
                    run.End,
                    run.Options.AbsoluteTolerance,
                    run.Options.RelativeTolerance,
                    With(new() { Order = order, Prediction = prediction }, run.Options),
                    run.Hook
                )
        );

    private static SolverInfo Sde(string name, int order, string description, Prediction prediction) =>
        new(
            name,
            order,
            n => n,
            true,
            prediction == Prediction.Clean,
            description,
            (noise, x, run) =>
                SdeDpmSolver.Multistep(
                    noise,
                    x,
                    run.Levels,
                    With(new() { Order = order, Prediction = prediction }, run.Options),
                    run.Hook,
                    run.Generator
                )
        );

    private static DpmOptions With(DpmOptions solver, SamplerOptions options) =>
        solver with
        {
            Flavor = options.Flavor,
            LowerOrderFinal = options.LowerOrderFinal,
            Thresholding = options.Thresholding,
        };
}
