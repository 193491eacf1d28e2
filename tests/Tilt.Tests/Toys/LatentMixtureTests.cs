using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Energy.Oracles;
using Tilt.Metrics;
using Tilt.Sampling;
using Tilt.Toys;
using static TorchSharp.torch;

namespace Tilt.Tests.Toys;

public class LatentMixtureTests
{
    private static readonly NoiseSchedule Schedule = new LinearSchedule();

    public static TheoryData<string> All => [.. ToyDatasets.All.Select(set => set.Name)];

    public static TheoryData<string> Labelled => [.. ToyDatasets.Labelled.Select(set => set.Name)];

    [Theory]
    [MemberData(nameof(All))]
    public void The_density_integrates_to_one(string name)
    {
        using var scope = NewDisposeScope();
        var set = ToyDatasets.Find(name);
        foreach (var beta in set.HasLabels ? new double[] { 0, 5 } : [0])
        {
            using var latents = set.Latents(beta);
            // The grid sum converges faster than any power once its step is below σ; every law lies within ±9.
            var level = Schedule.At(0.2);
            var axis = linspace(-9, 9, 121, ScalarType.Float64);
            var grid = cartesian_prod([axis, axis]);
            var total = latents.LogDensity(grid, level).exp().sum().item<double>() * Math.Pow(18.0 / 120, 2);
            Assert.Equal(1, total, 1e-9);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Scores_and_their_derivatives_agree_with_finite_differences(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(21);
        var set = ToyDatasets.Find(name);
        foreach (var beta in set.HasLabels ? new double[] { 0, 10 } : [0])
        {
            using var latents = set.Latents(beta);
            foreach (var t in new[] { 0.02, 0.1, 0.4, 1.0 })
            {
                var level = Schedule.At(t);
                var x = Noised(set.SampleTilted(beta, 40, generator).X, level, generator);
                const double H = 1e-5;
                var score = latents.Score(x, level);
                var scale = 1 + score.abs().max().item<double>();
                using var recording = enable_grad();
                var leaf = x.detach().clone().requires_grad_();
                var total = latents.Score(leaf, level);
                for (var d = 0; d < 2; d++)
                {
                    var step = zeros(2, ScalarType.Float64);
                    step[d] = H;
                    var (up, down) = (x + step, x - step);
                    var slope = (latents.LogDensity(up, level) - latents.LogDensity(down, level)) / (2 * H);
                    Near(score.select(1, d), slope, 2e-6 * scale, $"{name} {beta} {t} score {d}");
                    // Row d of the Hessian: the derivative of the score's d-th entry.
                    var row = autograd.grad([total.select(1, d).sum()], [leaf], retain_graph: true)[0];
                    var bend = (latents.Score(up, level) - latents.Score(down, level)) / (2 * H);
                    var stiffness = 1 + bend.abs().max().item<double>();
                    Near(row, bend, 2e-6 * stiffness, $"{name} {beta} {t} Hessian {d}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void The_energy_is_its_own_gradients_integral_and_the_difference_of_log_densities(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(22);
        var set = ToyDatasets.Find(name);
        using var exact = set.Exact(10);
        foreach (var t in new[] { 0.02, 0.1, 0.4, 1.0 })
        {
            var level = Schedule.At(t);
            var x = Noised(set.Sample(40, generator).X, level, generator);
            var energy = exact.Energy(x, level);
            var difference = exact.Data.LogDensity(x, level) - exact.Target.LogDensity(x, level) - set.LogPartition(10);
            Near(energy, difference, 1e-9, $"{name} {t} identity");

            var gradient = exact.EnergyGradient(x, level);
            Near(exact.Energy.Gradient(x, level), gradient, 1e-12, $"{name} {t} automatic gradient");
            const double H = 1e-5;
            for (var d = 0; d < 2; d++)
            {
                var step = zeros(2, ScalarType.Float64);
                step[d] = H;
                var slope = (exact.Energy(x + step, level) - exact.Energy(x - step, level)) / (2 * H);
                var scale = 1 + slope.abs().max().item<double>();
                Near(gradient.select(1, d), slope, 1e-6 * scale, $"{name} {t} gradient {d}");
            }
        }
        using (no_grad())
        {
            // At t = 1 nothing is known of x₀: E_t is −log Z but for the 0.7 % of x₀ that is left in x_t.
            var far = exact.Energy(zeros(1, 2, ScalarType.Float64), Schedule.At(1)).item<double>();
            Assert.Equal(-set.LogPartition(10), far, 0.1);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Twice_as_many_nodes_change_nothing(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(23);
        var set = ToyDatasets.Find(name);
        foreach (var beta in set.HasLabels ? new double[] { 0, 20 } : [0])
        {
            using var coarse = set.Latents(beta);
            using var fine = set.Latents(beta, refinement: 2);
            foreach (var t in new[] { 1e-3, 0.01, 0.05, 0.2, 0.6, 1.0 })
            {
                var level = Schedule.At(t);
                // Points of the data, of the target, and of the tails of both.
                var x = cat(
                    [
                        Noised(set.Sample(60, generator).X, level, generator),
                        Noised(set.SampleTilted(beta, 60, generator).X, level, generator),
                        Noised(set.Sample(60, generator).X, level, generator)
                            + randn(60, 2, ScalarType.Float64, generator: generator)
                                * (set.HasLabels ? 0.3 : 2 * level.Sigma),
                    ],
                    0
                );
                Near(coarse.LogDensity(x, level), fine.LogDensity(x, level), 1e-6, $"{name} {beta} {t}");
                var (a, b) = (coarse.Score(x, level), fine.Score(x, level));
                Near(a, b, 1e-6 * (1 + b.abs().max().item<double>()), $"{name} {beta} {t} score");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void Energies_agree_with_brute_force_over_a_fine_grid_of_latent_events(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(24);
        var set = ToyDatasets.Find(name);
        const double Beta = 6;
        var (points, weights, labels, noise) = LatentGrid(name);
        using var brute = GaussianMixture.Isotropic(weights, points, full_like(weights, noise * noise));
        using var tilted = new TiltedMixture(brute, [.. (-labels).data<double>()], Beta);
        using var exact = set.Exact(Beta);
        foreach (var t in new[] { 0.15, 0.3, 0.7 })
        {
            var level = Schedule.At(t);
            var x = Noised(set.SampleTilted(Beta, 8, generator).X, level, generator);
            Near(brute.LogDensity(x, level), exact.Data.LogDensity(x, level), 1e-5, $"{name} {t} density");
            Near(tilted.Exact(x, level), exact.Energy(x, level), 1e-5, $"{name} {t} energy");
            Near(brute.Score(x, level), exact.Data.Score(x, level), 1e-4, $"{name} {t} score");
        }
        Assert.Equal(set.LogPartition(Beta), tilted.LogNormalizer, 1e-5);
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void Energies_agree_with_the_posterior_over_many_drawn_points(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(25);
        var set = ToyDatasets.Find(name);
        const double Beta = 3;
        var pool = set.Sample(100_000, generator);
        using var posterior = new EmpiricalPosterior(
            pool.X.to(ScalarType.Float64),
            pool.Energies.to(ScalarType.Float64)
        );
        using var exact = set.Exact(Beta);
        foreach (var t in new[] { 0.2, 0.5 })
        {
            var level = Schedule.At(t);
            var x = Noised(set.SampleTilted(Beta, 20, generator).X, level, generator);
            // A log of a mean over n effective points is off by about spread/√n: spread of e^(βe) is at most e^β/2 of its mean, far less
            // within a posterior; 6 standard errors of a unit spread.
            var effective = posterior.EffectiveSampleSize(x, level, Beta);
            var allowed = 6 / effective.sqrt();
            var error = (posterior.Exact(Beta)(x, level) - exact.Energy(x, level)).abs();
            Assert.True(
                (error <= allowed).all().item<bool>(),
                $"{name} {t}: {(error / allowed).max().item<double>()} times the allowed error"
            );
            Assert.True(effective.min().item<double>() > 100, name);
        }
    }

    [Fact]
    public void Eight_Gaussians_are_the_closed_form_mixture()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(26);
        var centres = tensor(
            new double[,]
            {
                { 0, 1 },
                { -1, 1 },
                { -1, 0 },
                { -1, -1 },
                { 0, -1 },
                { 1, -1 },
                { 1, 0 },
                { 1, 1 },
            }
        );
        centres = centres / centres.square().sum(1, keepdim: true).sqrt() * (4 / 1.414);
        using var mixture = GaussianMixture.Equal(centres, 0.5 / 1.414);
        using var tilted = new TiltedMixture(mixture, [.. Enumerable.Range(0, 8).Select(k => -k / 7.0)], 10);
        using var exact = ToyDatasets.Find("8gaussians").Exact(10);
        foreach (var t in new[] { 0, 1e-3, 0.1, 0.4, 1 })
        {
            var level = Schedule.At(t);
            var x = 3 * randn(100, 2, ScalarType.Float64, generator: generator);
            Near(tilted.Exact(x, level), exact.Energy(x, level), 1e-10, $"{t} energy");
            Near(mixture.Score(x, level), exact.Data.Score(x, level), 1e-9, $"{t} score of q");
            Near(tilted.Target.Score(x, level), exact.Target.Score(x, level), 1e-9, $"{t} score of p");
            Near(tilted.Mse(x, level), -10 * exact.PosteriorMeanLabel(x, level), 1e-10, $"{t} MSE");
        }
    }

    [Fact]
    public void The_swissrolls_energy_at_a_clean_level_is_its_label()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(27);
        var set = ToyDatasets.Find("swissroll");
        var x = set.Sample(200, generator).X.to(ScalarType.Float64);
        using var exact = set.Exact(7);
        // Both densities come from different quadratures, so their difference shows the error of both.
        Near(exact.Energy(x, Schedule.At(0)), x.square().sum(1) * (-7 / 9.0), 1e-9, "energy");
        Near(exact.EnergyGradient(x, Schedule.At(0)), x * (-14 / 9.0), 1e-7, "gradient");
        Assert.Throws<NotSupportedException>(() => exact.PosteriorMeanLabel(x, Schedule.At(0.1)));
    }

    [Theory]
    [InlineData("8gaussians")]
    [InlineData("rings")]
    [InlineData("moons")]
    [InlineData("2spirals")]
    [InlineData("checkerboard")]
    [InlineData("pinwheel")]
    public void The_posterior_mean_label_is_the_energy_at_small_beta(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(28);
        var set = ToyDatasets.Find(name);
        var level = Schedule.At(0.2);
        var x = Noised(set.Sample(50, generator).X, level, generator);
        const double Small = 1e-4;
        using var exact = set.Exact(Small);
        Near(exact.Energy(x, level) / -Small, exact.PosteriorMeanLabel(x, level), 1e-4, name);
        IntermediateEnergy mean = exact.PosteriorMeanLabel;
        Near(exact.EnergyGradient(x, level) / -Small, mean.Gradient(x, level), 1e-3, $"{name} gradient");
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void Far_away_points_still_get_finite_and_right_answers(string name)
    {
        using var scope = NewDisposeScope();
        var set = ToyDatasets.Find(name);
        using var exact = set.Exact(10);
        var x = tensor(
            new double[,]
            {
                { 30, -20 },
                { -12, 0.5 },
                { 0, 0 },
                { 5, 5 },
            }
        );
        foreach (var t in new[] { 0.01, 0.1, 1 })
        {
            var level = Schedule.At(t);
            var gradient = exact.EnergyGradient(x, level);
            Assert.True(exact.Energy(x, level).isfinite().all().item<bool>());
            Assert.True(gradient.isfinite().all().item<bool>());
            var step = tensor(new double[] { 1e-4, 0 });
            var slope = (exact.Energy(x + step, level) - exact.Energy(x - step, level)) / 2e-4;
            var scale = 1 + slope.abs().max().item<double>();
            // Logarithms of about −10⁵ leave 10⁻¹¹ of their digits, divided by the step.
            Near(gradient.select(1, 0), slope, 1e-5 * scale, $"{name} {t}");
        }
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void The_effective_energy_tilts_the_data_into_the_target_and_knows_its_gradient(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(29);
        var set = ToyDatasets.Find(name);
        var x = set.Sample(50, generator).X.to(ScalarType.Float64);
        foreach (var beta in new double[] { 0, 1, 10 })
        {
            var energy = set.EffectiveEnergy(beta);
            const double H = 1e-5;
            using var recording = enable_grad();
            var leaf = x.detach().clone().requires_grad_();
            var gradient = autograd.grad([energy(leaf).sum()], [leaf])[0];
            for (var d = 0; d < 2; d++)
            {
                var step = zeros(2, ScalarType.Float64);
                step[d] = H;
                var slope = (energy(x + step) - energy(x - step)) / (2 * H);
                var scale = 1 + slope.abs().max().item<double>();
                Near(gradient.select(1, d), slope, 1e-5 * scale, $"{name} {beta} gradient {d}");
            }
            if (beta > 0)
            {
                var clean = new NoiseLevel(0, 0, 1, set.EffectiveBlur, -Math.Log(set.EffectiveBlur), 0);
                using var exact = set.Exact(beta);
                var tilted = exact.Data.LogDensity(x, clean) - beta * energy(x) - set.LogPartition(beta);
                Near(tilted, exact.Target.LogDensity(x, clean), 1e-8, $"{name} {beta} p₀");
            }
        }
    }

    [Fact]
    public void The_effective_energy_is_the_label_inside_a_square_or_on_a_ring()
    {
        using var scope = NewDisposeScope();
        var squares = tensor(
            new double[,]
            {
                { -3, 1 },
                { -1, 3 },
                { 1, 1 },
                { 3, -1 },
            }
        );
        Near(
            ToyDatasets.Find("checkerboard").EffectiveEnergy(10)(squares),
            tensor(new double[] { -1, 0, -1, 0 }),
            1e-6,
            "squares"
        );
        var rings = tensor(
            new double[,]
            {
                { 3, 0 },
                { 0, -2.25 },
                { -1.5, 0 },
                { 0.75, 0 },
            }
        );
        Near(
            ToyDatasets.Find("rings").EffectiveEnergy(3)(rings),
            tensor(new[] { -0.667, -0.333, -1, 0 }),
            1e-4,
            "rings"
        );
    }

    [Fact]
    public void Single_precision_points_get_single_precision_answers_and_no_points_none()
    {
        using var scope = NewDisposeScope();
        foreach (var set in ToyDatasets.Labelled)
        {
            using var exact = set.Exact(3);
            var level = Schedule.At(0.3);
            var x = ones(3, 2);
            Assert.Equal(ScalarType.Float32, exact.Energy(x, level).dtype);
            Assert.Equal(ScalarType.Float32, exact.Target.Noise(x, level).dtype);
            Assert.Equal([0], exact.Energy(zeros(0, 2), level).shape);
            Assert.Equal([0, 2], exact.Target.Noise(zeros(0, 2), level).shape);
            Assert.Throws<ArgumentException>(() => exact.Energy(zeros(3, 1), level));
        }
    }

    [Theory]
    [InlineData("checkerboard")]
    [InlineData("pinwheel")]
    [InlineData("line")]
    public void A_law_without_density_is_refused_at_the_clean_level(string name)
    {
        using var scope = NewDisposeScope();
        using var latents = ToyDatasets.Find(name).Latents();
        var error = Assert.Throws<TiltException>(() => latents.Score(zeros(1, 2), Schedule.At(0)));
        Assert.Contains("noisier", error.Message);
    }

    [Theory]
    [MemberData(nameof(Labelled))]
    public void Sampling_with_exact_noise_and_exact_guidance_reaches_the_noise_floor(string name)
    {
        using var scope = NewDisposeScope();
        var set = ToyDatasets.Find(name);
        const double Beta = 5;
        const long N = 500;
        using var streams = new RandomStreams(31);
        using var exact = set.Exact(Beta);
        var levels = TimeGrid.Levels(Schedule, TimeSpacing.Quadratic, 40, 1, 1e-3);
        var noise = exact.Data.Noise.GuidedBy(exact.Energy);
        var xT = randn(N, 2, ScalarType.Float64, generator: streams["start"]);
        var samples = DpmSolver.Multistep2(noise, xT, levels);
        PointSampler truth = (n, generator) => set.SampleTilted(Beta, n, generator).X;
        var metrics = new Dictionary<string, SampleMetric>
        {
            ["sliced W1"] = (a, b) => SlicedWasserstein.Distance(a, b),
            ["energy distance"] = EnergyDistance.Distance,
            ["bins"] = BinTotalVariation.Against(set.Bins, Beta),
            ["label"] = MeanLabel.Against(set.EffectiveLabels, set.MeanLabel(Beta)),
        };
        var floors = NoiseFloor.EstimateAll(metrics, truth, N, 10, streams);
        var reference = truth(N, streams["reference"]);
        foreach (var (metric, distance) in metrics)
        {
            var found = distance(samples, reference);
            Assert.True(
                found <= floors[metric].Bound,
                $"{name} {metric}: {found}, floor {floors[metric].Mean} ± {floors[metric].StandardDeviation}"
            );
        }
    }

    [Fact]
    public void Exact_laws_leave_no_tensors_behind()
    {
        var level = Schedule.At(0.3);
        using var x = ones(5, 2, ScalarType.Float64);
        void Use()
        {
            foreach (var set in ToyDatasets.Labelled)
            {
                using var exact = set.Exact(3);
                exact.Energy(x, level).Dispose();
                exact.EnergyGradient(x, level).Dispose();
                exact.Energy.Gradient(x, level).Dispose();
                exact.Target.Noise(x, level).Dispose();
                exact.Data.LogDensity(x, level).Dispose();
                _ = exact.Target.Mean();
                _ = exact.Target.Covariance();
            }
        }
        Use();
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Use();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    /// <summary>
    /// Latent events on a grid with the weights of Simpson's rule (bounded ones) or of the trapezoidal rule (angles and normal ones), their
    /// labels, and the Gaussian noise that is left. Written from the definitions of the data sets, not from the code under test.
    /// </summary>
    private static (Tensor Points, Tensor Weights, Tensor Labels, double Noise) LatentGrid(string name)
    {
        // Nodes in [0, 1] and Simpson's weights 1, 4, 2, …, 4, 1.
        static (Tensor, Tensor) Bounded(int intervals)
        {
            var weights = Enumerable
                .Range(0, intervals + 1)
                .Select(i =>
                    i == 0 || i == intervals ? 1.0
                    : i % 2 == 1 ? 4.0
                    : 2.0
                );
            return (linspace(0, 1, intervals + 1, ScalarType.Float64), tensor(weights.ToArray()));
        }
        static (Tensor, Tensor) Normal(double step)
        {
            var z = arange(-6, 6 + step / 2, step, ScalarType.Float64);
            return (z, (z.square() / -2).exp());
        }
        // All combinations of the nodes, first index slowest, and the products of their weights.
        static (Tensor[] Nodes, Tensor Weights) All(params (Tensor Nodes, Tensor Weights)[] axes)
        {
            var grid = meshgrid([.. axes.Select(axis => axis.Nodes)], "ij");
            var weights = meshgrid([.. axes.Select(axis => axis.Weights)], "ij");
            return ([.. grid.Select(g => g.flatten())], weights.Aggregate((a, b) => a * b).flatten());
        }
        switch (name)
        {
            case "8gaussians":
                var k = arange(0, 8, ScalarType.Float64);
                var turn = (k + 2) * (Math.PI / 4);
                return (stack([turn.cos(), turn.sin()], 1) * (4 / 1.414), ones_like(k), k / 7, 0.5 / 1.414);
            case "rings":
                var circle = arange(0, 400, ScalarType.Float64) * (2 * Math.PI / 400);
                var unit = stack([circle.cos(), circle.sin()], 1);
                var rings = new[] { (3.0, 0.667), (2.25, 0.333), (1.5, 1.0), (0.75, 0.0) };
                return (
                    cat([.. rings.Select(ring => unit * ring.Item1)], 0),
                    ones(1600, ScalarType.Float64),
                    cat([.. rings.Select(ring => full_like(circle, ring.Item2))], 0),
                    0.08
                );
            case "moons":
                var (u, moonWeights) = Bounded(400);
                var theta = u * Math.PI;
                var upper = stack([2 * theta.cos() - 1, 2 * theta.sin() - 0.2], 1);
                var lower = stack([1 - 2 * theta.cos(), 0.8 - 2 * theta.sin()], 1);
                return (
                    cat([upper, lower], 0),
                    cat([moonWeights, moonWeights], 0),
                    cat([zeros_like(theta), ones_like(theta)], 0),
                    0.2
                );
            case "swissroll":
                // Its label is of the noisy point, so the noise is latent too.
                var (roll, rollWeights) = All(Bounded(400), Normal(0.75), Normal(0.75));
                var t = 1.5 * Math.PI * (1 + 2 * roll[0]);
                var noisy = stack([t * t.cos() + roll[1], t * t.sin() + roll[2]], 1) / 5;
                return (noisy, rollWeights, noisy.square().sum(1) / 9, 0);
            case "2spirals":
                var (spiral, spiralWeights) = All(Bounded(300), Bounded(4), Bounded(4));
                // n has density ∝ n on [0, 3π].
                var n = spiral[0] * (3 * Math.PI);
                var arm = stack([-n * n.cos() + spiral[1] / 2, n * n.sin() + spiral[2] / 2], 1) / 3;
                var armWeights = spiralWeights * n;
                return (cat([arm, -arm], 0), cat([armWeights, armWeights], 0), cat([1 - n / 10, 1 - n / 10], 0), 0.1);
            case "checkerboard":
                var (tile, tileWeights) = All(Bounded(32), Bounded(32));
                var tiles = new List<Tensor>();
                var good = new List<Tensor>();
                foreach (var (x, y) in new[] { (-4, 0), (-4, -4), (-2, 2), (-2, -2), (0, 0), (0, -4), (2, 2), (2, -2) })
                {
                    tiles.Add(stack([2 * tile[0] + x, 2 * tile[1] + y], 1));
                    good.Add(full_like(tileWeights, x is -4 or 0 ? 1 : 0));
                }
                return (cat(tiles, 0), tileWeights.repeat(8), cat(good, 0), 0);
            case "pinwheel":
                var (blade, bladeWeights) = All(Normal(0.1), Normal(0.5));
                var (along, across) = (1 + 0.3 * blade[0], 0.1 * blade[1]);
                var blades = new List<Tensor>();
                for (var j = 0; j < 5; j++)
                {
                    var angle = 2 * Math.PI * j / 5 + 0.25 * along.exp();
                    var (cos, sin) = (angle.cos(), angle.sin());
                    blades.Add(2 * stack([along * cos + across * sin, across * cos - along * sin], 1));
                }
                var labels = Enumerable.Range(0, 5).Select(j => full_like(bladeWeights, j / 4.0));
                return (cat(blades, 0), bladeWeights.repeat(5), cat([.. labels], 0), 0);
            default:
                throw new ArgumentException(name);
        }
    }

    private static Tensor Noised(Tensor x, NoiseLevel level, Generator generator)
    {
        var clean = x.to(ScalarType.Float64);
        return level.Alpha * clean + level.Sigma * randn(clean.shape, ScalarType.Float64, generator: generator);
    }

    private static void Near(Tensor found, Tensor expected, double tolerance, string what)
    {
        using var scope = NewDisposeScope();
        Assert.Equal(expected.shape, found.shape);
        var worst = (found - expected).abs().max().item<double>();
        Assert.True(worst <= tolerance, $"{what}: off by {worst}, allowed {tolerance}");
    }
}
