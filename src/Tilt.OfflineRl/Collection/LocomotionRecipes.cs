using Tilt.Environments;
using Tilt.Inference;
using Tilt.OfflineRl.Behavior;

namespace Tilt.OfflineRl.Collection;

/// <summary>hopper, halfcheetah, walker2d: what policies of several stages of a training did.</summary>
/// <remarks>
/// D4RL's protocol (Fu et al. 2020, section 5): <c>random</c> unrolls a randomly initialized policy; <c>medium</c> a soft actor-critic policy whose
/// training was stopped at about a third of what it can reach; <c>expert</c> a fully trained one; <c>medium-expert</c> joins equal parts of
/// both; <c>medium-replay</c> is what the training saw until it reached medium. Actions are drawn, not means.
/// Departure: the replay is made anew: the snapshots up to medium act in the order of training, each for the share of the training that
/// it is nearest to. A step after which a part of the collection or a policy's share ends is marked in timeouts.
/// </remarks>
internal static class LocomotionRecipes
{
    private const int PartSteps = 10_000;

    /// <summary>Rows of a data set that one policy makes.</summary>
    private sealed record Share(Rung Rung, int First, int Count);

    /// <summary>All of them.</summary>
    public static IReadOnlyList<DataRecipe> All { get; } =
    [
        // D4RL's sizes of version 2.
        .. Family("hopper", replay: 402_000, mediumExpert: 1_999_906),
        .. Family("halfcheetah", replay: 202_000, mediumExpert: 2_000_000),
        .. Family("walker2d", replay: 302_000, mediumExpert: 1_999_995),
    ];

    private static IEnumerable<DataRecipe> Family(string robot, int replay, int mediumExpert)
    {
        const int Million = 1_000_000;
        yield return Recipe(
            robot,
            "random",
            Million,
            "an untrained policy",
            "the untrained policy of the ladder, actions drawn",
            (ladder, size) => [new(ladder.Random, 0, size)]
        );
        yield return Recipe(
            robot,
            "medium",
            Million,
            "a policy at about a third of the best",
            "the ladder's earliest snapshot that is about as near as any to a third of the best return, actions drawn",
            (ladder, size) => [new(ladder.Medium, 0, size)],
            ladder => ladder.Medium
        );
        yield return Recipe(
            robot,
            "medium-replay",
            replay,
            "the training up to medium, in its order",
            "the ladder's snapshots from the untrained to medium in the order of training, each for the share of the training's steps that it is "
                + "nearest to; actions drawn",
            Replay
        );
        yield return Recipe(
            robot,
            "expert",
            Million,
            "the best policy",
            "the ladder's snapshot with the greatest return, actions drawn",
            (ladder, size) => [new(ladder.Expert, 0, size)],
            ladder => ladder.Expert
        );
        yield return Recipe(
            robot,
            "medium-expert",
            mediumExpert,
            "half medium, half expert",
            "first half as medium, second half as expert",
            (ladder, size) =>
                [
                    .. new Share[]
                    {
                        new(ladder.Medium, 0, size / 2),
                        new(ladder.Expert, size / 2, size - size / 2),
                    }.Where(share => share.Count > 0),
                ]
        );
    }

    private static DataRecipe Recipe(
        string robot,
        string kind,
        int size,
        string summary,
        string protocol,
        Func<BehaviorLadder, int, IReadOnlyList<Share>> shares,
        Func<BehaviorLadder, Rung>? recorded = null
    ) =>
        new()
        {
            Name = $"{robot}-{kind}",
            Summary = summary,
            Task = robot,
            DefaultSize = size,
            Protocol =
                $"D4RL's {kind} for {robot}: {protocol}; episodes of at most 1000 steps; parts of {PartSteps} steps, each from its own start, "
                + "cut at their ends (timeouts).",
            Missing = () =>
                BehaviorLadder.Shipped(robot) is null
                    ? $"no ladder of {robot} ships with this version; './tilt data train-behavior --task {robot}' trains one."
                    : null,
            PolicyHashes = steps =>
                [.. shares(BehaviorLadder.Shipped(robot)!, steps).Select(share => share.Rung.Sha256)],
            Make = request =>
            {
                var ladder = BehaviorLadder.Shipped(robot)!;
                var steps = Collect(Tasks.Find(robot), $"{robot}-{kind}", shares(ladder, request.Size), request);
                if (recorded is not null)
                {
                    Record(steps, recorded(ladder));
                }
                return steps;
            },
        };

