using System.Text.Json.Serialization;
using Tilt.Images.Avatars;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Sampling;

namespace Tilt.Images;

/// <summary>What guides images, and how it is learned.</summary>
public enum ImageMethod
{
    /// <summary>Contrastive energy prediction, for energies and for classes: exact.</summary>
    Cep,

    /// <summary>Regression onto β·E: not exact.</summary>
    Mse,

    /// <summary>Regression onto exp(−β·E): exact in theory, hard to reach.</summary>
    Emse,

    /// <summary>A classifier of noisy images, compared across classes: exact, for classes only.</summary>
    Classifier,

    /// <summary>Diffusion posterior sampling, β·E(x̂₀(x_t)): nothing to learn, not exact.</summary>
    Dps,
}

/// <summary>What a run's energies are of.</summary>
public enum ImageEnergyKind
{
    /// <summary>The distance of an image's colors from each of six hues (images.md §3).</summary>
    Color,

    /// <summary>Classes of labelled attributes.</summary>
    Class,

    /// <summary>Functions of the caller.</summary>
    Custom,
}

/// <summary>Where training images come from.</summary>
public sealed record ImageData
{
    /// <summary>The name of the built-in generator.</summary>
    public const string Avatars = "avatars";

    /// <summary><c>avatars</c>, or a folder of PNG and JPEG files.</summary>
    public string Source { get; init; } = Avatars;

    /// <summary>Images in the training pool: that many draws of the generator, or at most so many files.</summary>
    /// <value>50 000. A pool, not fresh draws, so that novelty can be measured against what was seen.</value>
    public long Pool { get; init; } = 50_000;

    /// <summary>The seed that the pool is drawn from: the draws 0 to pool − 1 of it. What comes after them is held out.</summary>
    public long Seed { get; init; }

    /// <summary>Height and width, in pixels.</summary>
    /// <value>16, the generator's. Files are resized to it.</value>
    public int Size { get; init; } = AvatarGenerator.Size;

    internal void Check()
    {
        ImageOptions.Require(!string.IsNullOrWhiteSpace(Source), "data.source", "nothing", "avatars, or a folder");
        ImageOptions.RequireCount(Pool, "data.pool", 2, 2_000_000);
        ImageOptions.RequireCount(Seed, "data.seed", 0, long.MaxValue);
        ImageOptions.RequireCount(Size, "data.size", 4, 256);
        ImageOptions.Require(
            Source != Avatars || Size == AvatarGenerator.Size,
            "data.size",
            $"{Size}",
            $"{AvatarGenerator.Size}: avatars have no other size"
        );
    }
}

/// <summary>How one network is trained.</summary>
public sealed record ImageTraining
{
    /// <summary>Gradient steps.</summary>
    public long Steps { get; init; } = 10_000;

    /// <summary>Images per step. For contrastive energies this is K, the size of the contrast set.</summary>
    public long Batch { get; init; } = 64;

    /// <summary>Highest learning rate of Adam.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Whether the rate falls to 0 along half a cosine after <see cref="WarmUpSteps"/>, or stays.</summary>
    public bool LearningRateDecay { get; init; } = true;

    /// <summary>Decay of the averaged weights that are sampled from; 0 samples from the weights themselves.</summary>
    public double AverageDecay { get; init; } = 0.999;

    /// <summary>Steps over which the rate rises.</summary>
    public const long WarmUpSteps = 100;

    internal void Check(string name)
    {
        ImageOptions.RequireCount(Steps, $"{name}.steps", 1, 100_000_000);
        ImageOptions.RequireCount(Batch, $"{name}.batch", 2, 1 << 16);
        ImageOptions.Require(
            LearningRate > 0 && double.IsFinite(LearningRate),
            $"{name}.learningRate",
            $"{LearningRate}",
            "a number above 0"
        );
        ImageOptions.Require(
            AverageDecay is >= 0 and < 1,
            $"{name}.averageDecay",
            $"{AverageDecay}",
            "a number in [0, 1)"
        );
        ImageOptions.Require(
            !LearningRateDecay || Steps > WarmUpSteps,
            $"{name}.steps",
            $"{Steps}",
            $"more than the {WarmUpSteps} steps of warm-up, or learningRateDecay=false"
        );
    }
}

/// <summary>Everything that decides a noise model of images. The defaults are the preset <c>quick</c>, which is ours.</summary>
/// <remarks><see cref="Paper"/> has the authors' numbers where images.md knows them.</remarks>
public sealed record ImageNoiseOptions : ICheckedOptions
{
    /// <summary>The preset that these options started from.</summary>
    public string Preset { get; init; } = "quick";

