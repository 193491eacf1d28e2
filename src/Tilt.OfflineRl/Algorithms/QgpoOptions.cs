using System.Text.Json.Serialization;
using Tilt.Diffusion;
using Tilt.Inference;
using Tilt.Networks;
using Tilt.OfflineRl.Data;
using Tilt.Runs;
using Tilt.Sampling;

namespace Tilt.OfflineRl.Algorithms;

/// <summary>Everything that decides a run of QGPO. The defaults are the authors' (code); <see cref="For"/> applies presets and tasks.</summary>
public sealed record QgpoOptions : ICheckedOptions
{
    /// <summary>The data set's name, such as <c>hopper-medium-replay</c>; it also names the environment, where there is one.</summary>
    public string Task { get; init; } = "data";

    /// <summary>The preset that these options started from.</summary>
    public string Preset { get; init; } = "paper";

    /// <summary>The ways to get the energy, after the one behavior model and the one critic that they share; the first is the policy's.</summary>
    /// <value>cep.</value>
    public IReadOnlyList<string> Methods { get; init; } = ["cep"];

    /// <summary>The seed of all random streams.</summary>
    public long Seed { get; init; }

    /// <summary>What is done to rewards first, a name of <see cref="RewardTunings"/>.</summary>
    /// <value>iql-locomotion for locomotion, iql-antmaze for AntMaze (code); quick and demo: episode-range for locomotion.</value>
    public string RewardTuning { get; init; } = "none";

    /// <summary>Whether rewards of antmaze-medium-play-v2 that lie where no goal is are taken away (<see cref="RecordedSteps.WithAntMazeMediumPlayFix"/>).</summary>
    /// <value>False (code).</value>
    public bool FixMediumPlayGoals { get; init; }

    /// <summary>Whether networks see (s − mean)/deviation of the data.</summary>
    /// <value>False (code). quick and demo: true.</value>
    public bool NormalizeObservations { get; init; }

    /// <summary>Widths of the behavior network.</summary>
    /// <value>512, 256, 128 (code). quick and demo: half of each.</value>
    public ResidualScoreShape BehaviorNetwork { get; init; } = new();

    /// <summary>The folder of a finished run on the same data whose behavior model is taken over instead of training one; null for none.</summary>
    /// <value>null. With it <see cref="BehaviorSteps"/> is 0, and the support actions are found in the cache where that run's are kept.</value>
    public string? BehaviorFrom { get; init; }

    /// <summary>SHA-256 of the behavior model that was taken over; filled in when the run begins.</summary>
    public string? BehaviorSha256 { get; init; }

    /// <summary>Gradient steps of the behavior model.</summary>
    /// <value>600 000 (code). quick: 16 000, demo: 6 000.</value>
    public long BehaviorSteps { get; init; } = 600_000;

    /// <summary>Transitions per step of the behavior model.</summary>
    /// <value>4096 (code). quick and demo: 512.</value>
    public int BehaviorBatch { get; init; } = 4096;

    /// <summary>Learning rate of the behavior model: the highest, where it decays.</summary>
    /// <value>1e-4 (code). quick and demo: 1e-3.</value>
    public double BehaviorLearningRate { get; init; } = 1e-4;

    /// <summary>The earliest t that is trained, by the behavior model and by energies; where sampling ends.</summary>
    /// <value>1e-3 (code).</value>
    public double FirstTime { get; init; } = 1e-3;

    /// <summary>Whether learning rates of behavior and energies fall to 0 along half a cosine, or stay.</summary>
    /// <value>False (code). quick and demo: true.</value>
    public bool LearningRateDecay { get; init; }

    /// <summary>Decay of the averaged weights that are sampled from, of behavior and energies; 0 samples from the weights themselves.</summary>
    /// <value>0 (code). quick: 0.999, demo: 0.995.</value>
    public double AverageDecay { get; init; }

    /// <summary>K, the support actions drawn per state from the behavior model, once, before the critic trains.</summary>
    /// <value>16; AntMaze tasks use 32 (code).</value>
    public int SupportActions { get; init; } = 16;

    /// <summary>How support actions are drawn.</summary>
    /// <value>DPM-Solver++ singlestep, order 2, 15 evaluations, uniform in t (code). quick and demo: 10 evaluations.</value>
    public SamplerOptions SupportSampler { get; init; } = SamplerOptions.CepRl;

    /// <summary>Whether support actions are moved into the action box before anything looks at them.</summary>
    /// <value>False (code). quick and demo: true.</value>
    public bool ClipSupport { get; init; }

    /// <summary>How many of the K support actions a backup looks at, drawn anew each step.</summary>
    /// <value>All of them (code). quick and demo: half.</value>
    public int BackupActions { get; init; } = 16;

