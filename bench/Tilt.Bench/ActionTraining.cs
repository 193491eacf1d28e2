using Tilt.Diffusion;
using Tilt.Model;
using Tilt.Networks;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Data;
using Tilt.Training;
using TorchSharp;
using static TorchSharp.torch;
using Adam = Tilt.Training.Adam;
using Sequential = TorchSharp.Modules.Sequential;

namespace Tilt.Bench;

/// <summary>W3 and W4: the training steps of offline RL, Tilt's beside plain TorchSharp's.</summary>
internal static class ActionTraining
{
    private const int States = 17;
    private const int Actions = 6;
    private const int Rows = 100_000;
    private const int BehaviorBatch = 4096;
    private const int Batch = 256;
    private const int Support = 16;
    private const double Beta = 3;
    private const double CriticBeta = 1;
    private const double Discount = 0.99;
    private const double TargetRate = 0.005;

    public static void Compare(string workload, string[] args)
    {
        var rounds = Arguments.Count(args, "rounds", 20);
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(0);
        random.manual_seed(0);
        var (plain, own) = workload == "W3" ? Behavior(streams) : CriticAndGuidance(streams);
        Race.Run(
            workload == "W3" ? $"W3: batch {BehaviorBatch}" : $"W4: batch {Batch}, {Support} support actions",
            [
                ("plain TorchSharp, fp32", plain),
                ("Tilt, fp32", () => own(Precision.Float32)),
                ("Tilt, bf16", () => own(Precision.BFloat16)),
            ],
            rounds,
            3
        );
    }

    private static (Action Plain, Action<Precision> Own) Behavior(RandomStreams streams)
    {
        var (observations, actions) = (Normal(streams, Rows, States), Normal(streams, Rows, Actions).clamp(-1, 1));
        var network = new PlainTorchPolicy.ScoreNet(States, Actions);
        var torchs = optim.Adam(network.parameters(), 1e-4);
        var own = new ResidualScoreNetwork(Actions, States, streams["weights"]);
        var adam = new Adam(own.NamedParameters(), new() { LearningRate = 1e-4 });
        var model = new NoiseModel(own, new LinearSchedule());
        return (Plain, Own);

        void Plain()
        {
            using var step = NewDisposeScope();
            var rows = Drawn(BehaviorBatch, streams);
            var (s, a) = (observations.index_select(0, rows), actions.index_select(0, rows));
            var t = rand(BehaviorBatch) * (1 - 1e-3) + 1e-3;
            var z = randn(a.shape);
            var (alpha, sigma) = PlainTorch.Marginal(t);
            var score = network.call(a * alpha.unsqueeze(-1) + z * sigma.unsqueeze(-1), t, s);
            var loss = (score * sigma.unsqueeze(-1) + z).square().sum(1).mean();
            torchs.zero_grad();
            loss.backward();
            torchs.step();
        }

        void Own(Precision precision)
        {
            using var step = NewDisposeScope();
            var rows = Drawn(BehaviorBatch, streams);
            BehaviorStep(
                model,
                adam,
                observations.index_select(0, rows),
                actions.index_select(0, rows),
                streams["noise"],
                precision
            );
        }
    }

    private static void BehaviorStep(
        NoiseModel model,
        Adam adam,
        Tensor observations,
        Tensor actions,
        Generator generator,
        Precision precision
    )
    {
        using var products = MixedPrecision.Use(precision);
        adam.ZeroGradients();
        DenoisingLoss.Draw(model, actions, observations, generator).backward();
        adam.Step();
    }

