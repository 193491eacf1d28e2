using System.Text.Json.Serialization;
using Tilt.Energy;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Sampling;

namespace Tilt.Toys;

/// <summary>How the intermediate energy is had: learned by one of three losses, or back-propagated through the noise model.</summary>
public enum GuidanceMethod
{
    /// <summary>Contrastive energy prediction: exact.</summary>
    Cep,

    /// <summary>Regression onto β·E: not exact.</summary>
    Mse,

    /// <summary>Regression onto exp(−β·E): exact in theory, hard to reach.</summary>
    Emse,

    /// <summary>Diffusion posterior sampling, β·E(x̂₀(x_t)): nothing to learn, not exact.</summary>
    Dps,
}

/// <summary>Which networks are trained.</summary>
public enum PlaneNetworks
{
    /// <summary>Small preconditioned ones; the energy is the cumulant function of predicted labels, so β is a dial.</summary>
    Compact,

    /// <summary>The authors': 4 × 512, one energy network for each β.</summary>
    Paper,
}

/// <summary>How contrastive labels are normalized.</summary>
public enum ContrastiveLabels
{
    /// <summary>By a constant, log Z of the data: exact for every batch size.</summary>
    Unbiased,

    /// <summary>Over the batch, as the authors' code does: biased by O(1/K).</summary>
    SelfNormalized,
}

/// <summary>Everything that decides a run of the 2-D experiment. The defaults are the preset <c>quick</c>, which is ours.</summary>
/// <remarks><see cref="Paper"/> has the authors' numbers (cep.md §9–13).</remarks>
public sealed record Cep2dOptions : ICheckedOptions
{
    /// <summary>A data set of <see cref="ToyDatasets.Labelled"/>.</summary>
    public string Task { get; init; } = "8gaussians";

    /// <summary>The methods to train energies for, after the one noise model that they share.</summary>
    public IReadOnlyList<GuidanceMethod> Methods { get; init; } = [GuidanceMethod.Cep];

    /// <summary>The preset that these options started from.</summary>
    public string Preset { get; init; } = "quick";

    /// <summary>The seed of all random streams.</summary>
    public long Seed { get; init; }

    /// <summary>β that the energies are trained at, or null to train one energy for every β up to <see cref="BetaMax"/>.</summary>
    public double? Beta { get; init; }

    /// <summary>The end of the dial: the largest β that is trained when <see cref="Beta"/> is null.</summary>
    /// <value>20, the largest of the paper's figures; less where the data cannot represent it.</value>
    public double BetaMax { get; init; } = 20;

    /// <summary>Points in the training pool; 0 draws every batch afresh.</summary>
    /// <value>0 (paper: 1 000 000).</value>
    public long Pool { get; init; }

    /// <summary>Which networks.</summary>
    public PlaneNetworks Networks { get; init; } = PlaneNetworks.Compact;

    /// <summary>Sizes of the compact noise network.</summary>
    public CompactOptions NoiseNetwork { get; init; } = new() { Width = 96 };

    /// <summary>Sizes of the compact energy network.</summary>
    public CompactOptions EnergyNetwork { get; init; } = new() { Width = 64 };

    /// <summary>Gradient steps of the noise model.</summary>
    /// <value>5 000 (paper: 371 151).</value>
    public long NoiseSteps { get; init; } = 5000;

    /// <summary>Points per step of the noise model.</summary>
    /// <value>1024 (paper: 2048).</value>
    public long NoiseBatch { get; init; } = 1024;

    /// <summary>Highest learning rate of the noise model.</summary>
    /// <value>5e-3 (paper: 1e-4).</value>
    public double NoiseLearningRate { get; init; } = 5e-3;

    /// <summary>The earliest t that the noise model is trained at.</summary>
    /// <value>1e-3 (code).</value>
    public double NoiseFirstTime { get; init; } = 1e-3;

    /// <summary>Gradient steps of each energy.</summary>
    /// <value>6 000 (paper: 371 151).</value>
    public long EnergySteps { get; init; } = 6000;