    /// <summary>The seed of all random streams.</summary>
    public long Seed { get; init; }

    /// <summary>The images.</summary>
    public ImageData Data { get; init; } = new();

    /// <summary>What noises them: <c>discrete-linear</c>, DDPM's 1000 steps, or another name of <see cref="NoiseSchedules.Names"/>.</summary>
    /// <value>discrete-linear (images.md §1).</value>
    public string Schedule { get; init; } = "discrete-linear";

    /// <summary>What the network predicts.</summary>
    /// <value>
    /// Clean: x̂₀ (paper: noise, with learned variances). Pictures of flat tints are simpler than noise, and the squared error of x̂₀ counts where
    /// noise is strong, which is where it is decided what a picture shows.
    /// </value>
    public Parametrization Parametrization { get; init; } = Parametrization.Clean;

    /// <summary>c, for estimates of x₀: squared errors count by 1/(σ_t² + c²); 0 counts them all alike.</summary>
    /// <value>
    /// 0.1 (paper: errors of the noise all alike). Counted alike, errors at little noise, where flat tints get flat, drown in what nobody can know
    /// of a picture at strong noise.
    /// </value>
    public double ErrorUnit { get; init; } = 0.1;

    /// <summary>The U-Net's size.</summary>
    public ImageNetworkOptions Network { get; init; } = new() { Multipliers = [2, 3] };

    /// <summary>Steps, batch, rate.</summary>
    /// <value>12 000 steps of 32 images, 2e-3.</value>
    public ImageTraining Training { get; init; } =
        new()
        {
            Steps = 12_000,
            Batch = 32,
            LearningRate = 2e-3,
        };

    /// <summary>Number format of the inner convolutions in training; sampling and certificates are in float32 unless asked otherwise.</summary>
    /// <value>auto: bf16 where the processor multiplies it natively. Resolved when a run begins and kept on resume.</value>
    public Precision Precision { get; init; } = Precision.Auto;

    /// <summary>How samples are drawn.</summary>
    public SamplerOptions Sampler { get; init; } = ImageOptions.QuickSampler;

    /// <summary>The authors' numbers: noise prediction, a U-Net of ADM's for 64 × 64, ancestral sampling on 250 of 1000 steps (images.md §2–5).</summary>
    public static ImageNoiseOptions Paper { get; } =
        new()
        {
            Preset = "paper",
            Parametrization = Parametrization.Noise,
            ErrorUnit = 0,
            Network = ImageOptions.PaperNetwork,
            Training = new()
            {
                Steps = 500_000,
                Batch = 256,
                LearningRate = 1e-4,
                LearningRateDecay = false,
                AverageDecay = 0.9999,
            },
            Sampler = ImageOptions.PaperSampler,
        };

    /// <summary>The preset of that name.</summary>
    /// <exception cref="TiltException">It is unknown; the message suggests the nearest.</exception>
    public static ImageNoiseOptions For(string preset) => ImageOptions.Preset(preset, new ImageNoiseOptions(), Paper);

    /// <inheritdoc/>
    public void Check()
    {
        Data.Check();
        Network.Check(Data.Size);
        Training.Check("training");
        ImageOptions.Require(
            Network.SkipScale == 0 || Parametrization == Parametrization.Clean,
            "network.skipScale",
            $"{Network.SkipScale} with parametrization {Parametrization}",
            "0: only an estimate of x0 can lean on x_t"
        );
        ImageOptions.Require(
            ErrorUnit is >= 0 and <= 10 && (ErrorUnit == 0 || Parametrization == Parametrization.Clean),
            "errorUnit",
            $"{ErrorUnit} with parametrization {Parametrization}",
            "a number from 0 to 10, and 0 where the network does not estimate x0"
        );
        Sampler.Validate(NoiseSchedules.Parse(Schedule));
        ImageOptions.RequireFits(Training, Data);
    }
}

/// <summary>Everything that decides a network of intermediate energies of images. The defaults are the preset <c>quick</c>.</summary>
public sealed record ImageEnergyOptions : ICheckedOptions
{
    /// <summary>The preset that these options started from.</summary>
    public string Preset { get; init; } = "quick";

    /// <summary>The seed of all random streams.</summary>
    public long Seed { get; init; }

    /// <summary>The images.</summary>
    public ImageData Data { get; init; } = new();

    /// <summary>What noises them. Has to be the noise model's.</summary>
    public string Schedule { get; init; } = "discrete-linear";

    /// <summary>What the energies are of.</summary>
    public ImageEnergyKind Energy { get; init; }