    private static (Action Plain, Action<Precision> Own) CriticAndGuidance(RandomStreams streams)
    {
        var (observations, next) = (Normal(streams, Rows, States), Normal(streams, Rows, States));
        var actions = Normal(streams, Rows, Actions).clamp(-1, 1);
        var (support, nextSupport) = (
            Normal(streams, Rows, Support, Actions).clamp(-1, 1),
            Normal(streams, Rows, Support, Actions).clamp(-1, 1)
        );
        var (rewards, terminated) = (Normal(streams, Rows), zeros(Rows));

        var (q1, q2, t1, t2) = (PlainQ(), PlainQ(), PlainQ(), PlainQ());
        t1.load_state_dict(q1.state_dict());
        t2.load_state_dict(q2.state_dict());
        var guide = new PlainTorchPolicy.GuidanceNet(States, Actions);
        var criticAdam = optim.Adam(q1.parameters().Concat(q2.parameters()), 3e-4);
        var guideAdam = optim.Adam(guide.parameters(), 3e-4);

        var (critic, target) = (
            new TwinQ(Actions, States, streams["weights"]),
            new TwinQ(Actions, States, streams["weights"])
        );
        target.CopyFrom(critic);
        var packed = new PackedCritic(target, null);
        var energy = new ConditionalEnergyNetwork(Actions, States, streams["weights"]);
        var ownCritic = new Adam(critic.NamedParameters(), new() { LearningRate = 3e-4 });
        var ownEnergy = new Adam(energy.NamedParameters(), new() { LearningRate = 3e-4 });
        var schedule = new LinearSchedule();
        return (Plain, Own);

        (Tensor S, Tensor A, Tensor R, Tensor S2, Tensor D, Tensor F, Tensor F2) Next()
        {
            var rows = Drawn(Batch, streams);
            return (
                observations.index_select(0, rows),
                actions.index_select(0, rows),
                rewards.index_select(0, rows),
                next.index_select(0, rows),
                terminated.index_select(0, rows),
                support.index_select(0, rows),
                nextSupport.index_select(0, rows)
            );
        }

        Tensor Least(Sequential first, Sequential second, Tensor s, Tensor f)
        {
            var rows = cat([f, s.unsqueeze(1).expand(-1, Support, -1)], -1);
            return minimum(first.call(rows), second.call(rows)).squeeze(-1);
        }

        void Plain()
        {
            using var step = NewDisposeScope();
            var (s, a, r, s2, d, f, f2) = Next();
            Tensor y,
                labels;
            using (no_grad())
            {
                var q = Least(t1, t2, s2, f2);
                y = r + (1 - d) * Discount * (nn.functional.softmax(CriticBeta * q, 1) * q).sum(1);
            }
            var rows = cat([a, s], -1);
            var (first, second) = (q1.call(rows).squeeze(-1), q2.call(rows).squeeze(-1));
            var loss = (nn.functional.mse_loss(first, y) + nn.functional.mse_loss(second, y)) / 2;
            criticAdam.zero_grad();
            loss.backward();
            criticAdam.step();
            using (no_grad())
            {
                foreach (
                    var (slow, fast) in t1.parameters()
                        .Concat(t2.parameters())
                        .Zip(q1.parameters().Concat(q2.parameters()))
                )
                {
                    slow.mul_(1 - TargetRate).add_(fast * TargetRate);
                }
                labels = nn.functional.softmax(Beta * Least(t1, t2, s, f), 1);
            }
            var t = (rand(Batch) * (1 - 1e-3) + 1e-3).unsqueeze(1).expand(Batch, Support);
            var z = randn(f.shape);
            var (alpha, sigma) = PlainTorch.Marginal(t);
            var at = f * alpha.unsqueeze(-1) + z * sigma.unsqueeze(-1);
            var value = guide.call(at, t, s.unsqueeze(1).expand(-1, Support, -1)).squeeze(-1);
            var contrast = -(labels * nn.functional.log_softmax(value, 1)).sum(1).mean();
            guideAdam.zero_grad();
            contrast.backward();
            guideAdam.step();
        }

        void Own(Precision precision)
        {
            using var step = NewDisposeScope();
            var (s, a, r, s2, d, f, f2) = Next();
            Tensor y,
                energies;
            using (no_grad())
            {
                y = InSupportSoftmax.Target(r, d, InSupportSoftmax.Value(packed.Values(f2, s2), CriticBeta), Discount);
            }
            var (first, second) = critic.Both(a, s);
            var loss = ((first - y).square().mean() + (second - y).square().mean()) / 2;
            ownCritic.ZeroGradients();
            loss.backward();
            ownCritic.Step();
            target.Follow(critic, TargetRate);
            packed = new(target, null);
            using (no_grad())
            {
                energies = -packed.Values(f, s);
            }
            using var products = MixedPrecision.Use(precision);
            var contrast = ActionGuidance.Contrastive(
                new()
                {
                    Network = energy,
                    Schedule = schedule,
                    FirstTime = 1e-3,
                    Observations = s,
                    Support = f,
                    Energies = energies,
                    Actions = a,
                    ActionEnergies = () => throw new NotSupportedException(),
                    Betas = full([Batch], Beta, dtype: ScalarType.Float32),
                    HasDial = false,
                    Generator = streams["noise"],
                }
            );
            ownEnergy.ZeroGradients();
            contrast.backward();
            ownEnergy.Step();
        }
    }