    /// <summary>Points per step of an energy.</summary>
    /// <value>1024 (paper: 2048).</value>
    public long EnergyBatch { get; init; } = 1024;

    /// <summary>Contrast sets per step, each with a β of its own on the dial; K is the batch divided by this.</summary>
    /// <value>8 (paper: 1).</value>
    public long ContrastSets { get; init; } = 8;

    /// <summary>Highest learning rate of an energy.</summary>
    /// <value>5e-3 (paper: 3e-4).</value>
    public double EnergyLearningRate { get; init; } = 5e-3;

    /// <summary>The earliest t that an energy is trained at.</summary>
    /// <value>1e-3, where sampling ends (code: 1e-5).</value>
    public double EnergyFirstTime { get; init; } = 1e-3;

    /// <summary>How contrastive labels are normalized.</summary>
    /// <value>Unbiased (code: self-normalized).</value>
    public ContrastiveLabels Labels { get; init; } = ContrastiveLabels.Unbiased;

    /// <summary>Whether a contrast set has one t, as the authors' batches have, or every point its own.</summary>
    /// <value>False (code: true). Both are exact (cep.md §4.2).</value>
    public bool OneTimePerSet { get; init; }

    /// <summary>Whether contrast sets hold neighboring times and count by how little x_t tells there, so that all levels count alike.</summary>
    /// <value>True (code: false). Not with <see cref="OneTimePerSet"/>, whose sets are not sorted.</value>
    public bool WeighLevels { get; init; } = true;

    /// <summary>Share of times that are drawn uniformly in λ; the others are uniform in t.</summary>
    /// <value>0.5 (code: 0).</value>
    public double LogSnrShare { get; init; } = 0.5;

    /// <summary>R, further clean points over which training targets are averaged; 0 trains on single targets.</summary>
    /// <value>256 (paper: 0). See <see cref="Diffusion.PosteriorAverage"/>: less scatter, the same optimum.</value>
    public long References { get; init; } = 256;

    /// <summary>Whether learning rates fall to 0 along half a cosine after 100 steps of warm-up, or stay.</summary>
    /// <value>True (code: false).</value>
    public bool LearningRateDecay { get; init; } = true;

    /// <summary>Decay of the averaged weights that are sampled from; 0 samples from the weights themselves.</summary>
    /// <value>0.999 (code: 0).</value>
    public double AverageDecay { get; init; } = 0.999;

    /// <summary>Number format of the products of hidden layers in training; sampling and certificates are always in float32.</summary>
    /// <value>
    /// float32: products as small as the compact networks' gain nothing from bf16. The preset <c>paper</c> takes bf16 where the processor
    /// multiplies it natively. Resolved when a run begins and kept on resume.
    /// </value>
    public Precision Precision { get; init; } = Precision.Float32;

    /// <summary>How samples are drawn.</summary>
    public SamplerOptions Sampler { get; init; } = QuickSampler;

    /// <summary>DPM-Solver of order 2 in its noise form on the logSNR grid: 24 evaluations, and one that estimates x₀ at the last level.</summary>
    /// <remarks>
    /// Without the last estimate samples keep the noise of t = 1e-3. That is little, but a set with sharp edges (checkerboard) shows it
    /// at β = 10 in the mean label: 0.0074 off without it, 0.0007 with it, by exact guidance and exact noise.
    /// </remarks>
    private static SamplerOptions QuickSampler { get; } =
        new()
        {
            Solver = "dpm-solver-2m",
            Evaluations = 24,
            Spacing = TimeSpacing.LogSnr,
            DenoiseToZero = true,
        };

    /// <summary>The names of the presets.</summary>
    public static IReadOnlyList<string> Presets { get; } = ["quick", "paper"];