    /// <summary>β_Q of the in-support softmax backup.</summary>
    /// <value>1 for locomotion (the authors' example), 3 for AntMaze (code's default: the same as β).</value>
    public double CriticBeta { get; init; } = 1;

    /// <summary>γ.</summary>
    /// <value>0.99 (code).</value>
    public double Discount { get; init; } = 0.99;

    /// <summary>The share that the target critic moves toward the critic at every step.</summary>
    /// <value>0.005 (code). quick and demo: 0.01, so that 100 backups of a chain pass in half the steps.</value>
    public double TargetRate { get; init; } = 0.005;

    /// <summary>Gradient steps of the critic.</summary>
    /// <value>500 000 (code). quick: 25 000, demo: 13 000.</value>
    public long CriticSteps { get; init; } = 500_000;

    /// <summary>Learning rate of the critic.</summary>
    /// <value>3e-4 (code).</value>
    public double CriticLearningRate { get; init; } = 3e-4;

    /// <summary>Transitions per step of critic and energies.</summary>
    /// <value>256 (code). quick and demo: 128.</value>
    public int Batch { get; init; } = 256;

    /// <summary>
    /// Whether energies train beside the critic, on its moving labels, and then go on alone; or after it, on labels computed once.
    /// </summary>
    /// <value>True (code). quick and demo: false, since steps on a moving critic teach what is forgotten later.</value>
    public bool Interleaved { get; init; } = true;

    /// <summary>Gradient steps of each energy; where interleaved, <see cref="CriticSteps"/> of them beside the critic.</summary>
    /// <value>1 000 000 (code). quick: 10 000, demo: 4 000.</value>
    public long GuidanceSteps { get; init; } = 1_000_000;

    /// <summary>Learning rate of the energies: the highest, where it decays.</summary>
    /// <value>3e-4 (code). quick and demo: 1e-3.</value>
    public double GuidanceLearningRate { get; init; } = 3e-4;

    /// <summary>β that the policy tilts the behavior by: π ∝ μ·exp(β·Q). Where there is a dial, what it is set to unless told otherwise.</summary>
    /// <value>3 (code).</value>
    public double Beta { get; init; } = 3;

    /// <summary>The end of the β dial: energies are told β, drawn uniformly from 0 to this; null trains for <see cref="Beta"/> alone.</summary>
    /// <value>null (code).</value>
    public double? BetaMax { get; init; }

    /// <summary>How actions are sampled.</summary>
    /// <value>DPM-Solver++ singlestep, order 2, 15 evaluations, uniform in t (code).</value>
    public SamplerOptions Sampler { get; init; } = SamplerOptions.CepRl;

    /// <summary>Number format of the products of hidden layers while behavior and energies train and support is drawn; critics are float32.</summary>
    /// <value>bf16 where the processor multiplies it natively. Resolved when a run begins and kept on resume.</value>
    public Precision Precision { get; init; } = Precision.Auto;

    /// <summary>The vectors of the float32 kernels that draw support actions and act; null for the processor's widest.</summary>
    /// <value>Resolved when a run begins and kept on resume, for other vectors sum in another order.</value>
    public LaneWidth? Kernels { get; init; }

    /// <summary>The names of the presets.</summary>
    public static IReadOnlyList<string> Presets { get; } = ["quick", "demo", "paper"];

    /// <summary>The options of a preset for a task, with precision and kernels resolved for this processor.</summary>
    /// <param name="preset">One of <see cref="Presets"/>.</param>
    /// <param name="task">The data set's name.</param>
    /// <exception cref="TiltException">There is no such preset; the message suggests the nearest.</exception>
    public static QgpoOptions For(string preset, string task)
    {
        var options = TaskDefaults.Apply(new QgpoOptions { Task = task, Preset = preset }, task);
        options = preset switch
        {
            "paper" => options,
            "quick" => Smaller(options, 16_000, 512, 25_000, 10_000, 0.999),
            "demo" => Smaller(options, 6_000, 512, 13_000, 4_000, 0.995),
            _ => throw Suggest.Unknown("preset", preset, Presets),
        };
        return options with { Precision = options.Precision.Resolve(), Kernels = Inference.Processor.Lanes };
    }

    /// <summary>What the small presets change; docs/algorithms/qgpo.md gives the reasons.</summary>
    private static QgpoOptions Smaller(
        QgpoOptions paper,
        long behaviorSteps,
        int behaviorBatch,
        long criticSteps,
        long guidanceSteps,
        double averageDecay
    ) =>
        paper with
        {
            RewardTuning = paper.RewardTuning == "iql-locomotion" ? "episode-range" : paper.RewardTuning,
            NormalizeObservations = true,
            BehaviorNetwork = ResidualScoreShape.Half,
            BehaviorSteps = behaviorSteps,
            BehaviorBatch = behaviorBatch,
            BehaviorLearningRate = 1e-3,
            LearningRateDecay = true,
            AverageDecay = averageDecay,
            SupportSampler = SamplerOptions.CepRl with { Evaluations = 10 },
            ClipSupport = true,
            BackupActions = paper.SupportActions / 2,
            CriticSteps = criticSteps,
            TargetRate = 0.01,
            Batch = 128,
            Interleaved = false,
            GuidanceSteps = guidanceSteps,
            GuidanceLearningRate = 1e-3,
        };

