namespace Tilt.Energy;

/// <summary>An intermediate energy that is told β: f_φ(x_t, t, β) ≈ E_t at that β.</summary>
/// <param name="xt">Noisy samples, [B, D].</param>
/// <param name="level">The noise level that all of them have.</param>
/// <param name="beta">β, the same for all.</param>
/// <returns>Energies in nats, [B], up to a constant per level and β.</returns>
public delegate Tensor DialedEnergy(Tensor xt, NoiseLevel level, double beta);

/// <summary>The range of β that one energy network, trained with β drawn over it, is valid for.</summary>
/// <remarks>
/// CEP at every β of a range is one training run: each contrast set gets a β of its own and f_φ is told it. At any β within,
/// guidance by f_φ(·, ·, β) at scale 1 is exact; a scale s ≠ 1 is not, since −log E[e^(−s·β·E)] ≠ −s·log E[e^(−β·E)] (cep.md §7).
/// The data end the range too: once the weights exp(−β·E) rest on few points of the pool, what is learned is those points and
/// not the target (toy2d.md §4.1). Kish's effective sample size falls steadily with β, so there is one largest β; above it,
/// requests are refused, or served and marked.
/// </remarks>
public sealed record EnergyDial
{
    /// <summary>How many effective points the tilted pool has to have.</summary>
    public const double DefaultRequiredPoints = 1000;

    /// <summary>What outputs say beyond <see cref="PoolLimit"/>.</summary>
    public const string PoolMark = "limited by the pool";

    /// <summary>Above this β no pool is asked: as good as no limit.</summary>
    public const double Unlimited = 1e4;

    /// <summary>The smallest β that is trained.</summary>
    public double Min { get; }

    /// <summary>The largest β that is trained.</summary>
    public double Max { get; }

    /// <summary>The largest β that the pool can represent; <see cref="Unlimited"/> where it never runs out.</summary>
    public double PoolLimit { get; }

    /// <summary>A range from numbers, as a saved run records it.</summary>
    /// <param name="min">The smallest β, at least 0.</param>
    /// <param name="max">The largest β.</param>
    /// <param name="poolLimit">The largest β that the pool can represent.</param>
    /// <exception cref="TiltException">Not 0 ≤ min &lt; max, or a number is not finite.</exception>
    public EnergyDial(double min, double max, double poolLimit = Unlimited)
    {
        if (!(min >= 0 && max > min && double.IsFinite(max)))
        {
            throw TiltException.Usage(
                $"the range of beta is {min} to {max}; expected 0 ≤ smallest < largest, both finite. Give two such numbers."
            );
        }
        if (!(poolLimit >= 0))
        {
            throw TiltException.Usage($"the pool's largest beta is {poolLimit}; expected a number, 0 or more.");
        }
        (Min, Max, PoolLimit) = (min, max, Math.Min(poolLimit, Unlimited));
    }

    /// <summary>A range and the limit that a pool of labelled points sets.</summary>
    /// <param name="min">The smallest β, at least 0.</param>
    /// <param name="max">The largest β.</param>
    /// <param name="energies">E of the pool, low is good, [N].</param>
    /// <param name="requiredPoints">How many effective points there have to be.</param>
    public static EnergyDial ForPool(
        double min,
        double max,
        Tensor energies,
        double requiredPoints = DefaultRequiredPoints
    ) => new(min, max, LargestBeta(energies, requiredPoints));

    /// <summary>How many points of the pool the tilted law effectively rests on: (Σw)²/Σw², w = exp(−β·E).</summary>
    /// <param name="energies">E of the pool, [N].</param>
    /// <param name="beta">β, at least 0.</param>
    /// <returns>Between 1 and N.</returns>
    /// <exception cref="TiltException">β is negative or not finite, or an energy is not finite.</exception>
    public static double EffectiveSampleSize(Tensor energies, double beta)
    {
        Expect.Shape(energies, -1);
        RequireNumber(beta);
        if (energies.shape[0] == 0)
        {
            return 0;
        }
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var log = -beta * energies.to(ScalarType.Float64);
        var size = (2 * log.logsumexp(0) - (2 * log).logsumexp(0)).exp().item<double>();
        if (!double.IsFinite(size))
        {
            throw new TiltException(
                "an energy of the pool is not finite, so it has no effective sample size. Remove such points."
            );
        }
        return size;
    }