    /// <summary>The authors' experiment: networks, pool, steps, rates, sampler (cep.md §9–13). One β per run.</summary>
    public static Cep2dOptions Paper { get; } =
        new()
        {
            Preset = "paper",
            Precision = Precision.Auto,
            Beta = 3,
            Pool = 1_000_000,
            Networks = PlaneNetworks.Paper,
            NoiseSteps = 371_151,
            NoiseBatch = 2048,
            NoiseLearningRate = 1e-4,
            EnergySteps = 371_151,
            EnergyBatch = 2048,
            ContrastSets = 1,
            EnergyLearningRate = 3e-4,
            EnergyFirstTime = 1e-5,
            Labels = ContrastiveLabels.SelfNormalized,
            OneTimePerSet = true,
            WeighLevels = false,
            LogSnrShare = 0,
            References = 0,
            LearningRateDecay = false,
            AverageDecay = 0,
            Sampler = SamplerOptions.Cep2d,
        };

    /// <summary>The preset of that name for a task.</summary>
    /// <param name="preset">One of <see cref="Presets"/>.</param>
    /// <param name="task">A labelled data set.</param>
    /// <exception cref="TiltException">Either is unknown; the message suggests the nearest.</exception>
    public static Cep2dOptions For(string preset, string task)
    {
        var set = FindTask(task);
        var options = preset switch
        {
            "quick" => new Cep2dOptions(),
            "paper" => Paper,
            _ => throw Suggest.Unknown("preset", preset, [.. Presets]),
        };
        return (options with { Task = set.Name, Precision = options.Precision.Resolve() }).LimitedByData();
    }

    /// <summary>The labelled data set of that name.</summary>
    /// <exception cref="TiltException">There is none; the message suggests the nearest.</exception>
    public static ToyDataset FindTask(string task) =>
        ToyDatasets.Labelled.FirstOrDefault(set => set.Name.Equals(task, StringComparison.OrdinalIgnoreCase))
        ?? throw Suggest.Unknown("task", task, [.. ToyDatasets.Labelled.Select(set => set.Name)]);

    /// <summary>Points that an energy is trained on: the pool, or all fresh draws together.</summary>
    [JsonIgnore]
    public long TrainingPoints => Pool > 0 ? Pool : Math.Max(1, EnergySteps * EnergyBatch);

    /// <summary>The largest β that these data can represent: where 1000 effective points remain (toy2d.md §4.1).</summary>
    [JsonIgnore]
    public double DataLimit => FindTask(Task).LargestBeta(TrainingPoints, EnergyDial.DefaultRequiredPoints);

    /// <summary>The range of β that the energies are valid for.</summary>
    [JsonIgnore]
    public EnergyDial Dial =>
        Beta is { } only ? new(only * (1 - 1e-12), only * (1 + 1e-12), DataLimit) : new(0, BetaMax, DataLimit);

    /// <summary>These options with the dial ending, at the latest, where the data end.</summary>
    public Cep2dOptions LimitedByData()
    {
        if (Beta is not null || BetaMax <= DataLimit)
        {
            return this;
        }
        // A tenth is fine enough to say where the data end.
        var end = Math.Floor(DataLimit * 10) / 10;
        return end > 0
            ? this with
            {
                BetaMax = end,
            }
            : throw TiltException.Usage(
                $"steps and batches: found {TrainingPoints} training points in all, which leave fewer than "
                    + $"{EnergyDial.DefaultRequiredPoints:0} effective ones at any beta; expected more. Raise --steps, 'energyBatch' or 'pool'."
            );
    }