    /// <inheritdoc/>
    public void Check()
    {
        _ = RewardTunings.Named(RewardTuning);
        Require(Methods.Count > 0, "methods", "none", $"at least one of {string.Join(", ", ActionGuidance.Names)}");
        Require(Methods.Distinct().Count() == Methods.Count, "methods", string.Join(", ", Methods), "each method once");
        foreach (var method in Methods)
        {
            _ = ActionGuidance.Named(method);
        }
        Count(BehaviorSteps, "behaviorSteps", 0);
        Count(CriticSteps, "criticSteps", 0);
        Count(GuidanceSteps, "guidanceSteps", 0);
        Count(BehaviorBatch, "behaviorBatch", 1);
        Count(Batch, "batch", 1);
        Count(SupportActions, "supportActions", 1, 4096);
        Count(BackupActions, "backupActions", 1, SupportActions);
        Require(
            SupportActions >= 2 || !Methods.Contains("cep"),
            "supportActions",
            "1",
            "at least 2 for method cep, which compares the support actions of a state with each other"
        );
        Require(
            SupportActions >= 4 && SupportActions % 2 == 0 || !Methods.Contains("cep-unbiased"),
            "supportActions",
            $"{SupportActions}",
            "an even number of at least 4 for method cep-unbiased, which labels each half by the other"
        );
        Require(
            BehaviorFrom is null || BehaviorSteps == 0,
            "behaviorSteps",
            $"{BehaviorSteps}",
            "0 where the behavior model is another run's"
        );
        Require(Beta is >= 0 and <= 1e4, "beta", $"{Beta}", "a number from 0 to 10000");
        Require(CriticBeta is >= 0 and <= 1e6, "criticBeta", $"{CriticBeta}", "a number from 0 to 1000000");
        Require(
            BetaMax is null || (BetaMax > 0 && BetaMax <= 1e4 && BetaMax >= Beta),
            "betaMax",
            $"{BetaMax}",
            $"a number from beta, {Beta}, to 10000"
        );
        Require(Discount is >= 0 and <= 1, "discount", $"{Discount}", "a number from 0 to 1");
        Require(TargetRate is > 0 and <= 1, "targetRate", $"{TargetRate}", "a number above 0 and up to 1");
        Require(AverageDecay is >= 0 and < 1, "averageDecay", $"{AverageDecay}", "a number in [0, 1)");
        Require(FirstTime is > 0 and < 1, "firstTime", $"{FirstTime}", "a number between 0 and 1");
        Require(
            BehaviorLearningRate > 0 && CriticLearningRate > 0 && GuidanceLearningRate > 0,
            "learning rates",
            $"{BehaviorLearningRate}, {CriticLearningRate}, {GuidanceLearningRate}",
            "numbers above 0"
        );
        Require(
            !Interleaved || GuidanceSteps >= CriticSteps,
            "guidanceSteps",
            $"{GuidanceSteps}",
            $"at least criticSteps, {CriticSteps}, when interleaved"
        );
        Require(
            new[]
            {
                BehaviorNetwork.Wide,
                BehaviorNetwork.Middle,
                BehaviorNetwork.Narrow,
                BehaviorNetwork.Embedding,
            }.All(width => width is >= 1 and <= 8192)
                && BehaviorNetwork.Wide >= BehaviorNetwork.Middle
                && BehaviorNetwork.Middle >= BehaviorNetwork.Narrow,
            "behaviorNetwork",
            $"{BehaviorNetwork.Wide}, {BehaviorNetwork.Middle}, {BehaviorNetwork.Narrow}, {BehaviorNetwork.Embedding}",
            "wide ≥ middle ≥ narrow, all widths from 1 to 8192"
        );
        var schedule = new LinearSchedule();
        Sampler.Validate(schedule);
        SupportSampler.Validate(schedule);

        void Count(long found, string option, long least, long most = 1_000_000_000) =>
            Require(found >= least && found <= most, option, $"{found}", $"a whole number from {least} to {most}");

        static void Require(bool fine, string option, string found, string expected)
        {
            if (!fine)
            {
                throw TiltException.Usage($"option '{option}': found {found}; expected {expected}.");
            }
        }
    }
}

/// <summary>How <see cref="QgpoOptions"/> are written as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    UseStringEnumConverter = true,
    WriteIndented = true
)]
[JsonSerializable(typeof(QgpoOptions))]
public sealed partial class QgpoJson : JsonSerializerContext;
