using Tilt.Energy;
using Tilt.Metrics;

namespace Tilt.Toys;

/// <summary>A two-dimensional data set whose tilted laws p₀ ∝ q₀·exp(β·e) are known exactly: masses, samples, scores, E_t.</summary>
/// <remarks>
/// Generators and labels are those of the CEP authors' toy experiments, in their order of operations; the random numbers are our own.
/// All drawing happens on the CPU in float64 and is stored as float32.
/// </remarks>
public abstract class ToyDataset
{
    /// <summary>Points drawn at a time: a larger draw is put together from draws of this many.</summary>
    public const long ChunkPoints = 1 << 20;

    /// <summary>β below which E_eff is replaced by its limit, the posterior mean of −e.</summary>
    private const double TinyBeta = 1e-6;

    /// <summary>The name on the command line and in reports.</summary>
    public abstract string Name { get; }

    /// <summary>One line on what it looks like and what its label means.</summary>
    public abstract string Description { get; }

    /// <summary>Whether points carry labels, so that the law can be tilted.</summary>
    public virtual bool HasLabels => true;

    /// <summary>The first β at which the tilted law no longer exists.</summary>
    /// <value>∞, except where the label grows with the noise.</value>
    public virtual double BetaLimit => double.PositiveInfinity;

    /// <summary>Half the side of the square that figures show: both axes run over ± this.</summary>
    /// <value>4.5 (the authors' figures).</value>
    public virtual double AxisLimit => 4.5;

    /// <summary>Bins with exact masses, the one used for mass errors first; empty for a data set without labels.</summary>
    public virtual IReadOnlyList<BinPartition> Partitions => [];

    /// <summary>The bins used for mass errors.</summary>
    /// <exception cref="TiltException">The data set has no labels and no bins.</exception>
    public BinPartition Bins => HasLabels ? Partitions[0] : throw Unlabelled();

    /// <summary>Standard deviation of the Gaussian blur that makes <see cref="EffectiveEnergy"/> differentiable.</summary>
    /// <value>0 where the generator's own noise is enough.</value>
    public virtual double EffectiveBlur => 0;

    /// <summary>A draw as the authors' generator makes it: where they space angles evenly, so does this.</summary>
    /// <param name="n">How many points; 0 is allowed.</param>
    /// <param name="generator">Where the randomness comes from.</param>
    /// <returns>The points, in random order.</returns>
    /// <exception cref="TiltException">n is negative, or the draw would not fit into memory.</exception>
    public LabelledPoints Sample(long n, Generator generator) => Collect(n, generator, Generate);

    /// <summary>Independent exact draws of the tilted law p₀ ∝ q₀·exp(β·e).</summary>
    /// <param name="beta">β ≥ 0, below <see cref="BetaLimit"/>.</param>
    /// <param name="n">How many points; 0 is allowed.</param>
    /// <param name="generator">Where the randomness comes from.</param>
    /// <remarks>No weights and no resampling: the latent variable is drawn from its tilted law, then the generator's noise is added.</remarks>
    /// <exception cref="TiltException">β or n out of range.</exception>
    public LabelledPoints SampleTilted(double beta, long n, Generator generator)
    {
        RequireBeta(beta);
        return Collect(n, generator, (count, source) => GenerateTilted(beta, count, source));
    }

    /// <summary>log Z = log E_q₀[exp(β·e)], in nats.</summary>
    /// <param name="beta">β ≥ 0, below <see cref="BetaLimit"/>.</param>
    public double LogPartition(double beta)
    {
        RequireBeta(beta);
        return LogPartitionOf(beta);
    }

    /// <summary>The exact mean of e under the tilted law.</summary>
    /// <param name="beta">β ≥ 0, below <see cref="BetaLimit"/>.</param>
    public double MeanLabel(double beta)
    {
        RequireBeta(beta);
        return MeanLabelOf(beta);
    }