    /// <summary>How they are learned.</summary>
    public ImageMethod Method { get; init; }

    /// <summary>For classes: the labelled attributes, all learned by one network.</summary>
    public IReadOnlyList<string> Attributes { get; init; } = [];

    /// <summary>The run or file of the noise model that samples are drawn with; null for the one that ships.</summary>
    [MayChangeOnResume]
    public string? Noise { get; init; }

    /// <summary>The end of the dial of β.</summary>
    /// <value>50, the authors' β (images.md §3.1). Classes have β = 1 and no dial.</value>
    public double BetaMax { get; init; } = 50;

    /// <summary>β values per step, drawn stratified on [0, <see cref="BetaMax"/>]; each is a contrast over the whole batch.</summary>
    /// <value>6 (paper: one fixed β).</value>
    public int Betas { get; init; } = 6;

    /// <summary>Whether contrastive labels are normalized by a constant, log Z of the pool, or over the batch.</summary>
    /// <value>True: no bias from a finite K (paper: false).</value>
    public bool Unbiased { get; init; } = true;

    /// <summary>J, the atoms of the predicted law of E.</summary>
    /// <value>32.</value>
    public int Atoms { get; init; } = 32;

    /// <summary>The encoder's size.</summary>
    public ImageNetworkOptions Network { get; init; } = new();

    /// <summary>Steps, batch (K), rate.</summary>
    /// <value>3 000 steps with K = 128, 2e-3.</value>
    public ImageTraining Training { get; init; } =
        new()
        {
            Steps = 3_000,
            Batch = 128,
            LearningRate = 2e-3,
        };

    /// <summary>Number format of the inner convolutions in training.</summary>
    public Precision Precision { get; init; } = Precision.Auto;

    /// <summary>The authors' numbers where known: 150 000 steps at 3e-4, K = 32, self-normalized labels, β = 50 (images.md §2, §3).</summary>
    public static ImageEnergyOptions Paper { get; } =
        new()
        {
            Preset = "paper",
            Unbiased = false,
            Network = ImageOptions.PaperNetwork with { Width = 128 },
            Training = new()
            {
                Steps = 500_000,
                Batch = 32,
                LearningRate = 3e-4,
                AverageDecay = 0,
            },
        };

    /// <summary>The preset of that name.</summary>
    /// <exception cref="TiltException">It is unknown; the message suggests the nearest.</exception>
    public static ImageEnergyOptions For(string preset) => ImageOptions.Preset(preset, new ImageEnergyOptions(), Paper);

    /// <inheritdoc/>
    public void Check()
    {
        Data.Check();
        Network.Check(Data.Size);
        Training.Check("training");
        _ = NoiseSchedules.Parse(Schedule);
        ImageOptions.RequireFits(Training, Data);
        var classes = Energy == ImageEnergyKind.Class;
        ImageOptions.Require(
            classes
                ? Method is ImageMethod.Cep or ImageMethod.Classifier
                : Method is ImageMethod.Cep or ImageMethod.Mse or ImageMethod.Emse,
            "method",
            ImageOptions.NameOf(Method),
            classes
                ? "cep or classifier for classes"
                : "cep, mse or emse; dps needs no training: sample a noise model with it"
        );
        ImageOptions.Require(
            classes == (Attributes.Count > 0),
            "attributes",
            Attributes.Count == 0 ? "none" : string.Join(", ", Attributes),
            classes ? "at least one, such as background-hue" : "none: only classes have attributes"
        );
        ImageOptions.Require(
            !classes || Data.Source == ImageData.Avatars,
            "data.source",
            Data.Source,
            "avatars: files have no labels. Use --energy color, or an energy of your own"
        );
        foreach (var attribute in Attributes)
        {
            _ = AvatarAttributes.Parse(attribute);
        }
        ImageOptions.Require(BetaMax is > 0 and <= 1e4, "betaMax", $"{BetaMax}", "a number above 0 and up to 10000");
        ImageOptions.RequireCount(Betas, "betas", 1, 256);
        ImageOptions.RequireCount(Atoms, "atoms", 2, 4096);
    }
}

/// <summary>Everything that decides the frozen classifier of clean images, which judges samples and gives features.</summary>
public sealed record ImageClassifierOptions : ICheckedOptions
{
    /// <summary>The preset that these options started from.</summary>
    public string Preset { get; init; } = "quick";

    /// <summary>The seed of all random streams.</summary>
    public long Seed { get; init; }

    /// <summary>The images, with labels: avatars.</summary>
    public ImageData Data { get; init; } = new();

