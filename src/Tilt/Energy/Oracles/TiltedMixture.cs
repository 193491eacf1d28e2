namespace Tilt.Energy.Oracles;

/// <summary>A Gaussian mixture tilted by exp(−β·E): the target in closed form, and every method's intermediate energy.</summary>
/// <remarks>
/// Two kinds of energy have closed forms. A quadratic (or linear) E turns each Gaussian, of q₀ or of a posterior, into
/// another Gaussian; an E that is constant on each component only changes the weights. The intermediate energies are what
/// the methods would learn with unlimited data and capacity (cep.md §5); only <see cref="Exact"/> is the right guidance.
/// β is inside the energies.
/// </remarks>
public sealed class TiltedMixture : IDisposable
{
    private readonly GaussianMixture _base;
    private readonly QuadraticEnergy? _quadratic;
    private readonly double[]? _componentEnergies;

    /// <summary>Tilts by a linear or quadratic energy.</summary>
    /// <param name="mixture">q₀. Must outlive this object, which does not dispose it.</param>
    /// <param name="energy">E.</param>
    /// <param name="beta">β, at least 0.</param>
    /// <exception cref="ArgumentException">Dimensions differ, or exp(−β·E) has no finite mean under q₀.</exception>
    public TiltedMixture(GaussianMixture mixture, QuadraticEnergy energy, double beta)
    {
        ArgumentNullException.ThrowIfNull(mixture);
        ArgumentNullException.ThrowIfNull(energy);
        RequireBeta(beta);
        if (energy.Dimension != mixture.Dimension)
        {
            throw new ArgumentException(
                $"The energy takes {energy.Dimension} dimensions and the mixture has {mixture.Dimension}."
            );
        }
        (_base, _quadratic, Beta) = (mixture, energy, beta);

        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var prior = mixture.Prior();
        var (logMean, means, covariances) = Tilt(prior, energy, beta);
        var joint = (prior.LogWeights + logMean).squeeze(0);
        LogNormalizer = joint.logsumexp(0).item<double>();
        Target = new GaussianMixture((joint - LogNormalizer).exp(), means.squeeze(0), covariances);
    }

    /// <summary>Tilts by an energy that is constant on each component, such as the labels of a toy set.</summary>
    /// <param name="mixture">q₀. Must outlive this object, which does not dispose it.</param>
    /// <param name="componentEnergies">E of each component, K numbers. A label e that is good when high is −e here.</param>
    /// <param name="beta">β, at least 0.</param>
    /// <exception cref="ArgumentException">Not K finite numbers.</exception>
    public TiltedMixture(GaussianMixture mixture, double[] componentEnergies, double beta)
    {
        ArgumentNullException.ThrowIfNull(mixture);
        ArgumentNullException.ThrowIfNull(componentEnergies);
        RequireBeta(beta);
        if (componentEnergies.Length != mixture.Components || !componentEnergies.All(double.IsFinite))
        {
            throw new ArgumentException(
                $"Expected {mixture.Components} finite energies, one a component, found [{string.Join(", ", componentEnergies)}]."
            );
        }
        (_base, _componentEnergies, Beta) = (mixture, [.. componentEnergies], beta);

        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var joint = mixture.Weights.log() - beta * tensor(componentEnergies);
        LogNormalizer = joint.logsumexp(0).item<double>();
        Target = new GaussianMixture((joint - LogNormalizer).exp(), mixture.Means, mixture.Covariances);
    }

    /// <summary>β, the inverse temperature.</summary>
    public double Beta { get; }

    /// <summary>p₀ ∝ q₀·exp(−β·E), again a mixture; its own score is the exactly guided one. Disposed with this object.</summary>
    public GaussianMixture Target { get; }

    /// <summary>log Z = log E_q[exp(−β·E(x₀))], in nats.</summary>
    public double LogNormalizer { get; }

    /// <summary>The exact E_t = −log E[exp(−β·E(x₀)) | x_t], which CEP aims at; tends to β·E as t → 0 and to −log Z as t grows.</summary>
    /// <remarks>
    /// Quadratic E: per component of the posterior, with mean m, covariance V, g = ∇E(m) and W = (V⁻¹ + β·A)⁻¹,
    /// log E[e^(−β·E)] = −β·E(m) − ½·log det(I + β·V·A) + ½·β²·gᵀWg. Constant per component: −log Σ_k r_k·e^(−β·E_k) (cep.md §14.2).
    /// </remarks>
    public IntermediateEnergy Exact =>
        (xt, level) =>
        {
            using var scope = NewDisposeScope();
            var posterior = _base.Posterior(xt, level);
            var logMean = _quadratic is { } quadratic
                ? Tilt(posterior, quadratic, Beta).LogMean
                : -Beta * tensor(_componentEnergies!, device: xt.device);
            return (-(posterior.LogWeights + logMean).logsumexp(-1)).to(xt.dtype).MoveToOuterDisposeScope();
        };

