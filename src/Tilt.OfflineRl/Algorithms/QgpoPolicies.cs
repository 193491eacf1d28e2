using Tilt.Diffusion;
using Tilt.Inference;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Sampling;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>What leaves a QGPO model and what comes into it: saved policies, samplers of its behavior, the behavior of another run.</summary>
internal static class QgpoPolicies
{
    /// <summary>A policy with the weights that are sampled from: the averaged ones, where the run keeps averages.</summary>
    /// <param name="model">Whose networks.</param>
    /// <param name="method">A method that learns an energy; null for the behavior model.</param>
    /// <param name="sampler">How actions are sampled.</param>
    /// <param name="clip">Whether they are moved into the box at the end.</param>
    /// <param name="notes">Texts for people.</param>
    public static PolicyFile Save(
        QgpoModel model,
        string? method,
        SamplerOptions sampler,
        bool clip,
        IReadOnlyDictionary<string, string>? notes = null
    )
    {
        using var streams = new RandomStreams(0);
        using var copies = new QgpoModel(
            model.Options with
            {
                AverageDecay = 0,
            },
            model.ObservationSize,
            model.ActionSize,
            method is null ? [] : [ActionGuidance.Named(method) with { Loss = _ => throw new NotSupportedException() }],
            streams
        );
        Copy("behavior", model.Behavior, copies.Behavior);
        var energy = method is null ? null : copies.Energy(method);
        if (energy is not null)
        {
            Copy(method!, model.Energy(method!), energy);
        }
        var record = new PolicyRecord
        {
            Task = model.Options.Task,
            ObservationDimensions = model.ObservationSize,
            ActionDimensions = model.ActionSize,
            Schedule = NoiseSchedules.Describe(model.Schedule),
            Parametrization = model.NoiseModel.Parametrization,
            FirstTime = model.NoiseModel.FirstTime,
            ScoreNetwork = PolicyNetwork.ResidualScore,
            Guidance = energy switch
            {
                null => null,
                EnergyNetwork dial => new()
                {
                    Network = PolicyNetwork.Energy,
                    Beta = model.Options.Beta,
                    MaximumBeta = dial.MaximumBeta,
                },
                _ => new() { Network = PolicyNetwork.ConditionalEnergy, Beta = model.Options.Beta },
            },
            Solver = PolicySolver.Of(sampler.Solver, Sampler.Plan(model.Schedule, sampler)),
            ObservationMean = model.Normalizer?.Mean,
            ObservationDeviation = model.Normalizer?.Deviation,
            ActionLow = [.. model.ActionBox.Low],
            ActionHigh = [.. model.ActionBox.High],
            ClipActions = clip,
            Notes = notes ?? new SortedDictionary<string, string>(),
        };
        return new(record, PolicyTensors.Of(copies.Behavior, energy));

        void Copy(string name, Network from, Network to)
        {
            to.CopyFrom(from);
            model.AverageOf(name)?.CopyTo(to);
        }
    }

    /// <summary>Draws support actions from μ_θ, not clipped, in the run's precision; and what tells the drawing from others.</summary>
    /// <param name="model">Whose μ_θ.</param>
    /// <param name="sampler">How.</param>
    /// <param name="count">K.</param>
    public static (SupportSampler Sampler, string Identity) BehaviorSampler(
        QgpoModel model,
        SamplerOptions sampler,
        int count
    )
    {
        var file = Save(model, null, sampler, clip: false);
        if (model.Options.Precision.Resolve() != Precision.BFloat16)
        {
            var kernels = model.Options.Kernels ?? Inference.Processor.Lanes;
            var policy = new Policy(file, new() { Lanes = kernels, Threads = get_num_threads() });
            return (policy.Sample, $"{file.Hash()} float32 {kernels}");
        }
        var network = new ResidualScoreNetwork(
            model.ActionSize,
            model.ObservationSize,
            model.Options.BehaviorNetwork,
            new Generator(0)
        );
        network.CopyFrom(model.Behavior);
        model.AverageOf("behavior")?.CopyTo(network);
        var candidates = new CandidateNoise(
            new(network, model.Schedule, model.NoiseModel.Parametrization, model.NoiseModel.FirstTime),
            count,
            Precision.BFloat16
        );
        return (Draw, $"{file.Hash()} bf16 {get_num_threads()} threads");

        void Draw(ReadOnlySpan<float> observations, int each, long seed, Span<float> actions)
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator((ulong)seed);
            var states = observations.Length / model.ObservationSize;
            var seen = model.Seen(tensor(observations.ToArray(), [states, model.ObservationSize]));
            var xT = Sampler.Normal([states * each, model.ActionSize], ScalarType.Float32, null, generator);
            var drawn = Sampler.Sample(candidates.Given(seen), xT, model.Schedule, sampler, null);
            drawn.contiguous().data<float>().CopyTo(actions);
        }
    }

    /// <summary>Takes over the behavior model of a finished run.</summary>
    /// <param name="model">Where it goes.</param>
    /// <param name="run">Its folder.</param>
    /// <param name="hash">Its hash as it was when this run began; null where it begins now.</param>
    /// <param name="dataSha256">Hash of this run's data.</param>
    /// <exception cref="TiltException">The run is not finished, of other data or another make, or its model has changed.</exception>
    public static void TakeBehavior(QgpoModel model, string run, string? hash, string dataSha256)
    {
        var reader = RunReader.Open(run);
        using var source = QgpoModel.Load(run);
        Require(reader.Status()?.State == "finished", "is not finished", "Let it end first.");
        Require(
            reader.Manifest.Data.Any(data => data.Sha256 == dataSha256),
            "was trained on other data",
            "Take a run on the same data, or train a behavior model."
        );
        var (own, theirs) = (model.Options, source.Options);
        Require(
            own.BehaviorNetwork == theirs.BehaviorNetwork
                && own.FirstTime == theirs.FirstTime
                && own.NormalizeObservations == theirs.NormalizeObservations,
            "has another behaviorNetwork, firstTime or normalizeObservations",
            "Give this run the same."
        );
        Require(hash is null || source.BehaviorHash == hash, "has changed since this run began", "Begin a new run.");
        model.TakeBehavior(source.Behavior);

        void Require(bool fine, string found, string remedy)
        {
            if (!fine)
            {
                throw TiltException.Usage($"behavior model of {run}: that run {found}. {remedy}");
            }
        }
    }
}