    /// <summary>The attributes it tells.</summary>
    public IReadOnlyList<string> Attributes { get; init; } =
    [
        "background-hue",
        "skin-hue",
        "hair-hue",
        "clothing-hue",
        "hair-length",
        "mood",
        "lenses",
        "wears-hat",
        "wears-beard",
        "wears-accessories",
    ];

    /// <summary>The standard deviation of noise added to training images, so that a sample that is a grey level off is judged by what it shows.</summary>
    /// <value>0.05, six grey levels of 256.</value>
    public double Noise { get; init; } = 0.05;

    /// <summary>The encoder's size.</summary>
    public ImageNetworkOptions Network { get; init; } = new() { Width = 16, HeadChannels = 16 };

    /// <summary>Steps, batch, rate.</summary>
    public ImageTraining Training { get; init; } =
        new()
        {
            Steps = 1_500,
            Batch = 128,
            LearningRate = 2e-3,
        };

    /// <summary>Number format of the inner convolutions in training.</summary>
    public Precision Precision { get; init; } = Precision.Auto;

    /// <inheritdoc/>
    public void Check()
    {
        Data.Check();
        Network.Check(Data.Size);
        Training.Check("training");
        ImageOptions.RequireFits(Training, Data);
        ImageOptions.Require(
            Data.Source == ImageData.Avatars,
            "data.source",
            Data.Source,
            "avatars: a classifier needs labels, and files have none"
        );
        ImageOptions.Require(Attributes.Count > 0, "attributes", "none", "at least one, such as background-hue");
        foreach (var attribute in Attributes)
        {
            _ = AvatarAttributes.Parse(attribute);
        }
        ImageOptions.Require(Noise is >= 0 and <= 1, "noise", $"{Noise}", "a number from 0 to 1");
    }
}

/// <summary>What the options of image runs share.</summary>
public static class ImageOptions
{
    /// <summary>The names of the presets.</summary>
    public static IReadOnlyList<string> Presets { get; } = ["quick", "paper"];

    /// <summary>DPM-Solver++ of order 2, 24 evaluations on uniform times, and one more that takes the last noise away.</summary>
    internal static SamplerOptions QuickSampler { get; } =
        new()
        {
            Solver = "dpm-solver++-2m",
            Evaluations = 24,
            Spacing = TimeSpacing.Uniform,
            DenoiseToZero = true,
        };

    /// <summary>Ancestral sampling, 250 evaluations, x̂₀ clipped (images.md §2).</summary>
    internal static SamplerOptions PaperSampler { get; } =
        new()
        {
            Solver = "ddpm",
            Evaluations = 250,
            Spacing = TimeSpacing.Uniform,
            Thresholding = new(ThresholdingKind.Static),
        };

    /// <summary>ADM's sizes, with the multipliers that 16 pixels admit.</summary>
    internal static ImageNetworkOptions PaperNetwork { get; } =
        new()
        {
            Patch = 1,
            SkipScale = 0,
            Width = 192,
            Multipliers = [1, 2, 3],
            Blocks = 2,
            Groups = 32,
            HeadChannels = 64,
        };

    /// <summary>The name of a method on the command line and in files: <c>cep</c>, <c>mse</c>, <c>emse</c>, <c>classifier</c>, <c>dps</c>.</summary>
    public static string NameOf(ImageMethod method) => method.ToString().ToLowerInvariant();

    internal static T Preset<T>(string preset, T quick, T paper) =>
        preset switch
        {
            "quick" => quick,
            "paper" => paper,
            _ => throw Suggest.Unknown("preset", preset, [.. Presets]),
        };

    internal static void RequireFits(ImageTraining training, ImageData data) =>
        Require(
            training.Batch <= data.Pool,
            "training.batch",
            $"{training.Batch}",
            $"at most the {data.Pool} images of the pool"
        );

    internal static void RequireCount(long found, string option, long least, long most) =>
        Require(found >= least && found <= most, option, $"{found}", $"a whole number from {least} to {most}");

    internal static void Require(bool fine, string option, string found, string expected)
    {
        if (!fine)
        {
            throw TiltException.Usage($"option '{option}': found {found}; expected {expected}.");
        }
    }
}

/// <summary>How the options of image runs are written as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    UseStringEnumConverter = true,
    WriteIndented = true
)]
[JsonSerializable(typeof(ImageNoiseOptions))]
[JsonSerializable(typeof(ImageEnergyOptions))]
[JsonSerializable(typeof(ImageClassifierOptions))]
public sealed partial class ImagesJson : JsonSerializerContext;
