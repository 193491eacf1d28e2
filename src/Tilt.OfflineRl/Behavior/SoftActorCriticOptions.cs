using System.Text.Json.Serialization;
using Tilt.Environments;
using Tilt.Networks;
using Tilt.Runs;

namespace Tilt.OfflineRl.Behavior;

/// <summary>Everything that decides a training of a behavior policy.</summary>
/// <remarks>Defaults are those of Haarnoja et al. (2018) with automatic temperature, where nothing else is said.</remarks>
public sealed record SoftActorCriticOptions : ICheckedOptions
{
    /// <summary>The task to act in, one of <see cref="Tasks"/>.</summary>
    public string Task { get; init; } = "hopper";

    /// <summary>The seed of all random streams.</summary>
    public long Seed { get; init; }

    /// <summary>Environment steps with learning; a run may be given more later.</summary>
    /// <value>1 000 000.</value>
    [MayChangeOnResume]
    public long Steps { get; init; } = 1_000_000;

    /// <summary>Environment steps with uniform random actions before the first update.</summary>
    /// <value>5000; the authors take 1000 for hopper and walker2d and 10 000 for halfcheetah and ant.</value>
    public long RandomSteps { get; init; } = 5000;

    /// <summary>How many environments take turns, one step each.</summary>
    /// <value>4, ours: neighbouring steps are less alike. The authors have one.</value>
    public int Environments { get; init; } = 4;

    /// <summary>Environment steps for each update of the networks.</summary>
    /// <value>1.</value>
    public int StepsPerUpdate { get; init; } = 1;

    /// <summary>B, the steps in a minibatch.</summary>
    /// <value>256.</value>
    public int BatchSize { get; init; } = 256;

    /// <summary>Width of the two hidden layers of each network.</summary>
    /// <value>256.</value>
    public int Width { get; init; } = 256;

    /// <summary>γ.</summary>
    /// <value>0.99.</value>
    public double Discount { get; init; } = 0.99;

    /// <summary>How far the target critics move toward the critics at each update.</summary>
    /// <value>0.005.</value>
    public double TargetRate { get; init; } = 0.005;

    /// <summary>Adam's step size, of all networks and of the temperature.</summary>
    /// <value>3e-4.</value>
    public double LearningRate { get; init; } = 3e-4;

    /// <summary>The entropy that the temperature keeps, in nats; null for −A.</summary>
    /// <value>−A.</value>
    public double? TargetEntropy { get; init; }

    /// <summary>The temperature at the start.</summary>
    /// <value>1.</value>
    public double InitialTemperature { get; init; } = 1;

    /// <summary>Steps that minibatches are drawn from: the latest so many.</summary>
    /// <value>1 000 000.</value>
    public long ReplayCapacity { get; init; } = 1_000_000;

    /// <summary>The number type of the hidden products.</summary>
    /// <value>bf16 where the processor has it.</value>
    [MayChangeOnResume]
    public Precision Precision { get; init; } = Precision.Auto;

    /// <summary>Environment steps from one snapshot of the actor to the next.</summary>
    /// <value>20 000.</value>
    [MayChangeOnResume]
    public long SnapshotEvery { get; init; } = 20_000;

    /// <summary>Episodes that measure a snapshot's return, with noise and again without.</summary>
    /// <value>10.</value>
    [MayChangeOnResume]
    public int SnapshotEpisodes { get; init; } = 10;

    /// <summary>Seconds from one checkpoint to the next. It is small, for the steps are kept beside it, but it waits for the disk.</summary>
    /// <value>120.</value>
    [MayChangeOnResume]
    public double CheckpointSeconds { get; init; } = 120;

    /// <summary>Whether environment steps run on a thread of their own while the networks are updated. Changes no result.</summary>
    /// <value>True.</value>
    [MayChangeOnResume]
    public bool ParallelRollouts { get; init; } = true;

    /// <inheritdoc/>
    public void Check()
    {
        if (!Tasks.TryFind(Task, out _))
        {
            throw Suggest.Unknown("task", Task, Tasks.Names);
        }
        AtLeast(nameof(Steps), Steps, 0);
        AtLeast(nameof(RandomSteps), RandomSteps, 1);
        AtLeast(nameof(Environments), Environments, 1);
        AtLeast(nameof(StepsPerUpdate), StepsPerUpdate, 1);
        AtLeast(nameof(BatchSize), BatchSize, 1);
        AtLeast(nameof(Width), Width, 1);
        AtLeast(nameof(ReplayCapacity), ReplayCapacity, 1);
        AtLeast(nameof(SnapshotEvery), SnapshotEvery, 1);
        AtLeast(nameof(SnapshotEpisodes), SnapshotEpisodes, 1);
        Within(nameof(CheckpointSeconds), CheckpointSeconds, 0.001, 1e6);
        Within(nameof(Discount), Discount, 0, 1);
        Within(nameof(TargetRate), TargetRate, 0, 1);
        Within(nameof(LearningRate), LearningRate, 0, 1);
        Within(nameof(InitialTemperature), InitialTemperature, 1e-8, 1e8);
        if (TargetEntropy is { } entropy && !double.IsFinite(entropy))
        {
            throw Bad(
                nameof(TargetEntropy),
                entropy,
                "a finite number of nats, or null for minus the number of actions"
            );
        }
    }

    private static void AtLeast(string name, long value, long least)
    {
        if (value < least)
        {
            throw Bad(name, value, $"at least {least}");
        }
    }

    private static void Within(string name, double value, double low, double high)
    {
        if (!(value >= low && value <= high))
        {
            throw Bad(name, value, $"a number from {low} to {high}");
        }
    }

    private static TiltException Bad(string name, object value, string expected) =>
        TiltException.Usage(
            string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"option {char.ToLowerInvariant(name[0])}{name[1..]}: found {value}; expected {expected}."
            )
        );
}

/// <summary>Source-generated JSON of this namespace's records.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    UseStringEnumConverter = true,
    WriteIndented = true
)]
[JsonSerializable(typeof(SoftActorCriticOptions))]
public sealed partial class BehaviorJson : JsonSerializerContext;