    /// <summary>Each snapshot up to medium gets the training's steps that it is nearest to; medium itself none beyond it.</summary>
    private static IReadOnlyList<Share> Replay(BehaviorLadder ladder, int size)
    {
        var rungs = ladder.Rungs.TakeWhile(rung => rung.Steps <= ladder.Medium.Steps).ToList();
        var whole = Math.Max(1, ladder.Medium.Steps);
        var shares = new List<Share>();
        var first = 0;
        for (var i = 0; i < rungs.Count; i++)
        {
            var end =
                i + 1 < rungs.Count
                    ? (int)Math.Round(size * ((rungs[i].Steps + rungs[i + 1].Steps) / 2.0 / whole))
                    : size;
            if (end > first)
            {
                shares.Add(new(rungs[i], first, end - first));
                first = end;
            }
        }
        return shares;
    }

    private static CollectedSteps Collect(
        EnvironmentTask task,
        string streams,
        IReadOnlyList<Share> shares,
        CollectionRequest request
    )
    {
        var (observationSize, actionSize) = (task.ObservationSize, task.ActionSize);
        var steps = new CollectedSteps(request.Size, observationSize, actionSize);
        var nexts = steps.WithNextObservations();
        var densities = steps.With("infos/action_log_probs", 1);
        using var probe = (MujocoEnvironment)task.Create();
        var (positionSize, velocitySize) = (probe.Position.Length, probe.Velocity.Length);
        var positions = steps.With("infos/qpos", positionSize);
        var velocities = steps.With("infos/qvel", velocitySize);
        foreach (var share in shares)
        {
            steps.Policies.Add(new(share.Rung.Name, share.Rung.Sha256, share.Rung.Return, share.Count));
        }

        void Fill(int part, int first, int count, Action stepped)
        {
            using var robot = (MujocoEnvironment)task.Create();
            var starts = new RandomStream(request.Seed, $"{streams}/{part}/starts");
            var random = new RandomStream(request.Seed, $"{streams}/{part}/noise");
            var noise = new float[actionSize];
            var current = -1;
            var begins = true;
            for (var row = first; row < first + count; row++)
            {
                var share = shares.Count - 1;
                while (shares[share].First > row)
                {
                    share--;
                }
                if (begins || share != current)
                {
                    robot.Reset(starts);
                    (current, begins) = (share, false);
                }
                var observation = steps.Observations.AsSpan(row * observationSize, observationSize);
                var action = steps.Actions.AsSpan(row * actionSize, actionSize);
                Narrow(robot.Observation, observation);
                Narrow(robot.Position, positions.AsSpan(row * positionSize, positionSize));
                Narrow(robot.Velocity, velocities.AsSpan(row * velocitySize, velocitySize));
                for (var i = 0; i < noise.Length; i++)
                {
                    noise[i] = (float)random.Normal();
                }
                shares[share].Rung.Actor.Act(observation, noise, action, densities.AsSpan(row, 1));

                var step = robot.Step(action);
                if (step.Cause == EndCause.Divergence)
                {
                    throw new TiltException($"{robot.Divergence} The collection ends here; report this.");
                }
                Narrow(robot.Observation, nexts.AsSpan(row * observationSize, observationSize));
                steps.Rewards[row] = (float)step.Reward;
                steps.Terminated[row] = step.Terminated;
                var cut = row + 1 == first + count || row + 1 == shares[share].First + shares[share].Count;
                steps.Truncated[row] = !step.Terminated && (step.Truncated || cut);
                begins = step.Ended;
                stepped();
            }
        }

        Parts.Run(request, PartSteps, Fill);
        return steps;
    }

    /// <summary>The policy's arrays under D4RL's names.</summary>
    private static void Record(CollectedSteps steps, Rung rung)
    {
        var actor = rung.Actor;
        steps.With("metadata/algorithm", "SAC");
        steps.With("metadata/policy/nonlinearity", "relu");
        steps.With("metadata/policy/output_distribution", "tanh_gaussian");
        void Add(string name, float[] weight, float[] bias)
        {
            steps.With($"metadata/policy/{name}/weight", weight, weight.Length / bias.Length);
            steps.With($"metadata/policy/{name}/bias", bias, 1);
        }
        for (var i = 0; i < actor.Layers.Count - 1; i++)
        {
            Add($"fc{i}", actor.Layers[i].Weight, actor.Layers[i].Bias);
        }
        var last = actor.Layers[^1];
        var half = actor.Actions * last.Inputs;
        Add("last_fc", last.Weight[..half], last.Bias[..actor.Actions]);
        Add("last_fc_log_std", last.Weight[half..], last.Bias[actor.Actions..]);
    }

    private static void Narrow(ReadOnlySpan<double> from, Span<float> to)
    {
        for (var i = 0; i < to.Length; i++)
        {
            to[i] = (float)from[i];
        }
    }
}
