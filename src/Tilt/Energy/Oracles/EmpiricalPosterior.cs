using Tilt.Diffusion;

namespace Tilt.Energy.Oracles;

/// <summary>Exact noise, posterior and intermediate energies when q₀ is a finite data set: the oracle for any data.</summary>
/// <remarks>
/// With N points x_i and energies E_i, q(x₀ = x_i | x_t) = softmax(l)_i, l_i = −‖x_t − α_t·x_i‖²/(2σ_t²), and everything is a
/// weighted sum over the points (cep.md §14.1). The sums run over blocks of samples × points, so memory does not grow with
/// either; time is proportional to their product. Computed in the type of the points (float64 for checks, float32 for
/// speed); results have the type of <c>xt</c>.
/// Values and first derivatives are exact. The derivative is formed in closed form while the value is, and joined to the
/// graph as a linear term that is zero in value: no second derivatives.
/// The energies are per point, so labels that are no function of x₀ are fine: (x_i, E_i) is one joint law.
/// </remarks>
public sealed partial class EmpiricalPosterior : IDisposable
{
    // Up to so many dimensions the posterior covariance is formed as a matrix.
    private const int CovarianceDimensions = 32;

    private readonly Tensor _points; // [N, D]
    private readonly Tensor _columns; // [D, N], contiguous
    private readonly Tensor _squares; // ‖x_i‖², [N]
    private readonly Tensor? _energies; // [N]
    private readonly (double Min, double Max) _range; // of the energies

    /// <summary>The posterior of a data set.</summary>
    /// <param name="points">x_i, [N, D], float32 or float64, on the CPU. Copied.</param>
    /// <param name="energies">E_i, low is good, [N]; needed for everything with a β. Copied.</param>
    /// <exception cref="ArgumentException">No points, shapes disagree, or a number is not finite.</exception>
    public EmpiricalPosterior(Tensor points, Tensor? energies = null)
    {
        ArgumentNullException.ThrowIfNull(points);
        Expect.Shape(points, -1, -1);
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        if (points.shape[0] == 0)
        {
            throw new ArgumentException("The data set has no points.");
        }
        RequireFinite(points, "points");
        _points = points.detach().clone().DetachFromDisposeScope();
        _columns = _points.t().contiguous().DetachFromDisposeScope();
        _squares = _points.square().sum(-1).DetachFromDisposeScope();
        if (energies is not null)
        {
            Expect.Shape(energies, points.shape[0]);
            RequireFinite(energies, "energies");
            _energies = energies.detach().to(points.dtype).clone().DetachFromDisposeScope();
            _range = (_energies.min().ToDouble(), _energies.max().ToDouble());
        }
    }

    /// <summary>N.</summary>
    public long Count => _points.shape[0];

    /// <summary>D.</summary>
    public int Dimension => (int)_points.shape[1];

    /// <summary>ε(x_t, t) = (x_t − α_t·E[x₀ | x_t])/σ_t: what a noise model that has learned this data set by heart predicts.</summary>
    public NoisePredictor Noise =>
        (xt, level) =>
        {
            using var scope = NewDisposeScope();
            var epsilon = (xt - level.Alpha * Mean(xt, level)) / level.Sigma;
            return epsilon.MoveToOuterDisposeScope();
        };