    /// <summary>β·E[E(x₀) | x_t]: the optimum of the MSE loss. Not exact.</summary>
    public IntermediateEnergy Mse =>
        (xt, level) =>
        {
            using var scope = NewDisposeScope();
            var posterior = _base.Posterior(xt, level);
            var mean = _quadratic is { } quadratic
                ? Mean(posterior, quadratic)
                : tensor(_componentEnergies!, device: xt.device);
            return (Beta * (posterior.LogWeights.exp() * mean).sum(-1)).to(xt.dtype).MoveToOuterDisposeScope();
        };

    /// <summary>β·E(E[x₀ | x_t]): diffusion posterior sampling with the true noise model. Not exact.</summary>
    /// <remarks>
    /// For component energies E is not a function of x; the effective one, −(1/β)·log E[exp(−β·E) | x₀ = x], stands in.
    /// </remarks>
    public IntermediateEnergy Dps => DiffusionPosteriorSampling.Energy(_base.Noise, Effective, Beta);

    /// <summary>E as a function of x. For component energies: −(1/β)·log E[exp(−β·E) | x], at β = 0 its limit E[E | x].</summary>
    public EnergyFunction Effective =>
        _quadratic is { } quadratic
            ? quadratic.Function
            : x0 =>
            {
                using var scope = NewDisposeScope();
                var clean = new NoiseLevel(0, 0, 1, 0, double.PositiveInfinity, 0);
                var posterior = _base.Posterior(x0, clean);
                var energies = tensor(_componentEnergies!, device: x0.device);
                var effective =
                    Beta == 0
                        ? (posterior.LogWeights.exp() * energies).sum(-1)
                        : (posterior.LogWeights - Beta * energies).logsumexp(-1) / -Beta;
                return effective.to(x0.dtype).MoveToOuterDisposeScope();
            };

    /// <inheritdoc/>
    public void Dispose() => Target.Dispose();

    /// <summary>log E[e^(−β·E)] of each Gaussian [B, K], and the tilted Gaussians' means [B, K, D] and covariances [K, D, D].</summary>
    private static (Tensor LogMean, Tensor Means, Tensor Covariances) Tilt(
        MixturePosterior gaussians,
        QuadraticEnergy energy,
        double beta
    )
    {
        var (curvature, centre, slope) = energy.Tensors(ScalarType.Float64, gaussians.Means.device);

        // With V = R·R the inverse below is of a symmetric matrix, and V = 0 (a known x₀) needs no special case.
        var root = GaussianMixture.Along(gaussians.Axes, gaussians.Variances.sqrt());
        var (stretch, directions) = linalg.eigh(
            eye(energy.Dimension, dtype: ScalarType.Float64, device: root.device)
                + beta * root.matmul(curvature).matmul(root)
        );
        if ((stretch <= 0).any().item<bool>())
        {
            throw new ArgumentException(
                $"exp(−β·E) has no finite mean at β = {beta}: E falls faster than the Gaussian tails "
                    + $"(smallest eigenvalue of I + β·V·A is {stretch.min().item<double>():G4}, expected > 0). Lower β."
            );
        }
        var covariance = root.matmul(GaussianMixture.Along(directions, 1 / stretch)).matmul(root);

        var offset = gaussians.Means - centre;
        var bent = offset.matmul(curvature);
        var gradient = bent + slope;
        var atMean = (offset * (0.5 * bent + slope)).sum(-1);
        var shift = einsum("kde,bke->bkd", covariance, gradient);
        var logMean = -beta * atMean - 0.5 * stretch.log().sum(-1) + 0.5 * beta * beta * (gradient * shift).sum(-1);
        return (logMean, gaussians.Means - beta * shift, covariance);
    }

    /// <summary>E[E] of each Gaussian, [B, K]: E(m) + ½·tr(A·V).</summary>
    private static Tensor Mean(MixturePosterior gaussians, QuadraticEnergy energy)
    {
        var (curvature, _, _) = energy.Tensors(ScalarType.Float64, gaussians.Means.device);
        var trace = einsum("de,ked->k", curvature, GaussianMixture.Along(gaussians.Axes, gaussians.Variances));
        return energy.At(gaussians.Means) + 0.5 * trace;
    }

    private static void RequireBeta(double beta)
    {
        if (!(beta >= 0 && double.IsFinite(beta)))
        {
            throw new ArgumentOutOfRangeException(nameof(beta), beta, "β must be finite and at least 0.");
        }
    }
}