    /// <summary>Evaluation loss of the behavior step in fp32 and bf16 from the same draws, two seeds.</summary>
    public static void Curves(string[] args)
    {
        var steps = Arguments.Count(args, "steps", 1200);
        Console.WriteLine("evaluation loss of W3, fp32 / bf16, same draws, evaluated in fp32");
        for (var seed = 0; seed < 2; seed++)
        {
            using var scope = NewDisposeScope();
            var exact = Curve(seed, Precision.Float32, steps, args);
            var mixed = Curve(seed, Precision.BFloat16, steps, args);
            foreach (var (one, other) in exact.Zip(mixed))
            {
                Console.WriteLine(
                    $"  seed {seed}  step {one.Step, 5}   {one.Loss:f4} / {other.Loss:f4}   difference {other.Loss - one.Loss, 8:f4}"
                );
            }
        }
    }

    private static List<(int Step, double Loss)> Curve(long seed, Precision precision, int steps, string[] args)
    {
        const int Points = 6;
        const int HeldOut = 20_000;
        using var streams = new RandomStreams(seed);
        using var recorded = args.Length > 1 ? RecordedSteps.Open(args[1]) : MadeUp();
        var data = TransitionDataset.FromSteps(recorded, new() { EpisodeSteps = 1000 });
        using var batches = new MinibatchSampler(data, 1024, streams);
        using var held = new MinibatchSampler(data, HeldOut, streams, "held out");
        var network = new ResidualScoreNetwork(data.ActionSize, data.ObservationSize, streams["weights"]);
        var adam = new Adam(network.NamedParameters(), new() { LearningRate = 1e-4 });
        var model = new NoiseModel(network, new LinearSchedule());
        var evaluation = held.Next();
        var curve = new List<(int, double)>();
        for (var i = 1; i <= steps; i++)
        {
            using var step = NewDisposeScope();
            var batch = batches.Next();
            BehaviorStep(model, adam, batch.Observations, batch.Actions, streams["noise"], precision);
            if (i % Math.Max(1, steps / Points) == 0)
            {
                using var _ = no_grad();
                curve.Add(
                    (
                        i,
                        DenoisingLoss
                            .Draw(model, evaluation.Actions, evaluation.Observations, new Generator(12345))
                            .ToDouble()
                    )
                );
            }
        }
        return curve;
    }

    /// <summary>Actions that depend on the state and have two modes.</summary>
    private static RecordedSteps MadeUp()
    {
        const int Count = 50_000;
        var random = new Random(1);
        var (s, a) = (new float[Count * States], new float[Count * Actions]);
        for (var i = 0; i < Count; i++)
        {
            for (var j = 0; j < States; j++)
            {
                s[i * States + j] = (float)(2 * random.NextDouble() - 1);
            }
            var side = random.Next(2) == 0 ? -0.5f : 0.5f;
            for (var j = 0; j < Actions; j++)
            {
                a[i * Actions + j] = side * MathF.Cos(3 * s[i * States + j]) + 0.1f * (random.NextSingle() - 0.5f);
            }
        }
        return RecordedSteps.FromArrays(s, a, new float[Count], new bool[Count], new bool[Count]);
    }

    private static Sequential PlainQ() =>
        nn.Sequential(
            nn.Linear(States + Actions, 256),
            nn.ReLU(),
            nn.Linear(256, 256),
            nn.ReLU(),
            nn.Linear(256, 256),
            nn.ReLU(),
            nn.Linear(256, 1)
        );

    private static Tensor Normal(RandomStreams streams, params long[] shape) =>
        randn(shape, generator: streams["data"]);

    private static Tensor Drawn(int count, RandomStreams streams) =>
        randint(Rows, [count], dtype: ScalarType.Int64, generator: streams["minibatches"]);
}