    /// <summary>Effective share of a pool of q₀ that represents the tilted law: E[e^(βe)]² / E[e^(2βe)], between 0 and 1.</summary>
    /// <param name="beta">β ≥ 0, below <see cref="BetaLimit"/>.</param>
    /// <remarks>Times the size of the pool it is Kish's effective sample size. 0 where the second moment is infinite.</remarks>
    public double EffectiveFraction(double beta)
    {
        RequireBeta(beta);
        return 2 * beta >= BetaLimit ? 0 : Math.Exp(2 * LogPartitionOf(beta) - LogPartitionOf(2 * beta));
    }

    /// <summary>The largest β at which a pool still has the given effective sample size.</summary>
    /// <param name="pool">Points in the pool.</param>
    /// <param name="effective">Effective points that are wanted.</param>
    /// <returns>β, to a relative 1e-6; ∞ where the fraction never falls that low; 0 where the pool is too small for any tilt.</returns>
    public double LargestBeta(long pool, double effective = 1000)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pool);
        const double Unbounded = 1e4;
        bool Enough(double beta) => beta < BetaLimit && EffectiveFraction(beta) * pool >= effective;
        if (!HasLabels || pool < effective)
        {
            return pool < effective ? 0 : double.PositiveInfinity;
        }
        // Doubling up from below never evaluates the partition function near the β where it ceases to exist.
        var (low, high) = (0.0, 1.0);
        while (Enough(high))
        {
            if (high >= Unbounded)
            {
                return double.PositiveInfinity;
            }
            (low, high) = (high, 2 * high);
        }
        while (high - low > 1e-6 * high)
        {
            var middle = (low + high) / 2;
            (low, high) = Enough(middle) ? (middle, high) : (low, middle);
        }
        return low;
    }

    /// <summary>The label of the noise-free event nearest to each point, [N] of float64.</summary>
    /// <param name="points">[N, 2], of any floating type.</param>
    public Tensor EffectiveLabels(Tensor points)
    {
        Expect.Shape(points, -1, 2);
        using var scope = NewDisposeScope();
        using var inference = no_grad();
        return LabelsNear(points.detach().to(ScalarType.Float64).cpu()).MoveToOuterDisposeScope();
    }

    /// <summary>The exact law of x_t at every noise level when x₀ is drawn from the tilted law at β.</summary>
    /// <param name="beta">β ≥ 0, below <see cref="BetaLimit"/>; 0 is the data set itself.</param>
    /// <param name="refinement">Quadrature nodes as a multiple of the default; to see that they suffice, double it.</param>
    public LatentMixture Latents(double beta = 0, int refinement = 1)
    {
        RequireBeta(beta);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(refinement);
        return LatentsOf(beta, refinement);
    }

    /// <summary>Exact scores of q_t and p_t and the exact E_t between them.</summary>
    /// <param name="beta">β ≥ 0, below <see cref="BetaLimit"/>.</param>
    /// <param name="refinement">Quadrature nodes as a multiple of the default.</param>
    public ExactTilt Exact(double beta, int refinement = 1)
    {
        RequireBeta(beta);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(refinement);
        return new ExactTilt(beta, LogPartitionOf(beta), LatentsOf(0, refinement), LatentsOf(beta, refinement));
    }

    /// <summary>The energy of a clean point: E_eff(x) = −(1/β)·log E[exp(β·e) | x], so that p₀ ∝ q₀·exp(−β·E_eff).</summary>
    /// <param name="beta">β ≥ 0; at 0 the limit, −E[e | x].</param>
    /// <remarks>
    /// The label is not a function of x, so the energy of a place depends on β. It is differentiable once (its gradient comes from
    /// the closed form, and is a constant to further differentiation). Where the data set has no noise of its own, x is taken to
    /// carry a Gaussian blur of <see cref="EffectiveBlur"/>.
    /// </remarks>
    public EnergyFunction EffectiveEnergy(double beta)
    {
        RequireBeta(beta);
        return HasLabels ? EffectiveEnergyOf(beta) : throw Unlabelled();
    }

    /// <inheritdoc cref="Name"/>
    public override string ToString() => Name;

    /// <summary>At most <see cref="ChunkPoints"/> points as the authors draw them: float64 [n, 2] and [n].</summary>
    protected abstract (Tensor X, Tensor Labels) Generate(long n, Generator generator);

    /// <summary>At most <see cref="ChunkPoints"/> independent points of the tilted law: float64 [n, 2] and [n].</summary>
    protected abstract (Tensor X, Tensor Labels) GenerateTilted(double beta, long n, Generator generator);

    /// <summary>log E[exp(β·e)] for a β that has been checked.</summary>
    protected virtual double LogPartitionOf(double beta) => 0;

    /// <summary>E[e] under the tilted law for a β that has been checked.</summary>
    protected virtual double MeanLabelOf(double beta) => 0;

    /// <summary>Labels of the noise-free events nearest to float64 points, [N].</summary>
    protected virtual Tensor LabelsNear(Tensor points) => zeros(points.shape[0], ScalarType.Float64);

    /// <summary>The exact law at every level, for a β that has been checked.</summary>
    protected abstract LatentMixture LatentsOf(double beta, int refinement);

    /// <summary>E_eff for a β that has been checked.</summary>
    protected virtual EnergyFunction EffectiveEnergyOf(double beta)
    {
        var clean = new NoiseLevel(0, 0, 1, EffectiveBlur, -Math.Log(EffectiveBlur), 0);
        var exact = Exact(beta);
        if (beta < TinyBeta)
        {
            return x => -exact.PosteriorMeanLabel(x, clean);
        }
        return x =>
        {
            using var scope = NewDisposeScope();
            return (exact.Energy(x, clean) / beta).MoveToOuterDisposeScope();
        };
    }

    private LabelledPoints Collect(long n, Generator generator, Func<long, Generator, (Tensor X, Tensor Labels)> draw)
    {
        RequireRoom(n);
        using var scope = NewDisposeScope();
        using var inference = no_grad();

        var x = empty(n, 2, ScalarType.Float32);
        var labels = empty(n, ScalarType.Float32);
        for (long start = 0; start < n; start += ChunkPoints)
        {
            using var turn = NewDisposeScope();
            var count = Math.Min(ChunkPoints, n - start);
            var (points, itsLabels) = draw(count, generator);
            x.narrow(0, start, count).copy_(points);
            labels.narrow(0, start, count).copy_(itsLabels);
        }
        return new(x.MoveToOuterDisposeScope(), labels.MoveToOuterDisposeScope());
    }

    private void RequireRoom(long n)
    {
        if (n < 0)
        {
            throw TiltException.Usage($"{Name}: the number of points is {n}; give 0 or more.");
        }
        const double BytesPerPoint = 3 * sizeof(float);
        var (needed, available) = (n * BytesPerPoint, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        if (needed > 0.8 * available)
        {
            throw TiltException.Usage(
                $"{Name}: {n} points take {needed / (1 << 30):F1} GiB ({BytesPerPoint} bytes each), and this machine has {available / (double)(1 << 30):F1} GiB; "
                    + $"ask for at most {(long)(0.8 * available / BytesPerPoint)} points, or draw them in parts."
            );
        }
    }

    private void RequireBeta(double beta)
    {
        if (!double.IsFinite(beta) || beta < 0)
        {
            throw TiltException.Usage($"{Name}: beta is {beta}; it must be a finite number, 0 or more.");
        }
        if (!HasLabels && beta != 0)
        {
            throw TiltException.Usage(
                $"{Name}: beta is {beta}, but this data set has no labels to tilt by; use 0, or one of {string.Join(", ", ToyDatasets.Labelled.Select(set => set.Name))}."
            );
        }
        if (beta >= BetaLimit)
        {
            throw TiltException.Usage(
                $"{Name}: beta is {beta}, but from {BetaLimit} on exp(beta·e) outgrows the tails of the data and the target has no density; use a smaller beta."
            );
        }
    }

    private TiltException Unlabelled() =>
        TiltException.Usage(
            $"{Name} has no labels; use one of {string.Join(", ", ToyDatasets.Labelled.Select(set => set.Name))}."
        );
}