    /// <summary>E[x₀ | x_t], differentiable once in up to 32 dimensions: ∂E[x₀]/∂x_t = (α_t/σ_t²)·Cov[x₀ | x_t].</summary>
    /// <param name="xt">Noisy samples, [B, D].</param>
    /// <param name="level">Their level, with σ_t &gt; 0.</param>
    /// <returns>[B, D].</returns>
    public Tensor Mean(Tensor xt, NoiseLevel level)
    {
        using var scope = NewDisposeScope();
        var (b, d) = (xt.shape[0], (long)Dimension);
        if (!Records(xt))
        {
            return Sum(xt, level, _points, new Tilt())[0].Mean.to(xt.dtype).MoveToOuterDisposeScope();
        }
        if (d > CovarianceDimensions)
        {
            throw new NotSupportedException(
                $"The derivative of the posterior mean is a {d}×{d} matrix per sample; up to {CovarianceDimensions} dimensions are "
                    + $"supported. {nameof(Dps)} needs no such matrix."
            );
        }
        Tensor mean,
            jacobian;
        using (no_grad())
        {
            var outer = einsum("nd,ne->nde", _points, _points).reshape(-1, d * d);
            var sums = Sum(xt, level, cat([_points, outer], 1), new Tilt())[0].Mean;
            mean = sums.narrow(1, 0, d);
            var covariance = sums.narrow(1, d, d * d).reshape(b, d, d) - mean.unsqueeze(2) * mean.unsqueeze(1);
            jacobian = level.Alpha / (level.Sigma * level.Sigma) * covariance;
        }
        var step = (xt - xt.detach()).to(mean.dtype);
        return (mean + einsum("bde,be->bd", jacobian, step)).to(xt.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>log q_t(x_t) in nats, [B]; differentiable once.</summary>
    /// <param name="xt">Noisy samples, [B, D].</param>
    /// <param name="level">Their level, with σ_t &gt; 0.</param>
    public Tensor LogDensity(Tensor xt, NoiseLevel level) => LogDensity(xt, level, new Tilt(), Math.Log(Count));

    /// <summary>log p_t(x_t) of the tilted data set, in nats, [B]; differentiable once.</summary>
    /// <param name="xt">Noisy samples, [B, D].</param>
    /// <param name="level">Their level, with σ_t &gt; 0.</param>
    /// <param name="beta">β, at least 0.</param>
    public Tensor TiltedLogDensity(Tensor xt, NoiseLevel level, double beta)
    {
        using var scope = NewDisposeScope();
        return LogDensity(xt, level, TiltBy(beta), LogNormalizer(beta) + Math.Log(Count)).MoveToOuterDisposeScope();
    }

    /// <summary>log Z = log of the mean of exp(−β·E_i), in nats.</summary>
    /// <param name="beta">β, at least 0.</param>
    public double LogNormalizer(double beta)
    {
        using var scope = NewDisposeScope();
        return TiltBy(beta).Shift!.to(ScalarType.Float64).logsumexp(0).item<double>() - Math.Log(Count);
    }

    /// <summary>The exact E_t = −log E[exp(−β·E(x₀)) | x_t] of this data set.</summary>
    /// <param name="beta">β, at least 0.</param>
    /// <remarks>∇E_t = (α_t/σ_t²)·(E_q[x₀ | x_t] − E_p[x₀ | x_t]).</remarks>
    public IntermediateEnergy Exact(double beta)
    {
        Energies(beta);
        return (xt, level) =>
        {
            using var scope = NewDisposeScope();
            Tensor value,
                gradient;
            using (no_grad())
            {
                var sums = Sum(xt, level, _points, new Tilt(), TiltWithin(beta));
                value = sums[0].LogSum - sums[1].LogSum;
                gradient = level.Alpha / (level.Sigma * level.Sigma) * (sums[0].Mean - sums[1].Mean);
            }
            return Joined(value, gradient, xt).MoveToOuterDisposeScope();
        };
    }

    /// <summary>β·E[E(x₀) | x_t], the optimum of the MSE loss on this data set. Not exact.</summary>
    /// <param name="beta">β, at least 0.</param>
    /// <remarks>Its gradient is (α_t/σ_t²)·β·Cov(E, x₀ | x_t).</remarks>
    public IntermediateEnergy Mse(double beta)
    {
        Energies(beta);
        return (xt, level) =>
        {
            using var scope = NewDisposeScope();
            Tensor value,
                gradient;
            using (no_grad())
            {
                var energies = _energies!.unsqueeze(1);
                var d = Dimension;
                var sums = Sum(xt, level, cat([energies, _points, energies * _points], 1), new Tilt())[0].Mean;
                var mean = sums.narrow(1, 0, 1);
                var covariance = sums.narrow(1, 1 + d, d) - mean * sums.narrow(1, 1, d);
                value = beta * mean.squeeze(1);
                gradient = level.Alpha / (level.Sigma * level.Sigma) * beta * covariance;
            }
            return Joined(value, gradient, xt).MoveToOuterDisposeScope();
        };
    }

    /// <summary>β·E(E[x₀ | x_t]) with this data set's noise: the optimum of DPS. Not exact.</summary>
    /// <param name="energy">E as a differentiable function of x₀.</param>
    /// <param name="beta">β, at least 0.</param>
    /// <remarks>
    /// <see cref="DiffusionPosteriorSampling"/> with this noise, its gradient (α_t/σ_t²)·Cov(x₀, x₀·g | x_t), g = β·∇E(E[x₀ | x_t]),
    /// summed without the covariance matrix.
    /// </remarks>
    public IntermediateEnergy Dps(EnergyFunction energy, double beta)
    {
        ArgumentNullException.ThrowIfNull(energy);
        RequireBeta(beta);
        return (xt, level) =>
        {
            using var scope = NewDisposeScope();
            var mean = Mean(xt.detach(), level).to(_points.dtype);
            if (!Records(xt))
            {
                return (beta * energy(mean.to(xt.dtype))).MoveToOuterDisposeScope();
            }
            var leaf = mean.detach().requires_grad_();
            var value = beta * energy(leaf);
            var slope = autograd.grad([value.sum()], [leaf])[0];
            Tensor gradient;
            using (no_grad())
            {
                var along = Covariance(xt, level, slope, mean);
                gradient = level.Alpha / (level.Sigma * level.Sigma) * along;
            }
            return Joined(value.detach(), gradient, xt).MoveToOuterDisposeScope();
        };
    }

    /// <summary>The energy of a place: E(x) ≈ −(1/β)·log E[exp(−β·E) | x_t = x] at a nearly clean level.</summary>
    /// <param name="beta">β; 0 gives its limit, the mean energy of the place.</param>
    /// <param name="level">How blurred: about the distance between neighbouring points, such as t = 0.01.</param>
    /// <remarks>For data whose energies are per point, not a function of x₀; DPS needs one.</remarks>
    public EnergyFunction Effective(double beta, NoiseLevel level)
    {
        var blurred = beta == 0 ? Mse(1) : Exact(beta);
        return x0 =>
        {
            using var scope = NewDisposeScope();
            return (blurred(x0, level) / (beta == 0 ? 1 : beta)).MoveToOuterDisposeScope();
        };
    }

    /// <summary>How many points the tilted posterior of each sample effectively rests on: (Σw)²/Σw², between 1 and N.</summary>
    /// <param name="xt">Noisy samples, [B, D].</param>
    /// <param name="level">Their level, with σ_t &gt; 0.</param>
    /// <param name="beta">β, at least 0; 0 for the posterior of the data itself.</param>
    /// <returns>[B]. Near 1 the "exact" answer is that of the finite set, no longer of the law it was drawn from.</returns>
    public Tensor EffectiveSampleSize(Tensor xt, NoiseLevel level, double beta = 0)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var shift = beta == 0 ? null : TiltBy(beta).Shift;
        var sums = Sum(xt, level, _points.narrow(1, 0, 1), new Tilt(shift), new Tilt(shift, Squared: true));
        return (2 * sums[0].LogSum - sums[1].LogSum).exp().to(xt.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _points.Dispose();
        _columns.Dispose();
        _squares.Dispose();
        _energies?.Dispose();
    }

    private Tensor LogDensity(Tensor xt, NoiseLevel level, Tilt tilt, double logCount)
    {
        using var scope = NewDisposeScope();
        Tensor value,
            gradient;
        using (no_grad())
        {
            var variance = level.Sigma * level.Sigma;
            var sum = Sum(xt, level, _points, tilt)[0];
            value = sum.LogSum - (logCount + 0.5 * Dimension * Math.Log(2 * Math.PI * variance));
            gradient = (level.Alpha * sum.Mean - xt.to(sum.Mean.dtype)) / variance;
        }
        return Joined(value, gradient, xt).MoveToOuterDisposeScope();
    }

    private Tilt TiltBy(double beta) => new(-beta * Energies(beta));

    /// <summary>The same tilt as factors of the untilted weights, which saves their exponentials, where none can underflow.</summary>
    private Tilt TiltWithin(double beta)
    {
        // A point that matters to p may weigh e^(−range) of the heaviest one of q; both must be far from the smallest number.
        var range = beta * (_range.Max - _range.Min);
        if (range > (_points.dtype == ScalarType.Float64 ? 300 : 40))
        {
            return TiltBy(beta);
        }
        var lowest = beta * _range.Min;
        return new(Factor: (lowest - beta * Energies(beta)).exp(), LogFactor: -lowest);
    }

    private static void RequireBeta(double beta)
    {
        if (!(beta >= 0 && double.IsFinite(beta)))
        {
            throw new ArgumentOutOfRangeException(nameof(beta), beta, "β must be finite and at least 0.");
        }
    }

    private Tensor Energies(double beta)
    {
        RequireBeta(beta);
        return _energies
            ?? throw new InvalidOperationException("This data set has no energies. Give them to the constructor.");
    }

    private static bool Records(Tensor xt) => xt.requires_grad && is_grad_enabled();

    /// <summary>The value, with its gradient attached to x_t where the graph is being recorded.</summary>
    private static Tensor Joined(Tensor value, Tensor gradient, Tensor xt)
    {
        using var scope = NewDisposeScope();
        var joined = Records(xt) ? value + (gradient * (xt - xt.detach()).to(gradient.dtype)).sum(-1) : value.alias();
        return joined.to(xt.dtype).MoveToOuterDisposeScope();
    }

    private static void RequireFinite(Tensor tensor, string name)
    {
        using var scope = NewDisposeScope();
        var bad = (tensor.isfinite().logical_not()).nonzero();
        if (bad.shape[0] > 0)
        {
            throw new ArgumentException($"{name}: row {bad[0, 0].item<long>()} holds a number that is not finite.");
        }
    }
}