    /// <summary>The largest β at which a pool still has the required effective points.</summary>
    /// <param name="energies">E of the pool, [N].</param>
    /// <param name="requiredPoints">How many effective points there have to be.</param>
    /// <returns>β to a relative 1e-6; 0 where the pool is smaller than that untilted, <see cref="Unlimited"/> where it never runs out.</returns>
    /// <remarks>Bisection: log of the size is 2K(β) − K(2β) with K = log Z convex, so it never rises with β.</remarks>
    public static double LargestBeta(Tensor energies, double requiredPoints = DefaultRequiredPoints)
    {
        bool Enough(double beta) => EffectiveSampleSize(energies, beta) >= requiredPoints;
        if (!Enough(0))
        {
            return 0;
        }
        var (low, high) = (0.0, 1.0);
        while (Enough(high))
        {
            if (high >= Unlimited)
            {
                return Unlimited;
            }
            (low, high) = (high, Math.Min(2 * high, Unlimited));
        }
        while (high - low > 1e-6 * high)
        {
            var middle = 0.5 * (low + high);
            (low, high) = Enough(middle) ? (middle, high) : (low, middle);
        }
        return low;
    }

    /// <summary>Whether the pool is too small to represent the target at this β.</summary>
    /// <param name="beta">β.</param>
    public bool IsLimitedByPool(double beta) => beta > PoolLimit;

    /// <summary>What outputs at this β have to say: <see cref="PoolMark"/> beyond the pool's limit, else null.</summary>
    /// <param name="beta">β.</param>
    public string? Mark(double beta) => IsLimitedByPool(beta) ? PoolMark : null;

    /// <summary>Throws unless the dial may be set to β. β = 0 is always allowed: it needs no energy.</summary>
    /// <param name="beta">β.</param>
    /// <param name="beyondPool">Whether β above <see cref="PoolLimit"/> is allowed; then outputs carry <see cref="Mark"/>.</param>
    /// <exception cref="TiltException">β is negative, not a number, outside the trained range, or beyond the pool.</exception>
    public void Require(double beta, bool beyondPool = false)
    {
        RequireNumber(beta);
        if (beta != 0 && (beta < Min || beta > Max))
        {
            throw TiltException.Usage(
                $"beta is {beta:g6}, but this energy was trained for beta from {Min:g6} to {Max:g6}. "
                    + "Choose one in that range, or train with a wider one."
            );
        }
        if (IsLimitedByPool(beta) && !beyondPool)
        {
            throw TiltException.Usage(
                $"beta is {beta:g6}, but the pool of labelled points represents the target up to beta = {PoolLimit:g6} only "
                    + "(beyond it too few effective points remain). Choose a smaller beta, train on more points, "
                    + $"or allow results marked '{PoolMark}'."
            );
        }
    }

    /// <summary>The dial set to β.</summary>
    /// <param name="energy">f_φ(x_t, t, β).</param>
    /// <param name="beta">β, in the range; 0 gives the energy 0.</param>
    /// <param name="beyondPool">Whether β above <see cref="PoolLimit"/> is allowed.</param>
    /// <exception cref="TiltException">β is not one that the dial has.</exception>
    public IntermediateEnergy At(DialedEnergy energy, double beta, bool beyondPool = false)
    {
        ArgumentNullException.ThrowIfNull(energy);
        Require(beta, beyondPool);
        if (beta == 0)
        {
            return (xt, _) =>
            {
                using var scope = NewDisposeScope();
                return (0 * xt.flatten(1).sum(-1)).MoveToOuterDisposeScope();
            };
        }
        return (xt, level) => energy(xt, level, beta);
    }

    /// <summary>β for each contrast set of a batch, uniform over the range.</summary>
    /// <param name="count">How many.</param>
    /// <param name="generator">Source of the draws, on the CPU.</param>
    /// <returns>[count], float64, on the CPU.</returns>
    /// <remarks>
    /// Stratified: one draw in each of <paramref name="count"/> equal parts, in random order, so that every batch covers the range.
    /// </remarks>
    public Tensor Draw(long count, Generator generator)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        using var scope = NewDisposeScope();
        var part = randperm(count, dtype: ScalarType.Float64, generator: generator);
        var within = rand(count, dtype: ScalarType.Float64, generator: generator);
        return (Min + (Max - Min) / Math.Max(count, 1) * (part + within)).MoveToOuterDisposeScope();
    }

    private static void RequireNumber(double beta)
    {
        if (!(beta >= 0 && double.IsFinite(beta)))
        {
            throw TiltException.Usage($"beta is {beta}; it must be a finite number, 0 or more.");
        }
    }
}
