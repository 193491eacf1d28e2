using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Energy.Oracles;

namespace Tilt.Images.Certificate;

/// <summary>Learned noise and guidance against those of the finite training set, at one time.</summary>
/// <param name="Energy">The energy's name.</param>
/// <param name="Beta">β.</param>
/// <param name="Time">t.</param>
/// <param name="Counted">Noisy pictures whose tilted posterior rests on enough training pictures; the others are left out.</param>
/// <param name="Asked">All noisy pictures that were made.</param>
/// <param name="NoiseError">√(E‖ε_θ − ε*‖²/E‖ε*‖²); not a number where none counted.</param>
/// <param name="GuidanceError">√(E‖∇f_φ − ∇E_t‖²/E‖∇E_t‖²); not a number where none counted.</param>
/// <param name="ShareOfScore">√(E‖∇f_φ − ∇E_t‖²/E‖score of p_t‖²): the error beside what it is added to.</param>
public sealed record OracleRow(
    string Energy,
    double Beta,
    double Time,
    long Counted,
    long Asked,
    double NoiseError,
    double GuidanceError,
    double ShareOfScore
);

/// <summary>Tells errors of the noise model from errors of the guidance where the training set still speaks for the law it was drawn from.</summary>
/// <remarks>
/// For a finite set everything is exact (<see cref="EmpiricalPosterior"/>), but at small t its posterior rests on one picture, and
/// what it calls exact is that set and no longer the law. So only noisy pictures count whose tilted posterior has an effective sample
/// size of <see cref="LeastEffectiveSize"/> or more; that leaves large t.
/// </remarks>
public static class OracleComparison
{
    /// <summary>The least effective sample size of a posterior that counts.</summary>
    public const double LeastEffectiveSize = 50;

    /// <summary>Compares.</summary>
    /// <param name="training">The training pictures, or as many of them as there is time for.</param>
    /// <param name="energies">E of each of them.</param>
    /// <param name="name">The energy's name.</param>
    /// <param name="beta">β.</param>
    /// <param name="noise">ε_θ, on [B, 3, H, W]; untilted.</param>
    /// <param name="energy">f_φ ≈ E_t at this β, on [B, 3, H, W].</param>
    /// <param name="schedule">The noise schedule.</param>
    /// <param name="times">Times to compare at.</param>
    /// <param name="count">Noisy pictures at each time, drawn from p_t of the training set.</param>
    /// <param name="streams">Its streams <c>oracle/…</c> are used.</param>
    public static IReadOnlyList<OracleRow> Compare(
        PictureSet training,
        IReadOnlyList<double> energies,
        string name,
        double beta,
        NoisePredictor noise,
        IntermediateEnergy energy,
        NoiseSchedule schedule,
        IReadOnlyList<double> times,
        long count,
        RandomStreams streams
    )
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(energies.Count, training.Count);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        using var whole = NewDisposeScope();
        using var inference = no_grad();
        var points = training.Images();
        var flat = points.flatten(1);
        using var posterior = new EmpiricalPosterior(flat, tensor(energies.ToArray(), ScalarType.Float32));
        var exact = posterior.Exact(beta);
        var weights = tensor(energies.Select(e => Math.Exp(-beta * (e - energies.Min()))).ToArray());
        var rows = new List<OracleRow>();
        foreach (var time in times)
        {
            using var turn = NewDisposeScope();
            var generator = streams[$"oracle/{name}/{beta}/{time}"];
            var level = schedule.At(time);
            var x0 = points.index_select(0, weights.multinomial(count, true, generator));
            var xt = level.Alpha * x0 + level.Sigma * ForwardProcess.DrawNoise(x0, generator);
            var enough = posterior.EffectiveSampleSize(xt.flatten(1), level, beta) >= LeastEffectiveSize;
            var kept = xt.index_select(0, enough.nonzero().squeeze(1));
            if (kept.shape[0] == 0)
            {
                rows.Add(new(name, beta, time, 0, count, double.NaN, double.NaN, double.NaN));
                continue;
            }
            var trueNoise = posterior.Noise(kept.flatten(1), level);
            var trueGradient = exact.Gradient(kept.flatten(1), level);
            var noiseError = (noise(kept, level).flatten(1) - trueNoise).square().sum();
            var gradientError = (energy.Gradient(kept, level).flatten(1) - trueGradient).square().sum();
            var score = (-trueNoise / level.Sigma - trueGradient).square().sum();
            rows.Add(
                new(
                    name,
                    beta,
                    time,
                    kept.shape[0],
                    count,
                    Root(noiseError, trueNoise.square().sum()),
                    Root(gradientError, trueGradient.square().sum()),
                    Root(gradientError, score)
                )
            );
        }
        return rows;

        static double Root(Tensor a, Tensor b) => Math.Sqrt((a / b).to(ScalarType.Float64).item<double>());
    }
}
