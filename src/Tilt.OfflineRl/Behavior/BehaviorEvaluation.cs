using Tilt.Environments;
using Tilt.Inference;

namespace Tilt.OfflineRl.Behavior;

/// <summary>Returns of some episodes.</summary>
/// <param name="Returns">Undiscounted, one per episode.</param>
/// <param name="Lengths">Steps, one per episode.</param>
public sealed record EpisodeReturns(IReadOnlyList<double> Returns, IReadOnlyList<int> Lengths)
{
    /// <summary>The mean return.</summary>
    public double Mean => Returns.Average();

    /// <summary>The standard deviation over episodes (divisor n − 1); 0 for a single one.</summary>
    public double Deviation
    {
        get
        {
            var mean = Mean;
            return Returns.Count < 2
                ? 0
                : Math.Sqrt(Returns.Sum(value => (value - mean) * (value - mean)) / (Returns.Count - 1));
        }
    }

    /// <summary>The standard error of the mean.</summary>
    public double StandardError => Deviation / Math.Sqrt(Returns.Count);
}

/// <summary>Measures what a behavior policy earns.</summary>
public static class BehaviorEvaluation
{
    /// <summary>Runs whole episodes, all at once. Bit for bit the same for any number of threads.</summary>
    /// <param name="task">Where.</param>
    /// <param name="actor">Who acts.</param>
    /// <param name="episodes">How many.</param>
    /// <param name="sampled">Whether actions are drawn; else they are tanh(μ).</param>
    /// <param name="seed">Of starts and noise: episode i has the stream <c>evaluation/i</c>.</param>
    /// <param name="threads">Threads to step with; 0 for one per processor.</param>
    /// <param name="stop">Asks to give up.</param>
    public static EpisodeReturns Run(
        EnvironmentTask task,
        GaussianActor actor,
        int episodes,
        bool sampled,
        long seed,
        int threads = 1,
        CancellationToken stop = default
    )
    {
        using var environments = new VectorEnvironment(task, episodes, threads, seed, "evaluation")
        {
            AutoReset = false,
        };
        var actions = new float[episodes * task.ActionSize];
        var noise = new float[sampled ? actions.Length : 0];
        environments.Reset();
        while (environments.Waiting.Contains(false))
        {
            stop.ThrowIfCancellationRequested();
            for (var i = 0; i < noise.Length; i++)
            {
                noise[i] = (float)environments.Random(i / task.ActionSize).Normal();
            }
            actor.Act(environments.Observations, noise, actions);
            environments.Step(actions);
        }
        return new(environments.Returns.ToArray(), environments.Lengths.ToArray());
    }
}