    /// <inheritdoc/>
    public void Check()
    {
        _ = FindTask(Task);
        Require(Methods.Count > 0, "methods", "none", "at least one of cep, mse, emse, dps");
        Require(Methods.Distinct().Count() == Methods.Count, "methods", string.Join(", ", Methods), "each method once");
        Require(
            Beta is null or (> 0 and < 1e4),
            "beta",
            $"{Beta}",
            "a number above 0 and below 10000: at 0 nothing guides"
        );
        Require(BetaMax is > 0 and <= 1e4, "betaMax", $"{BetaMax}", "a number above 0 and up to 10000");
        Require(
            Networks == PlaneNetworks.Compact || Beta is not null,
            "beta",
            "none",
            "a number: the paper's networks are trained for one β"
        );
        RequireCount(NoiseSteps, "noiseSteps", 0, 100_000_000);
        RequireCount(EnergySteps, "energySteps", 0, 100_000_000);
        RequireCount(NoiseBatch, "noiseBatch", 1, 1 << 22);
        RequireCount(EnergyBatch, "energyBatch", 2, 1 << 22);
        RequireCount(ContrastSets, "contrastSets", 1, EnergyBatch / 2);
        Require(
            EnergyBatch % ContrastSets == 0,
            "contrastSets",
            $"{ContrastSets}",
            $"a divisor of the batch of {EnergyBatch}"
        );
        Require(
            !(WeighLevels && OneTimePerSet),
            "weighLevels",
            "true with oneTimePerSet",
            "false: a set with one time is not sorted among others"
        );
        RequireCount(References, "references", 0, 1 << 16);
        Require(
            References == 0 || Labels == ContrastiveLabels.Unbiased,
            "references",
            $"{References} with self-normalized labels",
            "0, or unbiased labels: an average of labels that depend on the draw is not exact"
        );
        Require(
            Pool == 0 || Pool >= Math.Max(NoiseBatch, EnergyBatch),
            "pool",
            $"{Pool}",
            $"0, or at least one batch of {Math.Max(NoiseBatch, EnergyBatch)}"
        );
        Require(
            NoiseLearningRate > 0 && EnergyLearningRate > 0,
            "learning rates",
            $"{NoiseLearningRate}, {EnergyLearningRate}",
            "numbers above 0"
        );
        Require(
            NoiseFirstTime is > 0 and < 1 && EnergyFirstTime is > 0 and < 1,
            "first times",
            $"{NoiseFirstTime}, {EnergyFirstTime}",
            "numbers between 0 and 1"
        );
        Require(LogSnrShare is >= 0 and <= 1, "logSnrShare", $"{LogSnrShare}", "a number from 0 to 1");
        Require(AverageDecay is >= 0 and < 1, "averageDecay", $"{AverageDecay}", "a number in [0, 1)");
        Require(
            !LearningRateDecay || (NoiseSteps is 0 or > WarmUpSteps && EnergySteps is 0 or > WarmUpSteps),
            "steps",
            $"{NoiseSteps}, {EnergySteps}",
            $"0 or more than the {WarmUpSteps} steps of warm-up"
        );
        RequireSizes(NoiseNetwork, "noiseNetwork");
        RequireSizes(EnergyNetwork, "energyNetwork");
        Sampler.Validate(new LinearSchedule());
    }

    /// <summary>Steps over which learning rates rise.</summary>
    public const long WarmUpSteps = 100;

    private static void RequireSizes(CompactOptions sizes, string name)
    {
        RequireCount(sizes.Width, $"{name}.width", 1, 8192);
        RequireCount(sizes.Depth, $"{name}.depth", 1, 64);
        RequireCount(sizes.Atoms, $"{name}.atoms", 2, 4096);
        RequireCount(sizes.PositionFrequencies, $"{name}.positionFrequencies", 0, 4096);
        Require(
            sizes.DataScale > 0 && sizes.PositionScale >= 0,
            $"{name}",
            $"dataScale {sizes.DataScale}, positionScale {sizes.PositionScale}",
            "scales above 0"
        );
    }

    private static void RequireCount(long found, string option, long least, long most) =>
        Require(found >= least && found <= most, option, $"{found}", $"a whole number from {least} to {most}");

    private static void Require(bool fine, string option, string found, string expected)
    {
        if (!fine)
        {
            throw TiltException.Usage($"option '{option}': found {found}; expected {expected}.");
        }
    }
}

/// <summary>How <see cref="Cep2dOptions"/> are written as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    UseStringEnumConverter = true,
    WriteIndented = true
)]
[JsonSerializable(typeof(Cep2dOptions))]
public sealed partial class Cep2dJson : JsonSerializerContext;
